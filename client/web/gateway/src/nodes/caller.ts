// One call as its caller sees it: attempts at one node after another until there is an answer or a limit is reached. The
// rules are those of the C++ SDK (client/internal/retrying_call.cc, claim_call.h).
import { setTimeout as sleep } from 'node:timers/promises';
import { Metadata, status, type Client, type ServiceError } from '@grpc/grpc-js';
import type protobuf from 'protobufjs';
import type { Operation } from '../api/operations.js';
import type { MessageFields } from '../json/read.js';
import { FailureReader, outOfTime, plainFailure, type Failure } from './failure.js';
import { NodeSet } from './node_set.js';
import type { NodeClients } from './node_clients.js';
import { RetryBudget } from './retry_budget.js';
import { Throttle } from './throttle.js';
import { judge, type Verdict } from './verdict.js';

export type Outcome = { message: protobuf.Message } | { failure: Failure };

export interface Call {
  operation: Operation;
  request: MessageFields;
  metadata: Metadata;
  // By performance.now().
  deadlineMs: number;
  // Aborted: nobody wants the answer. Only for calls that change nothing.
  signal?: AbortSignal;
}

const MAX_ATTEMPTS = 12;
const INITIAL_BACKOFF_MS = 10;
const MAX_BACKOFF_MS = 500;
// So much of a call may be spent on a node that hangs. A limit of the front door may let a try wait for 3 s.
const READ_ATTEMPT_MS = 1000;
const CHANGE_ATTEMPT_MS = 3500;
// An answer can overtake a commit. So what a node says about a claim in doubt counts only when it says so again after
// this time.
const SETTLING_MS = 250;

// Calls that are held back while the nodes are overloaded, and with which others they count.
const THROTTLED: Record<string, string> = {
  'FrontDoorService.EnterSale': 'sale',
  'FrontDoorService.EnterDraw': 'draw',
};

export interface CallObserver {
  onAttempt(operation: Operation, verdict: Verdict | null): void;
}

export function backoffMs(tries: number, random: () => number = Math.random): number {
  const full = Math.min(MAX_BACKOFF_MS, INITIAL_BACKOFF_MS * 2 ** Math.min(tries, 20));
  return full / 2 + (random() * full) / 2;
}

export class Caller {
  readonly nodes: NodeSet;
  readonly failures: FailureReader;
  readonly #clients: NodeClients;
  readonly #budget = new RetryBudget();
  readonly #throttles: Record<string, Throttle> = { claim: new Throttle(), sale: new Throttle(), draw: new Throttle() };
  readonly #observer: CallObserver;

  constructor(clients: NodeClients, failures: FailureReader, observer: CallObserver) {
    this.nodes = new NodeSet(clients.endpoints.length);
    this.failures = failures;
    this.#clients = clients;
    this.#observer = observer;
  }

  client(node: number): Client {
    return this.#clients.at(node);
  }

  // Never rejects.
  async call(call: Call): Promise<Outcome> {
    const attempts = new Attempts(this.nodes, this.#budget, this.#throttleOf(call.operation), call.deadlineMs);
    if (call.request.may_exist === true) attempts.inDoubt = true;
    if (!attempts.mayTry()) return { failure: Throttle.refusal() };
    for (;;) {
      const outcome = await this.#attempt(call, attempts);
      if ('message' in outcome) return outcome;
      if (call.signal?.aborted) return { failure: plainFailure(status.CANCELLED, 'the caller has gone') };
      const next = attempts.after(outcome.failure, call);
      if ('failure' in next) return next;
      if (next.waitMs > 0) await sleep(next.waitMs);
    }
  }

  #throttleOf(operation: Operation): Throttle | null {
    return this.#throttles[operation.claims ? 'claim' : (THROTTLED[operation.id] ?? '')] ?? null;
  }

  async #attempt(call: Call, attempts: Attempts): Promise<Outcome> {
    const node = attempts.pick();
    const request = call.operation.claims ? { ...call.request, may_exist: attempts.inDoubt } : call.request;
    const limit = call.operation.method === 'GET' ? READ_ATTEMPT_MS : CHANGE_ATTEMPT_MS;
    const leftMs = Math.min(limit, call.deadlineMs - performance.now());
    if (leftMs <= 0) return { failure: outOfTime() };
    const outcome = await this.#send(node, call, request, Date.now() + leftMs);
    const verdict = 'failure' in outcome ? judge(outcome.failure) : null;
    attempts.note(node, verdict);
    this.#observer.onAttempt(call.operation, verdict);
    return outcome;
  }

  #send(node: number, call: Call, request: MessageFields, deadline: number): Promise<Outcome> {
    const { operation } = call;
    return new Promise((resolve) => {
      const sent = this.client(node).makeUnaryRequest(
        operation.grpcPath,
        (fields: MessageFields) =>
          Buffer.from(operation.request.encode(fields as unknown as protobuf.Message).finish()),
        (bytes: Buffer) => operation.response.decode(bytes),
        request,
        call.metadata,
        { deadline },
        (error: ServiceError | null, message?: protobuf.Message) => {
          call.signal?.removeEventListener('abort', cancel);
          if (error) resolve({ failure: this.failures.fromError(error) });
          else resolve({ message: message as protobuf.Message });
        },
      );
      const cancel = () => sent.cancel();
      call.signal?.addEventListener('abort', cancel);
    });
  }
}

