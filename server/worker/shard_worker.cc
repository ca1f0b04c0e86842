#include "server/worker/shard_worker.h"

namespace tranche::server {
namespace {

// Per sink: one delivers while the other one talks to the ledger.
constexpr int kRelayThreads = 2;

}  // namespace

ShardWorker::ShardWorker(storage::UpkeepLedger* upkeep, storage::OutboxLedger* outbox, const std::vector<Sink*>& sinks,
                         storage::Clock* clock, const ShardWorkerOptions& options) {
  if (options.expire) {
    expirer_ = std::make_unique<Expirer>(upkeep, clock, RealRandom(), options.expirer);
    loops_.push_back(std::make_unique<Loop>([this] { return expirer_->Step(); }));
  }
  if (options.retire) {
    retirer_ = std::make_unique<Retirer>(upkeep, clock, RealRandom(), options.retirer);
    loops_.push_back(std::make_unique<Loop>([this] { return retirer_->Step(); }));
  }
  if (options.retire_audit) {
    audit_retirer_ = std::make_unique<AuditRetirer>(upkeep, clock, RealRandom(), options.audit_retirer);
    loops_.push_back(std::make_unique<Loop>([this] { return audit_retirer_->Step(); }));
  }
  for (Sink* sink : sinks) {
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

int ShardWorker::ConnectionsFor(int sinks) { return 3 + sinks * kRelayThreads; }

}  // namespace tranche::server
