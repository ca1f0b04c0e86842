// The front door where a policy has a waiting room.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cstdint>
#include <string>
#include <vector>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "server/admission/front_door.h"
#include "server/admission/room_rank.h"
#include "tests/unit/server/door_fixture.h"

namespace tranche::server {
namespace {

using ::testing::HasSubstr;
using ::testing::IsEmpty;
using ::testing::SizeIs;

constexpr int64_t kRoomRound = 3;

class FrontDoorRoomTest : public ::testing::Test {
 protected:
  FrontDoorRoomTest() { SetPolicy(RoomPolicyOfTest()); }

  static storage::LotteryRound RoundNow(int64_t number = kRoomRound) {
    return DoorOfTest::Round(number, storage::kEverybody);
  }
  void SetPolicy(const v1::FrontPolicy& policy, int64_t round = kRoomRound) {
    door_.Set("tv", policy, RoundNow(round));
  }
  void ShowThreshold(uint64_t threshold) { door_.ShowBoard("tv", kRoomRound, threshold, clock_.Now()); }
  // Whoever has a rank by now is let in.
  void LetInAllWhoWait() { ShowThreshold(LateRank(clock_.Now()) + 1); }

  DoorEntry Enter(const std::string& user, bool sale_open = true, const std::string& ticket = "",
                  const std::string& solution = "") {
    return door_.door().Enter({.sku_id = "tv",
                               .user_id = user,
                               .challenge_solution = solution,
                               .waiting_ticket = ticket,
                               .opened = sale_open,
                               .may_enter = sale_open,
                               .opens_in = sale_open ? absl::ZeroDuration() : absl::InfiniteDuration()},
                              clock_.Now(), clock_.Now() + absl::Seconds(1));
  }
  DoorEntry Join(const std::string& user) { return Enter(user, /*sale_open=*/false); }
  storage::Refusal Claim(const std::string& user, const std::string& token) {
    storage::ReservationClaim claim;
    claim.sku_id = "tv";
    claim.user_id = user;
    const quota::Visitor visitor = {.address = "", .purchase_token = token};
    const std::vector<quota::GateLine> lines = {{&claim, &visitor}};
    const quota::GateVerdict verdict = door_.door().Check(lines, clock_.Now(), clock_.Now() + absl::Seconds(1));
    return verdict.refused.has_value() ? verdict.refused->refusal : storage::Refusal::kNone;
  }
  uint64_t Waiting() {
    uint64_t waiting = 0;
    for (const RoomTallied& room : door_.door().rooms().Tallied(clock_.Now())) waiting += room.waiting.total();
    return waiting;
  }
  uint64_t RefusedByRoom() { return door_.door().counts().refused[static_cast<size_t>(DoorCheck::kRoom)].load(); }
  DoorOpinion OpinionOfRoom(const std::string& token = "") {
    const DoorQuestion question = {.sku_id = "tv", .user_id = "alice", .purchase_token = token};
    for (DoorOpinion& opinion : door_.door().Explain(question, clock_.Now()).opinions) {
      if (opinion.check == DoorCheck::kRoom) return opinion;
    }
    ADD_FAILURE() << "the room has no opinion";
    return {};
  }

