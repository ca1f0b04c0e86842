#include "server/worker/ledger_trouble.h"

#include <algorithm>

#include "glog/logging.h"

namespace tranche::server {
namespace {

constexpr absl::Duration kLeastPause = absl::Milliseconds(50);
// Repeated after this long, in case the earlier line was rotated away or not seen.
constexpr absl::Duration kTellEvery = absl::Minutes(1);

}  // namespace

absl::Duration LedgerTrouble::Failed(const absl::Status& status) {
  absl::MutexLock lock(&mutex_);
  ++failures_;
  const absl::Time now = clock_->Now();
  if (failures_ == 1 || status.code() != last_told_.code() || now >= tell_again_at_) {
    LOG(WARNING) << what_ << ": the ledger fails, trying again: " << status;
    last_told_ = status;
    tell_again_at_ = now + kTellEvery;
    ++told_;
  }
  return std::max(kLeastPause, Backoff(pause_, failures_, random_()));
}

void LedgerTrouble::Answered() {
  absl::MutexLock lock(&mutex_);
  if (failures_ > 0) LOG(INFO) << what_ << ": the ledger answers again";
  failures_ = 0;
}

int LedgerTrouble::told() const {
  absl::MutexLock lock(&mutex_);
  return told_;
}

}  // namespace tranche::server
