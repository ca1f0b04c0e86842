#include "server/worker/expiry_pause.h"

#include "absl/status/statusor.h"
#include "glog/logging.h"

namespace tranche::server {

void ExpiryPause::LookIfDue() {
  {
    absl::MutexLock lock(&mutex_);
    const absl::Time now = clock_->Now();
    // Also if the clock was set back.
    if (now < look_at_ && look_at_ <= now + kLookEvery) return;
    look_at_ = now + kLookEvery;
  }
  const absl::StatusOr<storage::ServiceMode> mode = home_->ReadServiceMode();
  if (!mode.ok()) {
    LOG_EVERY_T(WARNING, 60) << "home does not say whether holds expire now: " << mode.status();
    return;
  }
  const bool read_only = mode->kind == storage::ServiceMode::Kind::kReadOnly;
  absl::MutexLock lock(&mutex_);
  if (read_only != read_only_) {
    LOG(WARNING) << (read_only ? "no hold expires: the service mode is READ_ONLY"
                               : "the service mode is not READ_ONLY any more: holds expire again in a minute");
  }
  if (read_only_ && !read_only) resume_at_ = clock_->Now() + kGrace;
  read_only_ = read_only;
}

bool ExpiryPause::paused() const {
  absl::MutexLock lock(&mutex_);
  if (read_only_) return true;
  // Never longer than it was meant to be, should the clock be set back.
  const absl::Duration left = resume_at_ - clock_->Now();
  return left > absl::ZeroDuration() && left <= kGrace;
}

}  // namespace tranche::server
