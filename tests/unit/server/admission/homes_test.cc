#include "server/admission/homes.h"

#include <array>
#include <memory>
#include <numeric>
#include <random>
#include <string>
#include <vector>

#include "absl/strings/str_cat.h"
#include "absl/time/time.h"
#include "gtest/gtest.h"
#include "server/admission/rate_table.h"

namespace tranche::server {
namespace {

using storage::IncarnationId;

constexpr int kHomeNodes = 8;

const absl::Time kSprayStart = absl::FromUnixSeconds(1'800'000'000);

// 1 to kHomeNodes.
std::vector<IncarnationId> EightNodes() {
  std::vector<IncarnationId> nodes(kHomeNodes);
  std::iota(nodes.begin(), nodes.end(), 1);
  return nodes;
}

// Each node's own view, by its id less 1.
std::vector<Homes> ViewsOf(const std::vector<IncarnationId>& nodes) {
  std::vector<Homes> views;
  for (const IncarnationId node : nodes) views.emplace_back(node, nodes);
  return views;
}

// The only node that says that it is the home, by its place in `views`; -1: none or several say so.
int HomeAmong(const std::vector<Homes>& views, RateKeyKind kind, absl::string_view policy, absl::string_view subject) {
  int home = -1;
  for (size_t i = 0; i < views.size(); ++i) {
    if (!views[i].IsHome(kind, policy, subject)) continue;
    if (home >= 0) return -1;
    home = static_cast<int>(i);
  }
  return home;
}

TEST(HomesTest, ALoneNodeIsTheHomeOfAll) {
  const Homes nobody_known;
  const Homes only_self(7, {7});
  for (const Homes* const homes : {&nobody_known, &only_self}) {
    EXPECT_EQ(homes->nodes(), 1u);
    EXPECT_TRUE(homes->IsHome(RateKeyKind::kUser, "tv", "alice"));
    const RateRule rule = {.interval = absl::Seconds(1), .tolerance = absl::Seconds(4)};
    EXPECT_EQ(homes->Share(rule, false).interval, absl::Seconds(1));
    EXPECT_EQ(homes->Share(rule, false).tolerance, absl::Seconds(4));
  }
}

TEST(HomesTest, ANodeIsCountedOnceWhetherItIsListedOrNot) {
  EXPECT_EQ(Homes(3, {1, 2}).nodes(), 3u);
  EXPECT_EQ(Homes(3, {3, 1, 2, 1, 3}).nodes(), 3u);
}

TEST(HomesTest, EachKeyHasOneHomeAndEachNodeItsPartOfTheKeys) {
  const std::vector<Homes> views = ViewsOf(EightNodes());
  std::array<int, kHomeNodes> keys = {};
  for (int i = 0; i < 8'000; ++i) {
    const int home = HomeAmong(views, RateKeyKind::kUser, "tv", absl::StrCat("buyer-", i));
    ASSERT_GE(home, 0) << i;
    ++keys.at(static_cast<size_t>(home));
  }
  for (const int of_node : keys) EXPECT_NEAR(of_node, 1'000, 150);
}

TEST(HomesTest, TheOrderOfTheListDoesNotMatter) {
  const Homes one(3, {1, 2, 3, 4});
  const Homes other(3, {4, 3, 2, 1});
  for (int i = 0; i < 200; ++i) {
    const std::string user = absl::StrCat("buyer-", i);
    EXPECT_EQ(one.IsHome(RateKeyKind::kUser, "tv", user), other.IsHome(RateKeyKind::kUser, "tv", user)) << user;
  }
}

// Computed with another implementation. While versions run side by side, their nodes must agree.
TEST(HomesTest, HomesAreTheSameInAllVersions) {
  const std::vector<Homes> views = ViewsOf(EightNodes());
  EXPECT_EQ(HomeAmong(views, RateKeyKind::kUser, "tv", "alice") + 1, 3);
  EXPECT_EQ(HomeAmong(views, RateKeyKind::kUser, "tv", "bob") + 1, 1);
  EXPECT_EQ(HomeAmong(views, RateKeyKind::kUser, "tv", "carol") + 1, 4);
  EXPECT_EQ(HomeAmong(views, RateKeyKind::kUser, "tv", "dave") + 1, 6);
  EXPECT_EQ(HomeAmong(views, RateKeyKind::kSku, "*", "") + 1, 3);
  EXPECT_EQ(HomeAmong(views, RateKeyKind::kAddress, "*", "203.0.113.0/24") + 1, 4);
}

TEST(HomesTest, OnlyTheKeysOfANodeThatGoesMove) {
  const std::vector<Homes> before = ViewsOf(EightNodes());
  std::vector<IncarnationId> rest = EightNodes();
  rest.pop_back();
  const std::vector<Homes> after = ViewsOf(rest);
  int moved = 0;
  for (int i = 0; i < 2'000; ++i) {
    const std::string user = absl::StrCat("buyer-", i);
    const int was = HomeAmong(before, RateKeyKind::kUser, "tv", user);
    const int is = HomeAmong(after, RateKeyKind::kUser, "tv", user);
    ASSERT_GE(is, 0);
    if (was == kHomeNodes - 1) {
      ++moved;
    } else {
      EXPECT_EQ(is, was) << user;
    }
  }
  EXPECT_GT(moved, 100);
}

// Of one try in 200 ms.
RateRule RuleOfBurst(int64_t burst) {
  return {.interval = absl::Milliseconds(200), .tolerance = absl::Milliseconds(200) * (burst - 1)};
}

TEST(HomesTest, AwayFromHomeAKeyHasItsPartOfTheRateAndOfTheBurst) {
  const Homes homes(1, EightNodes());
  const RateRule rule = {
      .interval = absl::Seconds(1), .tolerance = absl::Seconds(29), .max_wait = absl::Milliseconds(500)};
  EXPECT_EQ(homes.Share(rule, true).interval, absl::Seconds(1));
  EXPECT_EQ(homes.Share(rule, true).tolerance, absl::Seconds(29));
  const RateRule away = homes.Share(rule, false);
  EXPECT_EQ(away.interval, absl::Seconds(7));
  EXPECT_EQ(away.tolerance, 4 * absl::Seconds(7)) << "a seventh of 30, rounded up";
  EXPECT_EQ(away.max_wait, absl::Milliseconds(500));
}

TEST(HomesTest, AwayFromHomeABurstIsTwoAtLeastButNoMoreThanTheLimits) {
  const Homes eight(1, EightNodes());
  const Homes two(1, {1, 2});
  struct Case {
    int64_t burst;
    int64_t of_eight;
    int64_t of_two;
  };
  for (const Case& of : {Case{1, 1, 1}, Case{2, 2, 2}, Case{3, 2, 3}, Case{14, 2, 14}, Case{15, 3, 15}}) {
    const RateRule share = eight.Share(RuleOfBurst(of.burst), false);
    EXPECT_EQ(share.tolerance / share.interval + 1, of.of_eight) << of.burst;
    EXPECT_EQ(two.Share(RuleOfBurst(of.burst), false).tolerance, RuleOfBurst(of.of_two).tolerance) << of.burst;
  }
}

// The most that the header says, and no try more.
TEST(HomesTest, ToSprayTriesAtOnceGivesTheBurstAndTheSharesOfTheOthers) {
  const std::vector<Homes> views = ViewsOf(EightNodes());
  const RateKeyHasher hasher;
  const auto let_in_at_once = [&](int64_t burst) {
    int64_t granted = 0;
    for (const Homes& view : views) {
      RateTable table(64 << 10);
      const RateRule share = view.Share(RuleOfBurst(burst), view.IsHome(RateKeyKind::kUser, "tv", "bot"));
      for (int i = 0; i < 200; ++i) {
        granted += table.Try(hasher.Of(RateKeyKind::kUser, "tv", "bot"), share, kSprayStart).taken ? 1 : 0;
      }
    }
    return granted;
  };
  EXPECT_EQ(let_in_at_once(1), 1 + 7 * 1);
  EXPECT_EQ(let_in_at_once(5), 5 + 7 * 2);
  EXPECT_EQ(let_in_at_once(100), 100 + 7 * 15);
}

// Field: "off the owner never over the limit" (mailgun/gubernator#208, #225). A bot tries at all nodes, as often as it
// can: all together let through at most twice the rate.
TEST(HomesTest, ToSprayTriesOverAllNodesGivesAtMostTwiceTheRate) {
  const std::vector<Homes> views = ViewsOf(EightNodes());
  std::vector<std::unique_ptr<RateTable>> tables;
  for (int i = 0; i < kHomeNodes; ++i) tables.push_back(std::make_unique<RateTable>(64 << 10));
  const RateKeyHasher hasher;
  constexpr int kBurst = 5;
  const RateRule rule = RuleOfBurst(kBurst);
  std::mt19937_64 random(8);
  int64_t granted = 0;
  absl::Time now = kSprayStart;
  for (; now < kSprayStart + absl::Seconds(60); now += absl::Milliseconds(2)) {
    const size_t node = random() % kHomeNodes;
    const RateRule share = views[node].Share(rule, views[node].IsHome(RateKeyKind::kUser, "tv", "bot"));
    granted += tables[node]->Try(hasher.Of(RateKeyKind::kUser, "tv", "bot"), share, now).taken ? 1 : 0;
  }
  const int64_t at_the_rate = 60 * 5;
  EXPECT_LE(granted, 2 * at_the_rate + kBurst + 2 * (kHomeNodes - 1));
  // It does find the nodes that are not its home.
  EXPECT_GE(granted, 2 * at_the_rate - 2 * kHomeNodes);
}

TEST(HomesTest, AwayFromHomeNobodyIsOverTheirPartOfTheLimit) {
  const std::vector<Homes> views = ViewsOf(EightNodes());
  const int home = HomeAmong(views, RateKeyKind::kUser, "tv", "alice");
  const size_t away = home == 0 ? 1 : 0;
  RateTable table(64 << 10);
  const RateRule rule = {.interval = absl::Milliseconds(100), .tolerance = absl::Seconds(10)};
  const RateRule share = views[away].Share(rule, views[away].IsHome(RateKeyKind::kUser, "tv", "alice"));
  int granted = 0;
  for (int ms = 0; ms < 7'000; ++ms)
    granted += table.Try(99, share, kSprayStart + absl::Milliseconds(ms)).taken ? 1 : 0;
  EXPECT_EQ(granted, 24) << "of 101 at once a seventh, which is 15, and one in 700 ms";
}

}  // namespace
}  // namespace tranche::server
