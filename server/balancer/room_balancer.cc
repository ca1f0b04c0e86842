#include "server/balancer/room_balancer.h"

#include "absl/status/status.h"
#include "absl/time/time.h"
#include "glog/logging.h"
#include "storage/clock.h"
#include "storage/ledger/sku_ledger.h"

namespace tranche::server {
namespace {

// How often thresholds are computed. Nodes read them as often, so that a position is at most about two seconds old.
constexpr absl::Duration kPaceEvery = absl::Milliseconds(500);

}  // namespace

RoomBalancer::RoomBalancer(ShardBalancer* home)
    : policies_(&home->pool()),
      session_(&home->balancer()),
      sales_(&home->ledger(), storage::Clock::Real()),
      keeper_(
          &policies_, &session_, [this, home] { return !stopping_ && home->balancer().leading(); },
          [this](const std::string& sku_id) { return sales_.Find(sku_id); }, storage::Clock::Real()) {}

void RoomBalancer::AddShard(const std::string& name, const std::shared_ptr<ShardBalancer>& shard) {
  sales_.AddShard(name, std::shared_ptr<storage::SkuLedger>(shard, &shard->ledger()));
}

void RoomBalancer::Start() {
  task_ = std::make_unique<PeriodicTask>(kPaceEvery, [this] { Tick(); });
}

void RoomBalancer::Stop() {
  NoteStopping();
  task_.reset();
}

void RoomBalancer::Tick() {
  const absl::Status kept = keeper_.Tick();
  if (kept.ok()) return;
  LOG_EVERY_T(WARNING, 60) << "waiting rooms are held up: " << kept.message();
}

}  // namespace tranche::server
