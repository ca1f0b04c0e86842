#include "quota/balancer/balancer.h"

#include <algorithm>
#include <utility>

#include "absl/strings/match.h"
#include "glog/logging.h"
#include "quota/balancer/round/leader_round.h"
#include "quota/coordination/coordination_paths.h"
#include "quota/coordination/ledger_mark.h"
#include "storage/base/status_macros.h"

namespace tranche::quota {

Balancer::Balancer(CoordinationConnector* connector, storage::StockLedger* ledger, storage::Clock* clock,
                   BalancerOptions options)
    : clock_(clock),
      options_(std::move(options)),
      leadership_(connector, this, ledger, clock, &options_),
      round_(std::make_unique<LeaderRound>(ledger, clock, &options_, &leadership_, &inbox_, &counts_)) {}

Balancer::~Balancer() { Stop(); }

absl::Status Balancer::Start() {
  RETURN_IF_ERROR(Connect());
  thread_ = std::thread([this] { Run(); });
  return absl::OkStatus();
}

void Balancer::Stop() {
  inbox_.Close();
  if (thread_.joinable()) thread_.join();
  round_->StopProbing();
  leadership_.Close();
}

void Balancer::OnChanged(const std::string& path) {
  inbox_.Note([&](News& news) {
    if (absl::StartsWith(path, kBalancerPath)) {
      news.leader = true;
    } else if (absl::StartsWith(path, kDemandPath)) {
      news.demand = true;
      news.reports.insert(ParseIncarnation(path.substr(path.rfind('/') + 1)));
    } else {
      news.nodes = true;
    }
  });
}

void Balancer::OnConnected() {
  zookeeper_up_ = true;
  inbox_.Note([](News& news) { news.everything = true; });
}

void Balancer::OnDisconnected() {
  zookeeper_up_ = false;
  LOG(WARNING) << "ZooKeeper does not answer: no units are moved until it does";
}

void Balancer::OnSessionExpired() {
  zookeeper_up_ = false;
  leadership_.NoteExpired();
  inbox_.Again();
}

absl::Status Balancer::Connect() {
  absl::Status connected = leadership_.Connect();
  if (connected.ok()) pending_.everything = true;
  return connected;
}

void Balancer::Run() {
  while (inbox_.Await(options_.poll_interval)) {
    const absl::Status status = RunOnce();
    pulse_.NoteRound(status.ok(), leading(), clock_->Now());
    LOG_IF_EVERY_N(WARNING, !status.ok(), 50) << "balancing is held up: " << status.message();
  }
}

absl::Status Balancer::RunOnce() {
  const absl::Status status = Round();
  const RoundOutcome done = leading() ? RoundOutcome::kLed : RoundOutcome::kStoodBy;
  counts_.rounds[static_cast<size_t>(status.ok() ? done : RoundOutcome::kFailed)].Add();
  if (status.ok()) counts_.round_succeeded_at.Set(clock_->Now());
  return status;
}

std::optional<NodeProbeStats> Balancer::ProbeStats() const {
  if (options_.probe == nullptr) return std::nullopt;
  return options_.probe->Stats();
}

absl::Status Balancer::Round() {
  // It may have ended in whatever way.
  if (!leading()) round_->StopProbing();
  if (!leadership_.connected()) {
    if (absl::Status connected = Connect(); !connected.ok()) {
      inbox_.Take();
      return connected;
    }
  }
  const std::shared_ptr<Coordination> session = Session();
  // News that earlier rounds could not look at is still news.
  pending_.Add(inbox_.Take());
  if (clock_->Now() - refreshed_at_ >= options_.refresh_interval) pending_.everything = true;
  RETURN_IF_ERROR(CheckLeadership(*session));
  if (!leading()) {
    if (pending_.everything) refreshed_at_ = clock_->Now();
    pending_ = {};
    return absl::OkStatus();
  }
  const absl::Time began_at = clock_->Now();
  const absl::Status led = Lead(*session);
  counts_.round_time.Observe(std::max(clock_->Now() - began_at, absl::ZeroDuration()));
  if (IsAnotherLedgersTree(led)) {
    leadership_.LeaveTree(*session, led);
    return led;
  }
  if (leadership_.MissedTheLedger(led, began_at)) {
    round_->NobodyIsUnableAlone();
    leadership_.MindTheLedger(*session);
  }
  return led;
}

// Stands for election if there is no leader, but only if we reach the ledger.
absl::Status Balancer::CheckLeadership(Coordination& session) {
  if (leadership_.abstaining()) {
    RETURN_IF_ERROR(leadership_.EndAbstention());
    pending_.leader = true;
  }
  if (!pending_.leader && !pending_.everything) return absl::OkStatus();
  const absl::StatusOr<bool> begins_to_lead = leadership_.Stand(session);
  if (absl::IsNotFound(begins_to_lead.status())) return RestoreTree(session);
  if (!begins_to_lead.ok()) return begins_to_lead.status();
  pending_.leader = false;
  if (*begins_to_lead) {
    round_->ForgetAll();
    protection_ = Protection::kDue;
    pending_.everything = true;
  }
  return absl::OkStatus();
}

// A part of a tree from before sessions had an identity, which can take a minute in all: moving units is more
// important, also if it cannot be protected. Home's shard does so for all.
void Balancer::ProtectTree(Coordination& session) {
  const absl::StatusOr<TreeProtection> part = session.ProtectTree();
  if (!part.ok()) {
    protection_ = Protection::kDue;
    LOG_EVERY_N(WARNING, 10) << "znodes that are open to everybody could not be protected: " << part.status().message();
    return;
  }
  protection_ = part->done ? Protection::kDone : Protection::kBegun;
  LOG_IF(INFO, part->done && part->znodes > 0)
      << part->znodes << " znodes were open to everybody, and are protected now";
}

absl::Status Balancer::Lead(Coordination& session) {
  const bool looks_anew = pending_.everything;
  const absl::Status balanced = Balance(session);
  // One that failed is begun anew with the next look at everything.
  const bool due = protection_ == Protection::kBegun || (protection_ == Protection::kDue && looks_anew);
  if (due && options_.shard == storage::kHomeShard) ProtectTree(session);
  return balanced;
}

absl::Status Balancer::Balance(Coordination& session) {
  if (pending_.everything || pending_.nodes) {
    const absl::Status looked = round_->LookAround(session);
    if (absl::IsNotFound(looked)) return RestoreTree(session);
    if (!looked.ok()) return looked;
    pending_.nodes = false;
  }
  if (pending_.everything || pending_.demand) {
    const absl::Status read = round_->ReadDemand(session, pending_.everything, pending_.reports);
    if (absl::IsNotFound(read)) return RestoreTree(session);
    // Without ZooKeeper no node would hear of a move.
    if (!read.ok()) return read;
    if (pending_.everything) refreshed_at_ = clock_->Now();
    pending_ = {};
  }
  return round_->Run(session);
}

// Somebody deleted the tree, or a part of it. The nodes are still there, and register again; until then none is treated
// as dead.
absl::Status Balancer::RestoreTree(Coordination& session) {
  LOG(WARNING) << "the coordination tree has gone; restoring it";
  round_->TreeHasGone();
  // It may be made again by somebody who has no identity.
  protection_ = Protection::kDue;
  inbox_.Note([](News& news) { news.everything = true; });
  return session.EnsureFixedPaths();
}

}  // namespace tranche::quota
