#include "tests/simulation/buyers.h"

#include <algorithm>
#include <map>
#include <utility>
#include <variant>

#include "absl/strings/str_cat.h"
#include "storage/ledger/claim_refusal.h"
#include "tests/simulation/groups/group_choice.h"

namespace tranche::simulation {
namespace {

using storage::Refusal;

constexpr absl::Duration kShortestWay = absl::Microseconds(50);
constexpr absl::Duration kLongestWay = absl::Milliseconds(3);
constexpr absl::Duration kJumpEvery = absl::Seconds(5);
constexpr double kCarts = 0.25;
constexpr int64_t kMostLines = 3;
// Who was told what became of their claim, and sends it once more.
constexpr double kRepeatDecided = 0.15;

storage::Uuid NumberedId(int64_t number) {
  storage::Uuid id;
  for (size_t i = 0; i < 8; ++i) id.bytes[15 - i] = static_cast<uint8_t>(number >> (8 * i));
  return id;
}

std::map<std::string, int64_t> UnitsBySku(const std::vector<storage::ReservationClaim>& lines) {
  std::map<std::string, int64_t> units;
  for (const storage::ReservationClaim& line : lines) units[line.sku_id] += line.quantity;
  return units;
}

// Would the SDK try again, elsewhere or later?
bool IsRetried(Refusal refusal) {
  switch (refusal) {
    case Refusal::kExhaustedHere:
    case Refusal::kOverloaded:
    case Refusal::kLedgerUnavailable:
    case Refusal::kCommitUnknown:
    case Refusal::kDraining:
    case Refusal::kQueueUnavailable:
    case Refusal::kQueueFull:
      return true;
    default:
      return false;
  }
}

std::vector<storage::Uuid> IdsOf(const std::vector<storage::ReservationClaim>& lines) {
  std::vector<storage::Uuid> ids;
  for (const storage::ReservationClaim& line : lines) ids.push_back(line.reservation_id);
  return ids;
}

}  // namespace

class Buyers::Try {
 public:
  Try(Buyers* buyers, std::shared_ptr<FrontNode> node, std::shared_ptr<Purchase> purchase)
      : buyers_(buyers), node_(node.get()), purchase_(std::move(purchase)), may_exist_(purchase_->may_exist) {
    Checker& checker = buyers_->world_->checker;
    // All lines of a cart are sent and exist, or none.
    sent_before_ = checker.TimesSent(purchase_->lines.front().reservation_id);
    begun_at_ = buyers_->world_->scheduler.Now();
    existed_ = checker.Exists(purchase_->lines.front().reservation_id);
    for (const storage::ReservationClaim& line : purchase_->lines) checker.OnTryBegun(line);
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
    Outcome outcome;
    const auto* sold = std::get_if<quota::Sold>(&result);
    if (sold != nullptr) outcome.sold = {sold->reservation};
    if (sold != nullptr && ToldOf(outcome.sold) == ClaimTold::kRefused) return EndAsDecidedBefore();
    buyers_->world_->checker.OnAnswer(node_->process().actor(), purchase_->lines.front(), may_exist_, existed_, result);
    if (const auto* queued = std::get_if<quota::Queued>(&result)) outcome.queued = *queued;
    if (const auto* refused = std::get_if<quota::Refused>(&result)) outcome.refused = *refused;
    End(outcome);
  }

  void AnswerCart(const quota::CartSale& sale) {
    if (node_->process().crashed()) return Lose();
    Outcome outcome;
    const auto* sold = std::get_if<quota::CartSold>(&sale);
    if (sold != nullptr) outcome.sold = sold->reservations;
    if (sold != nullptr && ToldOf(outcome.sold) == ClaimTold::kRefused) return EndAsDecidedBefore();
    const auto* refused = std::get_if<quota::CartRefused>(&sale);
    if (refused != nullptr && IsPartlyDecided(refused->refused.refusal)) return EndAsDecidedBefore();
    buyers_->world_->checker.OnCartAnswer(node_->process().actor(), purchase_->lines, may_exist_, existed_, sale);
    if (const auto* queued = std::get_if<quota::Queued>(&sale)) outcome.queued = *queued;
    if (refused != nullptr) outcome.refused = refused->refused;
    End(outcome);
  }

