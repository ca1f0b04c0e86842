// A watch as its reader sees it: one after another at the nodes, until it ends for good. As the C++ SDK does it
// (client/internal/watch_session.cc).
import type { ClientReadableStream, Metadata, ServiceError } from '@grpc/grpc-js';
import type protobuf from 'protobufjs';
import type { Operation } from '../api/operations.js';
import type { MessageFields } from '../json/read.js';
import { backoffMs, type Caller } from './caller.js';
import { outOfTime, type Failure } from './failure.js';
import { judge } from './verdict.js';

// Without a message for so long, while nodes fail.
const GIVE_UP_AFTER_MS = 30_000;

export interface WatchReader {
  onMessage(message: protobuf.Message): void;
  // Once, and last. null: the watch is over, as all is decided.
  onEnd(failure: Failure | null): void;
}

export class Watcher {
  readonly #caller: Caller;
  readonly #operation: Operation;
  readonly #request: MessageFields;
  readonly #metadata: Metadata;
  readonly #reader: WatchReader;
  readonly #firstBy: NodeJS.Timeout;
  readonly #tried = new Set<number>();
  #stream: ClientReadableStream<protobuf.Message> | null = null;
  #again: NodeJS.Timeout | null = null;
  #failingSinceMs: number | null = null;
  #backoffs = 0;
  #over = false;

  // `firstWithinMs`: without a message until then, it ends.
  constructor(
    caller: Caller,
    operation: Operation,
    request: MessageFields,
    metadata: Metadata,
    firstWithinMs: number,
    reader: WatchReader,
  ) {
    this.#caller = caller;
    this.#operation = operation;
    this.#request = request;
    this.#metadata = metadata;
    this.#reader = reader;
    this.#firstBy = setTimeout(() => this.#end(outOfTime()), firstWithinMs);
    this.#open();
  }

  pause(): void {
    this.#stream?.pause();
  }

  resume(): void {
    this.#stream?.resume();
  }

  // Nobody reads it any more: onEnd is not called.
  cancel(): void {
    this.#over = true;
    clearTimeout(this.#firstBy);
    if (this.#again) clearTimeout(this.#again);
    this.#stream?.cancel();
  }

  #open(): void {
    if (this.#over) return;
    const { nodes } = this.#caller;
    let node = nodes.pick(this.#tried, performance.now());
    if (node === null) {
      this.#tried.clear();
      node = nodes.pick(this.#tried, performance.now()) ?? 0;
    }
    this.#tried.add(node);
    this.#read(node);
  }

  #read(node: number): void {
    const { request, response, grpcPath } = this.#operation;
    const stream = this.#caller.client(node).makeServerStreamRequest(
      grpcPath,
      (fields: MessageFields) => Buffer.from(request.encode(fields as unknown as protobuf.Message).finish()),
      (bytes: Buffer) => response.decode(bytes),
      this.#request,
      this.#metadata,
    );
    this.#stream = stream;
    let ended = false;
    stream.on('data', (message: protobuf.Message) => this.#onMessage(node, message));
    stream.on('end', () => {
      // An error comes first, or in the same turn.
      setImmediate(() => {
        if (!ended) this.#end(null);
      });
    });
    stream.on('error', (error: ServiceError) => {
      ended = true;
      this.#onError(node, this.#caller.failures.fromError(error));
    });
  }

  #onMessage(node: number, message: protobuf.Message): void {
    if (this.#over) return;
    clearTimeout(this.#firstBy);
    this.#caller.nodes.markHealthy(node);
    this.#failingSinceMs = null;
    this.#tried.clear();
    this.#backoffs = 0;
    this.#reader.onMessage(message);
  }

  #onError(node: number, failure: Failure): void {
    if (this.#over) return;
    const verdict = judge(failure);
    const full = failure.reason === 'TOO_MANY_WATCHES';
    const nowMs = performance.now();
    if (verdict.avoidNode) this.#caller.nodes.avoid(node, nowMs);
    this.#failingSinceMs ??= nowMs;
    const final = verdict.next === 'done' && !verdict.outcomeUnknown && !full;
    if (final || nowMs - this.#failingSinceMs > GIVE_UP_AFTER_MS) return this.#end(failure);
    const atOnce = (verdict.next === 'now' || full) && this.#caller.nodes.hasHealthy(this.#tried, nowMs);
    this.#again = setTimeout(() => this.#open(), atOnce ? 0 : backoffMs(this.#backoffs++));
  }

  #end(failure: Failure | null): void {
    if (this.#over) return;
    this.cancel();
    this.#reader.onEnd(failure);
  }
}
