#include "server/worker/worker_metrics.h"

#include <algorithm>
#include <array>
#include <atomic>
#include <cstddef>
#include <utility>

#include "server/metrics/heartbeat.h"
#include "server/worker/worker_counts.h"
#include "storage/ledger/shard_name.h"

namespace tranche::server {
namespace {

// While the ledger does not answer, a round takes --statement-timeout-ms, ten seconds, and comes every two seconds.
constexpr absl::Duration kHoldsExpireWithin = absl::Seconds(30);

// In the order of the enums.
constexpr std::array<const char*, kExpiryOutcomes> kExpiryNames = {"done", "locked", "failed"};
constexpr std::array<const char*, kRelayOutcomes> kRelayNames = {"delivered", "retried", "dead", "returned"};

void AddExpiry(MetricSet* metrics, const WorkerPart& part, absl::Time now) {
  const ExpiryCounts& counts = part.expirer->counts();
  metrics->AddCounter("tranche_holds_expired_total", "Holds that this worker has expired.",
                      static_cast<double>(counts.expired.value()), {{"shard", part.shard}});
  for (size_t i = 0; i < kExpiryNames.size(); ++i) {
    metrics->AddCounter("tranche_expiry_rounds_total", "Looks for holds whose time is over.",
                        static_cast<double>(counts.rounds[i].value()),
                        {{"shard", part.shard}, {"outcome", kExpiryNames[i]}});
  }
  metrics->AddGauge("tranche_expiry_seconds_since_round", "Time since a look for holds last succeeded.",
                    SecondsSinceRound(counts.succeeded_at.Get(), part.began, now), {{"shard", part.shard}});
}

void AddGroups(MetricSet* metrics, const std::string& shard, const GroupExpirer& expirer, absl::Time now) {
  const GroupExpiryCounts& counts = expirer.counts();
  for (const auto& [outcome, count] : {std::pair("filled", &counts.filled), std::pair("failed", &counts.failed)}) {
    metrics->AddCounter("tranche_groups_ended_total", "Groups that this worker has ended at their deadline.",
                        static_cast<double>(count->value()), {{"shard", shard}, {"outcome", outcome}});
  }
  metrics->AddCounter("tranche_group_holds_ended_total", "Holds that this worker has ended since their group is over.",
                      static_cast<double>(counts.holds_ended.value()), {{"shard", shard}});
  const absl::Time due_at = counts.due_at.Get();
  const double late = due_at == absl::InfinitePast() ? 0 : std::max(0.0, absl::ToDoubleSeconds(now - due_at));
  metrics->AddGauge("tranche_groups_late_seconds",
                    "How far the group with the first deadline of all that form is past it.", late, {{"shard", shard}});
}

void AddRetired(MetricSet* metrics, const std::string& shard, const Retirer& retirer) {
  const bool archived = retirer.retired() == storage::Retired::kArchive;
  metrics->AddCounter("tranche_reservations_retired_total", "Old reservations taken out of the live tables.",
                      static_cast<double>(retirer.taken()),
                      {{"shard", shard}, {"kept", archived ? "archived" : "dropped"}});
}

void AddDraws(MetricSet* metrics, const std::string& shard, const Drawer& drawer, absl::Time now) {
  const DrawCounts& counts = drawer.counts();
  for (const auto& [outcome, count] :
       {std::pair("awarded", &counts.awarded), std::pair("passed_over", &counts.passed_over)}) {
    metrics->AddCounter("tranche_draw_awards_total", "Entries that this worker has given a place or passed over.",
                        static_cast<double>(count->value()), {{"shard", shard}, {"outcome", outcome}});
  }
  for (const auto& [state, draws] : {std::pair("closing", &counts.closing), std::pair("seeded", &counts.seeded),
                                     std::pair("drawn", &counts.drawn)}) {
    metrics->AddGauge("tranche_draws", "Draws that workers carry on.",
                      static_cast<double>(draws->load(std::memory_order_relaxed)),
                      {{"shard", shard}, {"state", state}});
  }
  metrics->AddGauge("tranche_draw_open_places", "Places of drawn draws that nobody has.",
                    static_cast<double>(counts.open_places.load(std::memory_order_relaxed)), {{"shard", shard}});
  const absl::Time since = counts.waits_since.Get();
  const double waits = since == absl::InfinitePast() ? 0 : std::max(0.0, absl::ToDoubleSeconds(now - since));
  metrics->AddGauge("tranche_draw_waiting_seconds", "Longest time that a draw with work has not gone on.", waits,
                    {{"shard", shard}});
}

void AddRelay(MetricSet* metrics, const std::string& shard, const SinkRelay& relay) {
  const RelayCounts& counts = relay.counts();
  const MetricLabels labels = {{"shard", shard}, {"sink", relay.sink()}};
  for (size_t i = 0; i < kRelayNames.size(); ++i) {
    metrics->AddCounter("tranche_deliveries_total", "What became of messages that were taken for a sink.",
                        static_cast<double>(counts.messages[i].value()),
                        {{"shard", shard}, {"sink", relay.sink()}, {"outcome", kRelayNames[i]}});
  }
  metrics->AddHistogram("tranche_delivery_seconds", "Time that a sink took for a batch of messages.",
                        counts.batch_time.values(), labels);
  metrics->AddHistogram("tranche_delivery_delay_seconds",
                        "Time from the change that a message tells of until the sink has taken it.",
                        counts.delay.values(), labels);
  metrics->AddCounter("tranche_delivery_results_lost_total", "Messages whose result the ledger was not told in time.",
                      static_cast<double>(counts.results_lost.value()), labels);
  metrics->AddGauge("tranche_sink_healthy", "0 while the sink takes nothing and is tried with single messages.",
                    relay.healthy(), labels);
}

}  // namespace

std::unique_ptr<WorkerMetrics::Membership> WorkerMetrics::Join(WorkerPart part) {
  part.began = clock_->Now();
  return std::make_unique<Membership>(&parts_, std::move(part));
}

void WorkerMetrics::Collect(MetricSet* metrics) {
  const absl::Time now = clock_->Now();
  parts_.ForEach([&](const WorkerPart& part) {
    if (part.expirer != nullptr) AddExpiry(metrics, part, now);
    if (part.group_expirer != nullptr) AddGroups(metrics, part.shard, *part.group_expirer, now);
    if (part.retirer != nullptr) AddRetired(metrics, part.shard, *part.retirer);
    if (part.group_retirer != nullptr) {
      metrics->AddCounter("tranche_groups_retired_total", "Old groups that this worker has deleted.",
                          static_cast<double>(part.group_retirer->deleted()), {{"shard", part.shard}});
    }
    if (part.drawer != nullptr) AddDraws(metrics, part.shard, *part.drawer, now);
    for (const SinkRelay* relay : part.relays) AddRelay(metrics, part.shard, *relay);
  });
}

absl::Status WorkerMetrics::Ready() const {
  if (stopping_) return absl::UnavailableError("this process ends");
  absl::Status ready = absl::UnavailableError("the worker is starting");
  parts_.ForEach([&](const WorkerPart& part) {
    if (part.shard != storage::kHomeShard) return;
    if (part.expirer != nullptr) {
      ready =
          RequireRecentRound("expiry", part.expirer->counts().succeeded_at.Get(), clock_->Now(), kHoldsExpireWithin);
    } else {
      ready =
          part.ledger_up() ? absl::OkStatus() : absl::UnavailableError("home's database does not serve: see the log");
    }
  });
  return ready;
}

}  // namespace tranche::server
