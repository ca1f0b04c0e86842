#include "server/balancer/shard_balancer.h"

#include <algorithm>
#include <optional>
#include <string>
#include <utility>

#include "absl/time/time.h"
#include "server/process/backends.h"
#include "storage/base/status_macros.h"
#include "storage/clock.h"
#include "storage/ledger/health_ledger.h"
#include "storage/shards/older_copies.h"

namespace tranche::server {
namespace {

// A leader that is cut off must resign soon. Trying anew costs it nothing.
constexpr absl::Duration kTcpUserTimeout = absl::Seconds(1);
// How long a round waits for a row that another transaction has locked; then it goes on without that SKU
// (round_mover.h).
constexpr absl::Duration kLockTimeout = absl::Milliseconds(250);

storage::PoolOptions PoolOf(const BackendOptions& backends, const storage::Shard& shard) {
  storage::PoolOptions pool = BalancerPoolOptions(backends);
  pool.dsn = shard.dsn;
  return pool;
}

// `moves` are that shard's.
quota::BalancerOptions OptionsOf(const storage::Shard& shard, storage::SkuMoveLedger* moves, ShardWitnesses* witnesses,
                                 quota::BalancerOptions options) {
  options.shard = shard.name;
  options.copies = std::make_shared<storage::OlderCopies>(
      shard.name, moves, [witnesses, name = shard.name] { return witnesses->Except(name); }, storage::Clock::Real());
  return options;
}

// What the balancer's heartbeat says.
storage::Heartbeat Describe(const quota::Balancer& balancer) {
  const quota::BalancerPulse::State pulse = balancer.pulse();
  const absl::Time now = storage::Clock::Real()->Now();
  const auto since = [&](const std::optional<absl::Time>& time) {
    return time.has_value() ? std::optional(std::max(now - *time, absl::ZeroDuration())) : std::nullopt;
  };
  storage::Heartbeat heartbeat;
  heartbeat.kind = storage::Heartbeat::Kind::kBalancer;
  heartbeat.leads = pulse.leads;
  heartbeat.leads_for = since(pulse.leads_since);
  heartbeat.since_led = pulse.leads ? absl::ZeroDuration() : since(pulse.led_at);
  heartbeat.since_round = since(pulse.round_at);
  return heartbeat;
}

}  // namespace

storage::PoolOptions BalancerPoolOptions(const BackendOptions& backends) {
  storage::PoolOptions pool = ToPoolOptions(backends, "tranche-balancer", kBalancerConnections.most);
  pool.tcp_user_timeout = kTcpUserTimeout;
  pool.lock_timeout = kLockTimeout;
  return pool;
}

ShardBalancer::ShardBalancer(const Shared& shared, const storage::Shard& shard, quota::BalancerOptions options)
    : pool_(PoolOf(shared.backends, shard)),
      ledger_(&pool_, shard.name),
      moves_(&pool_),
      health_(&pool_),
      balancer_(shared.connector, &ledger_, storage::Clock::Real(),
                OptionsOf(shard, &moves_, shared.witnesses, std::move(options))),
      process_(shared.process),
      pool_shown_(shared.pools->Join({.shard = shard.name, .pool = &pool_})),
      balancer_shown_(shared.metrics->Join({.shard = shard.name, .balancer = &balancer_})) {}

absl::Status ShardBalancer::Start() {
  RETURN_IF_ERROR(balancer_.Start());
  heartbeats_.emplace(&health_, process_, [this] { return Describe(balancer_); });
  return absl::OkStatus();
}

void ShardBalancer::Stop() {
  // First what matters: a heartbeat may hang at the ledger, and meanwhile nobody else would lead.
  balancer_.Stop();
  heartbeats_.reset();
}

}  // namespace tranche::server
