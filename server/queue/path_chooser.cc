#include "server/queue/path_chooser.h"

#include <algorithm>
#include <limits>

#include "storage/mutation.h"

namespace tranche::server {
namespace {

using Way = quota::ClaimDiversion::Way;

constexpr int64_t kClaimsPerUnit = 4;
constexpr int64_t kLeastRoom = 1000;

}  // namespace

void ShardPace::Note(bool answers, absl::Duration waited, absl::Time now) {
  if (!answers) {
    slow_ = true;
    since_ = absl::InfiniteFuture();
    return;
  }
  const bool differs = slow_ ? waited < kFastAgain : waited > kSlowWait;
  if (!differs) {
    since_ = absl::InfiniteFuture();
  } else if (now < since_) {  // it begins to differ, or the clock was set back
    since_ = now;
  } else if (now - since_ >= (slow_ ? kFastFor : kSlowFor)) {
    slow_ = !slow_;
    since_ = absl::InfiniteFuture();
  }
}

Way ChoosePath(const PathView& view) {
  switch (view.path) {
    case storage::ClaimPath::kDirect:
      return Way::kSell;
    case storage::ClaimPath::kQueue:
      return view.accept_queued ? Way::kQueue : Way::kRefuse;
    case storage::ClaimPath::kAuto:
      break;
  }
  const bool others_wait = view.backlog > 0 && !storage::Mutated(storage::Mutation::kBacklogForgotten);
  const bool queues = view.has_queue && view.accept_queued && (view.shard_slow || others_wait);
  return queues ? Way::kQueue : Way::kSell;
}

bool HasRoom(int64_t depth, int64_t unsold) {
  const int64_t room = unsold > std::numeric_limits<int64_t>::max() / kClaimsPerUnit
                           ? std::numeric_limits<int64_t>::max()
                           : unsold * kClaimsPerUnit;
  return depth < std::max(room, kLeastRoom);
}

}  // namespace tranche::server
