// Carries out one request: from its line and headers to an answer, or to a watch. Knows nothing of the server's library.
import type { IncomingMessage, ServerResponse } from 'node:http';
import { Metadata } from '@grpc/grpc-js';
import type { Api, Operation } from '../api/operations.js';
import { Router } from '../api/router.js';
import { FieldError } from '../json/field_error.js';
import type { MessageFields } from '../json/read.js';
import { writeMessage, type Json, type WriteStatus } from '../json/write.js';
import type { Call, Caller } from '../nodes/caller.js';
import type { Failure } from '../nodes/failure.js';
import { messageAnswer, problemAnswer, COMMON_HEADERS, type Answer } from './answer.js';
import { forwardedFor } from './caller_address.js';
import { authorization, HeaderError, timeoutMs, traceParent } from './headers.js';
import { Problems, type Problem } from './problem.js';
import { BodyError, readRequest } from './read_request.js';
import { isOver, Watch } from './watch.js';

export interface DoorTerms {
  defaultTimeoutMs: number;
  maxTimeoutMs: number;
  maxWatchAgeMs: number;
  // A token may be sent to the nodes.
  mayCarryTokens: boolean;
}

// A watch needs a place of its own; null: there is none.
export type TakeWatch = () => (() => void) | null;

// What handle() ends with: an answer to be sent, or a watch that sends by itself and has ended.
export type Handled = { operation: Operation | null; answer: Answer } | { operation: Operation; watched: true };

const BUSY_RETRY_MS = 1000;

export class Door {
  readonly problems: Problems;
  readonly #api: Api;
  readonly #router: Router;
  readonly #caller: Caller;
  readonly #terms: DoorTerms;
  readonly #watches = new Set<Watch>();

  constructor(api: Api, caller: Caller, terms: DoorTerms) {
    this.problems = new Problems(api.nextSteps);
    this.#api = api;
    this.#router = new Router(api.operations);
    this.#caller = caller;
    this.#terms = terms;
  }

  // Never rejects. `secure`: nobody on the way to here could read the request.
  async handle(
    request: IncomingMessage,
    response: ServerResponse,
    body: Buffer,
    id: string,
    secure: boolean,
    takeWatch: TakeWatch,
  ): Promise<Handled> {
    const route = this.#router.route(request.method ?? '', request.url ?? '');
    if (route === null) {
      return { operation: null, answer: this.refuse(id, 404, 'NO_SUCH_PATH', 'there is nothing at this path') };
    }
    if ('allowed' in route) {
      const more = { Allow: route.allowed.join(', ') };
      return { operation: null, answer: this.refuse(id, 405, 'METHOD_NOT_ALLOWED', 'not with this method', more) };
    }
    const operation = route.found;
    try {
      if (request.headers.authorization !== undefined) this.#checkTokenIsSafe(secure);
      const query = (request.url ?? '').split(/\?(.*)/s, 2)[1] ?? '';
      const message = readRequest(operation, route.pathFields, query, body, request.headers);
      const metadata = this.#metadata(request, id);
      if (operation.watches) return await this.#watch(operation, message, metadata, request, response, id, takeWatch);
      return { operation, answer: await this.#call(operation, message, metadata, request, response, id) };
    } catch (error) {
      const problem = this.#problemOf(error);
      if (!problem) throw error;
      return { operation, answer: problemAnswer(problem, id) };
    }
  }

  // What the gateway says itself.
  refuse(id: string, status: number, reason: string, detail: string, headers: Record<string, string> = {}): Answer {
    const problem = this.problems.own(status, reason, detail);
    if (status === 503 || status === 429) problem.retry_after_ms = BUSY_RETRY_MS;
    return problemAnswer(problem, id, headers);
  }

  // The process ends: those who watch come again, elsewhere.
  sendWatchersAway(): void {
    for (const watch of this.#watches) watch.sendAway();
  }

  #problemOf(error: unknown): Problem | null {
    if (error instanceof FieldError) return this.problems.badField(error.field, error.detail);
    if (error instanceof HeaderError) return this.problems.own(400, 'HEADER_INVALID', error.message);
    if (error instanceof BodyError) return this.problems.own(400, 'BODY_MALFORMED', error.message);
    if (error instanceof UnsafeToken) return this.problems.own(403, 'TOKEN_NEEDS_TLS', error.message);
    return null;
  }

  #checkTokenIsSafe(secure: boolean): void {
    if (!secure) throw new UnsafeToken('a token came in plain text');
    if (!this.#terms.mayCarryTokens)
      throw new UnsafeToken('the nodes are called in plain text, so no token goes there');
  }

  #metadata(request: IncomingMessage, id: string): Metadata {
    const metadata = new Metadata();
    const forwarded = request.headers['x-forwarded-for'];
    const header = Array.isArray(forwarded) ? forwarded.join(', ') : forwarded;
    metadata.set('x-forwarded-for', forwardedFor(header, request.socket.remoteAddress ?? ''));
    metadata.set('x-request-id', id);
    const trace = traceParent(request.headers);
    if (trace !== undefined) metadata.set('traceparent', trace);
    const token = authorization(request.headers);
    if (token !== undefined) metadata.set('authorization', token);
    return metadata;
  }