 private:
  // What the rows in an answer say.
  ClaimTold ToldOf(const std::vector<storage::Reservation>& rows) const {
    World& world = *buyers_->world_;
    if (world.scenario.consumers == 0) return ClaimTold::kUndecided;
    const absl::Time now = world.scheduler.Now();
    return world.claims.OnTold(IdsOf(purchase_->lines), rows, now, now);
  }

  // The lines of a cart may be refused for good one after the other. Whoever sends the cart again meanwhile is told
  // that some of its ids are taken.
  bool IsPartlyDecided(Refusal refusal) const {
    return refusal == Refusal::kReservationIdReused && buyers_->world_->claims.AnyRefused(IdsOf(purchase_->lines));
  }

  // An earlier try was queued, and refused for good: the server's handlers make a refusal out of that.
  void EndAsDecidedBefore() {
    for (const storage::ReservationClaim& line : purchase_->lines) {
      buyers_->world_->checker.OnDecidedBefore(line.reservation_id);
    }
    End({});
  }

  void End(const Outcome& outcome) {
    for (const auto& [sku_id, units] : UnitsBySku(purchase_->lines)) {
      buyers_->world_->checker.CheckCounter(node_->slices(), sku_id, /*settled=*/false);
    }
    CheckWaiting(outcome);
    --buyers_->open_tries_;
    buyers_->Ended(std::exchange(purchase_, nullptr), &outcome);
  }

  // A buyer who has waited for units in vain may be refused only if some are missing: only a move can bring units, and
  // a move wakes those who wait.
  void CheckWaiting(const Outcome& outcome) {
    World& world = *buyers_->world_;
    const absl::Duration wait = world.scenario.exhausted_wait;
    const bool waited = wait > absl::ZeroDuration() && world.scheduler.Now() - begun_at_ >= wait && !may_exist_ &&
                        world.checker.TimesSent(purchase_->lines.front().reservation_id) == sent_before_;
    if (!outcome.refused.has_value() || outcome.refused->refusal != Refusal::kExhaustedHere || !waited) return;
    for (const auto& [sku_id, units] : UnitsBySku(purchase_->lines)) {
      const auto slice = node_->slices().Find(sku_id);
      // Without terms nothing can be sold: the SKU's own announcement is not there.
      if (slice == nullptr || slice->terms() == nullptr || slice->counter().version() == 0) return;
      if (slice->counter().free() < units) return;
    }
    world.checker.Violated("waiting",
                           absl::StrCat("a request for ", purchase_->lines.size(), " lines, the first of ",
                                        purchase_->lines.front().quantity, " ", purchase_->lines.front().sku_id,
                                        ", waited for ", absl::FormatDuration(world.scheduler.Now() - begun_at_),
                                        " and was refused although all its units are there"));
  }

