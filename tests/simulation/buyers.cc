#include "tests/simulation/buyers.h"

#include <utility>
#include <variant>

#include "absl/strings/str_cat.h"

namespace tranche::simulation {
namespace {

using storage::Refusal;

constexpr absl::Duration kShortestWay = absl::Microseconds(50);
constexpr absl::Duration kLongestWay = absl::Milliseconds(3);
constexpr absl::Duration kJumpEvery = absl::Seconds(5);

storage::Uuid NumberedId(int64_t number) {
  storage::Uuid id;
  for (size_t i = 0; i < 8; ++i) id.bytes[15 - i] = static_cast<uint8_t>(number >> (8 * i));
  return id;
}

// Would the SDK try again, elsewhere or later?
bool IsRetried(Refusal refusal) {
  switch (refusal) {
    case Refusal::kExhaustedHere:
    case Refusal::kOverloaded:
    case Refusal::kLedgerUnavailable:
    case Refusal::kCommitUnknown:
    case Refusal::kDraining:
      return true;
    default:
      return false;
  }
}

}  // namespace

class Buyers::Try {
 public:
  Try(Buyers* buyers, std::shared_ptr<FrontNode> node, std::shared_ptr<Purchase> purchase)
      : buyers_(buyers), node_(node.get()), purchase_(std::move(purchase)), may_exist_(purchase_->may_exist) {
    Checker& checker = buyers_->world_->checker;
    sent_before_ = checker.TimesSent(purchase_->claim.reservation_id);
    begun_at_ = buyers_->world_->scheduler.Now();
    existed_ = checker.Exists(purchase_->claim.reservation_id);
    checker.OnTryBegun(purchase_->claim);
    ++buyers_->open_tries_;
  }
  Try(const Try&) = delete;
  Try& operator=(const Try&) = delete;

  ~Try() {
    if (purchase_ != nullptr) Lose();
  }

  void Answer(const quota::SaleResult& result) {
    // A dead process tells nobody anything.
    if (node_->process().crashed()) return Lose();
    Checker& checker = buyers_->world_->checker;
    checker.OnAnswer(node_->process().actor(), purchase_->claim, may_exist_, existed_, result);
    checker.CheckCounter(node_->slices(), purchase_->claim.sku_id, /*settled=*/false);
    CheckWaiting(result);
    --buyers_->open_tries_;
    buyers_->Ended(std::exchange(purchase_, nullptr), &result);
  }

 private:
  // A buyer who has waited for units in vain may be refused only if there are none: only a move can bring units, and a
  // move wakes those who wait.
  void CheckWaiting(const quota::SaleResult& result) {
    const auto* refused = std::get_if<quota::Refused>(&result);
    World& world = *buyers_->world_;
    const absl::Duration wait = world.scenario.exhausted_wait;
    const bool waited = wait > absl::ZeroDuration() && world.scheduler.Now() - begun_at_ >= wait && !may_exist_ &&
                        world.checker.TimesSent(purchase_->claim.reservation_id) == sent_before_;
    if (refused == nullptr || refused->refusal != Refusal::kExhaustedHere || !waited) return;
    const auto slice = node_->slices().Find(purchase_->claim.sku_id);
    // Without terms nothing can be sold: the SKU's own announcement is not there.
    if (slice == nullptr || slice->terms() == nullptr || slice->counter().version() == 0) return;
    if (slice->counter().free() >= purchase_->claim.quantity) {
      world.checker.Violated("waiting",
                             absl::StrCat("a request for ", purchase_->claim.quantity, " of ", purchase_->claim.sku_id,
                                          " waited for ", absl::FormatDuration(world.scheduler.Now() - begun_at_),
                                          " and was refused with ", slice->counter().free(), " free"));
    }
  }

  void Lose() {
    if (!node_->process().crashed()) buyers_->world_->checker.Violated("one answer", "a request was never answered");
    buyers_->world_->checker.OnTryLost(purchase_->claim.reservation_id);
    --buyers_->open_tries_;
    buyers_->Ended(std::exchange(purchase_, nullptr), nullptr);
  }

