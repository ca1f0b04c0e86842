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
  if (seen.dsn != shard.dsn) {
    seen = {.dsn = shard.dsn};
    WarnIfAnyServerIsTrusted(absl::StrCat("shard ", shard.name), shard.dsn);
  }
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
    RETURN_IF_ERROR(RequireOurs(shard.name, ledger));
  }
  return CheckConnections(options, absl::StrCat("shard ", shard.name), needs_);
}

// A home that was copied lists the shards of the system that it was copied from.
absl::Status ShardCheck::RequireOurs(const std::string& name, storage::ShardLedger& ledger) const {
  storage::ConnectionPool home_pool(pool_);
  storage::PostgresShardLedger home(&home_pool);
  ASSIGN_OR_RETURN(const storage::ShardIdentity ours, home.Identity());
  ASSIGN_OR_RETURN(const storage::ShardIdentity its, ledger.Identity());
  if (its.name == name && its.home_id == ours.ledger_id) return absl::OkStatus();
  return absl::FailedPreconditionError(absl::StrCat(
      "the database is shard ", its.name, " of the home with ledger_id ", its.home_id.empty() ? "none" : its.home_id,
      ", and home's is ", ours.ledger_id,
      ": correct the DSN in home's table tranche.shard, or, if home is a copy, see \"Another database\" in "
      "docs/operations.md"));
}

}  // namespace tranche::server
