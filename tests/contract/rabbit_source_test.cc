// What is true of a source of claims in RabbitMQ that takes from several queues.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <memory>
#include <string>
#include <vector>

#include "absl/strings/str_cat.h"
#include "absl/time/clock.h"
#include "server/queue/rabbit_claim_queue.h"
#include "tests/support/claim_collector.h"
#include "tests/support/tcp_forwarder.h"
#include "tests/support/test_rabbitmq.h"

namespace tranche::server {
namespace {

using testing::BecomesTrue;
using testing::ClaimCollector;
using testing::PublishAndWait;

class RabbitSourceTest : public ::testing::Test {
 protected:
  ~RabbitSourceTest() override {
    std::vector<std::string> all = queues_;
    for (const std::string& queue : queues_) all.push_back(DeadLetterQueueName(queue));
    testing::DeleteQueues(access_, all);
  }

  BrokerOptions Options(const std::string& address) const {
    BrokerOptions options;
    options.brokers = address;
    options.user_file = access_.user_file;
    options.vhost = access_.vhost;
    return options;
  }
  void Declare(const std::string& queue) {
    const absl::Status declared = RabbitClaimQueueAdmin(Options(access_.address)).Declare({queue});
    ASSERT_TRUE(declared.ok()) << declared;
  }
  void Publish(const std::string& queue, const std::string& id) {
    const absl::Status published = PublishAndWait(publisher_, queue, id, "claim");
    ASSERT_TRUE(published.ok()) << published;
  }

  const testing::RabbitmqAccess access_ = testing::SharedRabbitmq();
  testing::TcpForwarder forwarder_{access_.address};
  const std::string shard_ = testing::UniqueShardName();
  const std::vector<std::string> queues_ = {ClaimQueueName(shard_, 0), ClaimQueueName(shard_, 1)};
  RabbitClaimPublisher publisher_{Options(access_.address)};
};

TEST_F(RabbitSourceTest, EachQueueKeepsItsDeliveriesAndItsLosses) {
  for (const std::string& queue : queues_) Declare(queue);
  ASSERT_TRUE(BecomesTrue([this] { return publisher_.Up(); }));
  for (size_t i = 0; i < queues_.size(); ++i) Publish(queues_[i], absl::StrCat("claim-", i));
  ClaimCollector collector;
  const auto source = MakeRabbitClaimSource(Options(forwarder_.address()));
  // One at a time: the next one of a queue comes when the broker knows that the one before is settled.
  source->Start(queues_, 1, &collector);
  const auto deliveries = collector.WaitFor(2);
  ASSERT_EQ(deliveries.size(), 2u);
  for (const ClaimDelivery& delivery : deliveries) {
    EXPECT_EQ(delivery.queue, delivery.id == "claim-0" ? queues_[0] : queues_[1]);
    // The same tag in both: it must not settle the other one's.
    EXPECT_EQ(delivery.tag, 1u);
  }
  source->Settle(queues_[0], 1, Settlement::kDone);
  Publish(queues_[0], "claim-2");
  ASSERT_EQ(collector.WaitFor(3).size(), 3u);
  ASSERT_TRUE(BecomesTrue([&] { return source->Up(); }));
  forwarder_.Cut();
  for (const std::string& queue : queues_) EXPECT_TRUE(collector.WaitForLoss(queue)) << queue;
  forwarder_.Restore();
  const std::vector<std::string> ids = testing::IdsOf(collector.WaitFor(5));
  EXPECT_EQ(ids.size(), 5u);
  EXPECT_EQ(std::count(ids.begin(), ids.end(), "claim-0"), 1) << "settled, and delivered again";
  source->Stop();
}

TEST_F(RabbitSourceTest, WhileAQueueIsMissingNothingOfTheOthersIsDelivered) {
  Declare(queues_[0]);
  ASSERT_TRUE(BecomesTrue([this] { return publisher_.Up(); }));
  Publish(queues_[0], "claim");
  ClaimCollector collector;
  const auto source = MakeRabbitClaimSource(Options(forwarder_.address()));
  source->Start(queues_, 10, &collector);
  // Some attempts, of which nothing is to be seen.
  absl::SleepFor(absl::Seconds(1));
  EXPECT_EQ(collector.count(), 0u);
  EXPECT_FALSE(source->Up());
  Declare(queues_[1]);
  const auto deliveries = collector.WaitFor(1);
  ASSERT_EQ(deliveries.size(), 1u);
  EXPECT_EQ(deliveries[0].deliveries, 0) << "counted, though nobody could take it";
  source->Stop();
}

}  // namespace
}  // namespace tranche::server
