#include "quota/balancer/probe_verdicts.h"

#include <string>
#include <vector>

#include "absl/strings/str_cat.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "tests/support/logged_lines.h"

namespace tranche::quota {
namespace {

using storage::IncarnationId;
using Ids = std::set<IncarnationId>;

constexpr char kHome[] = "host:1";

// Time moves by hand; the test says what becomes of each connection.
class ProbeVerdictsTest : public ::testing::Test {
 protected:
  void Watch(const std::vector<ProbedNode>& nodes) { verdicts_.Watch(nodes, now_); }

  // Who is to be connected to after this time, and to nobody before.
  Ids DueAfter(absl::Duration duration) {
    EXPECT_EQ(verdicts_.NextDue(), now_ + duration);
    if (duration > absl::ZeroDuration()) {
      EXPECT_TRUE(verdicts_.TakeDue(now_ + duration - absl::Nanoseconds(1)).empty());
    }
    now_ += duration;
    Ids due;
    for (const ProbedNode& node : verdicts_.TakeDue(now_)) due.insert(node.incarnation);
    return due;
  }
  Ids DueNow() { return DueAfter(absl::ZeroDuration()); }
  bool NobodyIsDue() { return verdicts_.NextDue() == absl::InfiniteFuture(); }

  void Connect(IncarnationId id) {
    EXPECT_TRUE(DueNow().contains(id));
    verdicts_.NoteConnected(id, now_);
  }
  void Lose(IncarnationId id) {
    now_ += ProbeVerdicts::kShortLived;
    verdicts_.NoteLost(id, now_);
  }
  // Two tries a moment apart.
  void RefuseTwice(IncarnationId id) {
    EXPECT_TRUE(DueNow().contains(id));
    verdicts_.NoteRefused(id, now_);
    EXPECT_FALSE(verdicts_.dead().contains(id)) << "one refusal is no proof";
    EXPECT_TRUE(DueAfter(ProbeVerdicts::kBetweenRefusals).contains(id));
    verdicts_.NoteRefused(id, now_);
  }
  // A node that was watched alone, and is found dead.
  void DieAtHome(IncarnationId id) {
    Watch({{id, kHome}});
    Connect(id);
    Lose(id);
    RefuseTwice(id);
    EXPECT_EQ(verdicts_.dead(), Ids{id});
  }

  static ProbedNode NodeOf(IncarnationId id) { return {id, absl::StrCat("host:", id), absl::StrCat("node-", id)}; }
  // Watches the nodes 1 to `count`, to all of which there is a connection.
  void WatchReached(IncarnationId count) {
    std::vector<ProbedNode> nodes;
    for (IncarnationId id = 1; id <= count; ++id) nodes.push_back(NodeOf(id));
    Watch(nodes);
    EXPECT_EQ(DueNow().size(), nodes.size());
    for (const ProbedNode& node : nodes) verdicts_.NoteConnected(node.incarnation, now_);
  }
  // These nodes lose their connections, and are refused twice.
  void LoseAndRefuse(IncarnationId first, IncarnationId last) {
    for (IncarnationId id = first; id <= last; ++id) verdicts_.NoteLost(id, now_);
    for (int refusals = 0; refusals < 2; ++refusals) {
      now_ = verdicts_.NextDue();
      for (const ProbedNode& node : verdicts_.TakeDue(now_)) verdicts_.NoteRefused(node.incarnation, now_);
    }
  }
  // Whoever we connect to until then refuses.
  void RefuseAllUntil(absl::Time end) {
    while (now_ < end) {
      now_ = verdicts_.NextDue();
      for (const ProbedNode& node : verdicts_.TakeDue(now_)) verdicts_.NoteRefused(node.incarnation, now_);
    }
  }
  // Who has become due by now.
  Ids DueLate() {
    Ids due;
    for (const ProbedNode& node : verdicts_.TakeDue(now_)) due.insert(node.incarnation);
    return due;
  }

