#include "server/queue/claim_queue.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <vector>

#include "absl/strings/str_cat.h"
#include "server/queue/fake/fake_claim_queue.h"
#include "storage/clock.h"
#include "storage/ledger/ledger_error.h"

namespace tranche::server {
namespace {

using ::testing::ElementsAre;
using ::testing::IsEmpty;

TEST(ClaimQueueNames, NameShardAndPartition) { EXPECT_EQ(ClaimQueueName("eu-1", 3), "tranche.claims.eu-1.3"); }

TEST(ClaimQueueNames, PartitionsNeverChange) {
  // FNV-1a of "", "a" and "foobar": cbf29ce484222325, af63dc4c8601ec8c, 85944171f73967e8. Another hash would look for a
  // SKU's claims in a queue where older versions have not put them.
  EXPECT_EQ(PartitionOf("", 16), 0x5);
  EXPECT_EQ(PartitionOf("a", 16), 0xc);
  EXPECT_EQ(PartitionOf("foobar", 16), 0x8);
  EXPECT_EQ(PartitionOf("foobar", 1), 0);
}

TEST(ClaimQueueNames, SkusAreSpread) {
  std::vector<int> counts(4);
  for (int i = 0; i < 400; ++i) ++counts[static_cast<size_t>(PartitionOf(absl::StrCat("sku-", i), 4))];
  for (const int count : counts) EXPECT_GT(count, 50);
}

class Ids : public ClaimSource::Receiver {
 public:
  void OnDelivery(ClaimDelivery delivery) override { ids.push_back(delivery.id); }
  void OnLost(const std::string& queue) override { ids.push_back("lost " + queue); }
  std::vector<std::string> ids;
};

class FakeClaimBrokerTest : public ::testing::Test {
 protected:
  void SetUp() override { ASSERT_TRUE(broker_.Admin()->Declare({"q"}).ok()); }

  absl::Status Publish(const std::string& id, absl::Duration left = absl::Seconds(1)) {
    absl::Status result = absl::InternalError("not answered");
    broker_.Publisher()->Publish("q", id, "", clock_.Now() + left, [&](absl::Status status) { result = status; });
    return result;
  }

  storage::FakeClock clock_;
  FakeClaimBroker broker_{FakeClaimBroker::Delivery::kExplicit, &clock_};
  Ids ids_;
};

TEST_F(FakeClaimBrokerTest, DeliversWhenItIsTold) {
  const auto source = broker_.Source();
  source->Start({"q"}, 10, &ids_);
  ASSERT_TRUE(Publish("1").ok());
  EXPECT_THAT(ids_.ids, IsEmpty());
  EXPECT_EQ(broker_.Deliver(), 1u);
  EXPECT_THAT(ids_.ids, ElementsAre("1"));
  EXPECT_EQ(broker_.Deliver(), 0u);
}

TEST_F(FakeClaimBrokerTest, LosesConfirmsWithOrWithoutTheMessage) {
  const auto source = broker_.Source();
  source->Start({"q"}, 10, &ids_);
  broker_.LoseConfirms(1);
  EXPECT_TRUE(storage::IsUnknownCommit(Publish("kept")));
  broker_.LoseConfirms(1, /*kept=*/false);
  EXPECT_TRUE(storage::IsUnknownCommit(Publish("gone")));
  EXPECT_TRUE(Publish("next").ok());
  broker_.Deliver();
  EXPECT_THAT(ids_.ids, ElementsAre("kept", "next"));
}

TEST_F(FakeClaimBrokerTest, KeepsWhatItHasWhileItIsAway) {
  const auto source = broker_.Source();
  source->Start({"q"}, 10, &ids_);
  ASSERT_TRUE(Publish("1").ok());
  broker_.Deliver();
  broker_.SetUp(false);
  EXPECT_FALSE(source->Up());
  EXPECT_FALSE(broker_.Publisher()->Up());
  EXPECT_TRUE(absl::IsUnavailable(Publish("2")));
  EXPECT_TRUE(absl::IsUnavailable(broker_.Admin()->Depths({"q"}).status()));
  broker_.Deliver();
  EXPECT_THAT(ids_.ids, ElementsAre("1", "lost q"));
  broker_.SetUp(true);
  broker_.Deliver();
  EXPECT_THAT(ids_.ids, ElementsAre("1", "lost q", "1"));
}

TEST_F(FakeClaimBrokerTest, JudgesDeadlinesByItsClock) {
  ASSERT_TRUE(Publish("in time", absl::Milliseconds(1)).ok());
  const absl::Status late = Publish("late", absl::ZeroDuration());
  EXPECT_TRUE(absl::IsUnavailable(late) && !storage::IsUnknownCommit(late)) << late;
}

TEST_F(FakeClaimBrokerTest, SourcesTakeTurns) {
  Ids other_ids;
  const auto source = broker_.Source();
  const auto other = broker_.Source();
  source->Start({"q"}, 10, &ids_);
  other->Start({"q"}, 10, &other_ids);
  for (const char* const id : {"1", "2", "3", "4"}) ASSERT_TRUE(Publish(id).ok());
  broker_.Deliver();
  EXPECT_THAT(ids_.ids, ElementsAre("1", "3"));
  EXPECT_THAT(other_ids.ids, ElementsAre("2", "4"));
}

}  // namespace
}  // namespace tranche::server
