// A front node that answers as a test tells it: made from the same descriptors as the gateway.
import { Metadata, Server, ServerCredentials, status, type ServiceError } from '@grpc/grpc-js';
import type { handleServerStreamingCall, handleUnaryCall, ServerWritableStream } from '@grpc/grpc-js';
import protobuf from 'protobufjs';
import type { Api, Operation } from '../src/api/operations.js';

export type Fields = Record<string, unknown>;

export interface Refusal {
  code: number;
  message?: string;
  // '': an error of gRPC itself.
  reason?: string;
  metadata?: Record<string, string>;
  retryAfterMs?: number;
  fields?: { field: string; description: string }[];
}

export interface Seen {
  operation: string;
  request: Fields;
  metadata: Metadata;
  deadlineMs: number;
}

export class Refused extends Error {
  constructor(readonly refusal: Refusal) {
    super('as scripted');
  }
}

// What a call is answered with; throws Refused. A promise may never be kept: then the node hangs.
export type Answer = (seen: Seen, nth: number) => Fields | Promise<Fields>;
export type Stream = ServerWritableStream<Fields, Fields>;

const DURATION = (ms: number) => ({ seconds: Math.floor(ms / 1000), nanos: (ms % 1000) * 1e6 });

function pack(root: protobuf.Root, name: string, fields: Fields) {
  const type = root.lookupType(name);
  return { type_url: `type.googleapis.com/${name}`, value: type.encode(type.fromObject(fields)).finish() };
}

// A google.rpc.Status as nodes make it.
export function rpcStatus(root: protobuf.Root, refusal: Refusal): Fields {
  const details = [];
  const { reason, metadata = {}, retryAfterMs, fields } = refusal;
  if (reason) details.push(pack(root, 'google.rpc.ErrorInfo', { reason, domain: 'tranche', metadata }));
  if (retryAfterMs !== undefined)
    details.push(pack(root, 'google.rpc.RetryInfo', { retry_delay: DURATION(retryAfterMs) }));
  if (fields) details.push(pack(root, 'google.rpc.BadRequest', { field_violations: fields }));
  return { code: refusal.code, message: refusal.message ?? 'as scripted', details };
}

export class FakeNode {
  readonly seen: Seen[] = [];
  readonly answers = new Map<string, Answer>();
  readonly streams = new Map<string, (stream: Stream, nth: number) => void>();
  endpoint = '';
  readonly #api: Api;
  readonly #server = new Server();
  readonly #counts = new Map<string, number>();

  constructor(api: Api) {
    this.#api = api;
    const services = new Map<string, Fields>();
    const handlers = new Map<string, Fields>();
    for (const operation of api.operations) {
      const [, service = '', method = ''] = operation.grpcPath.split('/');
      const definition = { ...services.get(service), [method]: this.#definitionOf(operation) };
      services.set(service, definition);
      const handler = operation.watches ? this.#watchOf(operation) : this.#unaryOf(operation);
      handlers.set(service, { ...handlers.get(service), [method]: handler });
    }
    for (const [name, definition] of services) {
      this.#server.addService(definition as never, handlers.get(name) as never);
    }
  }

  // At a free port.
  async start(credentials = ServerCredentials.createInsecure()): Promise<this> {
    const bound = await new Promise<number>((resolve, reject) => {
      this.#server.bindAsync('127.0.0.1:0', credentials, (error, got) => (error ? reject(error) : resolve(got)));
    });
    this.endpoint = `127.0.0.1:${bound}`;
    return this;
  }

  stop(): void {
    this.#server.forceShutdown();
  }

  error(refusal: Refusal): ServiceError {
    const metadata = new Metadata();
    if (refusal.reason || refusal.fields || refusal.retryAfterMs !== undefined) {
      const type = this.#api.root.lookupType('google.rpc.Status');
      const bytes = type.encode(type.fromObject(rpcStatus(this.#api.root, refusal))).finish();
      metadata.set('grpc-status-details-bin', Buffer.from(bytes));
    }
    const details = refusal.message ?? 'as scripted';
    return Object.assign(new Error(details), { code: refusal.code, details, metadata });
  }

  #definitionOf(operation: Operation) {
    const { request, response } = operation;
    return {
      path: operation.grpcPath,
      requestStream: false,
      responseStream: operation.watches,
      requestSerialize: (fields: Fields) => Buffer.from(request.encode(request.fromObject(fields)).finish()),
      requestDeserialize: (bytes: Buffer) => request.toObject(request.decode(bytes), { longs: String, enums: String }),
      responseSerialize: (fields: Fields) => Buffer.from(response.encode(response.fromObject(fields)).finish()),
      responseDeserialize: (bytes: Buffer) => response.toObject(response.decode(bytes)),
    };
  }

  #note(operation: Operation, request: unknown, metadata: Metadata, deadline: unknown): [Seen, number] {
    const deadlineMs = deadline instanceof Date ? deadline.getTime() : Number(deadline);
    const seen = { operation: operation.id, request: request as Fields, metadata, deadlineMs };
    this.seen.push(seen);
    const nth = this.#counts.get(operation.id) ?? 0;
    this.#counts.set(operation.id, nth + 1);
    return [seen, nth];
  }

  #unaryOf(operation: Operation): handleUnaryCall<Fields, Fields> {
    return (call, callback) => {
      const [seen, nth] = this.#note(operation, call.request, call.metadata, call.getDeadline());
      const answer = this.answers.get(operation.id);
      if (!answer) return callback(this.error({ code: status.UNIMPLEMENTED }));
      Promise.resolve()
        .then(() => answer(seen, nth))
        .then(
          (fields) => callback(null, fields),
          (error: Error) => callback(error instanceof Refused ? this.error(error.refusal) : (error as ServiceError)),
        );
    };
  }

  #watchOf(operation: Operation): handleServerStreamingCall<Fields, Fields> {
    return (stream) => {
      const [, nth] = this.#note(operation, stream.request, stream.metadata, stream.getDeadline());
      this.streams.get(operation.id)?.(stream, nth);
    };
  }
}
