// Errors as HTTP has them: problem details (RFC 9457). A failure of a call keeps its reason, its metadata and when to come
// again; what the gateway refuses itself looks the same.
import { status as grpc } from '@grpc/grpc-js';
import type { Failure } from '../nodes/failure.js';
import { wasNotSent } from '../nodes/verdict.js';

export interface Problem {
  // Where the reference explains the reason: a path of this server.
  type: string;
  title: string;
  status: number;
  // For people; may change.
  detail: string;
  // What to decide by.
  reason: string;
  // What the caller should do.
  next_step: string;
  metadata: Record<string, string>;
  // The fields that are wrong, as the protos name them.
  errors?: { field: string; detail: string }[];
  retry_after_ms?: number;
  // What was asked for may have been carried out all the same. Absent: it was not.
  outcome?: 'UNKNOWN';
  request_id?: string;
}

const BY_CODE: Record<number, number> = {
  [grpc.CANCELLED]: 503,
  [grpc.UNKNOWN]: 502,
  [grpc.INVALID_ARGUMENT]: 400,
  [grpc.DEADLINE_EXCEEDED]: 504,
  [grpc.NOT_FOUND]: 404,
  [grpc.ALREADY_EXISTS]: 409,
  [grpc.PERMISSION_DENIED]: 403,
  [grpc.RESOURCE_EXHAUSTED]: 429,
  [grpc.FAILED_PRECONDITION]: 409,
  [grpc.ABORTED]: 409,
  [grpc.OUT_OF_RANGE]: 400,
  [grpc.UNIMPLEMENTED]: 501,
  [grpc.INTERNAL]: 502,
  [grpc.UNAVAILABLE]: 503,
  [grpc.DATA_LOSS]: 502,
  [grpc.UNAUTHENTICATED]: 401,
};

// Where the code alone would mislead: 429 makes libraries try again, and there is nothing to try for.
const BY_REASON: Record<string, number> = {
  SOLD_OUT: 409,
  TOO_MANY_GROUPS: 409,
  DENIED: 403,
  MESSAGE_TOO_LARGE: 413,
  INTERNAL: 500,
};

// Of refusals of the gateway itself, and of failures without a reason.
const OWN_NEXT_STEPS: Record<string, string> = {
  NO_SUCH_PATH: 'Repeating it does not help. /docs lists all paths.',
  PATH_MALFORMED: 'A bug of the caller: the path must be percent-encoded UTF-8.',
  METHOD_NOT_ALLOWED: 'Repeating it does not help. The header Allow names the methods of this path.',
  BODY_TOO_LARGE: 'Repeating it does not help. A body has at most 64 KiB.',
  BODY_MALFORMED: 'A bug of the caller: the body must be one JSON object in UTF-8.',
  MEDIA_TYPE_UNSUPPORTED: 'Send the body as application/json.',
  HEADER_INVALID: 'A bug of the caller: the detail names the header and says what it must be.',
  TOKEN_NEEDS_TLS: 'Nothing was done. Call by https: a token in plain text is everybody’s.',
  GATEWAY_BUSY: 'Nothing was done. Try again after the header Retry-After, or at another gateway.',
  GATEWAY_DRAINING: 'Nothing was done. Try again: another gateway will answer.',
  TOO_MANY_WATCHES: 'Try again after the header Retry-After, or ask with the GET that tells the same once.',
  // Of calls that only read: the outcome of a change is COMMIT_UNKNOWN then.
  NO_ANSWER: 'Nothing was changed. Repeat it; with the status 501 that does not help.',
  NO_NODE: 'Nothing was done: no node can be reached. Repeat it with the same values after the header Retry-After.',
  FIELD_INVALID: 'A bug of the caller: errors names the field and says what it must be.',
};

const TITLES: Record<number, string> = {
  400: 'The request cannot succeed as it is',
  401: 'The caller is not known',
  403: 'Not allowed',
  404: 'Not found',
  405: 'Method not allowed',
  408: 'The request did not come in time',
  409: 'Refused in the present state',
  413: 'Too large',
  415: 'Media type not supported',
  429: 'Too many tries',
  431: 'Headers too large',
  500: 'A fault of Tranche',
  501: 'Not offered by this node',
  502: 'The node’s answer was faulty',
  503: 'Not now',
  504: 'No answer in time',
};