  void Lose() {
    if (!node_->process().crashed()) buyers_->world_->checker.Violated("one answer", "a request was never answered");
    for (const storage::ReservationClaim& line : purchase_->lines) {
      buyers_->world_->checker.OnTryLost(line.reservation_id);
    }
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
  auto purchase = std::make_shared<Purchase>(Purchase{.lines = {}, .random = random_.Fork()});
  const std::string user =
      everybody_new_ ? absl::StrCat("new-", requests_) : absl::StrCat("user-", random_.Below(scenario.users));
  // When everybody pays, all units are to find a buyer: those of a group that is not filled would come back.
  const bool joins = !scenario.offers.empty() && !aftersale_->everybody_pays() && random_.Chance(scenario.joins);
  purchase->lines.push_back(joins ? NewMember(user) : NewLine(random_.Pick(scenario.skus), user));
  purchase->cart = !joins && random_.Chance(kCarts);
  if (purchase->cart) AddLines(purchase.get());
  purchase->tries_left = scenario.most_tries;
  purchase->accept_queued = random_.Chance(scenario.accept_queued);
  purchase->node = ChooseNode();
  return purchase;
}

storage::ReservationClaim Buyers::NewLine(const storage::Sku& sku, const std::string& user) {
  storage::ReservationClaim line;
  line.reservation_id = NumberedId(++last_id_);
  line.sku_id = sku.sku_id;
  line.user_id = user;
  line.quantity = static_cast<int32_t>(random_.Chance(0.6) ? 1 : random_.Between(1, sku.per_user_limit));
  return line;
}

storage::ReservationClaim Buyers::NewMember(const std::string& user) {
  const GroupWish wish = ChooseGroup(*world_, random_, NumberedId(++last_id_));
  const auto sku = std::find_if(world_->scenario.skus.begin(), world_->scenario.skus.end(),
                                [&](const storage::Sku& one) { return one.sku_id == wish.sku_id; });
  storage::ReservationClaim claim = NewLine(*sku, user);
  claim.group = wish.join;
  return claim;
}

// Of any SKUs, also of the same one, as far as its limit allows.
void Buyers::AddLines(Purchase* purchase) {
  std::vector<storage::ReservationClaim>& lines = purchase->lines;
  for (int64_t more = random_.Below(kMostLines); more > 0; --more) {
    const storage::Sku& sku = random_.Pick(world_->scenario.skus);
    storage::ReservationClaim line = NewLine(sku, lines.front().user_id);
    if (UnitsBySku(lines)[sku.sku_id] + line.quantity <= sku.per_user_limit) lines.push_back(std::move(line));
  }
}

int Buyers::ChooseNode() {
  const int nodes = cluster_->front_nodes();
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
  const std::vector<storage::ReservationClaim> lines = purchase->lines;
  const bool cart = purchase->cart;
  const bool may_exist = purchase->may_exist;
  quota::Visitor visitor;
  visitor.accept_queued = purchase->accept_queued;
  const absl::Time deadline = world_->scheduler.Now() + world_->scenario.request_deadline;
  auto attempt = std::make_unique<Try>(this, node, std::move(purchase));
  if (cart) {
    std::vector<quota::Visitor> visitors(lines.size(), visitor);
    return node->SellCart(
        lines, deadline, may_exist,
        [attempt = std::move(attempt)](const quota::CartSale& sale) { attempt->AnswerCart(sale); },
        std::move(visitors));
  }
  node->Sell(
      lines.front(), deadline, may_exist,
      [attempt = std::move(attempt)](const quota::SaleResult& result) { attempt->Answer(result); }, visitor);
}

void Buyers::Ended(const std::shared_ptr<Purchase>& purchase, const Outcome* outcome) {
  if (outcome == nullptr) {
    purchase->may_exist = true;
    return TryAgain(purchase, absl::Milliseconds(10));
  }
  for (const storage::Reservation& sold : outcome->sold) aftersale_->Begin(sold);
  if (outcome->queued.has_value()) return AwaitDecision(purchase, *outcome->queued);
  if (!outcome->refused.has_value() || !IsRetried(outcome->refused->refusal)) return;
  if (outcome->refused->refusal == Refusal::kCommitUnknown) purchase->may_exist = true;
  TryAgain(purchase, absl::Milliseconds(10));
}

void Buyers::AwaitDecision(const std::shared_ptr<Purchase>& purchase, const quota::Queued& queued) {
  world_->claims.OnQueued(purchase->lines);
  askers_.Begin(queued, IdsOf(purchase->lines), purchase->random.Fork(), [this, purchase](ClaimTold told) {
    if (!purchase->random.Chance(kRepeatDecided)) return;
    world_->claims.Count(told == ClaimTold::kRefused ? "repeated after a refusal" : "repeated after a sale");
    purchase->may_exist = true;
    purchase->tries_left = std::max(purchase->tries_left, 1);
    TryAgain(purchase, absl::Milliseconds(10));
  });
}

void Buyers::TryAgain(std::shared_ptr<Purchase> purchase, absl::Duration pause) {
  if (purchase->tries_left <= 0 || world_->scheduler.stopping()) return;
  // At another node, but sometimes at the same one.
  if (!all_to_one_node_) purchase->node = static_cast<int>(purchase->random.Below(cluster_->front_nodes()));
  const absl::Duration wait = purchase->random.Between(pause, pause * 10);
  world_->scheduler.After(wait, [this, purchase = std::move(purchase)]() mutable { Send(std::move(purchase)); });
}

}  // namespace tranche::simulation
