#include "server/worker/shard_worker.h"

#include <algorithm>
#include <optional>

namespace tranche::server {
namespace {

// Per sink: one delivers while the other one talks to the ledger.
constexpr int kRelayThreads = 2;

}  // namespace

ShardWorker::ShardWorker(storage::UpkeepLedger* upkeep, storage::OutboxLedger* outbox, storage::DrawLedger* draws,
                         storage::GroupLedger* groups, const std::vector<Sink*>& sinks, storage::Clock* clock,
                         const ShardWorkerOptions& options)
    : clock_(clock), options_(options) {
  if (options.expire) {
    expirer_ = std::make_unique<Expirer>(upkeep, clock, RealRandom(), options.expirer);
    loops_.push_back(std::make_unique<Loop>([this] { return expirer_->Step(); }));
    group_expirer_ = std::make_unique<GroupExpirer>(groups, clock, RealRandom(), options.group_expirer);
    loops_.push_back(std::make_unique<Loop>([this] { return group_expirer_->Step(); }));
  }
  if (options.remind) {
    reminder_ = std::make_unique<Reminder>(upkeep, clock, RealRandom(), options.reminder);
    loops_.push_back(std::make_unique<Loop>([this] { return reminder_->Step(); }));
  }
  if (options.retire) {
    retirer_ = std::make_unique<Retirer>(upkeep, clock, RealRandom(), options.retirer);
    loops_.push_back(std::make_unique<Loop>([this] { return retirer_->Step(); }));
    group_retirer_ = std::make_unique<GroupRetirer>(groups, clock, RealRandom(), options.group_retirer);
    loops_.push_back(std::make_unique<Loop>([this] { return group_retirer_->Step(); }));
  }
  if (options.retire_audit) {
    audit_retirer_ = std::make_unique<AuditRetirer>(upkeep, clock, RealRandom(), options.audit_retirer);
    loops_.push_back(std::make_unique<Loop>([this] { return audit_retirer_->Step(); }));
  }
  if (options.draw) {
    drawer_ = std::make_unique<Drawer>(draws, clock, RealRandom(), options.drawer);
    loops_.push_back(std::make_unique<Loop>([this] { return drawer_->Step(); }));
  }
  for (Sink* sink : sinks) {
    sink_names_.push_back(sink->name());
    relays_.push_back(std::make_unique<SinkRelay>(outbox, sink, clock, RealRandom(), options.relay));
    SinkRelay* relay = relays_.back().get();
    for (int i = 0; i < kRelayThreads; ++i) loops_.push_back(std::make_unique<Loop>([relay] { return relay->Step(); }));
  }
}

ShardWorker::~ShardWorker() { RequestStop(); }

void ShardWorker::RequestStop() {
  for (const auto& relay : relays_) relay->RequestStop();
  for (const auto& loop : loops_) loop->RequestStop();
}

std::vector<const SinkRelay*> ShardWorker::relays() const {
  std::vector<const SinkRelay*> relays;
  for (const auto& relay : relays_) relays.push_back(relay.get());
  return relays;
}

storage::Heartbeat ShardWorker::Describe() const {
  storage::Heartbeat heartbeat;
  heartbeat.kind = storage::Heartbeat::Kind::kWorker;
  heartbeat.expires = options_.expire;
  heartbeat.retires = options_.retire;
  heartbeat.draws = options_.draw;
  heartbeat.sinks = sink_names_;
  if (expirer_ == nullptr) return heartbeat;
  const std::optional<absl::Time> succeeded_at = expirer_->succeeded_at();
  if (succeeded_at.has_value()) {
    heartbeat.since_expiry = std::max(clock_->Now() - *succeeded_at, absl::ZeroDuration());
  }
  return heartbeat;
}

int ShardWorker::ConnectionsFor(int sinks) { return 9 + sinks * kRelayThreads; }

}  // namespace tranche::server
