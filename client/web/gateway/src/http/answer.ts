// An answer before it is sent.
import type { Operation } from '../api/operations.js';
import type protobuf from 'protobufjs';
import { toMs, type SecondsAndNanos } from '../json/time.js';
import { retryAfterSeconds, type Problem } from './problem.js';

export interface Answer {
  status: number;
  headers: Record<string, string>;
  body: string;
  // null: it is no problem.
  reason: string | null;
}

// Of every answer.
export const COMMON_HEADERS = { 'X-Content-Type-Options': 'nosniff' };

export function problemAnswer(problem: Problem, requestId: string, more: Record<string, string> = {}): Answer {
  const retryAfter = retryAfterSeconds(problem);
  return {
    status: problem.status,
    headers: {
      ...COMMON_HEADERS,
      ...more,
      'Content-Type': 'application/problem+json; charset=utf-8',
      'Cache-Control': 'no-store',
      'X-Request-Id': requestId,
      ...(retryAfter === null ? {} : { 'Retry-After': String(retryAfter) }),
      ...(problem.status === 401 ? { 'WWW-Authenticate': 'Bearer' } : {}),
    },
    body: JSON.stringify({ ...problem, request_id: requestId }),
    reason: problem.reason,
  };
}

interface Queued {
  ticket: string;
  poll_after: SecondsAndNanos | null;
}

// The claim that is in the queue, if that is the answer.
function queuedOf(message: protobuf.Message): Queued | null {
  return (message as unknown as { queued?: Queued | null }).queued ?? null;
}

// Where the reference has the operation that tells what became of a queued claim.
export function claimPath(operations: Operation[], ticket: string): string {
  const operation = operations.find((one) => one.id === 'ReservationService.GetClaim');
  return (operation?.path ?? '').replace('{ticket}', encodeURIComponent(ticket));
}

// What a caller may keep. A page of the catalogue may be a second old anyway.
function cacheControl(operation: Operation): string {
  return operation.id.startsWith('CatalogService.') ? 'max-age=1' : 'no-store';
}

export function messageAnswer(
  operation: Operation,
  operations: Operation[],
  message: protobuf.Message,
  body: string,
  requestId: string,
): Answer {
  const queued = queuedOf(message);
  const waits = queued && { 'Retry-After': String(Math.max(1, Math.ceil(toMs(queued.poll_after ?? ZERO) / 1000))) };
  const accepted = queued && operation.claims;
  return {
    status: accepted ? 202 : 200,
    headers: {
      ...COMMON_HEADERS,
      'Content-Type': 'application/json; charset=utf-8',
      'Cache-Control': cacheControl(operation),
      'X-Request-Id': requestId,
      ...(waits ?? {}),
      ...(accepted ? { Location: claimPath(operations, queued.ticket) } : {}),
    },
    body,
    reason: null,
  };
}

const ZERO = { seconds: { toNumber: () => 0 }, nanos: 0 } as unknown as SecondsAndNanos;
