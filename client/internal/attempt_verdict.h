// What one attempt's status means for its call.
#pragma once

#include "absl/status/status.h"
#include "absl/time/time.h"

namespace tranche::internal {

// What an attempt's status says about the load of the nodes and of their ledger.
enum class LoadSign {
  kNone,      // nothing: there was no node, or it had other trouble
  kAccepted,  // it was answered as it should be, also if the answer is no
  kOverload
};

struct AttemptVerdict {
  enum class Next {
    kDone,         // an answer: no node would answer otherwise
    kAnotherNow,   // another node may succeed, at once
    kAnotherLater  // another node, after a wait: the trouble may be everybody's
  };
  Next next = Next::kDone;
  // The claim may have been committed although the status does not say so.
  bool outcome_unknown = false;
  // Whether a retry draws from the retry budget.
  bool costs_budget = false;
  // Whether the node should be left alone for a while.
  bool avoid_node = false;
  // The wait that the server asked for; zero: none.
  absl::Duration retry_delay;
  LoadSign load = LoadSign::kAccepted;
};

AttemptVerdict Judge(const absl::Status& status);

// gRPC's words for a call that was never sent: there was no connection, or the name does not resolve. If gRPC ever
// words this differently, the outcome counts as unknown: slower, never wrong.
bool WasNotSent(const absl::Status& status);

// A definite no: no node would answer otherwise, and this attempt did nothing.
bool IsRefusal(const absl::Status& status);

}  // namespace tranche::internal
