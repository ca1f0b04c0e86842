// The awards of draws, on the fake and on PostgreSQL.
#include <algorithm>
#include <atomic>
#include <cstdint>
#include <map>
#include <optional>
#include <random>
#include <set>
#include <string>
#include <vector>

#include "absl/time/clock.h"
#include "tests/contract/draw_fixture.h"
#include "tests/contract/race.h"

namespace tranche::storage {
namespace {

using ::testing::Each;
using ::testing::ElementsAre;
using ::testing::ElementsAreArray;
using ::testing::HasSubstr;
using ::testing::IsEmpty;
using testing::Retrying;
using testing::RunThreads;
using ::testing::SizeIs;

class DrawAwardContract : public DrawContractTest {
 protected:
  // A drawn draw over a new SKU, whose buyers are in the order of their ranks.
  DrawKey Drawn(const std::string& sku_id, int64_t units, int32_t winners, int buyers) {
    CreatePooled(sku_id, units);
    const DrawKey key = Begin(Committed(sku_id, winners));
    order_ = InOrder(EnterMany(sku_id, buyers));
    RankAll(key);
    return key;
  }
  // The buyers at these places, from 1.
  std::vector<std::string> Places(size_t first, size_t last) const {
    return {order_.begin() + static_cast<std::ptrdiff_t>(first) - 1,
            order_.begin() + static_cast<std::ptrdiff_t>(last)};
  }
  // Until nothing can be awarded now.
  AwardProgress AwardAll(const DrawKey& key, int limit = 100) {
    AwardProgress progress;
    for (int calls = 0; calls < 1'000; ++calls) {
      progress = Award(key, limit);
      const bool may_go_on = progress.open_places > 0 && progress.entries_left;
      if (progress.finished || !may_go_on || progress.waits_for != Refusal::kNone) return progress;
    }
    ADD_FAILURE() << "it does not end";
    return progress;
  }
  static std::vector<AwardOutcome> Outcomes(const std::vector<DrawAward>& awards) {
    std::vector<AwardOutcome> outcomes;
    for (const DrawAward& award : awards) outcomes.push_back(award.outcome);
    return outcomes;
  }
  // Live reservations of the SKU.
  int64_t LiveHolds(const std::string& sku_id) {
    int64_t live = 0;
    ReservationCursor after;
    while (true) {
      const auto page = lifecycle().ListReservations(
          {.sku_id = sku_id, .user_id = "", .states = {ReservationState::kPending, ReservationState::kConfirmed}},
          after, 1'000);
      EXPECT_TRUE(page.ok()) << page.status();
      if (!page.ok()) return live;
      live += static_cast<int64_t>(page->reservations.size());
      if (!page->next.has_value()) return live;
      after = *page->next;
    }
  }

  // Receivers of messages must still find what these are about, so nothing is retired before.
  void MarkAllDelivered() {
    const auto messages = outbox().ListMessages("default", OutboxState::kPending, {}, 1'000);
    ASSERT_TRUE(messages.ok()) << messages.status();
    std::vector<OutboxKey> keys;
    for (const OutboxMessage& message : *messages) keys.push_back(message.key);
    ASSERT_TRUE(outbox().MarkDelivered(keys).ok());
  }

  std::vector<std::string> order_;
};
INSTANTIATE_TEST_SUITE_P(Both, DrawAwardContract, BothLedgers(), LedgerName);

class DrawAwardRaceContract : public DrawAwardContract {};
INSTANTIATE_TEST_SUITE_P(Both, DrawAwardRaceContract, BothLedgers(), LedgerName);

TEST_P(DrawAwardContract, TheLowestRanksWin) {
  const DrawKey key = Drawn("tv", 10, 4, 20);
  EXPECT_EQ(Get(key).cutoff, "");
  const AwardProgress progress = AwardAll(key);
  EXPECT_EQ(progress.awarded, 4);
  EXPECT_EQ(progress.passed_over, 0);
  EXPECT_EQ(progress.open_places, 0);
  EXPECT_TRUE(progress.entries_left);
  EXPECT_EQ(progress.waits_for, Refusal::kNone);
  EXPECT_FALSE(progress.finished);
  const std::vector<DrawAward> awards = Awards(key);
  EXPECT_THAT(Buyers(awards), ElementsAreArray(Places(1, 4)));
  for (size_t i = 0; i < awards.size(); ++i) {
    const DrawAward& award = awards[i];
    EXPECT_EQ(award.place, static_cast<int64_t>(i) + 1);
    EXPECT_EQ(award.rank, RankOf(award.entry_id));
    EXPECT_EQ(award.outcome, AwardOutcome::kPending);
    EXPECT_LT(absl::AbsDuration(absl::Now() - award.awarded_at), absl::Minutes(1));
    ASSERT_TRUE(award.reservation_id.has_value());
    const Reservation hold = Read(*award.reservation_id);
    EXPECT_EQ(hold.state, ReservationState::kPending);
    EXPECT_EQ(hold.sku_id, "tv");
    EXPECT_EQ(hold.user_id, award.user_id);
    EXPECT_EQ(hold.quantity, 1);
    EXPECT_EQ(hold.amount_minor, 1999);
    EXPECT_EQ(hold.expires_at, hold.created_at + absl::Minutes(15)) << "a hold like any other";
  }
  EXPECT_EQ(Get(key).cutoff, awards.back().rank);
  EXPECT_EQ(Get(key).pending, 4);
  EXPECT_EQ(UnitsInPool("tv"), 6);
  EXPECT_EQ(stock().GetSku("tv")->unsold, 6);
  EXPECT_EQ(Award(key).awarded, 0) << "all places are taken";
}

TEST_P(DrawAwardContract, AWinnerGetsSoManyUnits) {
  CreatePooled("tv", 10, 3);
  const DrawKey key = Begin(Committed("tv", 2, 3));
  EnterMany("tv", 5);
  RankAll(key);
  EXPECT_EQ(AwardAll(key).awarded, 2);
  EXPECT_EQ(Read(*Awards(key)[0].reservation_id).quantity, 3);
  EXPECT_EQ(Read(*Awards(key)[0].reservation_id).amount_minor, 3 * 1999);
  EXPECT_EQ(UnitsInPool("tv"), 4);
}

TEST_P(DrawAwardContract, AwardsAreGivenInPiecesAndListedInPages) {
  const DrawKey key = Drawn("tv", 10, 7, 20);
  EXPECT_EQ(Award(key, 3).awarded, 3);
  EXPECT_THAT(Buyers(Awards(key)), ElementsAreArray(Places(1, 3)));
  EXPECT_EQ(Award(key, 3).open_places, 1);
  EXPECT_EQ(Award(key, 3).awarded, 1);
  EXPECT_EQ(Award(key, 3).awarded, 0);
  EXPECT_THAT(Buyers(Awards(key)), ElementsAreArray(Places(1, 7)));
  EXPECT_THAT(Buyers(Awards(key, 0, 2)), ElementsAreArray(Places(1, 2)));
  EXPECT_THAT(Buyers(Awards(key, 5, 100)), ElementsAreArray(Places(6, 7)));
  EXPECT_THAT(Awards(key, 7, 100), IsEmpty());
}

TEST_P(DrawAwardContract, ABuyerIsToldWhatBecameOfTheirEntry) {
  const DrawKey key = Drawn("tv", 10, 1, 3);
  AwardAll(key);
  const auto won = draws().FindDrawEntry(key, order_[0]);
  ASSERT_TRUE(won.ok()) << won.status();
  ASSERT_TRUE(won->award.has_value());
  EXPECT_EQ(won->award->place, 1);
  EXPECT_EQ(won->award->entry_id, won->entry_id);
  EXPECT_EQ(won->award->reservation_id, Awards(key)[0].reservation_id);
  EXPECT_EQ(won->draw.state, DrawState::kDrawn);
  EXPECT_EQ(won->draw.pending, 1);
  EXPECT_FALSE(draws().FindDrawEntry(key, order_[1])->award.has_value());
}

TEST_P(DrawAwardContract, WhatLapsesGoesToTheNextRank) {
  const DrawKey key = Drawn("tv", 3, 3, 10);
  AwardAll(key);
  Pay(Awards(key)[0]);
  GiveUp(Awards(key)[1]);
  const AwardProgress next = AwardAll(key);
  EXPECT_EQ(next.awarded, 1);
  EXPECT_EQ(next.open_places, 0);
  EXPECT_THAT(Buyers(Awards(key)), ElementsAreArray(Places(1, 4)));
  EXPECT_THAT(Outcomes(Awards(key)), ElementsAre(AwardOutcome::kConfirmed, AwardOutcome::kLapsed,
                                                 AwardOutcome::kPending, AwardOutcome::kPending));
  LetPass(absl::Hours(1));
  EXPECT_EQ(Expire().expired, 2);
  EXPECT_EQ(AwardAll(key).awarded, 2);
  EXPECT_THAT(Buyers(Awards(key)), ElementsAreArray(Places(1, 6)));
  const Draw draw = Get(key);
  EXPECT_EQ(draw.confirmed, 1);
  EXPECT_EQ(draw.pending, 2);
  EXPECT_EQ(draw.lapsed, 3);
  EXPECT_EQ(draw.cutoff, Awards(key).back().rank);
  EXPECT_EQ(UnitsInPool("tv"), 0);
}

TEST_P(DrawAwardContract, ItFinishesWhenAllPlacesArePaid) {
  const DrawKey key = Drawn("tv", 10, 2, 10);
  AwardAll(key);
  Pay(Awards(key)[0]);
  EXPECT_FALSE(Award(key).finished);
  Pay(Awards(key)[1]);
  EXPECT_EQ(Get(key).state, DrawState::kDrawn) << "until a worker looks";
  EXPECT_TRUE(AwardAll(key).finished);
  const Draw draw = Get(key);
  EXPECT_EQ(draw.state, DrawState::kFinished);
  EXPECT_EQ(draw.confirmed, 2);
  EXPECT_TRUE(draw.finished_at.has_value());
  EXPECT_THAT(*draws().ListDrawWork(), IsEmpty());
  const AwardProgress again = Award(key);
  EXPECT_TRUE(again.finished) << "the answer was lost";
  EXPECT_EQ(again.awarded, 0);
  EXPECT_THAT(Awards(key), SizeIs(2));
}

TEST_P(DrawAwardContract, ItFinishesWhenNobodyIsLeft) {
  const DrawKey key = Drawn("tv", 10, 5, 3);
  const AwardProgress all = AwardAll(key);
  EXPECT_EQ(all.awarded, 3);
  EXPECT_EQ(all.open_places, 2);
  EXPECT_FALSE(all.entries_left);
  EXPECT_FALSE(all.finished) << "they may still pay";
  Pay(Awards(key)[0]);
  GiveUp(Awards(key)[1]);
  EXPECT_FALSE(AwardAll(key).finished);
  GiveUp(Awards(key)[2]);
  EXPECT_TRUE(AwardAll(key).finished);
  EXPECT_EQ(Get(key).state, DrawState::kFinished);
  EXPECT_EQ(Get(key).confirmed, 1);
  EXPECT_EQ(UnitsInPool("tv"), 9);
}

TEST_P(DrawAwardContract, WithoutEntriesItFinishesAtOnce) {
  CreatePooled("tv", 10);
  const DrawKey key = Begin(Committed("tv", 5));
  RankAll(key);
  EXPECT_EQ(Get(key).entries, 0);
  EXPECT_TRUE(AwardAll(key).finished);
  EXPECT_EQ(Get(key).state, DrawState::kFinished);
}

// Their limit is the ledger's, whatever they have won.
TEST_P(DrawAwardContract, WhoHasTheirLimitIsPassedOver) {
  CreatePooled("tv", 10);
  const DrawKey key = Begin(Committed("tv", 3));
  order_ = InOrder(EnterMany("tv", 8));
  RankAll(key);
  const IncarnationId node = HolderOf("tv", 2);
  const Reservation first = Hold(node, "tv", order_[0]);
  Hold(node, "tv", order_[2]);
  const AwardProgress progress = Award(key);
  EXPECT_EQ(progress.open_places, 0) << "the next ones are asked at once";
  EXPECT_EQ(progress.awarded, 3);
  EXPECT_EQ(progress.passed_over, 2);
  const std::vector<DrawAward> awards = Awards(key);
  EXPECT_THAT(Buyers(awards), ElementsAreArray(Places(1, 5)));
  EXPECT_THAT(Outcomes(awards), ElementsAre(AwardOutcome::kPassedOver, AwardOutcome::kPending,
                                            AwardOutcome::kPassedOver, AwardOutcome::kPending, AwardOutcome::kPending));
  EXPECT_FALSE(awards[0].reservation_id.has_value());
  EXPECT_EQ(Get(key).pending, 3);
  EXPECT_EQ(Get(key).lapsed, 2);
  EXPECT_EQ(UnitsInPool("tv"), 5);
  // Their turn is over.
  Cancel(first);
  GiveUp(awards[1]);
  AwardAll(key);
  EXPECT_THAT(Buyers(Awards(key)), ElementsAreArray(Places(1, 6)));
  EXPECT_EQ(Awards(key)[0].outcome, AwardOutcome::kPassedOver);
}

TEST_P(DrawAwardContract, IfAllHaveTheirLimitNobodyWins) {
  CreatePooled("tv", 10);
  const DrawKey key = Begin(Committed("tv", 3));
  EnterMany("tv", 4);
  RankAll(key);
  const IncarnationId node = HolderOf("tv", 4);
  for (int i = 0; i < 4; ++i) Hold(node, "tv", absl::StrCat("u", i));
  const AwardProgress progress = AwardAll(key, 2);
  EXPECT_TRUE(progress.finished);
  EXPECT_THAT(Outcomes(Awards(key)), Each(AwardOutcome::kPassedOver));
  EXPECT_THAT(Awards(key), SizeIs(4));
}

// That is nobody's limit: all would be passed over.
TEST_P(DrawAwardContract, ALimitBelowTheQuantityIsWaitedFor) {
  CreatePooled("tv", 10, 3);
  const DrawKey key = Begin(Committed("tv", 2, 3));
  EnterMany("tv", 5);
  RankAll(key);
  Sku sku = *stock().GetSku("tv");
  sku.per_user_limit = 2;
  const auto lowered = stock().UpdateSku(sku, "test");
  ASSERT_TRUE(lowered.ok()) << lowered.status();
  EXPECT_EQ(AwardAll(key).waits_for, Refusal::kQuantityAboveUserLimit);
  EXPECT_THAT(Awards(key), IsEmpty());
  sku = *lowered;
  sku.per_user_limit = 3;
  ASSERT_TRUE(stock().UpdateSku(sku, "test").ok());
  EXPECT_EQ(AwardAll(key).awarded, 2);
}

// Their buyers are not there to hear an answer.
TEST_P(DrawAwardContract, EachReservationIsToldOf) {
  const DrawKey key = Drawn("tv", 10, 2, 3);
  AwardAll(key);
  const auto messages = outbox().ListMessages("default", OutboxState::kPending, {}, 100);
  ASSERT_TRUE(messages.ok()) << messages.status();
  ASSERT_THAT(*messages, SizeIs(2));
  for (const DrawAward& award : Awards(key)) {
    const auto about = std::find_if(messages->begin(), messages->end(), [&](const OutboxMessage& message) {
      return message.key.reservation_id == *award.reservation_id;
    });
    ASSERT_TRUE(about != messages->end());
    EXPECT_EQ(about->kind, "reservation.awarded");
    EXPECT_EQ(about->key.revision, 1);
    EXPECT_THAT(about->payload, HasSubstr("\"draw_number\": 1"));
    EXPECT_THAT(about->payload, HasSubstr(absl::StrCat("\"entry_id\": \"", award.entry_id.ToString(), "\"")));
    EXPECT_THAT(about->payload, HasSubstr("\"state\": \"PENDING\""));
  }
}

// Units are there, but the place is for the next in order.
TEST_P(DrawAwardContract, WhoPaysLateWhileTheDrawGoesOnIsPaidBack) {
  const DrawKey key = Drawn("tv", 10, 1, 3);
  AwardAll(key);
  const Reservation first = Read(*Awards(key)[0].reservation_id);
  LetPass(absl::Hours(1));
  EXPECT_EQ(Expire().expired, 1);
  EXPECT_EQ(ConfirmLate(PaymentOf(first)).outcome, ChangeOutcome::kPaidUnfulfilled);
  EXPECT_EQ(AwardAll(key).awarded, 1);
  EXPECT_THAT(Outcomes(Awards(key)), ElementsAre(AwardOutcome::kLapsed, AwardOutcome::kPending));
  EXPECT_EQ(LiveHolds("tv"), 1);
}

TEST_P(DrawAwardContract, WhoPaysLateWhenTheDrawIsOverHasWhatTheyWon) {
  const DrawKey key = Drawn("tv", 10, 2, 3);
  AwardAll(key);
  const Reservation first = Read(*Awards(key)[0].reservation_id);
  LetPass(absl::Hours(1));
  EXPECT_EQ(Expire().expired, 2);
  Take(key, DrawStep::kFinish);
  EXPECT_EQ(ConfirmLate(PaymentOf(first)).outcome, ChangeOutcome::kRebooked);
  EXPECT_EQ(*draws().PurgeDraws(10), 0);
  EXPECT_THAT(Outcomes(Awards(key)), ElementsAre(AwardOutcome::kConfirmed, AwardOutcome::kLapsed));
}

// Nobody's turn passes because the sale rests.
TEST_P(DrawAwardContract, APausedSaleIsWaitedFor) {
  const DrawKey key = Drawn("tv", 10, 2, 5);
  ASSERT_TRUE(stock().SetSkuPaused("tv", true, "a break", std::nullopt, "test").ok());
  const AwardProgress paused = AwardAll(key);
  EXPECT_EQ(paused.waits_for, Refusal::kSalePaused);
  EXPECT_EQ(paused.awarded + paused.passed_over, 0);
  EXPECT_EQ(paused.open_places, 2);
  EXPECT_TRUE(paused.entries_left);
  EXPECT_FALSE(paused.finished);
  EXPECT_THAT(Awards(key), IsEmpty());
  EXPECT_EQ(Get(key).cutoff, "");
  ASSERT_TRUE(stock().SetSkuPaused("tv", false, "", std::nullopt, "test").ok());
  EXPECT_EQ(AwardAll(key).waits_for, Refusal::kNone);
  EXPECT_THAT(Buyers(Awards(key)), ElementsAreArray(Places(1, 2)));
}

TEST_P(DrawAwardContract, ASaleThatIsNotOpenIsWaitedFor) {
  Sku sku = SkuOf("tv", 10);
  sku.presplit = false;
  sku.opens_at = absl::Now() + absl::Hours(1);
  Create(sku);
  const DrawKey key = Begin(Committed("tv", 2));
  order_ = InOrder(EnterMany("tv", 5));
  RankAll(key);
  EXPECT_EQ(AwardAll(key).waits_for, Refusal::kSaleNotOpen);
  LetPass(absl::Hours(2));
  EXPECT_EQ(AwardAll(key).awarded, 2);
  GiveUp(Awards(key)[0]);
  ASSERT_TRUE(stock().CloseSku("tv", "test").ok());
  const AwardProgress closed = AwardAll(key);
  EXPECT_EQ(closed.waits_for, Refusal::kSaleClosed);
  EXPECT_EQ(closed.open_places, 1);
  EXPECT_EQ(Awards(key)[0].outcome, AwardOutcome::kLapsed) << "what ended is noted all the same";
  EXPECT_THAT(Buyers(Awards(key)), ElementsAreArray(Places(1, 2)));
  ASSERT_TRUE(stock().ReopenSku("tv", "test").ok());
  EXPECT_EQ(AwardAll(key).awarded, 1);
  EXPECT_THAT(Buyers(Awards(key)), ElementsAreArray(Places(1, 3)));
}

TEST_P(DrawAwardContract, TooFewUnitsAreWaitedFor) {
  const DrawKey key = Drawn("tv", 2, 5, 10);
  const AwardProgress dry = AwardAll(key);
  EXPECT_EQ(dry.awarded, 2);
  EXPECT_EQ(dry.open_places, 3);
  EXPECT_EQ(dry.waits_for, Refusal::kInsufficientUnits);
  EXPECT_THAT(Buyers(Awards(key)), ElementsAreArray(Places(1, 2)));
  EXPECT_EQ(Get(key).cutoff, Awards(key).back().rank);
  EXPECT_EQ(Award(key).awarded, 0);
  ASSERT_TRUE(stock().AddStock("tv", 1, std::nullopt, "test").ok());
  EXPECT_EQ(AwardAll(key).waits_for, Refusal::kInsufficientUnits);
  ASSERT_TRUE(stock().AddStock("tv", 5, std::nullopt, "test").ok());
  const AwardProgress rest = AwardAll(key);
  EXPECT_EQ(rest.awarded, 2);
  EXPECT_EQ(rest.waits_for, Refusal::kNone);
  EXPECT_THAT(Buyers(Awards(key)), ElementsAreArray(Places(1, 5)));
  EXPECT_EQ(UnitsInPool("tv"), 3);
}

// Units that a node holds are not the draw's, and the pool has none that it might give away twice.
TEST_P(DrawAwardContract, UnitsOfANodeAreNotAwarded) {
  const DrawKey key = Drawn("tv", 4, 4, 10);
  const IncarnationId node = HolderOf("tv", 3);
  EXPECT_EQ(AwardAll(key).awarded, 1);
  EXPECT_EQ(Remaining("tv")[node], 3);
  EXPECT_EQ(UnitsInPool("tv"), 0);
  EXPECT_TRUE(Outcome(node, testing::Claim("tv", "somebody else")) == CommitOutcome::kCreated);
  EXPECT_TRUE(Outcome(kPool, testing::Claim("tv", "yet another")) == CommitOutcome::kNotHeld);
}

TEST_P(DrawAwardContract, AnOperatorEndsIt) {
  const DrawKey key = Drawn("tv", 10, 3, 10);
  AwardAll(key);
  GiveUp(Awards(key)[0]);
  Take(key, DrawStep::kFinish);
  const AwardProgress progress = Award(key);
  EXPECT_TRUE(progress.finished);
  EXPECT_EQ(progress.awarded, 0);
  EXPECT_THAT(Buyers(Awards(key)), ElementsAreArray(Places(1, 3))) << "nobody else wins";
  EXPECT_EQ(Read(*Awards(key)[1].reservation_id).state, ReservationState::kPending) << "what they have won stays";
  Pay(Awards(key)[1]);
  EXPECT_THAT(*draws().ListDrawWork(), IsEmpty());
  EXPECT_EQ(*draws().PurgeDraws(10), 0);
  EXPECT_THAT(Outcomes(Awards(key)),
              ElementsAre(AwardOutcome::kLapsed, AwardOutcome::kConfirmed, AwardOutcome::kPending))
      << "what became of them is noted all the same";
}

// The worker was away for so long.
TEST_P(DrawAwardContract, ReservationsThatWereRetiredAreSettled) {
  for (const Retired retired : {Retired::kArchive, Retired::kDrop}) {
    const std::string sku_id = retired == Retired::kArchive ? "tv" : "radio";
    const DrawKey key = Drawn(sku_id, 10, 2, 2);
    AwardAll(key);
    Pay(Awards(key)[0]);
    LetPass(absl::Hours(1));
    EXPECT_EQ(Expire().expired, 1);
    ASSERT_TRUE(stock().CloseSku(sku_id, "test").ok());
    LetPass(absl::Hours(48));
    MarkAllDelivered();
    const auto gone = upkeep().RetireReservations(absl::Hours(24), 10, retired);
    ASSERT_TRUE(gone.ok()) << gone.status();
    EXPECT_EQ(*gone, 2);
    EXPECT_TRUE(AwardAll(key).finished) << sku_id << ": none is pending for ever";
    EXPECT_EQ(Get(key).pending, 0);
    // Of what was dropped nobody knows which one was paid.
    const AwardOutcome unpaid = retired == Retired::kDrop ? AwardOutcome::kConfirmed : AwardOutcome::kLapsed;
    EXPECT_THAT(Outcomes(Awards(key)), ElementsAre(AwardOutcome::kConfirmed, unpaid));
  }
}

// Nobody wins in the place of a reservation that was paid, and dropped after the sale.
TEST_P(DrawAwardContract, ASaleThatIsOpenedAgainGivesNoPlaceTwice) {
  const DrawKey key = Drawn("tv", 10, 1, 3);
  AwardAll(key);
  Pay(Awards(key)[0]);
  ASSERT_TRUE(stock().CloseSku("tv", "test").ok());
  LetPass(absl::Hours(48));
  MarkAllDelivered();
  EXPECT_EQ(*upkeep().RetireReservations(absl::Hours(24), 10, Retired::kDrop), 1);
  ASSERT_TRUE(stock().ReopenSku("tv", "test").ok());
  EXPECT_TRUE(AwardAll(key).finished);
  EXPECT_THAT(Outcomes(Awards(key)), ElementsAre(AwardOutcome::kConfirmed));
}

// Two workers, buyers who pay and give up, and an expirer: never more live awards than winners, never one entry twice.
TEST_P(DrawAwardRaceContract, WorkersSideBySideAwardNoPlaceTwice) {
  constexpr int32_t kWinners = 20;
  const DrawKey key = Drawn("tv", 100, kWinners, 120);
  std::atomic<bool> awarding{true};
  RunThreads(4, [&](int thread) {
    std::mt19937 random(static_cast<unsigned>(thread));
    if (thread < 2) {
      for (int calls = 0; calls < 60; ++calls) {
        const auto progress = Retrying([&] { return draws().AwardDraw(key, 3); });
        EXPECT_TRUE(progress.ok()) << progress.status();
        const Draw now = Get(key);
        EXPECT_LE(now.pending + now.confirmed, kWinners);
      }
      awarding = false;
      return;
    }
    while (awarding) {
      EXPECT_LE(LiveHolds("tv"), kWinners);
      for (const DrawAward& award : Awards(key)) {
        if (!award.reservation_id.has_value() || random() % 8 != 0) continue;
        const Reservation hold = Read(*award.reservation_id);
        const auto ended = Retrying([&]() -> absl::StatusOr<std::vector<ChangeResult>> {
          const Cancellation cancellation{hold.reservation_id, "changed my mind"};
          const Payment payment = PaymentOf(hold);
          if (thread == 2) return lifecycle().CancelReservations({&cancellation, 1});
          return lifecycle().ConfirmReservations({&payment, 1});
        });
        EXPECT_TRUE(ended.ok()) << ended.status();
      }
    }
  });
  AwardAll(key);
  const std::vector<DrawAward> awards = Awards(key);
  EXPECT_GE(awards.size(), static_cast<size_t>(kWinners));
  EXPECT_THAT(Buyers(awards), ElementsAreArray(Places(1, awards.size())));
  std::set<Uuid> entries, holds;
  for (size_t i = 0; i < awards.size(); ++i) {
    EXPECT_EQ(awards[i].place, static_cast<int64_t>(i) + 1);
    EXPECT_TRUE(entries.insert(awards[i].entry_id).second);
    EXPECT_TRUE(holds.insert(*awards[i].reservation_id).second);
  }
  const Draw draw = Get(key);
  EXPECT_LE(draw.pending + draw.confirmed, kWinners);
  EXPECT_EQ(LiveHolds("tv"), draw.pending + draw.confirmed);
  EXPECT_EQ(UnitsInPool("tv"), 100 - draw.pending - draw.confirmed);
}

// What is sold from the pool is announced like any other change of it, and moves go on.
TEST_P(DrawAwardContract, TheRestOfThePoolCanBeMoved) {
  const DrawKey key = Drawn("tv", 10, 4, 10);
  const int64_t before = stock().GetSku("tv")->quota_version;
  AwardAll(key);
  EXPECT_GE(stock().GetSku("tv")->quota_version, before);
  const IncarnationId node = HolderOf("tv", 6);
  EXPECT_EQ(Remaining("tv")[node], 6);
  EXPECT_EQ(UnitsInPool("tv"), 0);
  for (const DrawAward& award : Awards(key)) GiveUp(award);
  EXPECT_EQ(UnitsInPool("tv"), 4);
  EXPECT_EQ(AwardAll(key).awarded, 4);
  EXPECT_THAT(Buyers(Awards(key)), ElementsAreArray(Places(1, 8)));
}

}  // namespace
}  // namespace tranche::storage
