#include "server/worker/expiry_pause.h"

#include <algorithm>

#include "absl/status/statusor.h"
#include "glog/logging.h"

namespace tranche::server {

void ExpiryPause::LookIfDue() {
  {
    absl::MutexLock lock(&mutex_);
    const absl::Time now = clock_->Now();
    if (!first_look_at_.has_value()) first_look_at_ = now;
    // Also if the clock was set back.
    if (now < look_at_ && look_at_ <= now + kLookEvery) return;
    if (looking_) return;
    looking_ = true;
    look_at_ = now + kLookEvery;
  }
  const absl::StatusOr<storage::ServiceMode> mode = home_->ReadServiceMode();
  absl::MutexLock lock(&mutex_);
  looking_ = false;
  if (!mode.ok()) {
    LOG_EVERY_T(WARNING, 60) << "home does not say whether holds expire now: " << mode.status();
    return;
  }
  Note(*mode);
}

void ExpiryPause::Note(const storage::ServiceMode& mode) {
  const absl::Time now = clock_->Now();
  const bool read_only = mode.kind == storage::ServiceMode::Kind::kReadOnly;
  if (read_only != read_only_) {
    LOG(WARNING) << (read_only ? "no hold expires: the service mode is READ_ONLY"
                               : "the service mode is not READ_ONLY any more: holds expire again in a minute");
  }
  const bool saw_all = answered_at_.has_value() && now - *answered_at_ <= kOutOfSight;
  if (read_only_ && !read_only) {
    resume_at_ = now + kGrace;
  } else if (!saw_all && mode.changed_at.has_value()) {
    // Which mode it was before, is not stored. Home's clock may be ahead.
    resume_at_ = std::max(resume_at_, std::min(now, *mode.changed_at) + kGrace);
  }
  answered_at_ = now;
  read_only_ = read_only;
}

bool ExpiryPause::paused() const {
  absl::MutexLock lock(&mutex_);
  if (read_only_) return true;
  if (!answered_at_.has_value()) {
    return !first_look_at_.has_value() || IsBefore(*first_look_at_ + kFirstAnswer, kFirstAnswer);
  }
  return IsBefore(resume_at_, kGrace);
}

bool ExpiryPause::IsBefore(absl::Time end, absl::Duration most) const {
  const absl::Duration left = end - clock_->Now();
  return left > absl::ZeroDuration() && left <= most;
}

}  // namespace tranche::server
