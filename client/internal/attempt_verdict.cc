#include "client/internal/attempt_verdict.h"

#include "absl/strings/match.h"
#include "tranche/error.h"

namespace tranche::internal {
namespace {

using Next = AttemptVerdict::Next;

// Errors that gRPC made, not the node. A connection that is lost says nothing about load: when a node that was
// restarted is back, its callers must not hold back what they sent it.
AttemptVerdict JudgeTransport(const absl::Status& status) {
  switch (status.code()) {
    case absl::StatusCode::kUnavailable:
      return {.next = Next::kAnotherNow,
              .outcome_unknown = !WasNotSent(status),
              .costs_budget = true,
              .avoid_node = true,
              .retry_delay = {},
              .load = LoadSign::kNone};
    case absl::StatusCode::kDeadlineExceeded:
    // We never cancel an attempt ourselves: a server that shuts down cancels calls that it has not begun to serve.
    case absl::StatusCode::kCancelled:
      return {.next = Next::kAnotherNow,
              .outcome_unknown = true,
              .costs_budget = true,
              .avoid_node = true,
              .retry_delay = {},
              .load = absl::IsDeadlineExceeded(status) ? LoadSign::kOverload : LoadSign::kNone};
    case absl::StatusCode::kUnknown:
    case absl::StatusCode::kInternal:
    case absl::StatusCode::kAborted:
    case absl::StatusCode::kDataLoss:
      return {.next = Next::kDone,
              .outcome_unknown = true,
              .costs_budget = false,
              .avoid_node = false,
              .retry_delay = {},
              .load = LoadSign::kNone};
    default:
      return {.next = Next::kDone,
              .outcome_unknown = false,
              .costs_budget = false,
              .avoid_node = false,
              .retry_delay = {},
              .load = absl::IsResourceExhausted(status) ? LoadSign::kOverload : LoadSign::kAccepted};
  }
}

}  // namespace

AttemptVerdict Judge(const absl::Status& status) {
  if (status.ok()) return {};
  AttemptVerdict verdict;
  verdict.retry_delay = RetryDelayOf(status).value_or(absl::ZeroDuration());
  switch (ReasonOf(status)) {
    case Reason::kExhaustedHere:
      verdict.next = Next::kAnotherNow;
      return verdict;
    case Reason::kDraining:
      verdict.next = Next::kAnotherNow;
      verdict.costs_budget = true;
      verdict.avoid_node = true;
      verdict.load = LoadSign::kNone;
      return verdict;
    case Reason::kOverloaded:
    case Reason::kDeadlinePassed:
      verdict.next = Next::kAnotherLater;
      verdict.costs_budget = true;
      verdict.load = LoadSign::kOverload;
      return verdict;
    // No sign of overload: the ledger of one shard is away, or fails over, and a node refuses that from memory. Callers
    // who hold back would miss its return, and sell nothing of other shards meanwhile. The same with a broker, which
    // the next node may reach.
    case Reason::kLedgerUnavailable:
    case Reason::kQueueUnavailable:
    case Reason::kSkuMoving:
      verdict.next = Next::kAnotherLater;
      verdict.costs_budget = true;
      verdict.load = LoadSign::kNone;
      return verdict;
    case Reason::kCommitUnknown:
      verdict.next = Next::kAnotherLater;
      verdict.outcome_unknown = true;
      verdict.costs_budget = true;
      verdict.load = LoadSign::kNone;
      return verdict;
    case Reason::kInternal:
      verdict.outcome_unknown = true;
      verdict.load = LoadSign::kNone;
      return verdict;
    case Reason::kUnspecified:
      if (ReasonNameOf(status).empty()) return JudgeTransport(status);
      // A reason newer than this library: the code alone decides.
      if (status.code() == absl::StatusCode::kUnavailable) {
        verdict.next = Next::kAnotherLater;
        verdict.outcome_unknown = true;
        verdict.costs_budget = true;
        verdict.load = LoadSign::kNone;
      }
      return verdict;
    // These have a RetryInfo, too, but it is for the buyer: limits and lotteries hold over all nodes, so that asking
    // around only costs more of the buyer's tries.
    case Reason::kRateLimited:
    case Reason::kNotAdmitted:
    default:
      return verdict;
  }
}

bool WasNotSent(const absl::Status& status) {
  return absl::IsUnavailable(status) && (absl::StartsWith(status.message(), "failed to connect") ||
                                         absl::StartsWith(status.message(), "DNS resolution failed"));
}

bool IsRefusal(const absl::Status& status) {
  const AttemptVerdict verdict = Judge(status);
  return !status.ok() && verdict.next == Next::kDone && !verdict.outcome_unknown;
}

}  // namespace tranche::internal
