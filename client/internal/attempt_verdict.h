// What one attempt's status means for the call it belongs to.
#pragma once

#include "absl/status/status.h"
#include "absl/time/time.h"

namespace tranche::internal {

struct AttemptVerdict {
  enum class Next {
    kDone,         // an answer: no node would say otherwise
    kAnotherNow,   // another node may well succeed, at once
    kAnotherLater  // another node, after a wait: the trouble may be everybody's
  };
  Next next = Next::kDone;
  // The claim may have been committed although this attempt did not say so.
  bool outcome_unknown = false;
  // A retry because of it draws from the retry budget.
  bool costs_budget = false;
  // The node is best left alone for a while.
  bool avoid_node = false;
  // What the server asked for; zero: nothing.
  absl::Duration retry_delay;
};

AttemptVerdict Judge(const absl::Status& status);

// A definite no: an answer that no node would give otherwise, and that means that nothing was done by this attempt.
bool IsRefusal(const absl::Status& status);

}  // namespace tranche::internal
