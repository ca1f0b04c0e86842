#include "server/queue/consumer_counts.h"

#include <cstddef>

namespace tranche::server {

void ConsumerCounts::Refused(storage::Refusal refusal) {
  for (size_t i = 0; i < refused_.size(); ++i) {
    if (storage::kRefusalWords[i].refusal == refusal) refused_[i].Add();
  }
}

void ConsumerCounts::ForEach(absl::FunctionRef<void(absl::string_view outcome, int64_t count)> add) const {
  add("sold", sold.value());
  add("replayed", replayed.value());
  add("requeued", requeued.value());
  add("dead", dead.value());
  add("lost", lost.value());
  for (size_t i = 0; i < refused_.size(); ++i) add(storage::kRefusalWords[i].reason, refused_[i].value());
}

}  // namespace tranche::server