  Buyers* const buyers_;
  FrontNode* const node_;  // keeps this alive
  std::shared_ptr<Purchase> purchase_;
  const bool may_exist_;
  bool existed_ = false;
  int64_t sent_before_ = 0;
  absl::Time begun_at_;
};

void Buyers::Start(absl::Duration between_requests, bool everybody_new, bool all_to_one_node) {
  between_requests_ = between_requests;
  everybody_new_ = everybody_new;
  all_to_one_node_ = all_to_one_node;
  coming_ = true;
  started_at_ = world_->scheduler.Now();
  Come(++generation_);
}

void Buyers::Come(uint64_t generation) {
  if (!coming_ || generation != generation_) return;
  const std::shared_ptr<Purchase> purchase = NewPurchase();
  Send(purchase);
  if (world_->faulty && random_.Chance(world_->scenario.call_faults.request_duplicated)) {
    // The network, or an impatient client: the same id again, on any node.
    world_->Count(Fault::kRequestDuplicated);
    auto twin = std::make_shared<Purchase>(*purchase);
    twin->node = ChooseNode();
    Send(std::move(twin));
  }
  world_->scheduler.After(random_.Between(absl::ZeroDuration(), between_requests_ * 2),
                          [this, generation] { Come(generation); });
}

std::shared_ptr<Buyers::Purchase> Buyers::NewPurchase() {
  const Scenario& scenario = world_->scenario;
  ++requests_;
  const storage::Sku& sku = random_.Pick(scenario.skus);
  auto purchase = std::make_shared<Purchase>(Purchase{.claim = {}, .random = random_.Fork()});
  purchase->claim.reservation_id = NumberedId(requests_);
  purchase->claim.sku_id = sku.sku_id;
  purchase->claim.user_id =
      everybody_new_ ? absl::StrCat("new-", requests_) : absl::StrCat("user-", random_.Below(scenario.users));
  purchase->claim.quantity = static_cast<int32_t>(random_.Chance(0.6) ? 1 : random_.Between(1, sku.per_user_limit));
  purchase->tries_left = scenario.most_tries;
  purchase->node = ChooseNode();
  return purchase;
}

int Buyers::ChooseNode() {
  const int nodes = cluster_->nodes();
  if (all_to_one_node_) return 0;
  switch (world_->scenario.shape) {
    case DemandShape::kEven:
      break;
    case DemandShape::kOneNode:
      if (random_.Chance(0.95)) return 0;
      break;
    case DemandShape::kJumping:
      return static_cast<int>((world_->scheduler.Now() - started_at_) / kJumpEvery) % nodes;
  }
  return static_cast<int>(random_.Below(nodes));
}

void Buyers::Send(std::shared_ptr<Purchase> purchase) {
  --purchase->tries_left;
  const absl::Duration way = purchase->random.Between(kShortestWay, kLongestWay);
  world_->scheduler.After(way, [this, purchase = std::move(purchase)]() mutable { Arrive(std::move(purchase)); });
}

void Buyers::Arrive(std::shared_ptr<Purchase> purchase) {
  const std::shared_ptr<FrontNode> node = cluster_->node(purchase->node);
  // Nobody listens there: nothing was begun.
  if (node == nullptr || !node->serving()) return TryAgain(std::move(purchase), absl::Milliseconds(20));
  if (node->process().paused()) {
    return world_->scheduler.After(node->process().paused_for(),
                                   [this, purchase = std::move(purchase)]() mutable { Arrive(std::move(purchase)); });
  }
  const storage::ReservationClaim claim = purchase->claim;
  const bool may_exist = purchase->may_exist;
  auto attempt = std::make_unique<Try>(this, node, std::move(purchase));
  node->Sell(claim, world_->scheduler.Now() + world_->scenario.request_deadline, may_exist,
             [attempt = std::move(attempt)](const quota::SaleResult& result) { attempt->Answer(result); });
}

void Buyers::Ended(const std::shared_ptr<Purchase>& purchase, const quota::SaleResult* result) {
  if (result == nullptr) {
    purchase->may_exist = true;
    return TryAgain(purchase, absl::Milliseconds(10));
  }
  const auto* refused = std::get_if<quota::Refused>(result);
  if (refused == nullptr) return aftersale_->Begin(std::get<quota::Sold>(*result).reservation);
  if (!IsRetried(refused->refusal)) return;
  if (refused->refusal == Refusal::kCommitUnknown) purchase->may_exist = true;
  TryAgain(purchase, absl::Milliseconds(10));
}

void Buyers::TryAgain(std::shared_ptr<Purchase> purchase, absl::Duration pause) {
  if (purchase->tries_left <= 0 || world_->scheduler.stopping()) return;
  // At another node, but sometimes at the same one.
  if (!all_to_one_node_) purchase->node = static_cast<int>(purchase->random.Below(cluster_->nodes()));
  const absl::Duration wait = purchase->random.Between(pause, pause * 10);
  world_->scheduler.After(wait, [this, purchase = std::move(purchase)]() mutable { Send(std::move(purchase)); });
}

}  // namespace tranche::simulation