// What 503 says where nobody has said when to come again.
const RETRY_MS = 1000;

function titleOf(status: number, reason: string): string {
  const words = reason.toLowerCase().replaceAll('_', ' ');
  return /^[A-Z]/.test(reason) ? words.charAt(0).toUpperCase() + words.slice(1) : (TITLES[status] ?? 'Error');
}

export class Problems {
  readonly #nextSteps: Map<string, string>;

  constructor(nextSteps: Map<string, string>) {
    this.#nextSteps = nextSteps;
  }

  ofFailure(failure: Failure): Problem {
    if (failure.outcomeUnknown) return this.#ofUnknown(failure);
    const status = statusOf(failure);
    const { reason, detail } = nameOf(failure);
    const problem = this.own(status, reason, detail, failure.metadata);
    if (failure.fields.length > 0) problem.errors = failure.fields;
    else if (failure.metadata.field && status === 400) {
      problem.errors = [{ field: failure.metadata.field, detail: failure.message }];
    }
    if (failure.retryAfterMs !== null) problem.retry_after_ms = Math.ceil(failure.retryAfterMs);
    else if (status === 503) problem.retry_after_ms = RETRY_MS;
    return problem;
  }

  // One that the gateway says itself, or the frame of any other.
  own(status: number, reason: string, detail: string, metadata: Record<string, string> = {}): Problem {
    return {
      type: `/docs#${reason}`,
      title: titleOf(status, reason),
      status,
      detail,
      reason,
      next_step: this.nextStepOf(reason, status),
      metadata,
    };
  }

  badField(field: string, detail: string): Problem {
    return { ...this.own(400, 'FIELD_INVALID', `${field}: ${detail}`, { field }), errors: [{ field, detail }] };
  }

  nextStepOf(reason: string, status: number): string {
    const step = this.#nextSteps.get(reason) ?? OWN_NEXT_STEPS[reason];
    if (step !== undefined) return step;
    if (status === 400 || status === 413) return OWN_NEXT_STEPS.FIELD_INVALID ?? '';
    return 'Decide by the status.';
  }

  // All reasons that have a next step, sorted.
  reasons(): string[] {
    return [...new Set([...this.#nextSteps.keys(), ...Object.keys(OWN_NEXT_STEPS)])].sort();
  }

  #ofUnknown(failure: Failure): Problem {
    const last = nameOf(failure);
    const detail = `it may have been done; the last answer was ${last.reason}: ${last.detail}`;
    const problem = this.own(503, 'COMMIT_UNKNOWN', detail, failure.metadata);
    return { ...problem, retry_after_ms: Math.max(250, Math.ceil(failure.retryAfterMs ?? 0)), outcome: 'UNKNOWN' };
  }
}

function nameOf(failure: Failure): { reason: string; detail: string } {
  if (failure.reason !== '') return { reason: failure.reason, detail: failure.message };
  if (isTooLarge(failure)) return { reason: 'MESSAGE_TOO_LARGE', detail: failure.message };
  if (wasNotSent(failure)) return { reason: 'NO_NODE', detail: 'no node can be reached' };
  // gRPC's words name addresses of nodes, which are nobody's business.
  return { reason: 'NO_ANSWER', detail: `gRPC says ${grpc[failure.code] ?? failure.code}, and not the node` };
}

function isTooLarge(failure: Failure): boolean {
  return failure.code === grpc.RESOURCE_EXHAUSTED && /larger than max/i.test(failure.message);
}

export function statusOf(failure: Failure): number {
  if (failure.reason === '' && failure.code === grpc.RESOURCE_EXHAUSTED) return isTooLarge(failure) ? 413 : 503;
  return BY_REASON[failure.reason] ?? BY_CODE[failure.code] ?? 500;
}

// Of the header, in whole seconds; null: it has none.
export function retryAfterSeconds(problem: Problem): number | null {
  return problem.retry_after_ms === undefined ? null : Math.max(1, Math.ceil(problem.retry_after_ms / 1000));
}
