// A node that runs dry asks the pool by itself.
#include "quota/sale/pool_taker.h"

#include <memory>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "gtest/gtest.h"
#include "quota/coordination/sku_announcement.h"
#include "quota/sale/seller.h"
#include "storage/fake/fake_ledger.h"
#include "storage/ledger/ledger_error.h"
#include "storage/pipeline/commit_lane.h"
#include "tests/support/inline_executor.h"
#include "tests/support/one_shard.h"
#include "tests/support/stub_books.h"

namespace tranche::quota {
namespace {

using storage::PoolRequest;
using storage::PoolTake;

// Keeps the questions until the test answers them.
class AskedBooks : public testing::StubBooks {
 public:
  struct Question {
    std::string shard;
    PoolRequest request;
    TakeDone answer;
  };
  void TakeFromPool(const std::string& shard, PoolRequest request, TakeDone done) override {
    questions.push_back({shard, std::move(request), std::move(done)});
  }
  std::vector<Question> questions;
};

class PoolTakerTest : public ::testing::Test {
 protected:
  PoolTakerTest() {
    slices_.Begin(7);
    slices_.SetListener({.exhausted = [this] { ++exhausted_; },
                         .incarnation_ended = [this](storage::IncarnationId id) { ended_ = id; },
                         .pool_news = [this](PoolNews news) { news_.push_back(std::move(news)); },
                         .terms_wanted = [this](const std::string&) { ++terms_wanted_; }});
    slices_.SetChangeListener([this](const std::string&) { ++changed_; });
    slice_ = slices_.FindOrAdd("tv");
    Announce(SkuTerms::kPlenty);
  }

  void Announce(int64_t at_most) {
    SkuTerms terms;
    terms.at_most = at_most;
    terms.holds_may_lapse = at_most == 0;
    terms.shard = "east";
    terms.read_at = clock_.Now();
    terms.announced = true;
    slice_->SetTerms(std::move(terms));
  }

  bool Ask(int64_t wanted) {
    slice_->MarkWanted(wanted);
    return pools_.Ask(slice_, wanted);
  }
  // The ledger's answer to the latest question.
  static PoolTake Take(int64_t taken, int64_t unsold) {
    PoolTake take;
    take.sku = {.sku_id = "tv", .title = "", .currency = "", .per_user_limit = 4, .shard = "east", .unsold = unsold};
    take.taken = taken;
    take.slice = {.holder = 7, .allotted = taken, .remaining = taken, .version = taken > 0 ? 5 : 0};
    return take;
  }
  void Answer(absl::StatusOr<PoolTake> take) { books_.questions.back().answer(std::move(take)); }
  size_t questions() const { return books_.questions.size(); }

