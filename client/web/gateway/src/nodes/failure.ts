// Why a call has failed: a gRPC status with its details, or what the gateway says itself.
import { status as grpcStatus, type ServiceError } from '@grpc/grpc-js';
import protobuf from 'protobufjs';
import type Long from 'long';
import { toMs } from '../json/time.js';

export interface Failure {
  code: grpcStatus;
  message: string;
  // Of the ErrorInfo; '': none, so the error is gRPC's own.
  reason: string;
  metadata: Record<string, string>;
  // Of the RetryInfo.
  retryAfterMs: number | null;
  // Of the BadRequest.
  fields: { field: string; detail: string }[];
  // What was asked for may have been done all the same.
  outcomeUnknown: boolean;
}

interface RpcStatus {
  code: number;
  message: string;
  details: { type_url: string; value: Uint8Array }[];
}

const DETAILS_KEY = 'grpc-status-details-bin';

export function plainFailure(code: grpcStatus, message: string): Failure {
  return { code, message, reason: '', metadata: {}, retryAfterMs: null, fields: [], outcomeUnknown: false };
}

// Reads statuses. `root` has google.rpc.
export class FailureReader {
  readonly #status: protobuf.Type;
  readonly #details: Map<string, protobuf.Type>;

  constructor(root: protobuf.Root) {
    this.#status = root.lookupType('google.rpc.Status');
    const names = ['google.rpc.ErrorInfo', 'google.rpc.RetryInfo', 'google.rpc.BadRequest'];
    this.#details = new Map(names.map((name) => [name, root.lookupType(name)]));
  }

  // What a node has sent in place of an answer.
  fromError(error: ServiceError): Failure {
    const [bytes] = error.metadata?.get(DETAILS_KEY) ?? [];
    const failure = plainFailure(error.code, error.details);
    if (!Buffer.isBuffer(bytes)) return failure;
    try {
      this.#addDetails(failure, this.#status.decode(bytes) as unknown as RpcStatus);
    } catch {
      // Whoever made these bytes was no node.
      return plainFailure(error.code, error.details);
    }
    return failure;
  }

  // A status inside an answer.
  fromStatus(message: protobuf.Message): Failure {
    const status = message as unknown as RpcStatus;
    const failure = plainFailure(status.code, status.message);
    this.#addDetails(failure, status);
    return failure;
  }

  #addDetails(failure: Failure, status: RpcStatus): void {
    for (const { type_url, value } of status.details) {
      const name = type_url.slice(type_url.lastIndexOf('/') + 1);
      const type = this.#details.get(name);
      if (type) addDetail(failure, name, type.decode(value));
    }
  }
}

function addDetail(failure: Failure, name: string, message: protobuf.Message): void {
  if (name === 'google.rpc.ErrorInfo') {
    const info = message as unknown as { reason: string; domain: string; metadata: Record<string, string> };
    if (info.domain !== 'tranche') return;
    failure.reason = info.reason;
    failure.metadata = { ...info.metadata };
  } else if (name === 'google.rpc.RetryInfo') {
    const { retry_delay } = message as unknown as { retry_delay: { seconds: Long; nanos: number } | null };
    if (retry_delay) failure.retryAfterMs = toMs(retry_delay);
  } else {
    const { field_violations } = message as unknown as {
      field_violations: { field: string; description: string }[];
    };
    failure.fields = field_violations.map(({ field, description }) => ({ field, detail: description }));
  }
}

// No time is left to send anything.
export function outOfTime(): Failure {
  const failure = plainFailure(grpcStatus.DEADLINE_EXCEEDED, 'the time was over before it was sent');
  return { ...failure, reason: 'DEADLINE_PASSED' };
}
