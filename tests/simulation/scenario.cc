#include "tests/simulation/scenario.h"

#include <glog/logging.h>

#include <algorithm>

#include "absl/strings/str_cat.h"
#include "tests/simulation/door/door_simulation.h"

namespace tranche::simulation {
namespace {

using Faults = std::vector<Fault>;

constexpr double kLateCalls = 0.003;

struct Kind {
  const char* name;
  int weight;  // 0: only by its name
  Faults staged;
  bool call_faults;
};

const std::vector<Kind>& Kinds() {
  static const auto* kinds = new std::vector<Kind>{
      // Nothing fails: then stricter rules hold.
      {"calm", 3, {}, false},
      {"crashes", 3, {Fault::kCrash, Fault::kRestart, Fault::kPause, Fault::kProbesLie}, false},
      {"coordination",
       4,
       {Fault::kSessionExpires, Fault::kSessionCutOff, Fault::kFollowerIsolated, Fault::kFollowerLags,
        Fault::kZookeeperDown, Fault::kTreeDeleted, Fault::kTreeRestored, Fault::kAnnouncementByHand,
        Fault::kNewHistory},
       true},
      {"ledger",
       3,
       {Fault::kLedgerDown, Fault::kLedgerRestored, Fault::kLedgerPromoted, Fault::kLedgerCutOffFromOne,
        Fault::kSkuLocked},
       true},
      // No balancer runs: nodes take from the pools by themselves.
      {"unbalanced", 2, {}, false},
      // Claims are queued, and consumers decide them; in some runs joins of groups, too.
      {"queue",
       0,
       {Fault::kCrash, Fault::kRestart, Fault::kPause, Fault::kProbesLie, Fault::kSessionExpires, Fault::kSessionCutOff,
        Fault::kLedgerDown, Fault::kLedgerCutOffFromOne, Fault::kSkuLocked, Fault::kBrokerDown, Fault::kBrokerAlarm,
        Fault::kBrokerConnectionsLost, Fault::kConsumerCutOff},
       true},
      // Buyers form groups.
      {"groups",
       0,
       {Fault::kCrash, Fault::kRestart, Fault::kPause, Fault::kProbesLie, Fault::kSessionExpires, Fault::kSessionCutOff,
        Fault::kZookeeperDown, Fault::kLedgerDown, Fault::kLedgerCutOffFromOne, Fault::kSkuLocked},
       true},
      // Many nodes have nothing, and buyers come to all of them for units that are in the pool.
      {"dry", 0, {}, false},
      // Sales are paused and resumed all the time, and prices change.
      {"pauses", 2, {}, false},
      // Nothing else fails: then all units must be sellable again soon.
      {"restores", 3, {Fault::kLedgerRestored, Fault::kLedgerPromoted}, false},
      {"everything",
       7,
       {Fault::kCrash, Fault::kRestart, Fault::kPause, Fault::kProbesLie, Fault::kSessionExpires, Fault::kSessionCutOff,
        Fault::kFollowerIsolated, Fault::kFollowerLags, Fault::kZookeeperDown, Fault::kTreeDeleted,
        Fault::kTreeRestored, Fault::kAnnouncementByHand, Fault::kNewHistory, Fault::kLedgerDown,
        Fault::kLedgerRestored, Fault::kLedgerPromoted, Fault::kLedgerCutOffFromOne, Fault::kSkuLocked},
       true}};
  return *kinds;
}

const Kind& ChooseKind(Random& random, absl::string_view name) {
  int64_t weights = 0;
  for (const Kind& kind : Kinds()) weights += kind.weight;
  int64_t chosen = random.Below(weights);
  const auto found = std::find_if(Kinds().begin(), Kinds().end(), [&](const Kind& kind) {
    return name.empty() ? (chosen -= kind.weight) < 0 : kind.name == name;
  });
  CHECK(found != Kinds().end()) << "no scenario " << name;
  return *found;
}

storage::Sku ChooseSku(Random& random, int number, absl::Time start) {
  storage::Sku sku;
  sku.sku_id = absl::StrCat("sku-", number);
  sku.price_minor = 100;
  sku.currency = "EUR";
  // One unit, a few, or more than a few batches take.
  const int64_t kind = random.Below(8);
  sku.stock = kind == 0 ? 1 : kind < 5 ? random.Between(2, 20) : random.Between(20, 80);
  // Mostly as a shop's; or so high that announcements do not tell all that a buyer may want to know.
  const bool wholesale = random.Chance(0.15);
  sku.per_user_limit = static_cast<int32_t>(wholesale ? random.Between(20, 40) : random.Between(1, 4));
  if (wholesale) sku.stock = random.Between(20, 80);
  // So short that it lapses during the run, or so long that it does not.
  sku.hold = random.Chance(0.5) ? absl::Seconds(random.Between(1, 4)) : absl::Hours(24);
  sku.max_extensions = static_cast<int32_t>(random.Between(0, 3));
  sku.slots_per_slice = random.Chance(0.3) ? 3 : 1;
  sku.presplit = random.Chance(0.7);
  if (random.Chance(0.15)) sku.opens_at = start + absl::Seconds(random.Between(1, 5));
  return sku;
}

void ChooseLimits(Random& random, Scenario* scenario) {
  scenario->lanes = static_cast<int>(random.Between(1, 2));
  scenario->max_batch = static_cast<int>(random.Between(1, 4));
  scenario->max_queue = static_cast<int>(random.Between(2, 16));
  scenario->first_lock_mode = random.Chance(0.3) ? storage::LockMode::kSkipLocked : storage::LockMode::kWait;
  scenario->executor_fibers = static_cast<int>(random.Between(1, 2));
  scenario->executor_queue = static_cast<size_t>(random.Between(1, 8));
  scenario->max_waiting = static_cast<size_t>(random.Between(1, 8));
  scenario->exhausted_wait = random.Chance(0.2) ? absl::ZeroDuration() : absl::Milliseconds(random.Between(20, 300));
  scenario->request_deadline = absl::Milliseconds(random.Between(200, 3000));
  scenario->most_tries = static_cast<int>(random.Between(1, 8));
  scenario->expiry_batch = static_cast<int>(random.Between(2, 10));
}

void ChooseDelays(Random& random, Scenario* scenario) {
  const auto choose = [&](absl::Duration* min, absl::Duration* max, absl::Duration slow) {
    *min = absl::Microseconds(random.Between(20, 200));
    *max = *min + (random.Chance(0.2) ? slow : absl::Microseconds(random.Between(100, 2000)));
  };
  choose(&scenario->ledger_delay_min, &scenario->ledger_delay_max, absl::Milliseconds(40));
  choose(&scenario->coordination_delay_min, &scenario->coordination_delay_max, absl::Milliseconds(20));
  choose(&scenario->event_delay_min, &scenario->event_delay_max, absl::Milliseconds(200));
  scenario->session_timeout = absl::Milliseconds(random.Between(500, 4000));
  // A node's default; or so short that late statements are cancelled or given up.
  scenario->statement_timeout = random.Chance(0.7) ? absl::Seconds(10) : absl::Milliseconds(random.Between(500, 3000));
}

void ChooseFaults(Random& random, const Kind& kind, Scenario* scenario) {
  if (kind.call_faults) {
    const double often = random.Chance(0.2) ? 0.05 : 0.005;
    scenario->call_faults.ledger = random.Chance(0.8) ? often : 0;
    scenario->call_faults.ledger_late = kLateCalls;
    scenario->call_faults.coordination = random.Chance(0.8) ? often : 0;
    scenario->call_faults.watch_event_lost = random.Chance(0.5) ? 0.1 : 0;
    scenario->call_faults.request_duplicated = random.Chance(0.5) ? 0.1 : 0;
  }
  const bool crashes = !kind.staged.empty() && kind.staged.front() == Fault::kCrash;
  if (crashes) scenario->call_faults.crash = random.Chance(0.3) ? 0.002 : 0.0003;
  for (const Fault fault : kind.staged) {
    if (random.Chance(0.7)) scenario->staged_faults.push_back(fault);
  }
  scenario->between_faults = absl::Milliseconds(random.Between(300, 4000));
}

// What one node holds stays there, so buyers must come to each.
void LeaveOutWhatNeedsABalancer(Scenario* scenario) {
  scenario->balancers = 0;
  scenario->shape = DemandShape::kEven;
  scenario->one_buyer_node_at_the_end = false;
}

// Half of the runs have a balancer, which also wants what is in the pool.
void LetManyNodesRunDry(Random& random, Scenario* scenario) {
  scenario->nodes = 64;
  scenario->balancers = random.Chance(0.5) ? 1 : 0;
  if (scenario->balancers == 0) LeaveOutWhatNeedsABalancer(scenario);
  scenario->skus.resize(1);
  scenario->created_late.resize(1);
  storage::Sku& sku = scenario->skus.front();
  sku.stock = random.Between(64, 1000);
  sku.presplit = false;
  scenario->shape = DemandShape::kEven;
  scenario->users = 10'000;
  scenario->between_requests = absl::Milliseconds(1);
  scenario->between_operations = absl::InfiniteDuration();
  scenario->faulty_phase = absl::Seconds(3);
}

// Deadlines are so short that some claims reach theirs. What is past its deadline must leave a queue more quickly than
// buyers come, or nobody's turn would ever come in time: so consumers have enough in hand for that.
void QueueClaims(Random& random, Scenario* scenario) {
  scenario->consumers = static_cast<int>(random.Between(1, 3));
  scenario->queue_partitions = static_cast<int>(random.Between(1, 2));
  scenario->prefetch = static_cast<int>(random.Between(16, 64));
  scenario->decide_within = absl::Seconds(random.Between(2, 10));
  scenario->accept_queued = 0.9;
  scenario->paths_change = random.Chance(0.7);
  if (scenario->paths_change) scenario->between_operations = absl::Milliseconds(random.Between(200, 2000));
  static constexpr storage::ClaimPath kPaths[] = {storage::ClaimPath::kQueue, storage::ClaimPath::kQueue,
                                                  storage::ClaimPath::kAuto, storage::ClaimPath::kAuto,
                                                  storage::ClaimPath::kDirect};
  for (storage::Sku& sku : scenario->skus) sku.claim_path = kPaths[random.Below(5)];
  scenario->call_faults.confirm_lost = random.Chance(0.7) ? 0.03 : 0;
  scenario->call_faults.cut_off_before_done = random.Chance(0.5) ? 0.01 : 0;
  scenario->call_faults.dies_before_done = random.Chance(0.5) ? 0.01 : 0;
}

// Groups are over while the run lasts: filled, in part or not, failed or cancelled.
void FormGroups(Random& random, Scenario* scenario) {
  scenario->joins = random.Chance(0.3) ? 1 : 0.6;
  for (storage::Sku& sku : scenario->skus) {
    sku.stock = std::max<int64_t>(sku.stock, 8);
    for (int64_t i = random.Below(2); i >= 0; --i) {
      storage::GroupOffer offer;
      offer.sku_id = sku.sku_id;
      offer.offer_id = absl::StrCat("offer-", i);
      offer.seats = static_cast<int32_t>(random.Between(2, 4));
      offer.price_minor = random.Between(50, 99);
      offer.open_for = absl::Seconds(random.Between(1, 6));
      offer.pay_within = absl::Seconds(random.Between(1, 4));
      const bool partial = random.Chance(0.4);
      offer.on_timeout = partial ? storage::OnGroupTimeout::kPartial : storage::OnGroupTimeout::kRefund;
      offer.min_members = partial ? static_cast<int32_t>(random.Between(1, offer.seats)) : 1;
      scenario->offers.push_back(std::move(offer));
    }
  }
}

void ChangeTermsOften(Random& random, Scenario* scenario) {
  scenario->only_terms_change = true;
  scenario->between_operations = absl::Milliseconds(random.Between(50, 500));
}

}  // namespace

std::vector<std::string> ScenarioNames() {
  std::vector<std::string> names;
  for (const Kind& kind : Kinds()) names.push_back(kind.name);
  names.push_back(kDoorScenario);
  return names;
}

Scenario ScenarioFor(Random& random, absl::string_view name, absl::Time start) {
  const Kind& kind = ChooseKind(random, name);
  Scenario scenario;
  scenario.name = kind.name;
  scenario.nodes = static_cast<int>(random.Between(1, 5));
  scenario.balancers = random.Chance(0.4) ? 2 : 1;
  scenario.workers = random.Chance(0.4) ? 2 : 1;
  scenario.second_sink = random.Chance(0.2);
  const int skus = static_cast<int>(random.Between(1, 4));
  for (int i = 0; i < skus; ++i) {
    scenario.skus.push_back(ChooseSku(random, i, start));
    scenario.created_late.push_back(i > 0 && random.Chance(0.2));
  }
  scenario.shape = static_cast<DemandShape>(random.Below(3));
  scenario.between_requests = absl::Milliseconds(random.Chance(0.3) ? random.Between(5, 20) : random.Between(30, 200));
  scenario.users = random.Between(3, 60);
  ChooseLimits(random, &scenario);
  ChooseDelays(random, &scenario);
  ChooseFaults(random, kind, &scenario);
  scenario.between_operations =
      random.Chance(0.5) ? absl::Milliseconds(random.Between(500, 5000)) : absl::InfiniteDuration();
  scenario.faulty_phase = absl::Seconds(random.Between(3, 20));
  scenario.one_buyer_node_at_the_end = random.Chance(0.4);
  if (scenario.name == "unbalanced") LeaveOutWhatNeedsABalancer(&scenario);
  if (scenario.name == "dry") LetManyNodesRunDry(random, &scenario);
  if (scenario.name == "pauses") ChangeTermsOften(random, &scenario);
  if (scenario.name == "queue") QueueClaims(random, &scenario);
  const bool queues_joins = scenario.name == "queue" && random.Chance(0.3);
  if (scenario.name == "groups" || queues_joins) FormGroups(random, &scenario);
  return scenario;
}

}  // namespace tranche::simulation
