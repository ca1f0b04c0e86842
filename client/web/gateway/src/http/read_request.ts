// A call's message from an HTTP request.
import type { IncomingHttpHeaders } from 'node:http';
import type { Operation } from '../api/operations.js';
import { FieldError } from '../json/field_error.js';
import { readMessage, readPath, readQuery, type MessageFields } from '../json/read.js';
import { HeaderError, idempotencyKey } from './headers.js';

// The body is not JSON.
export class BodyError extends Error {}

const utf8 = new TextDecoder('utf-8', { fatal: true });

function parseBody(body: Buffer): unknown {
  if (body.length === 0) return {};
  try {
    return JSON.parse(utf8.decode(body));
  } catch {
    throw new BodyError('the body is not JSON in UTF-8');
  }
}

function addIdempotencyKey(message: MessageFields, headers: IncomingHttpHeaders): void {
  const key = idempotencyKey(headers);
  if (key === undefined) return;
  const { reservation_id: stated } = message;
  if (typeof stated === 'string' && stated.toLowerCase() !== key.toLowerCase()) {
    throw new HeaderError('Idempotency-Key', 'is another id than reservation_id');
  }
  message.reservation_id ??= key;
}

// Throws FieldError, HeaderError and BodyError.
export function readRequest(
  operation: Operation,
  pathFields: Map<string, string>,
  query: string,
  body: Buffer,
  headers: IncomingHttpHeaders,
): MessageFields {
  const { request } = operation;
  if (operation.method === 'POST' && query !== '') throw new FieldError('request', 'a POST has no query');
  const message = operation.method === 'POST' ? readMessage(request, parseBody(body)) : {};
  if (operation.takesIdempotencyKey) addIdempotencyKey(message, headers);
  readPath(request, pathFields, message);
  if (operation.method === 'GET') readQuery(request, query, message);
  if (request.fields.refusal_in_response) message.refusal_in_response = true;
  return message;
}