  storage::FakeClock clock_;
  DoorOfTest door_{&clock_};
};

TEST_F(FrontDoorRoomTest, BeforeTheOpeningBuyersJoinAndNobodyIsLetIn) {
  LetInAllWhoWait();
  door_.SetAccess({AllowUser("vip")});
  for (const char* user : {"alice", "vip"}) {
    const DoorEntry entry = Join(user);
    EXPECT_FALSE(entry.refused.has_value());
    EXPECT_FALSE(entry.admitted) << user;
    EXPECT_EQ(entry.purchase_token, "");
    EXPECT_GT(entry.retry_after, absl::ZeroDuration());
    ASSERT_TRUE(entry.place.has_value());
    EXPECT_TRUE(entry.place->shuffled);
    EXPECT_EQ(entry.place->rank, ShuffledRank(RoundNow().key, "tv", kRoomRound, user));
    EXPECT_NE(entry.place->ticket, "");
    EXPECT_FALSE(entry.place->expected_wait.has_value()) << "nobody leaves the room yet";
  }
  EXPECT_EQ(RefusedByRoom(), 2u);
  EXPECT_EQ(Waiting(), 1u) << "who is on the list is not waited for";
}

TEST_F(FrontDoorRoomTest, APlaceTellsItsRoundAndNotItsKey) {
  const DoorEntry entry = Join("alice");
  ASSERT_TRUE(entry.room.has_value());
  EXPECT_EQ(entry.room->round, kRoomRound);
  EXPECT_EQ(entry.room->commitment, RoundNow().commitment);
  EXPECT_EQ(entry.room->key, "") << "it is told when the round has ended";
  EXPECT_FALSE(entry.lottery.has_value());
}

TEST_F(FrontDoorRoomTest, WhoseTurnHasComeGetsATokenThatIsGoodForAClaim) {
  const std::string ticket = Join("alice").place->ticket;
  ShowThreshold(0);
  EXPECT_FALSE(Enter("alice", true, ticket).admitted);
  ShowThreshold(kFirstLateRank);
  const DoorEntry entry = Enter("alice", true, ticket);
  EXPECT_TRUE(entry.admitted);
  EXPECT_EQ(entry.retry_after, absl::ZeroDuration());
  ASSERT_TRUE(entry.place.has_value());
  EXPECT_TRUE(entry.place->let_in);
  EXPECT_EQ(Claim("alice", entry.purchase_token), storage::Refusal::kNone);
  EXPECT_FALSE(Enter("bob").admitted) << "who comes later is behind them";
}

TEST_F(FrontDoorRoomTest, WhileNothingIsKnownOfTheRoomNobodyIsLetIn) {
  const std::string ticket = Join("alice").place->ticket;
  const DoorEntry entry = Enter("alice", true, ticket);
  EXPECT_FALSE(entry.refused.has_value());
  EXPECT_FALSE(entry.admitted);
  EXPECT_EQ(entry.purchase_token, "");
  EXPECT_FALSE(entry.place->ahead.has_value());
}

TEST_F(FrontDoorRoomTest, WhoIsOnTheListOfThoseLetInDoesNotWait) {
  ShowThreshold(0);
  door_.SetAccess({AllowUser("vip")});
  const DoorEntry entry = Enter("vip");
  EXPECT_TRUE(entry.admitted);
  EXPECT_NE(entry.purchase_token, "");
  EXPECT_FALSE(entry.place.has_value());
  EXPECT_EQ(Waiting(), 0u) << "nor do they count as somebody who waits";
}

TEST_F(FrontDoorRoomTest, LimitsOfTheBuyerComeBeforeTheRoom) {
  v1::FrontPolicy policy = RoomPolicyOfTest();
  policy.mutable_limits(0)->set_tries(1);
  policy.mutable_limits(0)->set_burst(1);
  SetPolicy(policy);
  EXPECT_FALSE(Enter("alice").refused.has_value());
  const DoorEntry entry = Enter("alice");
  ASSERT_TRUE(entry.refused.has_value());
  EXPECT_EQ(entry.refused->refusal, storage::Refusal::kRateLimited);
  EXPECT_EQ(RefusedByRoom(), 1u);
}

TEST_F(FrontDoorRoomTest, WithoutAKeyBuyersWhoWaitAreSentElsewhere) {
  door_.LoseKeys();
  for (const bool sale_open : {false, true}) {
    const DoorEntry entry = Enter("alice", sale_open);
    ASSERT_TRUE(entry.refused.has_value());
    EXPECT_EQ(entry.refused->refusal, storage::Refusal::kExhaustedHere);
  }
  EXPECT_EQ(Waiting(), 0u);
}

TEST_F(FrontDoorRoomTest, WhoWaitsUsesUpNoTryOfTheSkuAndSolvesNoChallenge) {
  v1::FrontPolicy policy = RoomPolicyOfTest();
  policy.mutable_challenge()->set_bits(4);
  v1::RateLimit* const by_sku = policy.add_limits();
  by_sku->set_key(v1::RateLimit::KEY_SKU);
  by_sku->set_tries(1);
  by_sku->mutable_per()->set_seconds(3600);
  SetPolicy(policy);
  for (int i = 0; i < 3; ++i) {
    const DoorEntry waits = Enter(absl::StrCat("buyer-", i));
    EXPECT_FALSE(waits.refused.has_value());
    EXPECT_EQ(waits.challenge, "") << "work that would earn nothing";
  }
  LetInAllWhoWait();
  const DoorEntry entry = Enter("alice");
  EXPECT_TRUE(entry.admitted);
  EXPECT_NE(entry.challenge, "");
  EXPECT_EQ(entry.purchase_token, "") << "not before it is solved";
  EXPECT_TRUE(entry.place.has_value()) << "they need the ticket when they come back with the solution";
  policy.clear_challenge();
  SetPolicy(policy);
  EXPECT_NE(Enter("alice").purchase_token, "");
  const DoorEntry second = Enter("bob");
  ASSERT_TRUE(second.refused.has_value());
  EXPECT_EQ(second.refused->about, "sku");
}

TEST_F(FrontDoorRoomTest, ClaimsNeedTheTokenAndNeverAskTheRoom) {
  LetInAllWhoWait();
  const std::string token = Enter("alice").purchase_token;
  ASSERT_NE(token, "");
  SetPolicy(RoomPolicyOfTest(), kRoomRound + 1);
  EXPECT_EQ(Claim("alice", token), storage::Refusal::kNone) << "although the new round has let in nobody";
  EXPECT_EQ(Claim("bob", ""), storage::Refusal::kPurchaseTokenRequired);
  EXPECT_EQ(RefusedByRoom(), 0u);
}

TEST_F(FrontDoorRoomTest, OneWhoAsksOftenCountsOnce) {
  std::string ticket;
  for (int i = 0; i < 5; ++i) {
    ticket = Enter("alice", true, ticket).place->ticket;
    clock_.AdvanceBy(absl::Seconds(1));
  }
  EXPECT_EQ(Waiting(), 1u);
  EXPECT_EQ(RefusedByRoom(), 5u);
}

TEST_F(FrontDoorRoomTest, TriesWithAnOldTicketOrNoneCountOnceInAnInterval) {
  const std::string old = Enter("alice").place->ticket;
  clock_.AdvanceBy(absl::Seconds(30));
  EXPECT_EQ(Waiting(), 0u);
  for (int i = 0; i < 20; ++i) {
    EXPECT_FALSE(Enter("alice", true, old).admitted);
    EXPECT_GT(Enter("alice").retry_after, absl::ZeroDuration());
    clock_.AdvanceBy(absl::Milliseconds(100));
  }
  EXPECT_EQ(Waiting(), 1u);
  Enter("bob");
  EXPECT_EQ(Waiting(), 2u) << "each buyer by themselves";
}

// Times in tickets are cut to microseconds: nobody who comes back on time is taken for too early by that.
TEST_F(FrontDoorRoomTest, WhoComesBackAsToldIsCountedEachTime) {
  clock_.AdvanceBy(absl::Nanoseconds(999));
  std::string ticket;
  for (int i = 0; i < 30; ++i) {
    const DoorEntry entry = Enter("alice", true, ticket);
    ticket = entry.place->ticket;
    EXPECT_GE(entry.retry_after, absl::Seconds(10)) << i;
    EXPECT_GE(Waiting(), 1u) << i;
    clock_.AdvanceBy(entry.retry_after);
  }
}

TEST_F(FrontDoorRoomTest, WhileAServiceModeLimitsBuyersKeepTheirPlacesAndAreCounted) {
  LetInAllWhoWait();
  door_.SetMode(storage::ServiceMode::Kind::kChangesOnly, "back at nine");
  const DoorEntry waits = Enter("alice");
  EXPECT_FALSE(waits.refused.has_value());
  EXPECT_FALSE(waits.admitted);
  EXPECT_EQ(waits.purchase_token, "");
  EXPECT_GT(waits.retry_after, absl::ZeroDuration());
  ASSERT_TRUE(waits.place.has_value() && waits.held_by.has_value());
  EXPECT_EQ(waits.held_by->refusal, storage::Refusal::kServiceLimited);
  EXPECT_EQ(waits.held_by->pause_reason, "back at nine");
  EXPECT_EQ(Waiting(), 1u);
  EXPECT_EQ(Claim("alice", ""), storage::Refusal::kServiceLimited) << "claims are refused";
  door_.SetMode(storage::ServiceMode::Kind::kNormal);
  const DoorEntry entry = Enter("alice", true, waits.place->ticket);
  EXPECT_TRUE(entry.admitted);
  EXPECT_FALSE(entry.held_by.has_value());
}

TEST_F(FrontDoorRoomTest, WithoutARoomAServiceModeRefusesEntries) {
  v1::FrontPolicy policy = RoomPolicyOfTest();
  policy.clear_room();
  SetPolicy(policy);
  door_.SetMode(storage::ServiceMode::Kind::kReadOnly);
  const DoorEntry entry = Enter("alice");
  ASSERT_TRUE(entry.refused.has_value());
  EXPECT_EQ(entry.refused->refusal, storage::Refusal::kServiceLimited);
}

TEST_F(FrontDoorRoomTest, ANewRoundEndsAllPlaces) {
  const std::string ticket = Join("alice").place->ticket;
  SetPolicy(RoomPolicyOfTest(), kRoomRound + 1);
  EXPECT_EQ(Waiting(), 0u);
  const DoorEntry entry = Enter("alice", true, ticket);
  EXPECT_EQ(entry.room->round, kRoomRound + 1);
  EXPECT_FALSE(entry.place->shuffled) << "the sale is open";
  EXPECT_EQ(entry.place->rank, LateRank(clock_.Now()));
}

TEST_F(FrontDoorRoomTest, ARoomGoesOnWhenAnotherPartOfItsPolicyChanges) {
  const std::string ticket = Join("alice").place->ticket;
  ShowThreshold(kFirstLateRank);
  v1::FrontPolicy policy = RoomPolicyOfTest();
  policy.mutable_room()->set_buyers_per_second(7);
  SetPolicy(policy);
  EXPECT_EQ(Waiting(), 1u);
  EXPECT_TRUE(Enter("alice", true, ticket).admitted);
}

TEST_F(FrontDoorRoomTest, TheFirstRoomsBySkuIdAreThoseThatArePaced) {
  std::vector<RoomBoard> boards;
  for (int i = 0; i <= kMostRooms; ++i) {
    const std::string sku_id = absl::StrFormat("sku-%02d", i);
    door_.Set(sku_id, RoomPolicyOfTest(), RoundNow());
    RoomBoard board;
    board.sku_id = sku_id;
    board.round = kRoomRound;
    board.threshold = LateRank(clock_.Now()) + 1;
    boards.push_back(board);
  }
  door_.door().rooms().SetBoards(boards);
  const std::vector<OpenRoom> rooms = door_.door().state()->OpenRooms();
  ASSERT_THAT(rooms, SizeIs(kMostRooms));
  EXPECT_EQ(rooms.front().sku_id, "sku-00");
  EXPECT_EQ(rooms.back().sku_id, "sku-15");
  const auto admitted = [&](const char* sku_id) {
    return door_.door().Enter({.sku_id = sku_id, .user_id = "alice"}, clock_.Now(), absl::InfiniteFuture()).admitted;
  };
  EXPECT_TRUE(admitted("sku-15"));
  EXPECT_FALSE(admitted("sku-16"));
}

TEST_F(FrontDoorRoomTest, WithoutARoomInThePolicyThereAreNone) {
  EXPECT_FALSE(door_.door().rooms().empty());
  door_.Set("tv", LimitByUser(1, absl::Hours(1)));
  EXPECT_TRUE(door_.door().rooms().empty());
  EXPECT_THAT(door_.door().state()->OpenRooms(), IsEmpty());
  EXPECT_FALSE(Enter("alice").place.has_value());
}

TEST_F(FrontDoorRoomTest, AnExplanationTellsWhereWhoJoinsNowWouldStand) {
  using Verdict = DoorOpinion::Verdict;
  EXPECT_EQ(OpinionOfRoom().verdict, Verdict::kWait);
  EXPECT_THAT(OpinionOfRoom().detail, HasSubstr("no threshold"));
  RoomCounts waiting;
  waiting.Add(kFirstLateRank / 2, 40);
  door_.ShowBoard("tv", kRoomRound, 0, clock_.Now(), waiting);
  EXPECT_EQ(OpinionOfRoom().verdict, Verdict::kWait);
  EXPECT_FALSE(OpinionOfRoom().refused.has_value());
  EXPECT_THAT(OpinionOfRoom().detail, HasSubstr("40 wait before"));
  EXPECT_THAT(OpinionOfRoom().detail, HasSubstr(absl::StrFormat("%016x", LateRank(clock_.Now()))));
  EXPECT_EQ(Waiting(), 0u) << "it counts nobody";
  LetInAllWhoWait();
  EXPECT_EQ(OpinionOfRoom().verdict, Verdict::kPass);
}

TEST_F(FrontDoorRoomTest, AnExplanationTellsWhoNeedNotWait) {
  using Verdict = DoorOpinion::Verdict;
  LetInAllWhoWait();
  const std::string token = Enter("alice").purchase_token;
  SetPolicy(RoomPolicyOfTest(), kRoomRound + 1);
  EXPECT_EQ(OpinionOfRoom().verdict, Verdict::kWait);
  const DoorOpinion with_token = OpinionOfRoom(token);
  EXPECT_EQ(with_token.verdict, Verdict::kSkip);
  EXPECT_THAT(with_token.detail, HasSubstr("let in when the token was given"));
  door_.SetAccess({AllowUser("alice")});
  EXPECT_EQ(OpinionOfRoom().verdict, Verdict::kSkip);
  EXPECT_THAT(OpinionOfRoom().detail, HasSubstr("on the list"));
}

}  // namespace
}  // namespace tranche::server
