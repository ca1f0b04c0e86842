#include "server/rpc/caller_calls.h"

#include "absl/hash/hash.h"
#include "server/errors.h"

namespace tranche::server {

CallerCalls::CallerCalls(int limit)
    : limit_(limit),
      limit_to_settle_(limit + (limit + 7) / 8),
      full_(MakeError(
          v1::ERROR_REASON_OVERLOADED,
          "You have as many calls open at this node as one caller may: wait for an answer, then try again, or "
          "try another node.",
          {{"limit", "caller"}})) {}

absl::StatusOr<CallerCalls::Place> CallerCalls::Take(const std::string& caller, bool settles) {
  Part& part = parts_[absl::Hash<std::string>()(caller) % kParts];
  const int limit = settles ? limit_to_settle_ : limit_;
  {
    absl::MutexLock lock(&part.mutex);
    const Counts::iterator entry = part.counts.try_emplace(caller, 0).first;
    if (entry->second < limit) {
      ++entry->second;
      Place place;
      place.part_ = &part;
      place.caller_ = entry;
      return place;
    }
  }
  refused_.Add();
  return full_;
}

void CallerCalls::GiveBack(const Place& place) {
  absl::MutexLock lock(&place.part_->mutex);
  if (--place.caller_->second == 0) place.part_->counts.erase(place.caller_);
}

size_t CallerCalls::callers() {
  size_t callers = 0;
  for (Part& part : parts_) {
    absl::MutexLock lock(&part.mutex);
    callers += part.counts.size();
  }
  return callers;
}

}  // namespace tranche::server
