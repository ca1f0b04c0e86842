#include "server/worker/ledger_trouble.h"

#include <algorithm>

#include "glog/logging.h"

namespace tranche::server {
namespace {

// Soon: units of lapsed holds wait for it.
constexpr BackoffBounds kPause = {absl::Milliseconds(200), absl::Seconds(2)};
constexpr absl::Duration kLeastPause = absl::Milliseconds(50);

}  // namespace

absl::Duration LedgerTrouble::Failed(const absl::Status& status) {
  absl::MutexLock lock(&mutex_);
  if (++failures_ == 1) LOG(WARNING) << what_ << ": the ledger fails, trying again: " << status;
  return std::max(kLeastPause, Backoff(kPause, failures_, random_()));
}

void LedgerTrouble::Answered() {
  absl::MutexLock lock(&mutex_);
  if (failures_ > 0) LOG(INFO) << what_ << ": the ledger answers again";
  failures_ = 0;
}

}  // namespace tranche::server
