#include "tests/contract/claim_queue_backend.h"

#include <glog/logging.h>

#include <vector>

#include "server/queue/fake/fake_claim_queue.h"
#include "server/queue/rabbit_claim_queue.h"
#include "tests/support/tcp_forwarder.h"
#include "tests/support/test_rabbitmq.h"

namespace tranche::server {
namespace {

class FakeClaimQueueBackend : public ClaimQueueBackend {
 public:
  explicit FakeClaimQueueBackend(int64_t max_length)
      : broker_(FakeClaimBroker::Delivery::kImmediate, storage::Clock::Real(), max_length) {}

  std::string queue() const override { return ClaimQueueName("fake", 0); }
  ClaimPublisher& publisher() override { return *publisher_; }
  ClaimQueueAdmin& admin() override { return *admin_; }
  std::unique_ptr<ClaimSource> MakeSource() override { return broker_.Source(); }
  void LoseConnections() override { broker_.LoseConnection(); }
  bool CanAlarm() const override { return true; }
  void SetAlarm(bool on) override { broker_.Alarm(on); }

 private:
  FakeClaimBroker broker_;
  const std::unique_ptr<ClaimPublisher> publisher_ = broker_.Publisher();
  const std::unique_ptr<ClaimQueueAdmin> admin_ = broker_.Admin();
};

class RabbitClaimQueueBackend : public ClaimQueueBackend {
 public:
  explicit RabbitClaimQueueBackend(int64_t max_length)
      : publisher_(Options(access_.address)),
        admin_(Options(forwarder_.address()), {.messages = max_length}),
        queue_(ClaimQueueName(testing::UniqueShardName(), 0)) {}
  ~RabbitClaimQueueBackend() override { testing::DeleteQueues(access_, {queue_, DeadLetterQueueName(queue_)}); }

  std::string queue() const override { return queue_; }
  ClaimPublisher& publisher() override { return publisher_; }
  ClaimQueueAdmin& admin() override { return admin_; }
  std::unique_ptr<ClaimSource> MakeSource() override { return MakeRabbitClaimSource(Options(forwarder_.address())); }
  void LoseConnections() override {
    forwarder_.Cut();
    forwarder_.Restore();
  }
  bool CanAlarm() const override { return testing::OwnSharedRabbitmq() != nullptr; }
  void SetAlarm(bool on) override {
    const absl::Status set = testing::OwnSharedRabbitmq()->SetMemoryAlarm(on);
    CHECK(set.ok()) << set;
  }

 private:
  BrokerOptions Options(const std::string& address) const {
    BrokerOptions options;
    options.brokers = address;
    options.user_file = access_.user_file;
    options.vhost = access_.vhost;
    return options;
  }

  const testing::RabbitmqAccess access_ = testing::SharedRabbitmq();
  testing::TcpForwarder forwarder_{access_.address};
  RabbitClaimPublisher publisher_;
  RabbitClaimQueueAdmin admin_;
  const std::string queue_;
};

}  // namespace

ClaimQueueBackendFactory FakeClaimQueues() {
  return {"Fake", [](int64_t max_length) { return std::make_unique<FakeClaimQueueBackend>(max_length); }};
}

ClaimQueueBackendFactory RabbitClaimQueues() {
  return {"Rabbitmq", [](int64_t max_length) { return std::make_unique<RabbitClaimQueueBackend>(max_length); }};
}

}  // namespace tranche::server
