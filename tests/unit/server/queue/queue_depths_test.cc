#include "server/queue/queue_depths.h"

#include <gtest/gtest.h>

#include <functional>
#include <map>
#include <string>
#include <vector>

#include "tests/unit/server/queue/scripted_queue_admin.h"

namespace tranche::server {
namespace {

class QueueDepthsTest : public ::testing::Test {
 protected:
  void Publish(int count) {
    for (int i = 0; i < count; ++i) depths_.NotePublished("q");
  }

  storage::FakeClock clock_;
  ScriptedQueueAdmin admin_;
  QueueDepths depths_{&admin_, &clock_};
};

TEST_F(QueueDepthsTest, CountsWhatWasPutInSinceTheBrokerSaid) {
  EXPECT_EQ(depths_.Ahead("q"), 0);
  Publish(2);
  EXPECT_EQ(depths_.Ahead("q"), 2) << "also before the broker has said anything";
  admin_.ready["q"] = 7;
  depths_.Poll({"q"});
  EXPECT_EQ(depths_.Ahead("q"), 7);
  Publish(3);
  EXPECT_EQ(depths_.Ahead("q"), 10);
  EXPECT_EQ(depths_.Backlog("q"), 10);
  depths_.Poll({"q"});
  EXPECT_EQ(depths_.Ahead("q"), 7);
}

// What is published while the broker is asked may or may not be in its answer.
TEST_F(QueueDepthsTest, WhatIsPutInDuringTheQuestionIsAheadAndNoBacklog) {
  admin_.ready["q"] = 0;
  admin_.on_depths = [this] { Publish(4); };
  depths_.Poll({"q"});
  EXPECT_EQ(depths_.Ahead("q"), 4);
  EXPECT_EQ(depths_.Backlog("q"), 0);
}

TEST_F(QueueDepthsTest, ASilentBrokerLeavesWhatWasKnown) {
  admin_.ready["q"] = 7;
  depths_.Poll({"q"});
  admin_.error = absl::UnavailableError("away");
  Publish(1);
  depths_.Poll({"q"});
  EXPECT_EQ(depths_.Ahead("q"), 8);
  ASSERT_EQ(depths_.All().size(), 1u);
  EXPECT_EQ(depths_.All()[0].read_at, clock_.Now());
}

// It is also what a broker says of a queue whose leader does not answer it.
TEST_F(QueueDepthsTest, ThatAQueueHasNothingAnyMoreIsBelievedTheThirdTime) {
  admin_.ready["q"] = 7;
  depths_.Poll({"q"});
  admin_.ready["q"] = 0;
  admin_.consumers = 0;
  admin_.dead = 0;
  Publish(1);
  for (int i = 0; i < 2; ++i) {
    clock_.AdvanceBy(absl::Seconds(1));
    depths_.Poll({"q"});
    EXPECT_EQ(depths_.Ahead("q"), 8);
    EXPECT_EQ(depths_.Backlog("q"), 8);
    ASSERT_EQ(depths_.All().size(), 1u);
    EXPECT_EQ(depths_.All()[0].depth.consumers, 1);
    EXPECT_EQ(depths_.All()[0].depth.dead, 2);
  }
  depths_.Poll({"q"});
  EXPECT_EQ(depths_.Ahead("q"), 0);
  EXPECT_EQ(depths_.All()[0].depth.consumers, 0);
}

TEST_F(QueueDepthsTest, AnotherAnswerBetweenBeginsTheDoubtAnew) {
  admin_.ready["q"] = 7;
  depths_.Poll({"q"});
  for (int i = 0; i < 4; ++i) {
    admin_.ready["q"] = i % 2 == 0 ? 0 : 5;
    admin_.consumers = i % 2 == 0 ? 0 : 1;
    depths_.Poll({"q"});
    EXPECT_GT(depths_.Ahead("q"), 0) << i;
  }
}

TEST_F(QueueDepthsTest, AnEmptyQueueWithConsumersIsBelievedAtOnce) {
  admin_.ready["q"] = 7;
  depths_.Poll({"q"});
  admin_.ready["q"] = 0;
  depths_.Poll({"q"});
  EXPECT_EQ(depths_.Ahead("q"), 0);
}

TEST_F(QueueDepthsTest, NoDeadLettersAnyMoreIsBelievedTheThirdTime) {
  admin_.ready["q"] = 7;
  depths_.Poll({"q"});
  admin_.dead = 0;
  for (const int64_t dead : {2, 2, 0}) {
    depths_.Poll({"q"});
    EXPECT_EQ(depths_.All().at(0).depth.dead, dead);
  }
}

TEST_F(QueueDepthsTest, WhatIsOldIsNotShownAndStillBacklog) {
  admin_.ready["q"] = 7;
  depths_.Poll({"q"});
  admin_.error = absl::UnavailableError("away");
  clock_.AdvanceBy(absl::Seconds(6));
  depths_.Poll({"q"});
  EXPECT_TRUE(depths_.All().empty());
  EXPECT_EQ(depths_.OutlookOf("q", 500).ahead, 500);
  EXPECT_EQ(depths_.Backlog("q"), 7);
  EXPECT_EQ(depths_.Ahead("q"), 7);
}

TEST_F(QueueDepthsTest, QueuesThatAreMissingAreMade) {
  depths_.Poll({"q", "r"});
  EXPECT_EQ(admin_.declared, (std::vector<std::string>{"q", "r"}));
  EXPECT_EQ(admin_.asked, 1) << "one poll does not wait for the broker three times";
  depths_.Poll({"q", "r"});
  EXPECT_EQ(depths_.All().size(), 2u);
  EXPECT_EQ(admin_.declared.size(), 2u) << "once";
}

TEST_F(QueueDepthsTest, ANodeThatEndsAsksNothingMore) {
  admin_.on_depths = [this] { depths_.NoteEnding(); };
  depths_.Poll({"q"});
  EXPECT_EQ(admin_.asked, 1);
  EXPECT_TRUE(admin_.declared.empty());
  depths_.Poll({"q"});
  EXPECT_EQ(admin_.asked, 1);
}

TEST_F(QueueDepthsTest, NobodyIsAskedAboutNothing) {
  depths_.Poll({});
  EXPECT_EQ(admin_.asked, 0);
  admin_.ready["q"] = 7;
  depths_.Poll({"q"});
  depths_.Poll({});
  EXPECT_EQ(admin_.asked, 1);
  EXPECT_TRUE(depths_.All().empty()) << "forgotten";
}

TEST_F(QueueDepthsTest, TheRateIsSeenFromWhatLeaves) {
  admin_.ready["q"] = 10'000;
  depths_.Poll({"q"});
  Publish(1'000);
  clock_.AdvanceBy(absl::Seconds(1));
  admin_.ready["q"] = 9'000;  // 2,000 have left
  depths_.Poll({"q"});
  const ClaimOutlook outlook = depths_.OutlookOf("q", 8'000);
  EXPECT_EQ(outlook.ahead, 8'000);
  EXPECT_EQ(outlook.poll_after, absl::Seconds(4));
}

TEST_F(QueueDepthsTest, AnOutlookIsNoMoreThanTheTicketAndTheQueueSay) {
  EXPECT_EQ(depths_.OutlookOf("q", 500).ahead, 500) << "nothing is known of the queue";
  admin_.ready["q"] = 20;
  depths_.Poll({"q"});
  EXPECT_EQ(depths_.OutlookOf("q", 500).ahead, 20);
  EXPECT_EQ(depths_.OutlookOf("q", 5).ahead, 5);
}

// What others put in is not known before that.
TEST_F(QueueDepthsTest, UntilTheNextPollTheLargerNumberCounts) {
  admin_.ready["q"] = 20;
  depths_.Poll({"q"});
  const absl::Time queued_at = clock_.Now();
  EXPECT_EQ(depths_.OutlookOf("q", 500, queued_at).ahead, 500);
  EXPECT_EQ(depths_.OutlookOf("q", 5, queued_at).ahead, 20);
  clock_.AdvanceBy(absl::Seconds(1));
  depths_.Poll({"q"});
  EXPECT_EQ(depths_.OutlookOf("q", 500, queued_at).ahead, 20);
}

TEST(PollAfterTest, IsWithinItsBounds) {
  EXPECT_EQ(PollAfter(0, 100), absl::Milliseconds(200));
  EXPECT_EQ(PollAfter(300, 100), absl::Seconds(3));
  EXPECT_EQ(PollAfter(1'000'000, 100), absl::Seconds(10));
  EXPECT_EQ(PollAfter(2'000, 0), absl::Seconds(2)) << "as far as one can guess";
}

}  // namespace
}  // namespace tranche::server
