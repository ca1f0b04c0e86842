#include "tests/simulation/door/door_crowd.h"

#include <algorithm>
#include <iterator>
#include <utility>

#include "absl/strings/str_cat.h"
#include "tests/simulation/door/door_people.h"
#include "tests/simulation/door/door_solver.h"

namespace tranche::simulation {
namespace {

constexpr int kMostTriesOfBuyer = 12;
constexpr int kLastBuyersOfEach = 2;
constexpr int kMostTriesAtLast = 60;
constexpr double kGoesAway = 0.1;
constexpr double kComesEarly = 0.3;  // from a delay

std::string AnySkuOf(const DoorBooks& books, Random& random) {
  return std::next(books.skus.begin(), random.Below(static_cast<int64_t>(books.skus.size())))->first;
}

}  // namespace

DoorCrowd::DoorCrowd(DoorCluster* cluster, DoorBalancer* balancer, DoorChecker* checker, Random random,
                     Scheduler* scheduler)
    : cluster_(cluster),
      balancer_(balancer),
      checker_(checker),
      random_(random),
      scheduler_(scheduler),
      room_opens_at_(scheduler->Now() + cluster->plan().room_opens_after) {}

std::vector<std::string> DoorCrowd::KnownSubjects() {
  std::vector<std::string> subjects = {DoorNetworkOf(kBotAddress)};
  for (int i = 0; i < kDoorNetworks; ++i) {
    subjects.push_back(DoorNetworkOf(HonestBuyer(i, absl::UnixEpoch()).address));
  }
  for (int i = 0; i < kHonestUsers; i += 3) subjects.push_back(HonestUser(i));
  for (int i = 0; i < kBots; i += 2) subjects.push_back(BotUser(i));
  return subjects;
}

void DoorCrowd::Start() {
  const absl::Duration pause = cluster_->plan().between_visits;
  scheduler_->After(random_.Between(absl::ZeroDuration(), 2 * pause), [this] {
    if (stopped_) return;
    Act();
    Start();
  });
}

void DoorCrowd::Act() {
  const int64_t kind = random_.Below(20);
  if (kind < 9) {
    DoorTry asks = HonestBuyer(random_.Below(kHonestUsers), scheduler_->Now());
    asks.sku_id = AnySkuOf(*cluster_->home().books(), random_);
    SendBuyer(std::move(asks), /*last=*/false);
  } else if (kind < 10) {
    Spray();
  } else if (kind < 13) {
    Invent();
  } else {
    Replay();
  }
}

quota::GateVerdict DoorCrowd::Claim(int node, const DoorTry& asks) {
  ++visits_;
  quota::GateVerdict verdict = cluster_->Claim(node, asks);
  if (!verdict.refused.has_value()) ++bought_;
  return verdict;
}

server::DoorEntry DoorCrowd::Enter(int node, DoorTry asks) {
  ++visits_;
  asks.sale_open = asks.sku_id != kRoomSku || scheduler_->Now() >= room_opens_at_;
  server::DoorEntry entry = cluster_->Enter(node, asks);
  if (entry.place.has_value() && entry.room.has_value()) balancer_->NoteWaiting(entry.room->round, entry.place->rank);
  return entry;
}

std::string DoorCrowd::Solve(const std::string& challenge, bool last) {
  if (!last && solutions_left_-- <= 0) return "";
  std::string solution = SolveDoorChallenge(challenge);
  checker_->OnSolved(challenge, solution);
  return solution;
}

void DoorCrowd::SendBuyer(DoorTry asks, bool last) {
  auto buyer = std::make_shared<Buyer>();
  buyer->asks = std::move(asks);
  buyer->tries_left = last ? kMostTriesAtLast : kMostTriesOfBuyer;
  buyer->last = last;
  Come(std::move(buyer));
}

void DoorCrowd::SendLastBuyers() {
  for (const char* const sku : {kLimitedSku, kChallengeSku, kRoomSku, kTieredSku}) {
    // Without scripts nobody can solve a challenge: one of them comes only where there is a delay.
    const int buyers = kLastBuyersOfEach + (cluster_->home().books()->TermsOf(sku)->delay.has_value() ? 1 : 0);
    for (int i = 0; i < buyers; ++i) {
      ++still_waiting_;
      SendBuyer(LastBuyer(sku, i, scheduler_->Now()), /*last=*/true);
    }
  }
}

void DoorCrowd::Come(std::shared_ptr<Buyer> buyer) {
  if (buyer->tries_left-- == 0 || (!buyer->last && random_.Chance(kGoesAway))) return;
  const DoorTerms& terms = *cluster_->home().books()->TermsOf(buyer->asks.sku_id);
  const bool enters = terms.token_lifetime.has_value() && buyer->asks.token.empty();
  const absl::Duration pause = enters ? TryToEnter(*buyer) : TryToBuy(*buyer);
  if (pause == absl::InfiniteDuration()) return;
  // As soon as they are told, or a little later.
  const absl::Duration later = pause + random_.Between(absl::Milliseconds(1), absl::Seconds(3));
  scheduler_->After(later, [this, buyer = std::move(buyer)]() mutable { Come(std::move(buyer)); });
}

absl::Duration DoorCrowd::TryToBuy(Buyer& buyer) {
  const quota::GateVerdict verdict = Claim(AnyNode(), buyer.asks);
  if (!verdict.refused.has_value()) {
    if (buyer.last) --still_waiting_;
    return absl::InfiniteDuration();
  }
  if (verdict.refused->refusal == storage::Refusal::kRateLimited) return verdict.refused->retry_after;
  // It may have expired meanwhile.
  buyer.asks.token.clear();
  return absl::Seconds(1);
}

absl::Duration DoorCrowd::TryToEnter(Buyer& buyer) {
  if (!buyer.last) LetOthersJudge(random_, &buyer.asks);
  const server::DoorEntry entry = Enter(AnyNode(), buyer.asks);
  if (entry.refused.has_value()) return entry.refused->retry_after;
  if (entry.place.has_value()) buyer.asks.ticket = entry.place->ticket;
  buyer.asks.token = entry.purchase_token;
  if (!buyer.last) buyer.asks.captcha = entry.captcha ? AnyCaptchaVerdict(random_) : server::CaptchaVerdict::kNone;
  if (!entry.delay_ticket.empty()) {
    buyer.asks.delay_ticket = entry.delay_ticket;
    return !buyer.last && random_.Chance(kComesEarly) ? entry.retry_after / 2 : entry.retry_after;
  }
  if (!entry.challenge.empty()) buyer.asks.solution = Solve(entry.challenge, buyer.last);
  const bool gives_up = !entry.challenge.empty() && buyer.asks.solution.empty();
  return gives_up ? absl::InfiniteDuration() : entry.retry_after;
}

DoorTry DoorCrowd::AnyBot() { return SomeBot(AnySkuOf(*cluster_->home().books(), random_), random_); }

// One bot, or a few in turn, at all nodes in one moment.
void DoorCrowd::Spray() {
  const DoorTry first = AnyBot();
  const int64_t bots = random_.Between(1, 4);
  const int64_t tries = random_.Between(20, 100);
  for (int64_t i = 0; i < tries && !scheduler_->stopping(); ++i) {
    DoorTry asks = first;
    asks.user_id = BotUser(i % bots);
    const int node = static_cast<int>(i / bots % cluster_->nodes());
    if (i % 8 == 7) {
      Enter(node, asks);
    } else {
      Claim(node, asks);
    }
  }
}

// Users, addresses and papers that nobody has ever seen.
void DoorCrowd::Invent() {
  for (int64_t i = random_.Between(1, 8); i > 0 && !scheduler_->stopping(); --i) {
    DoorTry asks = AnyBot();
    const int64_t number = random_.Below(1'000'000);
    if (random_.Chance(0.7)) asks.user_id = absl::StrCat("invented-", number);
    if (random_.Chance(0.3)) asks.address = absl::StrCat("10.200.", number % 250, ".", number % 7);
    asks.token = absl::StrCat("v4.local.", number);
    asks.ticket = asks.token;
    asks.delay_ticket = asks.token;
    asks.solution = absl::StrCat("e30", number);
    if (random_.Chance(0.5)) {
      Claim(AnyNode(), asks);
    } else {
      Enter(AnyNode(), asks);
    }
  }
}

void DoorCrowd::Replay() {
  const int64_t kind = random_.Below(10);
  if (kind < 4) return ReplayOne(checker_->tokens(), &DoorTry::token, /*claims=*/true);
  if (kind < 6) return ReplayOne(checker_->tickets(), &DoorTry::ticket, /*claims=*/false);
  if (kind < 8) return ReplayOne(checker_->delays(), &DoorTry::delay_ticket, /*claims=*/false);
  ReplayOne(checker_->solutions(), &DoorTry::solution, /*claims=*/false);
}

// By its owner or another, for its SKU or another, as it is or altered.
void DoorCrowd::ReplayOne(const DoorPapers& papers, std::string DoorTry::*place, bool claims) {
  if (papers.empty()) return;
  const auto& [text, paper] = *std::next(papers.begin(), random_.Below(static_cast<int64_t>(papers.size())));
  DoorTry asks = AnyBot();
  if (random_.Chance(0.8)) asks.sku_id = paper.sku_id;
  if (random_.Chance(0.6)) asks.user_id = paper.user_id;
  asks.address = absl::StrCat("10.8.", random_.Below(250), ".1");
  // Who says that they run no scripts has nothing from a solution, nor have others from a delay.
  asks.without_scripts = place == &DoorTry::delay_ticket && random_.Chance(0.8);
  asks.*place = text;
  // Of a solution, something could be altered that says nothing.
  if (place != &DoorTry::solution && random_.Chance(0.1)) {
    char& letter = (asks.*place)[static_cast<size_t>(random_.Below(static_cast<int64_t>(text.size())))];
    letter = letter == 'A' ? 'B' : 'A';
    asks.altered = true;
  }
  if (claims) {
    Claim(AnyNode(), asks);
  } else {
    Enter(AnyNode(), asks);
  }
}

}  // namespace tranche::simulation
