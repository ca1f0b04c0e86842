#include "server/process/shard_check.h"

#include <utility>

#include "absl/strings/str_cat.h"
#include "absl/time/clock.h"
#include "glog/logging.h"
#include "server/process/backends.h"
#include "server/process/ledger_advice.h"
#include "server/process/schema_check.h"
#include "storage/base/status_macros.h"
#include "storage/postgres/postgres_shard_ledger.h"

namespace tranche::server {
namespace {

constexpr absl::Duration kTellShardEvery = absl::Minutes(1);
// A shard that hangs should not keep the others waiting.
constexpr absl::Duration kAskPatience = absl::Seconds(2);

}  // namespace

ShardCheck::ShardCheck(storage::PoolOptions pool, storage::ConnectionNeeds needs)
    : pool_([&] {
        pool.application_name = "tranche-start";
        pool.max_connections = 2;
        pool.statement_timeout = kAskPatience;
        return std::move(pool);
      }()),
      needs_(needs) {}

absl::Status ShardCheck::Check(const storage::Shard& shard) {
  Seen& seen = seen_[shard.name];
  if (seen.dsn != shard.dsn) seen = {.dsn = shard.dsn};
  if (seen.fits) return absl::OkStatus();
  absl::Status status = Ask(shard);
  seen.fits = status.ok();
  const absl::Time now = absl::Now();
  if (!status.ok() && now >= seen.tell_at) {
    const std::string password = PasswordAdvice(status.message());
    LOG(WARNING) << "shard " << shard.name << " is not served: " << status.message() << (password.empty() ? "" : ": ")
                 << password;
    seen.tell_at = now + kTellShardEvery;
  }
  return status;
}

absl::Status ShardCheck::Ask(const storage::Shard& shard) const {
  storage::PoolOptions options = pool_;
  options.dsn = shard.dsn;
  {
    storage::ConnectionPool pool(options);
    storage::PostgresShardLedger ledger(&pool);
    RETURN_IF_ERROR(RequireSchema(ledger, shard.dsn));
  }
  return CheckConnections(options, absl::StrCat("shard ", shard.name), needs_);
}

}  // namespace tranche::server