// What is known of a call between its attempts.
class Attempts {
  // An attempt may have succeeded without our knowing.
  inDoubt = false;
  readonly #nodes: NodeSet;
  readonly #budget: RetryBudget;
  readonly #throttle: Throttle | null;
  readonly #deadlineMs: number;
  readonly #tried = new Set<number>();
  #count = 0;
  #backoffs = 0;
  #settled = false;

  constructor(nodes: NodeSet, budget: RetryBudget, throttle: Throttle | null, deadlineMs: number) {
    this.#nodes = nodes;
    this.#budget = budget;
    this.#throttle = throttle;
    this.#deadlineMs = deadlineMs;
  }

  // What is in doubt may always be tried again.
  mayTry(): boolean {
    return this.#throttle === null || this.inDoubt || this.#throttle.admit(performance.now());
  }

  pick(): number {
    const node = this.#nodes.pick(this.#tried, performance.now());
    if (node === null) throw new Error('all nodes were tried, and no new round was begun');
    this.#tried.add(node);
    this.#count += 1;
    return node;
  }

  // null: it was answered.
  note(node: number, verdict: Verdict | null): void {
    const nowMs = performance.now();
    if (verdict?.avoidNode) this.#nodes.avoid(node, nowMs);
    else this.#nodes.markHealthy(node);
    if (!verdict?.costsBudget) this.#budget.onAnswered();
    this.#throttle?.onAnswer(verdict?.load ?? 'accepted', nowMs);
  }

  // What to do after a failed attempt: wait and try again, or end with a failure.
  after(failure: Failure, call: Call): { waitMs: number } | { failure: Failure } {
    const verdict = judge(failure);
    const doubtBefore = this.inDoubt;
    this.inDoubt ||= verdict.outcomeUnknown;
    const nowMs = performance.now();
    if (verdict.next === 'done') {
      return this.#mustSettle(verdict, doubtBefore, call, nowMs) ?? this.#end(failure, verdict, call);
    }
    const waitMs = this.#waitMs(verdict, failure.retryAfterMs ?? 0, nowMs);
    if (this.#count >= MAX_ATTEMPTS || nowMs + waitMs >= this.#deadlineMs) return this.#end(failure, verdict, call);
    if (!this.mayTry()) return this.#end(Throttle.refusal(), verdict, call);
    if (verdict.costsBudget && !this.#budget.trySpend()) return this.#end(failure, verdict, call);
    return { waitMs };
  }

  // A refusal after a lost answer: the claim may still be on its way to the ledger. It is asked for once more.
  #mustSettle(verdict: Verdict, doubtBefore: boolean, call: Call, nowMs: number): { waitMs: number } | null {
    if (!call.operation.claims || !doubtBefore || verdict.outcomeUnknown || this.#settled) return null;
    if (nowMs + SETTLING_MS >= this.#deadlineMs || this.#count >= MAX_ATTEMPTS) return null;
    this.#settled = true;
    this.#tried.clear();
    return { waitMs: SETTLING_MS };
  }

  #end(failure: Failure, verdict: Verdict, call: Call): { failure: Failure } {
    return { failure: { ...failure, outcomeUnknown: this.#isUnknown(verdict, call) } };
  }

  #isUnknown(verdict: Verdict, call: Call): boolean {
    if (call.operation.method === 'GET' || !this.inDoubt) return false;
    if (verdict.outcomeUnknown || verdict.next !== 'done') return true;
    // Others than claims are refused by the ledger, which would repeat the first answer if there were one.
    if (!call.operation.claims) return false;
    // What is in the queue may be sold later.
    return !this.#settled || call.request.accept_queued === true;
  }

  #waitMs(verdict: Verdict, retryAfterMs: number, nowMs: number): number {
    if (this.#nodes.hasHealthy(this.#tried, nowMs)) return verdict.next === 'now' ? 0 : backoffMs(this.#backoffs++);
    // Every node was asked: begin a new round, but not before the node allows it.
    this.#tried.clear();
    return Math.max(retryAfterMs, backoffMs(this.#backoffs++));
  }
}
