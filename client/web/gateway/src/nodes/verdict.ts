// What one attempt's failure means for its call: the same rules as the C++ SDK's (client/internal/attempt_verdict.cc).
import { status } from '@grpc/grpc-js';
import type { Failure } from './failure.js';

export interface Verdict {
  // done: no node would answer otherwise. now: another node may succeed. later: another one, after a wait.
  next: 'done' | 'now' | 'later';
  // It may have been done although the failure does not say so.
  outcomeUnknown: boolean;
  // A retry draws from the budget.
  costsBudget: boolean;
  // The node should be left alone for a while.
  avoidNode: boolean;
  load: 'none' | 'accepted' | 'overload';
}

const DONE: Verdict = { next: 'done', outcomeUnknown: false, costsBudget: false, avoidNode: false, load: 'accepted' };

const BY_REASON: Record<string, Verdict> = {
  EXHAUSTED_HERE: { ...DONE, next: 'now' },
  DRAINING: { next: 'now', outcomeUnknown: false, costsBudget: true, avoidNode: true, load: 'none' },
  OVERLOADED: { ...DONE, next: 'later', costsBudget: true, load: 'overload' },
  DEADLINE_PASSED: { ...DONE, next: 'later', costsBudget: true, load: 'overload' },
  LEDGER_UNAVAILABLE: { ...DONE, next: 'later', costsBudget: true, load: 'none' },
  QUEUE_UNAVAILABLE: { ...DONE, next: 'later', costsBudget: true, load: 'none' },
  SKU_MOVING: { ...DONE, next: 'later', costsBudget: true, load: 'none' },
  COMMIT_UNKNOWN: { ...DONE, next: 'later', outcomeUnknown: true, costsBudget: true, load: 'none' },
  INTERNAL: { ...DONE, outcomeUnknown: true, load: 'none' },
};

// grpc-js' words for a call that was never sent. If they change, the outcome counts as unknown: slower, never wrong.
export function wasNotSent(failure: Failure): boolean {
  return (
    failure.code === status.UNAVAILABLE && /^(No connection established|Name resolution failed)/.test(failure.message)
  );
}

// Failures that gRPC made, not the node.
function judgeTransport(failure: Failure): Verdict {
  switch (failure.code) {
    case status.UNAVAILABLE:
      return { next: 'now', outcomeUnknown: !wasNotSent(failure), costsBudget: true, avoidNode: true, load: 'none' };
    case status.DEADLINE_EXCEEDED:
      return { next: 'now', outcomeUnknown: true, costsBudget: true, avoidNode: true, load: 'overload' };
    // A node that shuts down cancels calls that it has not begun to serve.
    case status.CANCELLED:
      return { next: 'now', outcomeUnknown: true, costsBudget: true, avoidNode: true, load: 'none' };
    case status.UNKNOWN:
    case status.INTERNAL:
    case status.ABORTED:
    case status.DATA_LOSS:
      return { ...DONE, outcomeUnknown: true, load: 'none' };
    case status.RESOURCE_EXHAUSTED:
      return { ...DONE, load: 'overload' };
    default:
      return DONE;
  }
}

export function judge(failure: Failure): Verdict {
  if (failure.reason === '') return judgeTransport(failure);
  const known = BY_REASON[failure.reason];
  if (known) return known;
  // A reason newer than this gateway: the code alone decides.
  if (failure.code === status.UNAVAILABLE) {
    return { ...DONE, next: 'later', outcomeUnknown: true, costsBudget: true, load: 'none' };
  }
  return DONE;
}
