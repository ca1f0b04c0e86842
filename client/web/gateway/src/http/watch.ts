// A watch over HTTP: server-sent events. Each state is an event whose id is made of what the state says, so a reader who
// comes again with Last-Event-ID is not told what they know. The last event of a watch that is over is "end"; with its id
// the answer is 204, which makes a browser's EventSource stop.
import { createHash } from 'node:crypto';
import type { ServerResponse } from 'node:http';
import { status, type Metadata } from '@grpc/grpc-js';
import protobuf from 'protobufjs';
import { fullName, type Operation } from '../api/operations.js';
import type { MessageFields } from '../json/read.js';
import { writeMessage, type Json, type WriteStatus } from '../json/write.js';
import type { Caller } from '../nodes/caller.js';
import { plainFailure, type Failure } from '../nodes/failure.js';
import { Watcher, type WatchReader } from '../nodes/watcher.js';
import { EventSink } from './event_sink.js';
import type { Problem } from './problem.js';

const END = 'end';

export function isOver(lastEventId: string): boolean {
  return lastEventId === END || lastEventId.endsWith(`.${END}`);
}

// The same for states that differ only in how much time is left.
export function eventId(type: protobuf.Type, state: Json): string {
  const lasting = withoutDurations(type, state);
  return createHash('sha256').update(JSON.stringify(lasting)).digest('base64url').slice(0, 16);
}

function withoutDurations(type: protobuf.Type, value: Json): Json {
  if (Array.isArray(value)) return value.map((one) => withoutDurations(type, one));
  if (typeof value !== 'object' || value === null) return value;
  const kept: Record<string, Json> = {};
  for (const [name, one] of Object.entries(value)) {
    const inner = type.fields[name]?.resolvedType;
    if (!(inner instanceof protobuf.Type)) kept[name] = one;
    else if (fullName(inner) !== 'google.protobuf.Duration') kept[name] = withoutDurations(inner, one);
  }
  return kept;
}

export interface WatchTerms {
  operation: Operation;
  request: MessageFields;
  metadata: Metadata;
  // '': it begins.
  lastEventId: string;
  firstWithinMs: number;
  maxAgeMs: number;
  headers: Record<string, string>;
}

export interface WatchEnds {
  // Before anything was sent: the answer is this problem.
  refused(failure: Failure): void;
  // The answer was an open stream, and has ended.
  closed(): void;
}

// One reader's watch. Nothing is sent before the first state is known, so that an error is an error's answer.
export class Watch implements WatchReader {
  readonly #terms: WatchTerms;
  readonly #response: ServerResponse;
  readonly #problemOf: (failure: Failure) => Problem;
  readonly #writeStatus: WriteStatus;
  readonly #ends: WatchEnds;
  readonly #watcher: Watcher;
  #sink: EventSink | null = null;
  #age: NodeJS.Timeout | null = null;
  #lastId: string;

  constructor(
    caller: Caller,
    terms: WatchTerms,
    response: ServerResponse,
    problemOf: (failure: Failure) => Problem,
    ends: WatchEnds,
  ) {
    this.#terms = terms;
    this.#response = response;
    this.#problemOf = problemOf;
    this.#writeStatus = (refused) => problemOf(caller.failures.fromStatus(refused)) as unknown as Json;
    this.#ends = ends;
    this.#lastId = terms.lastEventId;
    this.#watcher = new Watcher(caller, terms.operation, terms.request, terms.metadata, terms.firstWithinMs, this);
  }

  // The reader has gone before anything was sent.
  cancel(): void {
    this.#watcher.cancel();
  }

  // Ends the answer, but not the watch: the reader comes again, elsewhere.
  sendAway(): void {
    this.#watcher.cancel();
    if (this.#sink) return this.#sink.end();
    const failure = plainFailure(status.UNAVAILABLE, 'this gateway ends');
    this.#ends.refused({ ...failure, reason: 'GATEWAY_DRAINING', retryAfterMs: 1000 });
  }

  onMessage(message: protobuf.Message): void {
    this.#sink ??= this.#open();
    const state = writeMessage(this.#terms.operation.response, message, this.#writeStatus);
    const id = eventId(this.#terms.operation.response, state);
    if (id === this.#lastId) return;
    this.#lastId = id;
    if (!this.#sink.event(id, '', JSON.stringify(state))) this.#watcher.pause();
  }

  onEnd(failure: Failure | null): void {
    if (failure && !this.#sink) return this.#ends.refused(failure);
    this.#sink ??= this.#open();
    if (failure) this.#sink.event('', 'problem', JSON.stringify(this.#problemOf(failure)));
    else this.#sink.event(this.#lastId === '' ? END : `${this.#lastId}.${END}`, END, '{}');
    this.#sink.end();
  }

  #open(): EventSink {
    this.#age = setTimeout(() => this.sendAway(), this.#terms.maxAgeMs);
    const closed = () => {
      if (this.#age) clearTimeout(this.#age);
      this.#watcher.cancel();
      this.#ends.closed();
    };
    return new EventSink(this.#response, this.#terms.headers, () => this.#watcher.resume(), closed);
  }
}