  storage::FakeClock clock_{absl::FromUnixSeconds(1000)};
  SliceTable slices_;
  AskedBooks books_;
  PoolTaker pools_{&slices_, &books_, &clock_};
  std::shared_ptr<Slice> slice_;
  int exhausted_ = 0;
  int changed_ = 0;
  std::optional<storage::IncarnationId> ended_;
  std::vector<PoolNews> news_;
  int terms_wanted_ = 0;
};

TEST_F(PoolTakerTest, AsksTheSkusShardForWhatIsLacking) {
  slice_->counter().Apply(2, 1);
  Ask(5);
  ASSERT_EQ(questions(), 1u);
  EXPECT_EQ(books_.questions[0].shard, "east");
  EXPECT_EQ(books_.questions[0].request.sku_id, "tv");
  EXPECT_EQ(books_.questions[0].request.incarnation, 7);
  EXPECT_EQ(books_.questions[0].request.wanted, 3);
  EXPECT_TRUE(pools_.Ask(slice_, 9)) << "it is being asked";
  EXPECT_EQ(questions(), 1u) << "one at a time";
}

TEST_F(PoolTakerTest, CountsWhatItsQuestionsBring) {
  Ask(2);
  Answer(Take(10, 30));
  slice_->counter().TryTake(10);
  Ask(1);
  Answer(Take(0, 0));
  clock_.AdvanceBy(absl::Seconds(10));
  Ask(1);
  Answer(absl::UnavailableError("down"));
  EXPECT_EQ(pools_.counts().taken.value(), 1);
  EXPECT_EQ(pools_.counts().none.value(), 1);
  EXPECT_EQ(pools_.counts().failed.value(), 1);
  EXPECT_EQ(pools_.counts().units.value(), 10);
}

// A late payment took units out of the slice, and no balancer runs that could announce it.
TEST_F(PoolTakerTest, LearnsOfUnitsThatHaveLeftTheSlice) {
  slice_->counter().Apply(3, 1);
  pools_.Overtaken(slice_, /*ledger_version=*/2, 1);
  ASSERT_EQ(questions(), 1u) << "though it seems to have units";
  EXPECT_EQ(books_.questions[0].request.wanted, 1);
  PoolTake take = Take(0, 0);
  take.slice = {.holder = 7, .allotted = 0, .remaining = 0, .version = 2};
  Answer(take);
  EXPECT_EQ(slice_->counter().free(), 0);
  EXPECT_EQ(changed_, 1);
}

TEST_F(PoolTakerTest, DoesNotAskAgainForWhatWasAnnouncedMeanwhile) {
  slice_->counter().Apply(3, 2);
  pools_.Overtaken(slice_, /*ledger_version=*/2, 1);
  pools_.Overtaken(slice_, /*ledger_version=*/1, 1);
  EXPECT_EQ(questions(), 0u);
}

TEST_F(PoolTakerTest, AsksForNothingThatIsThere) {
  slice_->counter().Apply(2, 1);
  pools_.Ask(slice_, 2);
  EXPECT_EQ(questions(), 0u);
}

TEST_F(PoolTakerTest, WhatIsWithdrawnInFlightIsNotLacking) {
  slice_->counter().Apply(-3, 1);
  Ask(2);
  ASSERT_EQ(questions(), 1u);
  EXPECT_EQ(books_.questions[0].request.wanted, 2);
}

TEST_F(PoolTakerTest, UnitsCountAtOnceAndWakeWhoWaits) {
  Ask(2);
  Answer(Take(10, 30));
  EXPECT_EQ(slice_->counter().free(), 10);
  EXPECT_EQ(slice_->counter().version(), 5);
  EXPECT_EQ(slice_->wanted(), 0);
  EXPECT_EQ(changed_, 1);
  EXPECT_EQ(exhausted_, 0) << "the balancer is not needed";
  ASSERT_EQ(news_.size(), 1u);
  EXPECT_EQ(news_[0].take.slice.allotted, 10);
  EXPECT_FALSE(news_[0].about_sku) << "many units are unsold, as before";
  Ask(11);
  EXPECT_EQ(questions(), 2u) << "no pause after units came";
}

TEST_F(PoolTakerTest, DemandIsReportedWhenThePoolHasNotEnough) {
  Ask(2);
  EXPECT_EQ(exhausted_, 0);
  Answer(Take(0, 30));
  EXPECT_EQ(exhausted_, 1);
  EXPECT_EQ(slice_->wanted(), 2);
  EXPECT_TRUE(news_.empty());
}

TEST_F(PoolTakerTest, APoolThatWasEmptyIsAskedAgainAfterAGrowingPause) {
  for (const int pause_ms : {20, 40, 80, 160, 320, 640, 640}) {
    EXPECT_TRUE(Ask(1));
    const size_t asked = questions();
    Answer(Take(0, 30));
    clock_.AdvanceBy(absl::Milliseconds(pause_ms - 1));
    EXPECT_FALSE(Ask(1)) << "the balancer must hear of it";
    EXPECT_EQ(questions(), asked) << pause_ms;
    clock_.AdvanceBy(absl::Milliseconds(1));
  }
  Ask(1);
  Answer(Take(3, 30));
  Ask(4);
  EXPECT_EQ(questions(), 9u);
  Answer(Take(0, 30));
  clock_.AdvanceBy(absl::Milliseconds(20));
  Ask(4);
  EXPECT_EQ(questions(), 10u) << "the pause begins anew";
}

TEST_F(PoolTakerTest, WhoWantsFewerThanThereWereNotDoesNotPause) {
  Ask(3);
  Answer(Take(0, 30));
  Ask(3);
  EXPECT_EQ(questions(), 1u);
  Ask(2);
  EXPECT_EQ(questions(), 2u);
}

TEST_F(PoolTakerTest, NewsAboutTheSkuEndThePause) {
  Ask(1);
  Answer(Take(0, 30));
  slice_->pool_pacing().Reset();
  Ask(1);
  EXPECT_EQ(questions(), 2u);
}

TEST_F(PoolTakerTest, TheAnswerSaysThatTheSkuIsSoldOut) {
  Ask(1);
  Answer(Take(0, 0));
  EXPECT_TRUE(slice_->terms()->sold_out());
  EXPECT_EQ(changed_, 1) << "who waits is told";
  ASSERT_EQ(news_.size(), 1u);
  EXPECT_TRUE(news_[0].about_sku) << "and the other nodes";
  EXPECT_FALSE(news_[0].more_than_known);
}

TEST_F(PoolTakerTest, TermsThatWereAnnouncedMeanwhileStay) {
  Ask(1);
  clock_.AdvanceBy(absl::Milliseconds(1));
  Announce(2);
  Answer(Take(0, 0));
  EXPECT_FALSE(slice_->terms()->sold_out());
}

TEST_F(PoolTakerTest, WhoeverIsRefusedMakesItAskNowAndThen) {
  Announce(0);
  pools_.Doubt(slice_, 2);
  ASSERT_EQ(questions(), 1u);
  EXPECT_EQ(books_.questions[0].request.wanted, 2) << "fewer are of no use to them";
  Answer(Take(0, 0));
  EXPECT_TRUE(news_.empty()) << "as everybody knows";
  for (const int pause_s : {1, 2, 4, 8, 8}) {
    clock_.AdvanceBy(absl::Seconds(pause_s) - absl::Milliseconds(1));
    const size_t asked = questions();
    pools_.Doubt(slice_, 2);
    EXPECT_EQ(questions(), asked) << pause_s;
    clock_.AdvanceBy(absl::Milliseconds(1));
    pools_.Doubt(slice_, 2);
    EXPECT_EQ(questions(), asked + 1) << pause_s;
    Answer(Take(0, 0));
  }
  Ask(1);
  EXPECT_EQ(questions(), 7u) << "who wants units does not wait for that";
}

TEST_F(PoolTakerTest, UnitsOfALapsedHoldAreTakenAndAnnounced) {
  Announce(0);
  pools_.Doubt(slice_, 1);
  Answer(Take(1, 1));
  EXPECT_EQ(slice_->counter().free(), 1);
  EXPECT_EQ(slice_->terms()->at_most, 1);
  ASSERT_EQ(news_.size(), 1u);
  EXPECT_TRUE(news_[0].about_sku);
  EXPECT_TRUE(news_[0].more_than_known) << "it replaces an announcement that says less";
}

TEST_F(PoolTakerTest, ALookUpForgetsWhereTheSkuIsAnnouncedOnlyIfItFindsItElsewhere) {
  SkuTerms looked_up;
  looked_up.shard = "east";
  looked_up.read_at = clock_.Now() + absl::Seconds(1);
  slice_->OfferTerms(looked_up);
  EXPECT_TRUE(slice_->terms()->announced);
  looked_up.shard = "west";
  slice_->OfferTerms(looked_up);
  EXPECT_FALSE(slice_->terms()->announced);
}

TEST_F(PoolTakerTest, AnErrorIsTheBalancersMatter) {
  Ask(1);
  Answer(absl::UnavailableError("down"));
  EXPECT_EQ(exhausted_, 1);
  EXPECT_FALSE(slice_->terms()->sold_out());
  Ask(1);
  EXPECT_EQ(questions(), 1u) << "it pauses";
}

TEST_F(PoolTakerTest, ALockedSkuIsAskedForOnceASecond) {
  Ask(1);
  Answer(storage::BusyError("locked"));
  clock_.AdvanceBy(absl::Milliseconds(999));
  Ask(1);
  EXPECT_EQ(questions(), 1u);
  clock_.AdvanceBy(absl::Milliseconds(1));
  Ask(1);
  EXPECT_EQ(questions(), 2u);
}

// Its answer was lost, or it is of a move that is not announced yet.
TEST_F(PoolTakerTest, UnitsThatItHasAlreadyCountAlthoughNoneCame) {
  Ask(2);
  PoolTake take = Take(0, 30);
  take.slice = {.holder = 7, .allotted = 4, .remaining = 4, .version = 9};
  Answer(take);
  EXPECT_EQ(slice_->counter().free(), 4);
  EXPECT_EQ(slice_->wanted(), 0);
}

// After a restore, the shard that a look-up named may have an older copy of the SKU.
TEST_F(PoolTakerTest, AsksOnlyTheShardThatIsAnnounced) {
  SkuTerms looked_up;
  looked_up.shard = "west";
  slice_->SetTerms(looked_up);
  EXPECT_TRUE(Ask(1)) << "the agent reads the announcement";
  EXPECT_EQ(questions(), 0u);
  EXPECT_EQ(terms_wanted_, 1);
  EXPECT_EQ(exhausted_, 0);
  Ask(1);
  EXPECT_EQ(terms_wanted_, 1) << "it pauses";
  clock_.AdvanceBy(absl::Milliseconds(20));
  EXPECT_FALSE(Ask(1));
  EXPECT_EQ(terms_wanted_, 2);
  EXPECT_EQ(exhausted_, 1) << "there may be no announcement, and the balancer must hear of it";
  Announce(SkuTerms::kPlenty);
  slice_->pool_pacing().Reset();
  EXPECT_TRUE(Ask(1));
  EXPECT_EQ(books_.questions[0].shard, "east");
}

TEST_F(PoolTakerTest, HearsThatItsIncarnationHasEnded) {
  Ask(1);
  PoolTake take = Take(0, 30);
  take.ended = true;
  Answer(take);
  EXPECT_EQ(ended_, 7);
}

TEST_F(PoolTakerTest, ADrainingNodeWantsNothing) {
  pools_.SetAccepting(false);
  Ask(1);
  pools_.Doubt(slice_, 1);
  EXPECT_EQ(questions(), 0u);
}

// The real seller and room over the fake ledger; no balancer exists.
class SaleFromThePoolTest : public ::testing::Test {
 protected:
  SaleFromThePoolTest() {
    EXPECT_TRUE(ledger_
                    .CreateSku({.sku_id = "tv",
                                .title = "",
                                .price_minor = 100,
                                .currency = "EUR",
                                .stock = 20,
                                .per_user_limit = 5,
                                .presplit = false},
                               "test")
                    .ok());
    slices_.Begin(*ledger_.RegisterIncarnation("node", "host:1"));
    slices_.SetListener({.exhausted = {}, .incarnation_ended = {}, .terms_wanted = [this](const std::string&) {
                           terms_wanted_ = true;
                         }});
  }

