#include "server/balancer/balancer_metrics.h"

#include <array>
#include <atomic>
#include <cstddef>
#include <cstdint>
#include <optional>
#include <utility>

#include "quota/balancer/balancer_counts.h"
#include "server/metrics/heartbeat.h"
#include "storage/ledger/shard_name.h"

namespace tranche::server {
namespace {

using quota::BalancerCounts;

// A round comes every 100 ms; one that cannot reach the ledger takes three seconds or so.
constexpr absl::Duration kRoundsSucceedWithin = absl::Seconds(10);

// In the order of the enums.
constexpr std::array<const char*, quota::kRoundOutcomes> kRoundOutcomeNames = {"led", "stood_by", "failed"};
constexpr std::array<const char*, quota::kMoveReasons> kMoveReasonNames = {"demand", "pool", "newcomer", "evacuation",
                                                                           "reclaim"};
constexpr std::array<const char*, quota::kEvidences> kEvidenceNames = {"session", "probe", "history"};

void AddBalancerRounds(MetricSet* metrics, const BalancerPart& part, absl::Time now) {
  const BalancerCounts& counts = part.balancer->counts();
  for (size_t i = 0; i < kRoundOutcomeNames.size(); ++i) {
    metrics->AddCounter("tranche_balancer_rounds_total", "Rounds of the balancer.",
                        static_cast<double>(counts.rounds[i].value()),
                        {{"shard", part.shard}, {"outcome", kRoundOutcomeNames[i]}});
  }
  metrics->AddHistogram("tranche_balancer_round_seconds", "Time of a leader's round.", counts.round_time.values(),
                        {{"shard", part.shard}});
  metrics->AddGauge("tranche_balancer_seconds_since_round", "Time since a round last succeeded.",
                    SecondsSinceRound(counts.round_succeeded_at.Get(), part.began, now), {{"shard", part.shard}});
}

void AddMoves(MetricSet* metrics, const std::string& shard, const BalancerCounts& counts) {
  for (size_t i = 0; i < kMoveReasonNames.size(); ++i) {
    const MetricLabels labels = {{"shard", shard}, {"reason", kMoveReasonNames[i]}};
    metrics->AddCounter("tranche_moves_total", "Moves of units, each of one SKU.",
                        static_cast<double>(counts.moved[i].moves.value()), labels);
    metrics->AddCounter("tranche_units_moved_total", "Units that moves were to bring to another holder.",
                        static_cast<double>(counts.moved[i].units.value()), labels);
  }
  metrics->AddHistogram("tranche_announcement_seconds",
                        "Time from the commit of a batch of moves until it was announced.",
                        counts.announcement_time.values(), {{"shard", shard}});
  metrics->AddCounter("tranche_announcements_failed_total", "Batches of moves that were not announced at once.",
                      static_cast<double>(counts.announcements_failed.value()), {{"shard", shard}});
  metrics->AddCounter("tranche_announcements_repaired_total",
                      "Announcements that the repair has written, as they were missing or old.",
                      static_cast<double>(counts.announcements_repaired.value()), {{"shard", shard}});
}

void AddReclaimed(MetricSet* metrics, const std::string& shard, const BalancerCounts& counts) {
  for (size_t i = 0; i < kEvidenceNames.size(); ++i) {
    metrics->AddCounter("tranche_incarnations_reclaimed_total", "Incarnations that the balancer has ended.",
                        static_cast<double>(counts.incarnations_reclaimed[i].value()),
                        {{"shard", shard}, {"evidence", kEvidenceNames[i]}});
  }
  metrics->AddCounter("tranche_slices_reclaimed_total", "Slices that ended incarnations gave back to the pools.",
                      static_cast<double>(counts.slices_reclaimed.value()), {{"shard", shard}});
  metrics->AddCounter("tranche_units_reclaimed_total", "Unsold units that dead nodes' incarnations gave back.",
                      static_cast<double>(counts.units_reclaimed.value()), {{"shard", shard}});
  metrics->AddCounter("tranche_histories_total", "New histories of the ledger that the balancer has begun.",
                      static_cast<double>(counts.histories.value()), {{"shard", shard}});
}

// Only a leader knows them.
void AddKnownNodes(MetricSet* metrics, const std::string& shard, const BalancerCounts& counts) {
  const auto add = [&](const char* name, const char* help, const std::atomic<int64_t>& value) {
    metrics->AddGauge(name, help, static_cast<double>(value), {{"shard", shard}});
  };
  add("tranche_nodes", "Incarnations of front nodes that the ledger has not ended.", counts.nodes_live);
  add("tranche_nodes_registered", "Front nodes that are registered in ZooKeeper.", counts.nodes_registered);
  add("tranche_nodes_receiving", "Front nodes that may be given units.", counts.nodes_receiving);
  add("tranche_nodes_gone", "Front nodes that have gone and could not be ended yet: they may hold units.",
      counts.nodes_gone);
  add("tranche_skus_put_aside", "SKUs of which no units are moved while another transaction locks them.",
      counts.skus_put_aside);
}

void AddNodeProbe(MetricSet* metrics, const std::string& shard, const quota::NodeProbeStats& stats) {
  const auto verdicts = [&](const char* verdict, int64_t count) {
    metrics->AddCounter("tranche_node_probe_verdicts_total", "What the probe of the nodes' processes has found out.",
                        static_cast<double>(count), {{"shard", shard}, {"verdict", verdict}});
  };
  verdicts("dead", stats.found_dead);
  verdicts("wrong", stats.wrong_guesses);
  verdicts("left_alone", stats.left_alone);
  const auto nodes = [&](const char* name, const char* help, int64_t count) {
    metrics->AddGauge(name, help, static_cast<double>(count), {{"shard", shard}});
  };
  nodes("tranche_probed_nodes", "Front nodes whose processes the probe watches.", stats.watched);
  nodes("tranche_probed_nodes_connected", "Of those, the ones that it is connected to.", stats.connected);
  nodes("tranche_probed_nodes_unreached", "Of those, the ones that it has not reached for a minute.", stats.unreached);
}

}  // namespace

std::unique_ptr<BalancerMetrics::Membership> BalancerMetrics::Join(BalancerPart part) {
  part.began = clock_->Now();
  return std::make_unique<Membership>(&parts_, std::move(part));
}

void BalancerMetrics::Collect(MetricSet* metrics) {
  const absl::Time now = clock_->Now();
  parts_.ForEach([&](const BalancerPart& part) {
    const BalancerCounts& counts = part.balancer->counts();
    const bool leads = part.balancer->leading();
    metrics->AddGauge("tranche_balancer_leads", "1 if this balancer leads the shard.", leads, {{"shard", part.shard}});
    AddBalancerRounds(metrics, part, now);
    AddMoves(metrics, part.shard, counts);
    AddReclaimed(metrics, part.shard, counts);
    if (leads) AddKnownNodes(metrics, part.shard, counts);
    const std::optional<quota::NodeProbeStats> probe = part.balancer->ProbeStats();
    if (probe.has_value()) AddNodeProbe(metrics, part.shard, *probe);
    metrics->AddGauge("tranche_zookeeper_up", "1 if the session with ZooKeeper is connected.",
                      part.balancer->zookeeper_up(), {{"shard", part.shard}});
  });
}

absl::Status BalancerMetrics::Ready() const {
  absl::Status ready = absl::UnavailableError("the balancer is starting");
  parts_.ForEach([&](const BalancerPart& part) {
    if (part.shard != storage::kHomeShard) return;
    if (!part.balancer->zookeeper_up()) {
      ready = absl::UnavailableError("no session with ZooKeeper: see the log");
      return;
    }
    ready = RequireRecentRound("balancing", part.balancer->counts().round_succeeded_at.Get(), clock_->Now(),
                               kRoundsSucceedWithin);
  });
  return ready;
}

}  // namespace tranche::server
