#include "tests/benchmark/peers/peer_contract.h"

#include <gmock/gmock.h>

#include <algorithm>
#include <atomic>
#include <functional>
#include <thread>
#include <utility>
#include <vector>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "absl/strings/str_replace.h"

namespace tranche::peers {

void PrintTo(const PeerCase& one, std::ostream* out) { *out << one.kind; }

std::string PeerCaseName(const ::testing::TestParamInfo<PeerCase>& info) {
  return absl::StrReplaceAll(info.param.kind, {{"-", "_"}});
}

void PeerContract::SetUp() {
  const std::optional<Addresses> addresses = GetParam().addresses();
  if (!addresses.has_value()) GTEST_SKIP() << "the servers of " << GetParam().kind << " are not installed";
  absl::StatusOr<std::unique_ptr<Peer>> peer = MakePeer(GetParam().kind, *addresses);
  ASSERT_TRUE(peer.ok()) << peer.status();
  peer_ = *std::move(peer);
}

void PeerContract::TearDown() {
  if (peer_ != nullptr) peer_->Stop();
}

void PeerContract::Open(int skus, int64_t stock) {
  const absl::Status prepared = peer_->Prepare(skus, stock);
  ASSERT_TRUE(prepared.ok()) << prepared;
  const absl::Status started = peer_->Start();
  ASSERT_TRUE(started.ok()) << started;
}

std::unique_ptr<Seller> PeerContract::NewSeller() {
  absl::StatusOr<std::unique_ptr<Seller>> seller = peer_->MakeSeller();
  EXPECT_TRUE(seller.ok()) << seller.status();
  return seller.ok() ? *std::move(seller) : nullptr;
}

Stored PeerContract::Count() {
  const absl::StatusOr<Stored> stored = peer_->Count();
  EXPECT_TRUE(stored.ok()) << stored.status();
  return stored.value_or(Stored{});
}

namespace {

using ::testing::UnorderedElementsAre;

constexpr int kRacers = 8;
// Of a claim that others were in the way of. Each meets a claim that was sold, so a race ends long before.
constexpr int kMostRepeats = 1000;

std::string IdOf(int number) { return absl::StrFormat("01890a5d-ac96-774b-8cce-%012d", number); }

Claim ClaimOf(int number, const std::string& user, const std::string& sku = "sku-0") {
  return {.reservation_id = IdOf(number), .sku_id = sku, .user_id = user};
}

// Repeated while others are in the way, as a buyer would; kConflict, and the test has failed, if that never ends.
Outcome SellDecided(Seller& seller, const Claim& claim) {
  for (int i = 0; i < kMostRepeats; ++i) {
    const absl::StatusOr<Outcome> outcome = seller.Sell(claim);
    if (!outcome.ok()) {
      ADD_FAILURE() << outcome.status();
      return Outcome::kConflict;
    }
    if (*outcome != Outcome::kConflict) return *outcome;
  }
  ADD_FAILURE() << "others were in the way for ever";
  return Outcome::kConflict;
}

// So many threads at once, each with its number. Returns when all have ended.
void RaceOf(int racers, const std::function<void(int)>& body) {
  std::vector<std::thread> running;
  for (int i = 0; i < racers; ++i) running.emplace_back(body, i);
  for (std::thread& thread : running) thread.join();
}

TEST_P(PeerContract, SellsOneUnitForEachBuyerAndSku) {
  ASSERT_NO_FATAL_FAILURE(Open(2, 3));
  const std::unique_ptr<Seller> seller = NewSeller();
  ASSERT_NE(seller, nullptr);
  EXPECT_EQ(SellDecided(*seller, ClaimOf(1, "ann")), Outcome::kCreated);
  EXPECT_EQ(SellDecided(*seller, ClaimOf(2, "ann", "sku-1")), Outcome::kCreated);
  EXPECT_EQ(SellDecided(*seller, ClaimOf(3, "bob")), Outcome::kCreated);
  const Stored stored = Count();
  EXPECT_THAT(stored.order_ids, UnorderedElementsAre(IdOf(1), IdOf(2), IdOf(3)));
  EXPECT_EQ(stored.units_sold, 3);
  EXPECT_EQ(stored.units_left, 3);
}

TEST_P(PeerContract, AnswersARepeatWithTheFirstOutcome) {
  ASSERT_NO_FATAL_FAILURE(Open(1, 1));
  const std::unique_ptr<Seller> first = NewSeller();
  const std::unique_ptr<Seller> second = NewSeller();
  ASSERT_TRUE(first != nullptr && second != nullptr);
  EXPECT_EQ(SellDecided(*first, ClaimOf(1, "ann")), Outcome::kCreated);
  EXPECT_EQ(SellDecided(*first, ClaimOf(1, "ann")), Outcome::kReplayed);
  EXPECT_EQ(SellDecided(*second, ClaimOf(1, "ann")), Outcome::kReplayed);
  // Still so when all is sold.
  EXPECT_EQ(SellDecided(*second, ClaimOf(2, "bob")), Outcome::kSoldOut);
  EXPECT_EQ(SellDecided(*second, ClaimOf(1, "ann")), Outcome::kReplayed);
  EXPECT_THAT(Count().order_ids, UnorderedElementsAre(IdOf(1)));
}

TEST_P(PeerContract, RefusesWhenAllIsSold) {
  ASSERT_NO_FATAL_FAILURE(Open(1, 2));
  const std::unique_ptr<Seller> seller = NewSeller();
  ASSERT_NE(seller, nullptr);
  EXPECT_EQ(SellDecided(*seller, ClaimOf(1, "ann")), Outcome::kCreated);
  EXPECT_EQ(SellDecided(*seller, ClaimOf(2, "bob")), Outcome::kCreated);
  EXPECT_EQ(SellDecided(*seller, ClaimOf(3, "cid")), Outcome::kSoldOut);
  EXPECT_EQ(SellDecided(*seller, ClaimOf(4, "cid", "no-such-sku")), Outcome::kSoldOut);
  const Stored stored = Count();
  EXPECT_EQ(stored.units_sold, 2);
  EXPECT_EQ(stored.units_left, 0);
}

TEST_P(PeerContract, SellsABuyerNoMoreThanOne) {
  ASSERT_NO_FATAL_FAILURE(Open(1, 5));
  const std::unique_ptr<Seller> seller = NewSeller();
  ASSERT_NE(seller, nullptr);
  EXPECT_EQ(SellDecided(*seller, ClaimOf(1, "ann")), Outcome::kCreated);
  EXPECT_EQ(SellDecided(*seller, ClaimOf(2, "ann")), Outcome::kUserLimit);
  const Stored stored = Count();
  EXPECT_THAT(stored.order_ids, UnorderedElementsAre(IdOf(1)));
  EXPECT_EQ(stored.units_left, 4);
}

TEST_P(PeerContract, ForgetsWhatWasThereBefore) {
  ASSERT_NO_FATAL_FAILURE(Open(1, 1));
  std::unique_ptr<Seller> seller = NewSeller();
  ASSERT_NE(seller, nullptr);
  EXPECT_EQ(SellDecided(*seller, ClaimOf(1, "ann")), Outcome::kCreated);
  seller.reset();
  peer_->Stop();
  ASSERT_NO_FATAL_FAILURE(Open(1, 1));
  seller = NewSeller();
  ASSERT_NE(seller, nullptr);
  EXPECT_EQ(SellDecided(*seller, ClaimOf(1, "ann")), Outcome::kCreated);
  EXPECT_EQ(Count().units_left, 0);
}

TEST_P(PeerContract, DoesNotOversellInARaceForTheLastUnits) {
  constexpr int kUnits = 20;
  constexpr int kClaimsOfEach = 25;
  ASSERT_NO_FATAL_FAILURE(Open(1, kUnits));
  std::atomic<int> created{0};
  RaceOf(kRacers, [&](int racer) {
    const std::unique_ptr<Seller> seller = NewSeller();
    if (seller == nullptr) return;
    for (int i = 0; i < kClaimsOfEach; ++i) {
      const int number = racer * kClaimsOfEach + i;
      const Outcome outcome = SellDecided(*seller, ClaimOf(number, absl::StrCat("buyer-", number)));
      if (outcome == Outcome::kCreated) {
        ++created;
      } else {
        EXPECT_EQ(outcome, Outcome::kSoldOut);
      }
    }
  });
  const Stored stored = Count();
  // What was answered is what is stored.
  EXPECT_EQ(static_cast<int>(stored.order_ids.size()), created.load());
  EXPECT_EQ(stored.units_sold, created.load());
  if (GetParam().oversells) return;
  EXPECT_EQ(created.load(), kUnits);
  EXPECT_EQ(stored.units_left, 0);
}

TEST_P(PeerContract, SellsOnceToABuyerWhoTriesEverywhereAtOnce) {
  ASSERT_NO_FATAL_FAILURE(Open(1, 5));
  std::vector<Outcome> outcomes(kRacers, Outcome::kConflict);
  RaceOf(kRacers, [&](int racer) {
    const std::unique_ptr<Seller> seller = NewSeller();
    if (seller != nullptr) outcomes[racer] = SellDecided(*seller, ClaimOf(racer, "ann"));
  });
  EXPECT_EQ(std::count(outcomes.begin(), outcomes.end(), Outcome::kCreated), 1);
  EXPECT_EQ(std::count(outcomes.begin(), outcomes.end(), Outcome::kUserLimit), kRacers - 1);
  const Stored stored = Count();
  EXPECT_EQ(stored.units_sold, 1);
  EXPECT_EQ(stored.units_left, 4);
}

TEST_P(PeerContract, SellsOnceWhenOneClaimIsSentEverywhereAtOnce) {
  ASSERT_NO_FATAL_FAILURE(Open(1, 5));
  std::vector<Outcome> outcomes(kRacers, Outcome::kConflict);
  RaceOf(kRacers, [&](int racer) {
    const std::unique_ptr<Seller> seller = NewSeller();
    if (seller != nullptr) outcomes[racer] = SellDecided(*seller, ClaimOf(1, "ann"));
  });
  EXPECT_EQ(std::count(outcomes.begin(), outcomes.end(), Outcome::kCreated), 1);
  EXPECT_EQ(std::count(outcomes.begin(), outcomes.end(), Outcome::kReplayed), kRacers - 1);
  const Stored stored = Count();
  EXPECT_THAT(stored.order_ids, UnorderedElementsAre(IdOf(1)));
  EXPECT_EQ(stored.units_left, 4);
}

}  // namespace
}  // namespace tranche::peers
