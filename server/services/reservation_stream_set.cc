#include "server/services/reservation_stream_set.h"

#include <utility>

#include "server/services/reservation_stream.h"

namespace tranche::server {

ReservationStreamSet::ReservationStreamSet(const StreamLimits& limits) : budget_(StreamBudget::Make(limits)) {}

ReservationStreamSet::~ReservationStreamSet() = default;

void ReservationStreamSet::Add(const std::shared_ptr<ReservationStream>& stream) {
  bool stopped = false;
  {
    absl::MutexLock lock(&mutex_);
    streams_.emplace(stream.get(), stream);
    stopped = stopped_;
  }
  if (stopped) stream->Stop();
}

void ReservationStreamSet::Remove(ReservationStream* stream) {
  std::shared_ptr<ReservationStream> last;  // destroyed after the lock is released
  absl::MutexLock lock(&mutex_);
  const auto it = streams_.find(stream);
  if (it == streams_.end()) return;
  last = std::move(it->second);
  streams_.erase(it);
}

void ReservationStreamSet::StopAll() {
  {
    absl::MutexLock lock(&mutex_);
    stopped_ = true;
  }
  for (const auto& stream : Open()) stream->Stop();
}

void ReservationStreamSet::CheckAll(absl::Time now) {
  for (const auto& stream : Open()) stream->Check(now);
}

std::vector<std::shared_ptr<ReservationStream>> ReservationStreamSet::Open() {
  absl::MutexLock lock(&mutex_);
  std::vector<std::shared_ptr<ReservationStream>> open;
  open.reserve(streams_.size());
  for (const auto& [_, stream] : streams_) open.push_back(stream);
  return open;
}

}  // namespace tranche::server
