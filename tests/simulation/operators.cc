#include "tests/simulation/operators.h"

#include <algorithm>
#include <utility>
#include <vector>

#include "absl/strings/str_cat.h"
#include "quota/balancer/operator_plans.h"
#include "quota/coordination/coordination_paths.h"
#include "storage/ledger/ledger_error.h"
#include "tranche/internal/v1/coordination.pb.h"

namespace tranche::simulation {
namespace {

constexpr char kName[] = "operator";
constexpr absl::Duration kPause = absl::Milliseconds(200);
constexpr absl::Duration kLook = absl::Seconds(2);

}  // namespace

// One operator's process, for one operation: it may crash in the middle.
class Operators::Console : public quota::SessionSource, public quota::CoordinationObserver {
 public:
  Console(World* world, ActorId actor)
      : process_(world, actor),
        ledger_(&process_),
        connector_(&process_),
        announcer_(this),
        mover_(&ledger_, &announcer_) {
    auto session = connector_.Connect(this);
    if (session.ok()) session_ = *std::move(session);
  }

  std::shared_ptr<quota::Coordination> Session() override { return session_; }
  void OnChanged(const std::string&) override {}
  void OnConnected() override {}
  void OnDisconnected() override {}
  void OnSessionExpired() override {}

  Process& process() { return process_; }
  SimLedger& ledger() { return ledger_; }
  quota::QuotaMover& mover() { return mover_; }

  void Announce(const storage::Sku& sku) { announcer_.Announce({{{sku, /*always=*/true}}}, {}).IgnoreError(); }
  void AnnounceSlices(const std::string& sku_id) {
    const auto quota = ledger_.ReadQuota(sku_id);
    if (!quota.ok()) return;
    std::vector<quota::SliceToAnnounce> slices;
    for (const storage::HeldSlice& slice : quota->slices) {
      if (slice.holder != storage::kPool) slices.push_back({slice.holder, sku_id, slice.allotted, slice.version});
    }
    announcer_.AnnounceSlices(slices).IgnoreError();
  }
  bool SetDraining(storage::IncarnationId incarnation, bool draining) {
    if (!ledger_.SetDraining(incarnation, draining, kName).ok() || session_ == nullptr) return false;
    const std::string path = quota::DrainPath(incarnation);
    internal::v1::DrainRequest request;
    const absl::Status status =
        draining ? session_->Create(path, request.SerializeAsString(), quota::CreateMode::kPersistent)
                 : session_->Delete(path, quota::kAnyVersion);
    return status.ok() || absl::IsNotFound(status) || absl::IsAlreadyExists(status);
  }