  // The agent reads what was announced when the SKU was created.
  void ReadTerms() {
    if (!std::exchange(terms_wanted_, false)) return;
    SkuTerms terms = TermsOf(ToAnnouncement(*ledger_.GetSku("tv")));
    terms.read_at = clock_.Now();
    const std::shared_ptr<Slice> slice = slices_.FindOrAdd("tv");
    slice->SetTerms(std::move(terms));
    slice->pool_pacing().Reset();
    slices_.NoteChanged("tv");
  }

  SaleResult Buy(int32_t quantity) {
    storage::ReservationClaim claim{.reservation_id = {}, .sku_id = "tv", .user_id = "", .quantity = quantity};
    claim.reservation_id.bytes[15] = next_id_;
    claim.user_id = std::string("u") + std::to_string(next_id_++);
    std::optional<SaleResult> answer;
    seller_.Sell(claim, absl::InfiniteFuture(), /*may_exist=*/false, [&](SaleResult result) { answer = result; });
    ReadTerms();
    while (lane_.Step() == storage::CommitLane::Next::kStep) {
    }
    EXPECT_TRUE(answer.has_value());
    return answer.value_or(Refused{});
  }
  static bool IsSold(const SaleResult& result) { return std::holds_alternative<Sold>(result); }

  storage::FakeClock clock_{absl::FromUnixSeconds(1000)};
  storage::FakeLedger ledger_{&clock_};
  SliceTable slices_;
  testing::InlineExecutor executor_;
  testing::OneShard shard_{&ledger_, &executor_, &clock_};
  storage::CommitLane lane_{&shard_.claims()};
  SkuDirectory directory_{shard_.books(), &clock_};
  PoolTaker pools_{&slices_, shard_.books(), &clock_};
  WaitingRoom room_{&slices_, &clock_, {}, &pools_};
  Seller seller_{&slices_, &directory_, shard_.books(), &clock_, &room_};
  uint8_t next_id_ = 1;
  bool terms_wanted_ = false;
};

TEST_F(SaleFromThePoolTest, TheFirstClaimIsServedAndSoAreAllUntilTheEnd) {
  EXPECT_TRUE(IsSold(Buy(1)));
  EXPECT_EQ(ledger_.GetSku("tv")->unsold, 19);
  for (int i = 0; i < 19; ++i) ASSERT_TRUE(IsSold(Buy(1))) << i;
  const SaleResult over = Buy(1);
  ASSERT_FALSE(IsSold(over));
  EXPECT_EQ(std::get<Refused>(over).refusal, Refusal::kSoldOut) << "no announcement is needed for that";
  EXPECT_TRUE(std::get<Refused>(over).holds_may_lapse);
}

TEST_F(SaleFromThePoolTest, TooFewUnitsForOneClaimAreSaidAtOnce) {
  for (int i = 0; i < 18; ++i) ASSERT_TRUE(IsSold(Buy(1))) << i;
  const SaleResult refused = Buy(3);
  ASSERT_FALSE(IsSold(refused));
  EXPECT_EQ(std::get<Refused>(refused).refusal, Refusal::kInsufficientUnits);
  EXPECT_EQ(std::get<Refused>(refused).available, 2);
  EXPECT_TRUE(IsSold(Buy(2)));
}

TEST_F(SaleFromThePoolTest, WhatComesBackIsSoldAgainAlthoughItWasSoldOut) {
  std::vector<storage::Reservation> sold;
  for (int i = 0; i < 4; ++i) sold.push_back(std::get<Sold>(Buy(5)).reservation);
  EXPECT_FALSE(IsSold(Buy(1)));
  ASSERT_TRUE(ledger_.CancelReservations(std::vector<storage::Cancellation>{{sold[0].reservation_id, ""}}).ok());
  clock_.AdvanceBy(absl::Seconds(1));
  EXPECT_FALSE(IsSold(Buy(1))) << "the node asks because of this one";
  EXPECT_TRUE(IsSold(Buy(5)));
}

}  // namespace
}  // namespace tranche::quota
