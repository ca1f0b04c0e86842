// Follows the changes of one group.
#pragma once

#include <memory>
#include <optional>

#include "absl/status/statusor.h"
#include "absl/time/time.h"
#include "tranche/export.h"
#include "tranche/group.h"

namespace tranche {

namespace internal {
class GroupWatchSession;
}

// Made by Client::WatchGroup. When its node drains or is lost, it continues at another one. Thread-safe.
class TRANCHE_EXPORT GroupWatch {
 public:
  explicit GroupWatch(std::shared_ptr<internal::GroupWatchSession> session);
  // Does Cancel(), and waits for what is under way. Must not run in a callback.
  ~GroupWatch();
  GroupWatch(const GroupWatch&) = delete;
  GroupWatch& operator=(const GroupWatch&) = delete;

  // Waits for another state of the group than the last one returned; states that follow each other fast may be returned
  // as one. The revision falls if the ledger was restored to an older state. nullopt: the last one was final.
  // DEADLINE_EXCEEDED: nothing new came in time, ask again. Any other error ends the watch, such as NOT_FOUND
  // (Reason::kGroupNotFound): there is no such group, or no longer.
  absl::StatusOr<std::optional<Group>> Next(absl::Duration timeout = absl::InfiniteDuration());

  // Ends the watch: Next returns CANCELLED, unless it has ended before.
  void Cancel();

 private:
  std::shared_ptr<internal::GroupWatchSession> session_;
};

}  // namespace tranche
