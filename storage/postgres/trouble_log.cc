#include "storage/postgres/trouble_log.h"

#include "glog/logging.h"

namespace tranche::storage {
namespace {

// Repeated after this long, in case the earlier line was rotated away or not seen.
constexpr absl::Duration kTellEvery = absl::Minutes(1);

}  // namespace

void TroubleLog::Note(const PostgresError& error) {
  if (error.meaning->kind != SqlStateKind::kLost && error.meaning->remedy.empty()) return;
  absl::MutexLock lock(&mutex_);
  const absl::Time now = clock_->Now();
  const auto [told, first] = last_told_.try_emplace(error.sqlstate, now);
  if (!first && now < told->second + kTellEvery) return;
  told->second = now;
  ++told_;
  LOG(WARNING) << who_ << ": PostgreSQL: " << error.status.message();
}

int TroubleLog::told() const {
  absl::MutexLock lock(&mutex_);
  return told_;
}

}  // namespace tranche::storage
