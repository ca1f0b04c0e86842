// What the gateway reads from a request's headers.
import { randomUUID } from 'node:crypto';
import type { IncomingHttpHeaders } from 'node:http';

// A header that cannot be what it is.
export class HeaderError extends Error {
  constructor(
    readonly header: string,
    detail: string,
  ) {
    super(`${header} ${detail}`);
  }
}

const REQUEST_ID = /^[\x21-\x7e]{1,128}$/;
const TRACEPARENT = /^[0-9a-f]{2}-[0-9a-f]{32}-[0-9a-f]{16}-[0-9a-f]{2}$/;
const BEARER = /^Bearer [\x21-\x7e]{1,4096}$/i;
const TIMEOUT = /^(\d{1,6}(?:\.\d{1,3})?)(ms|s)?$/;
const MIN_TIMEOUT_MS = 10;

function only(headers: IncomingHttpHeaders, name: string): string | undefined {
  const value = headers[name];
  return Array.isArray(value) ? value.join(', ') : value;
}

// The caller's X-Request-Id, if a node would take it; else a new one.
export function requestId(headers: IncomingHttpHeaders): string {
  const given = only(headers, 'x-request-id');
  return given !== undefined && REQUEST_ID.test(given) ? given : randomUUID();
}

// undefined: none, or none that a node would take.
export function traceParent(headers: IncomingHttpHeaders): string | undefined {
  const given = only(headers, 'traceparent');
  return given !== undefined && TRACEPARENT.test(given) ? given : undefined;
}

// "Bearer TOKEN", as the node wants it; undefined: none. Throws HeaderError.
export function authorization(headers: IncomingHttpHeaders): string | undefined {
  const given = headers.authorization;
  if (given === undefined) return undefined;
  if (!BEARER.test(given)) throw new HeaderError('Authorization', 'must be Bearer and a token');
  return `Bearer ${given.slice('Bearer '.length)}`;
}

// X-Request-Timeout in milliseconds, lowered to `maxMs`: "1.5", "1.5s" or "1500ms". Throws HeaderError.
export function timeoutMs(headers: IncomingHttpHeaders, defaultMs: number, maxMs: number): number {
  const given = only(headers, 'x-request-timeout');
  if (given === undefined) return defaultMs;
  const match = TIMEOUT.exec(given.trim());
  const ms = Number(match?.[1]) * (match?.[2] === 'ms' ? 1 : 1000);
  if (!match || ms < MIN_TIMEOUT_MS) {
    throw new HeaderError('X-Request-Timeout', 'must be a time of at least 10 ms, such as 2.5s or 800ms');
  }
  return Math.min(ms, maxMs);
}

// The id in Idempotency-Key, with or without the quotes of a structured field; undefined: none.
export function idempotencyKey(headers: IncomingHttpHeaders): string | undefined {
  return only(headers, 'idempotency-key')?.replace(/^"(.*)"$/, '$1');
}