  ProbeVerdicts verdicts_;
  absl::Time now_ = absl::FromUnixSeconds(1000);
};

TEST_F(ProbeVerdictsTest, WhoIsRefusedTwiceAfterALossIsDeadAndWatchedNoMore) {
  Watch({{7, kHome}, {8, "host:2"}});
  EXPECT_EQ(DueNow(), (Ids{7, 8}));
  verdicts_.NoteConnected(7, now_);
  verdicts_.NoteConnected(8, now_);
  EXPECT_TRUE(NobodyIsDue());
  Lose(7);
  RefuseTwice(7);
  EXPECT_EQ(verdicts_.dead(), Ids{7});
  EXPECT_TRUE(NobodyIsDue());
  const NodeProbeStats stats = verdicts_.stats(now_);
  EXPECT_EQ(stats.watched, 2);
  EXPECT_EQ(stats.connected, 1);
  EXPECT_EQ(stats.found_dead, 1);
  Watch({{8, "host:2"}});
  EXPECT_TRUE(verdicts_.dead().empty());
  EXPECT_FALSE(verdicts_.Watches(7));
}

TEST_F(ProbeVerdictsTest, AConnectionThatCanBeMadeAgainIsNoDeath) {
  Watch({{7, kHome}});
  Connect(7);
  for (int i = 0; i < 5; ++i) {
    Lose(7);
    Connect(7);
  }
  // A new process listens there before the second try: whether the old one is gone is left to its session.
  Lose(7);
  EXPECT_EQ(DueNow(), Ids{7});
  verdicts_.NoteRefused(7, now_);
  EXPECT_EQ(DueAfter(ProbeVerdicts::kBetweenRefusals), Ids{7});
  verdicts_.NoteConnected(7, now_);
  EXPECT_TRUE(verdicts_.dead().empty());
  Lose(7);
  EXPECT_EQ(DueNow(), Ids{7});
  verdicts_.NoteRefused(7, now_);
  EXPECT_TRUE(verdicts_.dead().empty()) << "the earlier refusal does not count any more";
}

TEST_F(ProbeVerdictsTest, SilenceIsNoProof) {
  Watch({{7, kHome}});
  Connect(7);
  Lose(7);
  absl::Duration pause = ProbeVerdicts::kShortestPause;
  EXPECT_EQ(DueNow(), Ids{7});
  for (int i = 0; i < 20; ++i) {
    verdicts_.NoteFailed(7, now_, "timed out");
    EXPECT_EQ(DueAfter(pause), Ids{7});
    pause = std::min(2 * pause, ProbeVerdicts::kLongestPause);
  }
  // Nor is a refusal before it and one after it.
  verdicts_.NoteRefused(7, now_);
  EXPECT_EQ(DueAfter(ProbeVerdicts::kBetweenRefusals), Ids{7});
  verdicts_.NoteFailed(7, now_, "timed out");
  EXPECT_EQ(DueAfter(ProbeVerdicts::kLongestPause), Ids{7});
  verdicts_.NoteRefused(7, now_);
  EXPECT_TRUE(verdicts_.dead().empty());
  // Its machine was started again, and the process was not.
  EXPECT_EQ(DueAfter(ProbeVerdicts::kBetweenRefusals), Ids{7});
  verdicts_.NoteRefused(7, now_);
  EXPECT_EQ(verdicts_.dead(), Ids{7});
}

TEST_F(ProbeVerdictsTest, WhoWasNeverReachedIsLeftToItsSession) {
  Watch({{7, kHome}});
  for (int i = 0; i < 10; ++i) {
    now_ = verdicts_.NextDue();
    RefuseTwice(7);
  }
  EXPECT_TRUE(verdicts_.dead().empty());
  EXPECT_EQ(verdicts_.stats(now_).wrong_guesses, 0);
  now_ = verdicts_.NextDue();
  Connect(7);
  Lose(7);
  RefuseTwice(7);
  EXPECT_EQ(verdicts_.dead(), Ids{7});
}

TEST_F(ProbeVerdictsTest, AnAddressThatClosesEachConnectionAtOnceIsLeftAloneForAGrowingTime) {
  Watch({{7, kHome}});
  EXPECT_EQ(DueNow(), Ids{7});
  absl::Duration pause = ProbeVerdicts::kShortestPause;
  for (int i = 0; i < 10; ++i) {
    verdicts_.NoteConnected(7, now_);
    verdicts_.NoteLost(7, now_);
    EXPECT_EQ(DueAfter(pause), Ids{7});
    pause = std::min(2 * pause, ProbeVerdicts::kLongestPause);
  }
  verdicts_.NoteConnected(7, now_);
  Lose(7);
  EXPECT_EQ(DueNow(), Ids{7}) << "it lasted";
}

// One of them was started again, and the session of its earlier incarnation has not ended.
TEST_F(ProbeVerdictsTest, AnAddressThatTwoHaveProvesNothingMeanwhile) {
  Watch({{7, kHome, "node"}, {8, kHome, "node"}});
  EXPECT_EQ(DueNow(), (Ids{7, 8}));
  for (const IncarnationId id : {7, 8}) verdicts_.NoteConnected(id, now_);
  Lose(7);
  RefuseTwice(7);
  EXPECT_TRUE(verdicts_.dead().empty());
  // The session of the other one ends.
  Watch({{7, kHome, "node"}});
  now_ = verdicts_.NextDue();
  RefuseTwice(7);
  EXPECT_EQ(verdicts_.dead(), Ids{7});
}

// What answers there is a proxy, and may be gone while they live.
TEST_F(ProbeVerdictsTest, AnAddressThatNodesOfDifferentNamesHadProvesNothingEverAfter) {
  Watch({{7, kHome, "a"}, {8, kHome, "b"}, {9, "host:2", "c"}});
  EXPECT_EQ(DueNow(), (Ids{7, 8, 9}));
  for (const IncarnationId id : {7, 8, 9}) verdicts_.NoteConnected(id, now_);
  Watch({{7, kHome, "a"}, {9, "host:2", "c"}});
  for (int i = 0; i < 3; ++i) {
    Lose(7);
    RefuseTwice(7);
    EXPECT_TRUE(verdicts_.dead().empty()) << "8 has ended, and the proxy is still there";
    now_ = verdicts_.NextDue();
    Connect(7);
  }
  Lose(9);
  RefuseTwice(9);
  EXPECT_EQ(verdicts_.dead(), Ids{9});
}

// Two machines' 127.0.0.1:7400 are not the same; ours may be some other process.
TEST_F(ProbeVerdictsTest, ALoopbackAddressProvesNothingBesideOthers) {
  for (const char* local : {"127.0.0.1:1", "127.0.1.1:1", "localhost:1", "[::1]:1"}) {
    verdicts_.Forget();
    Watch({{7, local}, {8, kHome}});
    EXPECT_EQ(DueNow(), (Ids{7, 8}));
    for (const IncarnationId id : {7, 8}) verdicts_.NoteConnected(id, now_);
    Lose(7);
    RefuseTwice(7);
    EXPECT_TRUE(verdicts_.dead().empty()) << local;
    // All nodes are of this machine.
    Watch({{7, local}, {9, "127.0.0.1:2"}});
    EXPECT_EQ(DueNow(), Ids{9});
    verdicts_.NoteConnected(9, now_);
    now_ = verdicts_.NextDue();
    RefuseTwice(7);
    EXPECT_EQ(verdicts_.dead(), Ids{7}) << local;
  }
}

// A rule of the network that keeps connections and rejects new ones: each node closes our connection within 20 s, and
// then looks dead.
TEST_F(ProbeVerdictsTest, WhenMostNodesLookDeadTheOthersAreLeftToTheirSessions) {
  WatchReached(8);
  testing::LoggedLines log;
  now_ += ProbeVerdicts::kShortLived;
  LoseAndRefuse(1, 8);
  EXPECT_EQ(verdicts_.dead(), (Ids{1, 2, 3, 4}));
  EXPECT_EQ(verdicts_.stats(now_).left_alone, 4);
  ASSERT_EQ(log.lines().size(), 1u) << "not for each of them";
  EXPECT_THAT(log.lines()[0], ::testing::HasSubstr("most nodes refuse connections"));
  // Those found dead begin anew, and the rule still holds: not even later is anybody else found dead.
  std::vector<ProbedNode> nodes;
  for (IncarnationId id = 5; id <= 8; ++id) nodes.push_back(NodeOf(id));
  for (IncarnationId id = 1; id <= 4; ++id) nodes.push_back({id + 100, NodeOf(id).address});
  Watch(nodes);
  RefuseAllUntil(now_ + 10 * ProbeVerdicts::kMassWindow);
  EXPECT_TRUE(verdicts_.dead().empty());
  EXPECT_EQ(verdicts_.stats(now_).found_dead, 4);
  EXPECT_EQ(verdicts_.stats(now_).wrong_guesses, 4);
}

TEST_F(ProbeVerdictsTest, WhoWasLeftAloneAndIsReachedAgainIsJudgedAgain) {
  WatchReached(4);
  now_ += ProbeVerdicts::kShortLived;
  LoseAndRefuse(1, 4);
  EXPECT_EQ(verdicts_.dead(), (Ids{1, 2}));
  Watch({NodeOf(3), NodeOf(4)});
  now_ += ProbeVerdicts::kLongestPause;
  EXPECT_EQ(DueLate(), (Ids{3, 4}));
  for (const IncarnationId id : {3, 4}) verdicts_.NoteConnected(id, now_);
  Lose(3);
  RefuseTwice(3);
  EXPECT_EQ(verdicts_.dead(), Ids{3});
}

TEST_F(ProbeVerdictsTest, OneByOneAllMayBeFoundDead) {
  WatchReached(4);
  for (IncarnationId id = 1; id <= 4; ++id) {
    now_ += ProbeVerdicts::kMassWindow;
    Lose(id);
    RefuseTwice(id);
    EXPECT_TRUE(verdicts_.dead().contains(id)) << id;
  }
}

TEST_F(ProbeVerdictsTest, ThoseWhoWereStartedAgainDoNotCountAsLookingDead) {
  WatchReached(3);
  std::vector<ProbedNode> nodes = {NodeOf(1), NodeOf(2), NodeOf(3)};
  for (int round = 0; round < 9; ++round) {
    ProbedNode& node = nodes[static_cast<size_t>(round % 3)];
    Lose(node.incarnation);
    RefuseTwice(node.incarnation);
    EXPECT_EQ(verdicts_.dead(), Ids{node.incarnation});
    node.incarnation += 100;
    Watch(nodes);
    Connect(node.incarnation);
  }
  EXPECT_EQ(verdicts_.stats(now_).left_alone, 0);
}

TEST_F(ProbeVerdictsTest, ASessionThatOutlivesTheVerdictProvesItWrong) {
  DieAtHome(7);
  now_ += ProbeVerdicts::kSessionsEndBy - absl::Seconds(1);
  Watch({{7, kHome}});
  EXPECT_EQ(verdicts_.dead(), Ids{7});
  now_ += absl::Seconds(1);
  Watch({{.incarnation = 7, .address = kHome, .name = "", .registered = false}});
  EXPECT_EQ(verdicts_.dead(), Ids{7}) << "its session has ended";
  Watch({{7, kHome}});
  EXPECT_TRUE(verdicts_.dead().empty());
  EXPECT_EQ(verdicts_.stats(now_).wrong_guesses, 1);
  now_ = verdicts_.NextDue();
  RefuseTwice(7);
  EXPECT_TRUE(verdicts_.dead().empty()) << "it must be reached again first";
  EXPECT_EQ(verdicts_.stats(now_).wrong_guesses, 1);
}

TEST_F(ProbeVerdictsTest, WhatWasFoundOutAboutAddressesCanBeForgotten) {
  DieAtHome(7);
  Watch({{8, kHome}});
  RefuseTwice(8);
  now_ = verdicts_.NextDue();
  Connect(8);
  Lose(8);
  RefuseTwice(8);
  Watch({{9, kHome}});
  RefuseTwice(9);
  EXPECT_EQ(verdicts_.stats(now_).switched_off, 1);
  verdicts_.Forget();
  EXPECT_EQ(verdicts_.stats(now_).switched_off, 0);
  EXPECT_EQ(verdicts_.stats(now_).wrong_guesses, 2) << "that is what was counted";
  DieAtHome(9);
}

TEST_F(ProbeVerdictsTest, WhoIsNotReachedForAMinuteIsReportedWithTheReason) {
  Watch({{7, kHome, "a"}, {8, "host:2", "b"}});
  EXPECT_EQ(DueNow(), (Ids{7, 8}));
  verdicts_.NoteConnected(8, now_);
  verdicts_.NoteFailed(7, now_, "No route to host");
  now_ += ProbeVerdicts::kUnreachedAfter - absl::Seconds(1);
  EXPECT_EQ(verdicts_.stats(now_).unreached, 0);
  now_ += absl::Seconds(1);
  const NodeProbeStats stats = verdicts_.stats(now_);
  EXPECT_EQ(stats.unreached, 1);
  EXPECT_EQ(stats.example.node.incarnation, 7);
  EXPECT_EQ(stats.example.node.name, "a");
  EXPECT_EQ(stats.example.node.address, kHome);
  EXPECT_EQ(stats.example.reason, "No route to host");
  EXPECT_EQ(DueLate(), Ids{7});
  verdicts_.NoteConnected(7, now_);
  EXPECT_EQ(verdicts_.stats(now_).unreached, 0);
  verdicts_.NoteLost(8, now_);
  EXPECT_EQ(verdicts_.stats(now_).unreached, 0) << "not yet for a minute";
  EXPECT_EQ(DueNow(), Ids{8});
  verdicts_.NoteRefused(8, now_);
  now_ += ProbeVerdicts::kUnreachedAfter;
  EXPECT_EQ(verdicts_.stats(now_).example.reason, "it refuses connections");
}

TEST_F(ProbeVerdictsTest, NoMoreNodesAreWatchedThanThereIsRoomForAndThatIsSaidOnce) {
  ProbeVerdicts few(2);
  testing::LoggedLines log;
  for (int i = 0; i < 3; ++i) few.Watch({{7, "host:1"}, {8, "host:2"}, {9, "host:3"}}, now_);
  EXPECT_EQ(few.stats(now_).watched, 2);
  EXPECT_FALSE(few.Watches(9));
  ASSERT_EQ(log.lines().size(), 1u);
  EXPECT_THAT(log.lines()[0], ::testing::HasSubstr("only 2 of 3 nodes' processes are watched"));
}

TEST_F(ProbeVerdictsTest, WhoBeginsAgainWhereWeAreRefusedLived) {
  DieAtHome(7);
  Watch({{8, kHome}});
  RefuseTwice(8);
  EXPECT_EQ(verdicts_.stats(now_).wrong_guesses, 1);
  EXPECT_TRUE(verdicts_.dead().empty());
  // Counted once.
  now_ = verdicts_.NextDue();
  RefuseTwice(8);
  EXPECT_EQ(verdicts_.stats(now_).wrong_guesses, 1);
  // Then it lets us through, for a while.
  now_ = verdicts_.NextDue();
  Connect(8);
  Lose(8);
  RefuseTwice(8);
  EXPECT_EQ(verdicts_.dead(), Ids{8});
  EXPECT_EQ(verdicts_.stats(now_).switched_off, 0);
  Watch({{9, kHome}, {10, "host:2"}});
  EXPECT_EQ(DueNow(), (Ids{9, 10}));
  verdicts_.NoteConnected(10, now_);
  verdicts_.NoteRefused(9, now_);
  EXPECT_EQ(DueAfter(ProbeVerdicts::kBetweenRefusals), Ids{9});
  verdicts_.NoteRefused(9, now_);
  EXPECT_EQ(verdicts_.stats(now_).wrong_guesses, 2);
  EXPECT_EQ(verdicts_.stats(now_).switched_off, 1);
  EXPECT_TRUE(NobodyIsDue()) << "that address is not believed any more";
  Watch({{10, "host:2"}, {11, kHome}});
  EXPECT_TRUE(NobodyIsDue()) << "whoever is there";
  Lose(10);
  RefuseTwice(10);
  EXPECT_EQ(verdicts_.dead(), Ids{10}) << "others are";
}

TEST_F(ProbeVerdictsTest, WhoIsReachedAfterADeathWasStartedAgain) {
  for (IncarnationId id = 7; id < 20; ++id) DieAtHome(id);
  EXPECT_EQ(verdicts_.stats(now_).found_dead, 13);
  Watch({{20, kHome}});
  Connect(20);
  Lose(20);
  Connect(20);
  // One that is never reached, long after such a death, is no wrong guess.
  Watch({{21, kHome}});
  RefuseTwice(21);
  EXPECT_EQ(verdicts_.stats(now_).wrong_guesses, 0);
  EXPECT_EQ(verdicts_.stats(now_).switched_off, 0);
}

TEST_F(ProbeVerdictsTest, WhatIsKnownOfANodeIsKeptWhileItIsWatched) {
  Watch({{7, kHome}});
  Connect(7);
  Watch({{7, kHome}, {8, "host:2"}});
  EXPECT_EQ(DueNow(), Ids{8}) << "7 is connected already";
  Watch({{7, kHome}});
  verdicts_.NoteConnected(8, now_);
  verdicts_.NoteLost(8, now_);
  EXPECT_TRUE(NobodyIsDue()) << "nobody asks for 8 any more";
  Lose(7);
  RefuseTwice(7);
  Watch({{7, kHome}});
  EXPECT_EQ(verdicts_.dead(), Ids{7}) << "its registration has not gone yet";
  Watch({});
  EXPECT_TRUE(verdicts_.dead().empty());
}

TEST_F(ProbeVerdictsTest, NodesAndAddressesAreBounded) {
  std::vector<ProbedNode> nodes;
  for (IncarnationId id = 1; id <= static_cast<IncarnationId>(ProbeVerdicts::kMostNodes) + 10; ++id) {
    nodes.push_back({id, absl::StrCat("host:", id)});
  }
  Watch(nodes);
  EXPECT_EQ(verdicts_.stats(now_).watched, static_cast<int64_t>(ProbeVerdicts::kMostNodes));
  EXPECT_EQ(DueNow().size(), ProbeVerdicts::kMostNodes);
  for (const ProbedNode& node : nodes) verdicts_.NoteConnected(node.incarnation, now_);
  now_ += ProbeVerdicts::kShortLived;
  for (const ProbedNode& node : nodes) verdicts_.NoteLost(node.incarnation, now_);
  for (int refusals = 0; refusals < 2; ++refusals) {
    now_ = verdicts_.NextDue();
    for (const ProbedNode& node : verdicts_.TakeDue(now_)) verdicts_.NoteRefused(node.incarnation, now_);
  }
  EXPECT_EQ(verdicts_.dead().size(), ProbeVerdicts::kMostNodes / 2);
  // Most of these addresses were forgotten, so that most of those who begin there again are not counted.
  for (ProbedNode& node : nodes) node.incarnation += 100000;
  Watch(nodes);
  for (int refusals = 0; refusals < 2; ++refusals) {
    now_ = verdicts_.NextDue();
    for (const ProbedNode& node : verdicts_.TakeDue(now_)) verdicts_.NoteRefused(node.incarnation, now_);
  }
  EXPECT_EQ(verdicts_.stats(now_).wrong_guesses, static_cast<int64_t>(ProbeVerdicts::kMostAddresses));
}

}  // namespace
}  // namespace tranche::quota
