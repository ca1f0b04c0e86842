#include "quota/balancer/probe_verdicts.h"

#include <string>
#include <vector>

#include "absl/strings/str_cat.h"
#include "gtest/gtest.h"

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
  const NodeProbeStats stats = verdicts_.stats();
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
    verdicts_.NoteFailed(7, now_);
    EXPECT_EQ(DueAfter(pause), Ids{7});
    pause = std::min(2 * pause, ProbeVerdicts::kLongestPause);
  }
  // Nor is a refusal before it and one after it.
  verdicts_.NoteRefused(7, now_);
  EXPECT_EQ(DueAfter(ProbeVerdicts::kBetweenRefusals), Ids{7});
  verdicts_.NoteFailed(7, now_);
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
  EXPECT_EQ(verdicts_.stats().wrong_guesses, 0);
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

// What answers there is a proxy, and may be gone while they live; or one of them was started again.
TEST_F(ProbeVerdictsTest, AnAddressOfSeveralNodesProvesNothing) {
  Watch({{7, kHome}, {8, kHome}});
  EXPECT_EQ(DueNow(), (Ids{7, 8}));
  for (const IncarnationId id : {7, 8}) verdicts_.NoteConnected(id, now_);
  Lose(7);
  RefuseTwice(7);
  EXPECT_TRUE(verdicts_.dead().empty());
  // The session of the other one ends.
  Watch({{7, kHome}});
  now_ = verdicts_.NextDue();
  RefuseTwice(7);
  EXPECT_EQ(verdicts_.dead(), Ids{7});
}

TEST_F(ProbeVerdictsTest, WhoBeginsAgainWhereWeAreRefusedLived) {
  DieAtHome(7);
  Watch({{8, kHome}});
  RefuseTwice(8);
  EXPECT_EQ(verdicts_.stats().wrong_guesses, 1);
  EXPECT_TRUE(verdicts_.dead().empty());
  // Counted once.
  now_ = verdicts_.NextDue();
  RefuseTwice(8);
  EXPECT_EQ(verdicts_.stats().wrong_guesses, 1);
  // Then it lets us through, for a while.
  now_ = verdicts_.NextDue();
  Connect(8);
  Lose(8);
  RefuseTwice(8);
  EXPECT_EQ(verdicts_.dead(), Ids{8});
  EXPECT_EQ(verdicts_.stats().switched_off, 0);
  Watch({{9, kHome}, {10, "host:2"}});
  EXPECT_EQ(DueNow(), (Ids{9, 10}));
  verdicts_.NoteConnected(10, now_);
  verdicts_.NoteRefused(9, now_);
  EXPECT_EQ(DueAfter(ProbeVerdicts::kBetweenRefusals), Ids{9});
  verdicts_.NoteRefused(9, now_);
  EXPECT_EQ(verdicts_.stats().wrong_guesses, 2);
  EXPECT_EQ(verdicts_.stats().switched_off, 1);
  EXPECT_TRUE(NobodyIsDue()) << "that address is not believed any more";
  Watch({{10, "host:2"}, {11, kHome}});
  EXPECT_TRUE(NobodyIsDue()) << "whoever is there";
  Lose(10);
  RefuseTwice(10);
  EXPECT_EQ(verdicts_.dead(), Ids{10}) << "others are";
}

TEST_F(ProbeVerdictsTest, WhoIsReachedAfterADeathWasStartedAgain) {
  for (IncarnationId id = 7; id < 20; ++id) DieAtHome(id);
  EXPECT_EQ(verdicts_.stats().found_dead, 13);
  Watch({{20, kHome}});
  Connect(20);
  Lose(20);
  Connect(20);
  // One that is never reached, long after such a death, is no wrong guess.
  Watch({{21, kHome}});
  RefuseTwice(21);
  EXPECT_EQ(verdicts_.stats().wrong_guesses, 0);
  EXPECT_EQ(verdicts_.stats().switched_off, 0);
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
  EXPECT_EQ(verdicts_.stats().watched, static_cast<int64_t>(ProbeVerdicts::kMostNodes));
  EXPECT_EQ(DueNow().size(), ProbeVerdicts::kMostNodes);
  for (const ProbedNode& node : nodes) verdicts_.NoteConnected(node.incarnation, now_);
  now_ += ProbeVerdicts::kShortLived;
  for (const ProbedNode& node : nodes) verdicts_.NoteLost(node.incarnation, now_);
  for (int refusals = 0; refusals < 2; ++refusals) {
    now_ = verdicts_.NextDue();
    for (const ProbedNode& node : verdicts_.TakeDue(now_)) verdicts_.NoteRefused(node.incarnation, now_);
  }
  EXPECT_EQ(verdicts_.dead().size(), ProbeVerdicts::kMostNodes);
  // Most of these addresses were forgotten, so that most of those who begin there again are not counted.
  for (ProbedNode& node : nodes) node.incarnation += 100000;
  Watch(nodes);
  for (int refusals = 0; refusals < 2; ++refusals) {
    now_ = verdicts_.NextDue();
    for (const ProbedNode& node : verdicts_.TakeDue(now_)) verdicts_.NoteRefused(node.incarnation, now_);
  }
  EXPECT_EQ(verdicts_.stats().wrong_guesses, static_cast<int64_t>(ProbeVerdicts::kMostAddresses));
}

}  // namespace
}  // namespace tranche::quota