  #writeStatus: WriteStatus = (status) =>
    this.problems.ofFailure(this.#caller.failures.fromStatus(status)) as unknown as Json;

  async #call(
    operation: Operation,
    message: MessageFields,
    metadata: Metadata,
    request: IncomingMessage,
    response: ServerResponse,
    id: string,
  ): Promise<Answer> {
    const timeout = timeoutMs(request.headers, this.#terms.defaultTimeoutMs, this.#terms.maxTimeoutMs);
    const call: Call = { operation, request: message, metadata, deadlineMs: performance.now() + timeout };
    // A change goes on without its caller: whether it was made must not depend on when they went.
    if (operation.method === 'GET') call.signal = signalOfClose(response);
    const outcome = await this.#caller.call(call);
    if ('failure' in outcome) return problemAnswer(this.problems.ofFailure(outcome.failure), id);
    const refusal = refusalOf(outcome.message);
    if (refusal) return problemAnswer(this.problems.ofFailure(this.#caller.failures.fromStatus(refusal)), id);
    const body = JSON.stringify(writeMessage(operation.response, outcome.message, this.#writeStatus));
    return messageAnswer(operation, this.#api.operations, outcome.message, body, id);
  }

  async #watch(
    operation: Operation,
    message: MessageFields,
    metadata: Metadata,
    request: IncomingMessage,
    response: ServerResponse,
    id: string,
    takeWatch: TakeWatch,
  ): Promise<Handled> {
    const firstWithinMs = timeoutMs(request.headers, 10_000, this.#terms.maxTimeoutMs);
    const lastEventId = String(request.headers['last-event-id'] ?? '').slice(0, 64);
    const headers = { ...COMMON_HEADERS, 'X-Request-Id': id };
    if (isOver(lastEventId)) return { operation, answer: { status: 204, headers, body: '', reason: null } };
    const giveBack = takeWatch();
    if (!giveBack) {
      return { operation, answer: this.refuse(id, 429, 'TOO_MANY_WATCHES', 'as many watches are open as may be') };
    }
    const maxAgeMs = this.#terms.maxWatchAgeMs * (0.9 + 0.1 * Math.random());
    const terms = { operation, request: message, metadata, lastEventId, firstWithinMs, maxAgeMs, headers };
    const problemOf = (failure: Failure) => this.problems.ofFailure(failure);
    const failure = await new Promise<Failure | null>((resolve) => {
      const ends = { refused: resolve, closed: () => resolve(null) };
      const watch = new Watch(this.#caller, terms, response, problemOf, ends);
      this.#watches.add(watch);
      response.once('close', () => {
        watch.cancel();
        this.#watches.delete(watch);
        resolve(null);
      });
    }).finally(giveBack);
    if (!failure) return { operation, watched: true };
    return { operation, answer: problemAnswer(problemOf(failure), id) };
  }
}

// A token that somebody could read on its way.
class UnsafeToken extends Error {}

function refusalOf(message: object) {
  return (message as { refusal?: Parameters<WriteStatus>[0] | null }).refusal ?? null;
}

function signalOfClose(response: ServerResponse): AbortSignal {
  const gone = new AbortController();
  response.once('close', () => gone.abort());
  return gone.signal;
}
