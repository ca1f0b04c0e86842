#include "quota/node/node_drain.h"

#include <algorithm>
#include <optional>
#include <vector>

#include "glog/logging.h"
#include "quota/coordination/coordination_paths.h"
#include "quota/coordination/quota_mover.h"
#include "storage/base/log_event.h"
#include "storage/base/status_macros.h"
#include "tranche/internal/v1/coordination.pb.h"

namespace tranche::quota {
namespace {

using internal::v1::DrainRequest;
using storage::IncarnationId;

}  // namespace

absl::Status NodeDrain::Read(Coordination& session, IncarnationId incarnation) {
  ASSIGN_OR_RETURN(const auto requests, session.List(kDrainPath, Watch::kYes));
  const std::string path = DrainPath(incarnation);
  const std::string name = path.substr(path.rfind('/') + 1);
  if (std::find(requests.begin(), requests.end(), name) == requests.end()) {
    Heed(incarnation, /*requested=*/false, /*exit=*/false);
    return absl::OkStatus();
  }
  const auto znode = session.Get(path, Watch::kYes);
  if (!znode.ok()) return absl::IsNotFound(znode.status()) ? absl::OkStatus() : znode.status();
  DrainRequest request;
  const bool readable = request.ParseFromString(znode->data);
  Heed(incarnation, /*requested=*/true, readable && request.exit());
  return absl::OkStatus();
}

// The tree says when to look; the ledger decides. Otherwise whoever can write to ZooKeeper could stop every node.
void NodeDrain::Heed(IncarnationId incarnation, bool requested, bool exit) {
  if (requested == this->requested() && exit == exit_wanted_) return;
  if (!host_->LedgerAnswers()) return;  // the next look at the tree asks
  const auto live = ledger_->ListLiveIncarnations();
  if (!live.ok()) {
    LOG_EVERY_N(WARNING, 30) << "ZooKeeper asks this node to " << (requested ? "drain" : "serve again")
                             << ", and the ledger does not answer whether it shall: " << live.status().message();
    return;
  }
  const auto present =
      std::find_if(live->begin(), live->end(), [&](const auto& candidate) { return candidate.id == incarnation; });
  if (present == live->end()) return;  // it has ended, which the node hears otherwise
  LOG_IF_EVERY_N(WARNING, requested && !present->draining, 30)
      << "a request to drain in ZooKeeper is ignored: the ledger does not have it";
  // A request that has vanished does not change how the drain ends.
  Follow(present->draining, requested ? exit : exit_wanted_);
}

void NodeDrain::Follow(bool requested, bool exit) {
  exit_wanted_ = requested && exit;
  if (requested == this->requested()) return;
  LogEvent(requested ? "node.draining" : "node.serves_again", {{"reason", "an operator asks for it"}});
  state_ = requested ? State::kWaitingForIdle : State::kServing;
  since_ = clock_->Now();
  host_->SetDraining(requested);
}

std::string NodeDrain::Request() const {
  DrainRequest request;
  request.set_requested_at_us(absl::ToUnixMicros(since_));
  request.set_exit(exit_wanted_);
  return request.SerializeAsString();
}

absl::Status NodeDrain::ReturnUnits(IncarnationId incarnation) {
  if (waiting() && !host_->Idle() && clock_->Now() - since_ < patience_) return absl::OkStatus();
  Returned returned;
  RETURN_IF_ERROR(MoveAllToPool(incarnation, &returned));
  if (waiting()) {
    LogEvent("node.drained", {{"incarnation", incarnation},
                              {"units", returned.units},
                              {"skus", returned.skus},
                              {"seconds", absl::ToDoubleSeconds(clock_->Now() - since_)}});
  }
  state_ = State::kReturned;
  if (exit_wanted_) host_->ExitAfterDrain();
  return absl::OkStatus();
}

absl::Status NodeDrain::MoveAllToPool(IncarnationId incarnation, Returned* returned) {
  ASSIGN_OR_RETURN(const auto slices, ledger_->ListSlices(incarnation));
  std::vector<storage::QuotaMove> moves;
  QuotaMover mover(ledger_, announcer_);
  absl::Status status;
  const auto flush = [&] {
    if (!moves.empty()) status.Update(mover.MoveBatch(moves, kAutomatic).status());
    moves.clear();
  };
  for (const auto& [sku_id, slice] : slices) {
    if (slice.remaining == 0) continue;
    ++returned->skus;
    returned->units += slice.remaining;
    moves.push_back({sku_id, {storage::QuotaDelta{incarnation, -slice.remaining}}, std::nullopt});
    if (moves.size() == static_cast<size_t>(storage::kMaxQuotaBatch)) flush();
  }
  flush();
  return status;
}

}  // namespace tranche::quota
