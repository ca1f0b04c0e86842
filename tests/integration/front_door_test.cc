// The front door at four nodes: what a policy, a list, a lottery and a token do to buyers, whichever node they ask.
#include <gmock/gmock.h>

#include <algorithm>
#include <atomic>
#include <cstdint>
#include <iostream>
#include <map>
#include <set>
#include <string>
#include <thread>
#include <vector>

#include "absl/cleanup/cleanup.h"
#include "absl/strings/str_cat.h"
#include "absl/time/clock.h"
#include "gtest/gtest.h"
#include "server/admission/lottery.h"
#include "tests/integration/front_door_fixture.h"
#include "tests/support/mini_postgres.h"
#include "tranche/uuid.h"

namespace tranche::testing {
namespace {

using ::testing::IsEmpty;
using ::testing::Not;
using ::testing::PrintToString;

constexpr int kLotteryUsers = 1000;

class FrontDoorTest : public FrontDoorFixture {
 protected:
  // What a lottery says to many buyers.
  struct Draw {
    std::map<std::string, uint64_t> ranks;
    std::set<std::string> admitted;
    int64_t round = 0;
    std::string commitment;
  };
  Draw DrawAt(int node);
  // Whom the lottery has no room for.
  static std::vector<std::string> LosersOf(const Draw& draw);

  // How many of so many tries at each node are let in.
  int LetIn(const std::string& user, int tries_at_each_node);
  // Tries at all nodes at once, as fast as they answer; returns how many were let in.
  int Spray(const std::string& user, absl::Duration how_long);
  // Until the nodes know of each other. A user's home gives `burst`, of 3 to 6, every other node two.
  void AwaitHomes(int burst);

  std::vector<v1::LotteryRound> Rounds();
  // As if the keys had been made an hour ago.
  void AgeKeys() {
    const absl::Status aged = ExecuteSql(cluster_->postgres().dsn(), kAgeKeys);
    ASSERT_TRUE(aged.ok()) << aged;
  }

