// One try at the limits of its policies: as long as no limit refuses, all that were asked count it; once one has
// refused, none does.
#pragma once

#include <optional>
#include <string>
#include <vector>

#include "absl/container/inlined_vector.h"
#include "absl/functional/function_ref.h"
#include "absl/strings/string_view.h"
#include "absl/time/time.h"
#include "server/admission/door_state.h"
#include "server/admission/front_policy.h"
#include "server/admission/rate_key.h"
#include "server/admission/rate_table.h"
#include "server/admission/turn_queue.h"

namespace tranche::server {

// What the limits of one policy count by.
struct LimitSubjects {
  absl::string_view user_id;
  absl::string_view address;  // "": not known, so limits by address do not count the try
  // The ids of its good purchase tokens, each once. Called only for a limit by token, after those that cost less.
  absl::FunctionRef<std::vector<std::string>()> token_ids;
  // The try counts as so many, by user and address; as no more than may come at once there. At least 1.
  int weight = 1;
};

// For whom a wait is no answer.
struct WaitBounds {
  absl::Time deadline;               // of the call: nobody hears an answer then any more
  const TurnQueue* turns = nullptr;  // where they would wait
};

// The limits of a policy are asked in two parts, so that who fails at what is between them, such as the lottery, cannot
// use up the tries that all buyers of a SKU share.
enum class LimitPart {
  kBuyer,  // by user, address and token
  kSku,
};

// Of one thread. Outlived by the view and the queue.
class LimitTries {
 public:
  LimitTries(const DoorView& view, absl::Time now, WaitBounds bounds) : view_(view), now_(now), bounds_(bounds) {}

  struct Refusal {
    RateKeyKind kind = RateKeyKind::kUser;
    absl::Duration retry_after;
    bool no_room = false;  // it might wait, but too many do
  };
  // Counts the try at each limit of this part of the policy. If one refuses, or makes it wait for longer than it can,
  // nothing is counted any more, also of earlier parts and policies: a try that stayed counted would put off the
  // buyer's next one each time.
  std::optional<Refusal> Take(const DoorPolicy& policy, const LimitSubjects& subjects, LimitPart part);

  // Nothing is counted any more: the try is refused for what is no fault of the buyer's.
  void GiveBack();
  // Go on after that: the longest of all waits.
  absl::Duration wait() const { return wait_; }
  // Counts the limits that make wait.
  void CountWaits(DoorCounts& counts) const;

 private:
  struct Counted {
    RateFingerprint key = 0;
    RateRule rule;
  };

  std::optional<Refusal> TakeOne(const DoorPolicy& policy, const DoorLimit& limit, absl::string_view subject,
                                 int weight = 1);
  // Why the wait that is known by now cannot be.
  std::optional<Refusal> CheckWait() const;
  std::optional<Refusal> TakeAt(const DoorPolicy& policy, const DoorLimit& limit, const LimitSubjects& subjects);

  const DoorView& view_;
  const absl::Time now_;
  const WaitBounds bounds_;
  absl::InlinedVector<Counted, 4> counted_;
  absl::InlinedVector<RateKeyKind, 4> made_wait_;
  absl::Duration wait_ = absl::ZeroDuration();
  RateKeyKind slowest_ = RateKeyKind::kUser;  // the limit that makes it
};

// What this node's part of the limit would say to a try of this weight now. Changes nothing.
RateVerdict LookAtLimit(const DoorView& view, const DoorPolicy& policy, const DoorLimit& limit,
                        absl::string_view subject, absl::Time now, int weight = 1);

}  // namespace tranche::server