 private:
  Process process_;
  SimLedger ledger_;
  SimConnector connector_;
  quota::Announcer announcer_;
  quota::QuotaMover mover_;
  std::shared_ptr<quota::Coordination> session_;
};

void Operators::Run() {
  CreateSkus(/*late=*/false);
  bool late = false;
  const absl::Time midway = world_->scheduler.Now() + world_->scenario.faulty_phase / 2;
  while (world_->faulty && !world_->scheduler.stopping()) {
    const absl::Duration pause = std::min(world_->scenario.between_operations, world_->scenario.faulty_phase / 4);
    world_->scheduler.Sleep(random_.Between(absl::ZeroDuration(), pause * 2));
    if (!late && world_->scheduler.Now() >= midway) {
      CreateSkus(/*late=*/true);
      late = true;
    }
    if (world_->scenario.between_operations == absl::InfiniteDuration() || !world_->faulty) continue;
    Console console(world_, actor_);
    Operate(console);
  }
  if (!late) CreateSkus(/*late=*/true);
  Settle();
}

void Operators::CreateSkus(bool late) {
  for (size_t i = 0; i < world_->scenario.skus.size(); ++i) {
    if (world_->scenario.created_late[i] == late) CreateSku(world_->scenario.skus[i]);
  }
}

void Operators::CreateSku(const storage::Sku& sku) {
  while (!world_->scheduler.stopping()) {
    Console console(world_, actor_);
    const auto created = console.ledger().CreateSku(sku, kName);
    if (created.ok()) console.Announce(*created);
    if (created.ok() || absl::IsAlreadyExists(created.status())) return CreateOffers(sku.sku_id);
    world_->scheduler.Sleep(kPause);
  }
}

void Operators::CreateOffers(const std::string& sku_id) {
  for (const storage::GroupOffer& offer : world_->scenario.offers) {
    if (offer.sku_id != sku_id) continue;
    while (!world_->scheduler.stopping()) {
      Console console(world_, actor_);
      if (console.ledger().CreateGroupOffer(offer, /*preview=*/false, kName).ok()) break;
      world_->scheduler.Sleep(kPause);
    }
  }
}

void Operators::ChangeGroups(Console& console) {
  const std::vector<GroupChecker::Seen> forming = world_->groups.Forming();
  if (!forming.empty() && random_.Chance(0.8)) {
    const storage::Uuid group = random_.Pick(forming).group_id;
    console.process().Note("cancels a group");
    console.ledger().CancelGroup(group, /*sku_id=*/"", "a mistake", /*preview=*/false, kName).IgnoreError();
    return;
  }
  const storage::GroupOffer& offer = random_.Pick(world_->scenario.offers);
  // The first of each SKU stays, so that groups are opened to the end.
  if (offer.offer_id == "offer-0") return;
  console.process().Note("closes an offer");
  console.ledger().CloseGroupOffer(offer.sku_id, offer.offer_id, /*preview=*/false, kName).IgnoreError();
}

void Operators::Operate(Console& console) {
  const std::string sku_id = random_.Pick(world_->scenario.skus).sku_id;
  if (world_->scenario.paths_change && random_.Chance(0.5)) {
    return random_.Chance(0.6) ? ChangePath(console, sku_id) : LetConsumersRest(console);
  }
  if (!world_->scenario.offers.empty() && random_.Chance(0.4)) return ChangeGroups(console);
  const auto choice = world_->scenario.only_terms_change ? random_.Between(9, 11) : random_.Below(12);
  if (choice < 2) return ChangeStock(console, sku_id);
  if (choice == 2) return Drain(console);
  if (choice == 9) return ChangePrice(console, sku_id);
  if (choice > 9) return PauseOrResume(console, sku_id);
  if (choice == 3) {
    // Claims for units that no consumer can get would fill its hands, to the harm of all others.
    if (world_->scenario.consumers > 0) return;
    const bool freeze = !frozen_.contains(sku_id);
    if (!console.ledger().SetQuotaFrozen(sku_id, freeze, kName).ok()) return;
    freeze ? (void)frozen_.insert(sku_id) : (void)frozen_.erase(sku_id);
    return console.process().Note(freeze ? "freezes" : "thaws");
  }
  const auto quota = console.ledger().ReadQuota(sku_id);
  const auto incarnations = console.ledger().ListLiveIncarnations();
  if (!quota.ok() || !incarnations.ok() || incarnations->empty()) return;
  std::vector<storage::IncarnationId> live;
  for (const storage::Incarnation& incarnation : *incarnations) live.push_back(incarnation.id);
  std::vector<storage::QuotaDelta> deltas;
  if (choice == 7) {
    deltas = Rebalance(*quota, live);
  } else if (choice < 6) {
    deltas = quota::SetRemaining(*quota, live, random_.Pick(live), random_.Between(0, 10)).value_or(deltas);
  } else {
    // More than anybody has, as an operator may type by mistake.
    deltas = {{random_.Pick(live), random_.Between(-30, 30)}};
  }
  console.process().Note("moves quota", static_cast<int64_t>(deltas.size()));
  if (!deltas.empty()) console.mover().Move(sku_id, deltas, quota->quota_version, kName).IgnoreError();
}

std::vector<storage::QuotaDelta> Operators::Rebalance(const storage::QuotaSnapshot& quota,
                                                      const std::vector<storage::IncarnationId>& live) {
  std::vector<quota::WeightedReceiver> receivers;
  for (const storage::IncarnationId incarnation : live) receivers.push_back({incarnation, random_.Between(1, 9)});
  const std::vector<storage::QuotaDelta> deltas = quota::WeightedShares(quota, receivers);
  // Everything is handed out, to the last unit.
  int64_t left = quota.slices.front().remaining;
  for (const storage::QuotaDelta& delta : deltas) left -= delta.units;
  if (left != 0) world_->checker.Violated("exact plans", absl::StrCat("a rebalancing leaves ", left, " in the pool"));
  return deltas;
}

// The expected stock makes it safe to repeat when the answer was lost.
void Operators::ChangeStock(Console& console, const std::string& sku_id) {
  const auto sku = console.ledger().GetSku(sku_id);
  if (!sku.ok()) return;
  const bool add = random_.Chance(0.6);
  const int64_t units = random_.Between(1, 10);
  for (int i = 0; i < 3; ++i) {
    absl::Status status;
    if (add) {
      const auto added = console.ledger().AddStock(sku_id, units, sku->stock, kName);
      if (added.ok()) return console.Announce(*added);
      status = added.status();
    } else {
      const auto reduced = console.ledger().ReduceStock(sku_id, units, sku->stock, kName);
      if (reduced.ok()) {
        console.AnnounceSlices(sku_id);
        return console.Announce(reduced->sku);
      }
      status = reduced.status();
    }
    if (!storage::IsUnknownCommit(status)) return;
  }
}

void Operators::Drain(Console& console) {
  const std::shared_ptr<FrontNode> node = cluster_->node(static_cast<int>(random_.Below(cluster_->nodes())));
  if (node == nullptr || !node->serving()) return;
  const bool drain = !node->draining();
  console.process().Note(drain ? "drains" : "undrains", node->incarnation());
  console.SetDraining(node->incarnation(), drain);
}

void Operators::PauseOrResume(Console& console, const std::string& sku_id) {
  const bool pause = !paused_.contains(sku_id);
  const auto changed = console.ledger().SetSkuPaused(sku_id, pause, pause ? "a break" : "", std::nullopt, kName);
  if (!changed.ok()) return;
  pause ? (void)paused_.insert(sku_id) : (void)paused_.erase(sku_id);
  console.process().Note(pause ? "pauses" : "resumes");
  console.Announce(*changed);
}

void Operators::ChangePrice(Console& console, const std::string& sku_id) {
  auto sku = console.ledger().GetSku(sku_id);
  if (!sku.ok()) return;
  sku->price_minor = random_.Between(1, 500);
  const auto updated = console.ledger().UpdateSku(*sku, kName);
  if (updated.ok()) console.Announce(*updated);
}

void Operators::ChangePath(Console& console, const std::string& sku_id) {
  auto sku = console.ledger().GetSku(sku_id);
  if (!sku.ok()) return;
  static constexpr storage::ClaimPath kPaths[] = {storage::ClaimPath::kDirect, storage::ClaimPath::kQueue,
                                                  storage::ClaimPath::kAuto};
  sku->claim_path = kPaths[random_.Below(3)];
  const auto updated = console.ledger().UpdateSku(*sku, kName);
  if (!updated.ok()) return;
  console.process().Note("changes the path", static_cast<int64_t>(sku->claim_path));
  console.Announce(*updated);
}

void Operators::LetConsumersRest(Console& console) {
  const bool paused = !world_->broker.claims_paused();
  console.process().Note(paused ? "pauses the queues" : "resumes the queues");
  world_->broker.SetClaimsPaused(paused);
}

void Operators::Settle() {
  // Some quotas stay frozen: their units may stay where they are.
  for (const storage::Sku& sku : world_->scenario.skus) {
    if (frozen_.contains(sku.sku_id) && random_.Chance(0.7)) frozen_.erase(sku.sku_id);
  }
  while (!world_->scheduler.stopping()) {
    const bool done = SettleOnce();
    if (done && !settled_) world_->trace.Add(world_->scheduler.Now(), actor_, "everything is as it should be");
    settled_ = settled_ || done;
    // A drained node stays drained in its next incarnation, which may come later.
    world_->scheduler.Sleep(settled_ ? kLook : kPause);
  }
}

bool Operators::SettleOnce() {
  Console console(world_, actor_);
  world_->broker.SetClaimsPaused(false);
  const int64_t retried = world_->broker.RetryDead();
  if (retried > 0) {
    console.process().Note("retries dead claims", retried);
    world_->claims.Count("retried when dead");
  }
  bool done = true;
  for (const storage::Sku& sku : world_->scenario.skus) {
    const absl::Status set = console.ledger().SetQuotaFrozen(sku.sku_id, frozen_.contains(sku.sku_id), kName).status();
    // The ledger was restored to a time before it was created.
    if (absl::IsNotFound(set)) CreateSku(sku);
    done &= set.ok();
    // Announced each time: the announcement of an earlier try may be lost.
    const auto resumed = console.ledger().SetSkuPaused(sku.sku_id, false, "", std::nullopt, kName);
    if (resumed.ok()) console.Announce(*resumed);
    done &= resumed.ok();
  }
  const auto live = console.ledger().ListLiveIncarnations();
  if (!live.ok()) return false;
  for (const storage::Incarnation& incarnation : *live) {
    if (incarnation.draining) done &= console.SetDraining(incarnation.id, false);
  }
  return done;
}

}  // namespace tranche::simulation