  static constexpr char kAgeKeys[] = "UPDATE tranche.front_key SET since = since - interval '1 hour'";
};

FrontDoorTest::Draw FrontDoorTest::DrawAt(int node) {
  Draw draw;
  for (int i = 0; i < kLotteryUsers; ++i) {
    const std::string user = absl::StrCat("lottery-", i);
    v1::EnterSaleResponse entered;
    const DoorAnswer answer = Enter(node, user, &entered);
    EXPECT_TRUE(answer.ok()) << PrintToString(answer);
    EXPECT_EQ(entered.admitted(), server::Admits(entered.lottery().threshold(), entered.lottery().rank())) << user;
    EXPECT_EQ(entered.has_retry_after(), !entered.admitted()) << user;
    draw.ranks[user] = entered.lottery().rank();
    if (entered.admitted()) draw.admitted.insert(user);
    draw.round = entered.lottery().round();
    draw.commitment = entered.lottery().commitment();
  }
  return draw;
}

std::vector<std::string> FrontDoorTest::LosersOf(const Draw& draw) {
  std::vector<std::string> losers;
  for (const auto& [user, rank] : draw.ranks) {
    if (!draw.admitted.contains(user)) losers.push_back(user);
  }
  return losers;
}

int FrontDoorTest::LetIn(const std::string& user, int tries_at_each_node) {
  int let_in = 0;
  for (int node = 0; node < kDoorNodes; ++node) {
    for (int i = 0; i < tries_at_each_node; ++i) {
      if (Enter(node, user).ok()) ++let_in;
    }
  }
  return let_in;
}

int FrontDoorTest::Spray(const std::string& user, absl::Duration how_long) {
  std::atomic<int> let_in{0};
  const absl::Time end = absl::Now() + how_long;
  std::vector<std::thread> threads;
  for (int node = 0; node < kDoorNodes; ++node) {
    threads.emplace_back([&, node] {
      while (absl::Now() < end) {
        const DoorAnswer answer = Enter(node, user);
        if (answer.ok()) ++let_in;
        if (!answer.ok() && answer.reason != "RATE_LIMITED") ADD_FAILURE() << PrintToString(answer);
      }
    });
  }
  for (std::thread& thread : threads) thread.join();
  return let_in;
}

void FrontDoorTest::AwaitHomes(int burst) {
  const absl::Time give_up = absl::Now() + kDoorPatience;
  int let_in = 0;
  while (absl::Now() < give_up) {
    let_in = LetIn(NextUser(), burst + 1);
    if (let_in == burst + 2 * (kDoorNodes - 1)) return;
  }
  FAIL() << let_in << " tries were let in; the nodes do not know of each other";
}

std::vector<v1::LotteryRound> FrontDoorTest::Rounds() {
  v1::ListLotteryRoundsRequest request;
  request.set_sku_id("tv");
  v1::ListLotteryRoundsResponse response;
  const grpc::Status status = nodes_[0].door->ListLotteryRounds(Context().get(), request, &response);
  EXPECT_TRUE(status.ok()) << status.error_message();
  return {response.rounds().begin(), response.rounds().end()};
}

// By ZooKeeper, and not by the look that the nodes take every five seconds.
TEST_F(FrontDoorTest, AChangeIsAtAllNodesWithinMoments) {
  constexpr int kChanges = 5;
  int fast = 0;
  for (int change = 0; change < kChanges; ++change) {
    StorePolicy(TokenPolicy());
    const absl::Duration took = AwaitClaims("PURCHASE_TOKEN_REQUIRED");
    std::cout << "a policy was effective at " << kDoorNodes << " nodes after " << took << std::endl;
    if (took < absl::Seconds(2)) ++fast;
    RemovePolicy();
    AwaitClaims("");
  }
  EXPECT_GE(fast, 3) << "the nodes are not told of changes";
}

TEST_F(FrontDoorTest, WhoSpraysOverAllNodesGetsNoMoreThanTwiceTheRate) {
  constexpr int kBurst = 5;
  SetPolicy(LimitPolicy(v1::RateLimit::KEY_USER, 1, absl::Hours(1), kBurst));
  AwaitHomes(kBurst);
  constexpr int kPerSecond = 20;
  SetPolicy(LimitPolicy(v1::RateLimit::KEY_USER, kPerSecond, absl::Seconds(1), 1));
  const absl::Time began = absl::Now();
  const int let_in = Spray("sprayer", absl::Seconds(3));
  const double seconds = absl::ToDoubleSeconds(absl::Now() - began);
  std::cout << let_in << " tries in " << seconds << " s were let in, of " << kPerSecond << " a second" << std::endl;
  EXPECT_LE(let_in, 2 * kPerSecond * seconds + 2 + kDoorNodes - 1);
  EXPECT_GE(let_in, kPerSecond) << "its home gives it the rate";
}

TEST_F(FrontDoorTest, WhoIsLimitedHearsWhichLimitItIsAndWhenToCome) {
  SetPolicy(LimitPolicy(v1::RateLimit::KEY_USER, 1, absl::Minutes(1), 1));
  EXPECT_TRUE(Claim(0, {.user = "alice"}).ok());
  const DoorAnswer limited = Claim(0, {.user = "alice"});
  EXPECT_EQ(limited.code, grpc::StatusCode::RESOURCE_EXHAUSTED);
  EXPECT_EQ(limited.reason, "RATE_LIMITED");
  EXPECT_EQ(limited.metadata.at("limit"), "user");
  EXPECT_GT(limited.retry_after, absl::Seconds(30)) << PrintToString(limited);
  EXPECT_TRUE(Claim(0, {.user = "bob"}).ok()) << "it is not bob's limit";
}

TEST_F(FrontDoorTest, ALimitByNetworkCountsWhomTheTrustedProxyNames) {
  SetPolicy(LimitPolicy(v1::RateLimit::KEY_ADDRESS, 1, absl::Hours(1), 1));
  const auto claim_from = [this](const std::string& forwarded_for) {
    return Claim(0, {.user = NextUser(), .forwarded_for = forwarded_for});
  };
  EXPECT_TRUE(claim_from("203.0.113.7").ok());
  const DoorAnswer neighbour = claim_from("203.0.113.8");
  EXPECT_EQ(neighbour.reason, "RATE_LIMITED");
  EXPECT_EQ(neighbour.metadata.at("limit"), "address");
  EXPECT_EQ(claim_from("192.0.2.1, 203.0.113.9").reason, "RATE_LIMITED") << "what the buyer wrote counts";
  EXPECT_TRUE(claim_from("203.0.113.9, 192.0.2.1").ok());
}

TEST_F(FrontDoorTest, WhoIsTooEarlyWaitsForTheirTurnIfThePolicySaysSo) {
  constexpr int kBuyers = 5;
  SetPolicy(LimitPolicy(v1::RateLimit::KEY_SKU, 5, absl::Seconds(1), 1, absl::Seconds(3)));
  const absl::Time began = absl::Now();
  std::atomic<int> let_in{0};
  std::vector<std::thread> buyers;
  for (int i = 0; i < kBuyers; ++i) {
    buyers.emplace_back([&] {
      const DoorAnswer answer = Claim(0, {.user = NextUser()});
      if (answer.ok()) ++let_in;
      if (!answer.ok()) ADD_FAILURE() << PrintToString(answer);
    });
  }
  for (std::thread& buyer : buyers) buyer.join();
  EXPECT_EQ(let_in, kBuyers);
  EXPECT_GE(absl::Now() - began, absl::Milliseconds((kBuyers - 1) * 200)) << "nobody waited";
}

TEST_F(FrontDoorTest, WhoIsDeniedIsRefusedAtEveryNodeAndWhoIsAllowedIsNot) {
  Deny("mallory");
  AddEntry(v1::AccessEntry::VERDICT_DENY, "", "203.0.113.0/24");
  AddEntry(v1::AccessEntry::VERDICT_ALLOW, "press", "");
  SetPolicy(LotteryPolicy(1));  // almost nobody
  AwaitEverywhere("the list is known",
                  [this](int node) { return Claim(node, {.user = "press", .forwarded_for = "203.0.113.7"}).ok(); });
  for (int node = 0; node < kDoorNodes; ++node) {
    EXPECT_EQ(Claim(node, {.user = "mallory"}).reason, "DENIED");
    EXPECT_EQ(Enter(node, "mallory").reason, "DENIED");
    EXPECT_EQ(Claim(node, {.user = NextUser(), .forwarded_for = "203.0.113.7"}).reason, "DENIED");
    EXPECT_EQ(Claim(node, {.user = NextUser(), .forwarded_for = "192.0.2.1, 203.0.113.7"}).reason, "DENIED");
    EXPECT_EQ(Claim(node, {.user = NextUser(), .forwarded_for = "198.51.100.1"}).reason, "NOT_ADMITTED");
  }
}

TEST_F(FrontDoorTest, ALotteryAdmitsTheSameBuyersAtEveryNode) {
  SetPolicy(LotteryPolicy(300'000));
  const Draw draw = DrawAt(0);
  // Six standard deviations.
  EXPECT_NEAR(static_cast<double>(draw.admitted.size()), 300, 87);
  for (int node = 1; node < kDoorNodes; ++node) {
    const Draw other = DrawAt(node);
    EXPECT_EQ(other.ranks, draw.ranks);
    EXPECT_EQ(other.admitted, draw.admitted);
  }
  const std::vector<std::string> winners(draw.admitted.begin(), draw.admitted.end());
  const std::vector<std::string> losers = LosersOf(draw);
  for (size_t i = 0; i < 20; ++i) {
    const int node = static_cast<int>(i) % kDoorNodes;
    const DoorAnswer won = Claim(node, {.user = winners.at(i)});
    EXPECT_TRUE(won.ok()) << PrintToString(won);
    const DoorAnswer lost = Claim(node, {.user = losers.at(i)});
    EXPECT_EQ(lost.code, grpc::StatusCode::FAILED_PRECONDITION);
    EXPECT_EQ(lost.reason, "NOT_ADMITTED");
    EXPECT_TRUE(lost.metadata.contains("retry_after_ms")) << PrintToString(lost);
    EXPECT_GE(lost.retry_after, absl::Seconds(16)) << PrintToString(lost);
  }
}

TEST_F(FrontDoorTest, ARoundOnlyAdmitsMore) {
  SetPolicy(LotteryPolicy(300'000));
  const Draw before = DrawAt(0);
  SetPolicy(LotteryPolicy(600'000));
  const Draw after = DrawAt(1);
  EXPECT_EQ(after.ranks, before.ranks);
  EXPECT_EQ(after.round, before.round);
  EXPECT_TRUE(
      std::includes(after.admitted.begin(), after.admitted.end(), before.admitted.begin(), before.admitted.end()));
  EXPECT_GT(after.admitted.size(), before.admitted.size());

  v1::SetFrontPolicyRequest less;
  less.set_sku_id("tv");
  *less.mutable_policy() = LotteryPolicy(599'999);
  v1::SetFrontPolicyResponse response;
  const DoorAnswer refused = TrySetPolicy(less, &response);
  EXPECT_EQ(refused.reason, "LOTTERY_CANNOT_SHRINK");
  EXPECT_EQ(refused.metadata.at("admitted_per_million"), "600000");
}

TEST_F(FrontDoorTest, AfterARoundAnybodyCanRecomputeEveryRank) {
  SetPolicy(LotteryPolicy(300'000));
  const Draw draw = DrawAt(0);
  for (const v1::LotteryRound& running : Rounds()) {
    EXPECT_EQ(running.key(), "") << "whoever knows it can look for a user id with a low rank";
    EXPECT_EQ(running.commitment(), draw.commitment);
  }
  SetPolicy(LotteryPolicy(300'000), /*new_round=*/true);
  EXPECT_NE(DrawAt(0).ranks, draw.ranks);

  // What is listed may be a second old.
  const absl::Time give_up = absl::Now() + kDoorPatience;
  std::vector<v1::LotteryRound> rounds = Rounds();
  while (rounds.size() < 2 && absl::Now() < give_up) rounds = Rounds();
  ASSERT_EQ(rounds.size(), 2u);
  const v1::LotteryRound& ended = rounds[1];
  EXPECT_EQ(rounds[0].key(), "");
  EXPECT_FALSE(rounds[0].has_end_time());
  EXPECT_EQ(ended.round(), draw.round);
  EXPECT_EQ(ended.commitment(), draw.commitment);
  EXPECT_EQ(server::Commitment(ended.key()), draw.commitment);
  for (const auto& [user, rank] : draw.ranks) {
    EXPECT_EQ(server::Rank(ended.key(), ended.policy_sku_id(), ended.round(), user), rank) << user;
  }
}

TEST_F(FrontDoorTest, ATokenIsForOneBuyerAtEveryNode) {
  SetPolicy(TokenPolicy());
  const std::string token = TokenFor("alice");
  std::string altered = token;
  altered[token.size() / 2] = altered[token.size() / 2] == 'A' ? 'B' : 'A';
  for (int node = 0; node < kDoorNodes; ++node) {
    EXPECT_EQ(Claim(node, {.user = "alice"}).reason, "PURCHASE_TOKEN_REQUIRED");
    const DoorAnswer hers = Claim(node, {.user = "alice", .token = token});
    EXPECT_TRUE(hers.ok()) << PrintToString(hers);
    for (const auto& bad : {DoorClaim{.user = "bob", .token = token}, DoorClaim{.user = "alice", .token = altered}}) {
      const DoorAnswer answer = Claim(node, bad);
      EXPECT_EQ(answer.code, grpc::StatusCode::FAILED_PRECONDITION);
      EXPECT_EQ(answer.reason, "PURCHASE_TOKEN_INVALID");
      EXPECT_THAT(answer.metadata.at("problem"), Not(IsEmpty()));
    }
  }
}

TEST_F(FrontDoorTest, ATokenExpiresAndWhatWasBoughtWithItIsFound) {
  SetPolicy(TokenPolicy(absl::Seconds(10)));
  DoorClaim claim{.user = "alice", .token = TokenFor("alice"), .reservation_id = MakeUuidV7()};
  DoorAnswer answer = Claim(1, claim);
  ASSERT_TRUE(answer.ok()) << PrintToString(answer);
  const absl::Time give_up = absl::Now() + kDoorPatience;
  while (answer.ok() && absl::Now() < give_up) {
    absl::SleepFor(absl::Milliseconds(50));
    answer = Claim(1, claim);
  }
  EXPECT_EQ(answer.reason, "PURCHASE_TOKEN_INVALID");
  EXPECT_EQ(answer.metadata["problem"], "expired");
  claim.may_exist = true;
  answer = Claim(1, claim);
  EXPECT_TRUE(answer.ok()) << "it exists: " << PrintToString(answer);
}

// Each buyer enters at one node and claims at another one.
TEST_F(FrontDoorTest, WhileTheKeyIsRotatedNoBuyerIsRefused) {
  SetPolicy(TokenPolicy());
  AgeKeys();
  const std::string earlier = TokenFor("early");
  std::atomic<bool> stop{false};
  std::atomic<int> sold{0};
  std::vector<std::thread> buyers;
  for (int node = 0; node < kDoorNodes; ++node) {
    buyers.emplace_back([&, node] {
      while (!stop) {
        const std::string user = NextUser();
        const DoorAnswer answer = Claim((node + 1) % kDoorNodes, {.user = user, .token = TokenFor(user, node)});
        if (answer.ok()) ++sold;
        if (!answer.ok()) ADD_FAILURE() << PrintToString(answer);
      }
    });
  }
  const absl::Cleanup join = [&] {
    stop = true;
    for (std::thread& buyer : buyers) buyer.join();
  };
  const auto await_sold = [&](int more) {
    const absl::Time give_up = absl::Now() + kDoorPatience;
    for (const int wanted = sold + more; sold < wanted;) {
      if (absl::Now() > give_up) return false;
      absl::SleepFor(absl::Milliseconds(1));
    }
    return true;
  };
  ASSERT_TRUE(await_sold(20));
  v1::RotateFrontKeyResponse rotated;
  const DoorAnswer answer = Rotate(/*replace_all=*/false, &rotated);
  ASSERT_TRUE(answer.ok()) << PrintToString(answer);
  EXPECT_TRUE(rotated.rotated());
  EXPECT_TRUE(await_sold(400));
  for (int node = 0; node < kDoorNodes; ++node) EXPECT_TRUE(Claim(node, {.user = "early", .token = earlier}).ok());

  const DoorAnswer again = Rotate(/*replace_all=*/false, &rotated);
  EXPECT_EQ(again.reason, "KEY_ROTATED_RECENTLY") << "a second rotation would make the first one's tokens worthless";
}

TEST_F(FrontDoorTest, WhenAllKeysAreReplacedOldTokensAreWorthless) {
  SetPolicy(TokenPolicy());
  const std::string old = TokenFor("alice");
  ASSERT_TRUE(Claim(0, {.user = "alice", .token = old}).ok());
  v1::RotateFrontKeyResponse rotated;
  const DoorAnswer answer = Rotate(/*replace_all=*/true, &rotated);
  ASSERT_TRUE(answer.ok()) << PrintToString(answer);
  AwaitEverywhere("the old token is refused", [&](int node) {
    return Claim(node, {.user = "alice", .token = old}).reason == "PURCHASE_TOKEN_INVALID";
  });
  const std::string fresh = TokenFor("alice");
  for (int node = 0; node < kDoorNodes; ++node) EXPECT_TRUE(Claim(node, {.user = "alice", .token = fresh}).ok());
}

TEST_F(FrontDoorTest, TheSdkEntersAndClaimsAndTellsWhatIsRefused) {
  SetPolicy(TokenPolicy());
  EXPECT_EQ(ReasonOf(client_->Create({.sku = "tv", .user = "alice"}).status()), Reason::kPurchaseTokenRequired);
  const auto entry = client_->EnterSale({.sku = "tv", .user = "alice"});
  ASSERT_TRUE(entry.ok()) << entry.status();
  EXPECT_TRUE(entry->admitted);
  EXPECT_GT(entry->token_expire_time, absl::Now());
  const auto bought = client_->Create({.sku = "tv", .user = "alice", .purchase_token = entry->purchase_token});
  EXPECT_TRUE(bought.ok()) << bought.status();
  const auto stolen = client_->Create({.sku = "tv", .user = "bob", .purchase_token = entry->purchase_token});
  EXPECT_EQ(ReasonOf(stolen.status()), Reason::kPurchaseTokenInvalid) << stolen.status();

  SetPolicy(LimitPolicy(v1::RateLimit::KEY_USER, 1, absl::Minutes(1), 1));
  absl::Status limited;
  // Each node gives one.
  for (int i = 0; limited.ok() && i <= kDoorNodes; ++i)
    limited = client_->EnterSale({.sku = "tv", .user = "carol"}).status();
  EXPECT_EQ(ReasonOf(limited), Reason::kRateLimited) << limited;
  EXPECT_GT(RetryDelayOf(limited).value_or(absl::ZeroDuration()), absl::Seconds(30));
}

TEST_F(FrontDoorTest, TheSdkSaysWhereEachBuyerIs) {
  AddEntry(v1::AccessEntry::VERDICT_DENY, "", "203.0.113.0/24");
  AwaitEverywhere("the list is known", [this](int node) {
    return Claim(node, {.user = NextUser(), .forwarded_for = "203.0.113.7"}).reason == "DENIED";
  });
  const auto reason_at = [this](const std::string& address) {
    return ReasonOf(client_->Create({.sku = "tv", .user = NextUser(), .buyer_address = address}).status());
  };
  EXPECT_EQ(reason_at("203.0.113.7"), Reason::kDenied);
  EXPECT_EQ(reason_at("203.0.113.7:80"), Reason::kFieldInvalid);
  for (const char* address : {"198.51.100.1", ""}) {
    const auto bought = client_->Create({.sku = "tv", .user = NextUser(), .buyer_address = address});
    EXPECT_TRUE(bought.ok()) << bought.status();
  }
  const auto cart =
      client_->CreateCart({.user = NextUser(), .lines = {{.sku = "tv"}}, .buyer_address = "::ffff:203.0.113.7"});
  EXPECT_EQ(ReasonOf(cart.status()), Reason::kDenied) << cart.status();
  const auto entry = client_->EnterSale({.sku = "tv", .user = NextUser(), .buyer_address = "203.0.113.7"});
  EXPECT_EQ(ReasonOf(entry.status()), Reason::kDenied) << entry.status();
}

TEST_F(FrontDoorTest, ACartNeedsTheTokenOfEachOfItsLines) {
  OpenSale("radio", 100);
  SetPolicy(TokenPolicy());
  v1::CreateReservationsRequest cart;
  cart.set_user_id("alice");
  for (const char* sku : {"radio", "tv"}) {
    v1::CartLine* line = cart.add_lines();
    line->set_reservation_id(MakeUuidV7());
    line->set_sku_id(sku);
    line->set_quantity(1);
  }
  v1::CreateReservationsResponse response;
  const DoorAnswer refused = DoorAnswerOf(nodes_[0].reservations->CreateReservations(Context().get(), cart, &response));
  EXPECT_EQ(refused.reason, "PURCHASE_TOKEN_REQUIRED");
  EXPECT_THAT(RowsOf("radio"), IsEmpty()) << "all lines or none";
  cart.mutable_lines(1)->set_purchase_token(TokenFor("alice", 1));
  const grpc::Status sold = nodes_[0].reservations->CreateReservations(Context().get(), cart, &response);
  EXPECT_TRUE(sold.ok()) << sold.error_message();
  EXPECT_EQ(response.reservations_size(), 2);
}

}  // namespace
}  // namespace tranche::testing
