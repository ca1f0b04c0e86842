#include "server/rpc/access_log.h"

#include <utility>

#include "storage/base/log_event.h"

namespace tranche::server {
namespace {

bool IsFault(grpc::StatusCode code) {
  return code == grpc::StatusCode::INTERNAL || code == grpc::StatusCode::UNKNOWN || code == grpc::StatusCode::DATA_LOSS;
}

}  // namespace

bool AccessLog::Takes(grpc::StatusCode code) {
  if (mode_ == AccessLogMode::kErrors && code == grpc::StatusCode::OK) return false;
  if (!IsFault(code)) {
    const uint64_t before = sampled_.fetch_add(1, std::memory_order_relaxed);
    if (before % static_cast<uint64_t>(sample_) != 0) return false;
  }
  return HasRoom();
}

bool AccessLog::HasRoom() {
  const int64_t second = absl::ToUnixSeconds(clock_->Now());
  int64_t to_tell = 0;
  bool room = false;
  {
    absl::MutexLock lock(&mutex_);
    if (second != second_) {
      second_ = second;
      lines_ = 0;
      to_tell = std::exchange(left_out_, 0);
    }
    room = lines_ < kMostLinesPerS;
    if (room) {
      ++lines_;
    } else {
      ++left_out_;
    }
  }
  if (to_tell > 0) LogEvent("access_log.dropped", {{"lines", to_tell}});
  return room;
}

}  // namespace tranche::server
