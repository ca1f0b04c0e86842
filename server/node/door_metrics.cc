#include "server/node/door_metrics.h"

#include <algorithm>
#include <atomic>
#include <cstddef>
#include <iterator>
#include <memory>
#include <string>

#include "absl/strings/str_cat.h"
#include "storage/clock.h"

namespace tranche::server {
namespace {

bool IsLimit(DoorCheck check) {
  return std::any_of(std::begin(kRateKeyKinds), std::end(kRateKeyKinds),
                     [check](RateKeyKind kind) { return CheckOfLimit(kind) == check; });
}

double Counted(const std::atomic<uint64_t>& count) {
  return static_cast<double>(count.load(std::memory_order_relaxed));
}

void AddChecks(const DoorCounts& counts, MetricSet* metrics) {
  for (int i = 0; i < kDoorChecks; ++i) {
    const auto check = static_cast<DoorCheck>(i);
    const auto add = [&](const char* verdict, const std::atomic<uint64_t>& count) {
      metrics->AddCounter("tranche_door_checks_total", "Tries that a check of the front door refused, or made wait.",
                          Counted(count), {{"check", std::string(DoorCheckName(check))}, {"verdict", verdict}});
    };
    add("refused", counts.refused[static_cast<size_t>(i)]);
    if (IsLimit(check)) add("waited", counts.waited[static_cast<size_t>(i)]);
  }
  metrics->AddCounter("tranche_door_admitted_total",
                      "Claims, carts and entries into draws that a policy of the front door let in.",
                      Counted(counts.admitted));
  metrics->AddCounter("tranche_door_waiting_full_total",
                      "Tries that might have waited and were refused, because too many wait, here and for units.",
                      Counted(counts.parked_full));
}

void AddTokens(const DoorCounts& counts, MetricSet* metrics) {
  metrics->AddCounter("tranche_door_tokens_issued_total", "Purchase tokens that were given out.",
                      Counted(counts.tokens_issued));
  const auto add = [&](const char* outcome, const std::atomic<uint64_t>& count) {
    metrics->AddCounter("tranche_door_challenges_total",
                        "Challenges that were given out, and solutions that were taken, or not.", Counted(count),
                        {{"outcome", outcome}});
  };
  add("issued", counts.challenges_issued);
  add("solved", counts.challenges_solved);
  add("refused", counts.challenges_refused);
}

void AddRisk(const DoorCounts& counts, MetricSet* metrics) {
  for (size_t i = 0; i < counts.tiers.size(); ++i) {
    metrics->AddCounter("tranche_door_tier_total", "EnterSale calls by the tier that risk rules gave, from 1.",
                        Counted(counts.tiers[i]), {{"tier", absl::StrCat(i + 1)}});
  }
  const auto captcha = [&](const char* outcome, const std::atomic<uint64_t>& count) {
    metrics->AddCounter("tranche_door_captchas_total", "Captchas that were asked for, and responses taken, or not.",
                        Counted(count), {{"outcome", outcome}});
  };
  captcha("asked", counts.captchas_asked);
  captcha("solved", counts.captchas_solved);
  captcha("refused", counts.captchas_refused);
  captcha("expired", counts.captchas_expired);
  captcha("replaced", counts.captchas_replaced);
  const auto delay = [&](const char* outcome, const std::atomic<uint64_t>& count) {
    metrics->AddCounter("tranche_door_delays_total",
                        "Delays that were given out to buyers without scripts, and that were waited for.",
                        Counted(count), {{"outcome", outcome}});
  };
  delay("given", counts.delays_given);
  delay("waited", counts.delays_waited);
}

// `hook`: "scorer" or "captcha". `counts` may be null.
void AddHook(const char* hook, const HookCounts* counts, MetricSet* metrics) {
  if (counts == nullptr) return;
  const auto add = [&](const char* outcome, const auto& count) {
    metrics->AddCounter("tranche_door_hook_total", "Questions to the shop's scorer and the captcha's provider.",
                        static_cast<double>(count.load(std::memory_order_relaxed)),
                        {{"hook", hook}, {"outcome", outcome}});
  };
  add("answered", counts->answered);
  add("late", counts->late);
  add("failed", counts->failed);
  add("skipped", counts->skipped);
  metrics->AddGauge("tranche_door_hook_open", "1 while the scorer, or the captcha's provider, is not asked.",
                    counts->open() ? 1 : 0, {{"hook", hook}});
}

void AddState(const DoorState& state, MetricSet* metrics) {
  const auto unreadable = std::count_if(state.policies.begin(), state.policies.end(),
                                        [](const auto& policy) { return !policy.second->unreadable.empty(); });
  metrics->AddGauge("tranche_door_policies", "Policies of the front door, that of all SKUs too.",
                    static_cast<double>(state.policies.size()));
  metrics->AddGauge("tranche_door_access_entries", "Entries of the list of who is always let in, or never.",
                    static_cast<double>(state.access->size()));
  const auto add = [&](const char* kind, size_t count) {
    metrics->AddGauge("tranche_door_unreadable",
                      "What this version of the server cannot read of the front door's data.",
                      static_cast<double>(count), {{"kind", kind}});
  };
  add("policy", static_cast<size_t>(unreadable));
  add("access_entry", state.access->unreadable());
}

void AddMode(const storage::ServiceMode& mode, MetricSet* metrics) {
  using Kind = storage::ServiceMode::Kind;
  for (const Kind kind : {Kind::kNormal, Kind::kChangesOnly, Kind::kReadOnly}) {
    metrics->AddGauge("tranche_service_mode", "1 for what this node does for buyers as operators have set it, else 0.",
                      kind == mode.kind ? 1 : 0, {{"mode", storage::ServiceModeName(kind)}});
  }
}

void AddTable(const RateTable& table, absl::Time now, MetricSet* metrics) {
  metrics->AddGauge("tranche_door_table_slots", "Keys of limits that the table has room for.",
                    static_cast<double>(table.slots()));
  metrics->AddGauge("tranche_door_table_load", "The part of them that is in use, from 0 to 1; from a sample.",
                    table.load(now));
  metrics->AddCounter("tranche_door_table_shared_total",
                      "Tries that a bucket decided which several keys share, because the table was full.",
                      static_cast<double>(table.shared()));
}

}  // namespace

void AddDoorMetrics(const DoorFigures& figures, absl::Time now, MetricSet* metrics) {
  metrics->AddGauge("tranche_door_state_age_seconds",
                    "Time since this node knew all that the ledger had for the front door.",
                    absl::ToDoubleSeconds(figures.age));
  const std::shared_ptr<const DoorState> state = figures.door->state();
  AddMode(state->mode, metrics);
  AddHook("scorer", figures.scorer, metrics);
  AddHook("captcha", figures.captcha, metrics);
  if (state->open() && state->access->unreadable() == 0) return;
  metrics->AddCounter("tranche_door_failed_looks_total", "Looks at the front door's data in the ledger that failed.",
                      static_cast<double>(figures.failed_looks));
  AddState(*state, metrics);
  AddChecks(figures.door->counts(), metrics);
  AddTokens(figures.door->counts(), metrics);
  AddRisk(figures.door->counts(), metrics);
  metrics->AddGauge("tranche_door_waiting", "Tries that wait for their turn at a rate limit.",
                    static_cast<double>(figures.waiting));
  if (const RateTable* const table = figures.door->table(); table != nullptr) AddTable(*table, now, metrics);
}

void DoorMetrics::Collect(MetricSet* metrics) {
  AddDoorMetrics({.door = &door_->door(),
                  .age = door_->age(),
                  .failed_looks = door_->failed_looks(),
                  .waiting = door_->waiting(),
                  .scorer = door_->outside().scorer_counts,
                  .captcha = door_->outside().captcha_counts},
                 storage::Clock::Real()->Now(), metrics);
}

}  // namespace tranche::server
