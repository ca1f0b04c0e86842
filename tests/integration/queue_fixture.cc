#include "tests/integration/queue_fixture.h"

#include <algorithm>
#include <set>
#include <utility>

#include "absl/strings/str_cat.h"
#include "absl/time/clock.h"
#include "google/rpc/error_details.pb.h"
#include "server/queue/rabbit_claim_queue.h"
#include "storage/ledger/shard_name.h"
#include "tests/support/amqp_caller.h"
#include "tests/support/claim_collector.h"
#include "tranche/uuid.h"

namespace tranche::testing {
namespace {

constexpr int kQueueNodes = 2;
// As every process's default.
constexpr int kPartitions = 4;

std::unique_ptr<grpc::ClientContext> QueueContext() {
  auto context = std::make_unique<grpc::ClientContext>();
  context->set_deadline(absl::ToChronoTime(absl::Now() + absl::Seconds(10)));
  return context;
}

// Refusals that another try may not meet.
bool IsForNow(const std::string& reason) {
  static const std::set<std::string> kForNow = {"EXHAUSTED_HERE",    "LEDGER_UNAVAILABLE", "COMMIT_UNKNOWN",
                                                "QUEUE_UNAVAILABLE", "OVERLOADED",         ""};
  return kForNow.contains(reason);
}

}  // namespace

std::unique_ptr<MiniRabbitmq> QueueTest::broker_;
std::unique_ptr<MiniCluster> QueueTest::shared_;

std::string ReasonIn(const google::rpc::Status& refused) {
  google::rpc::ErrorInfo info;
  for (const auto& detail : refused.details()) {
    if (detail.UnpackTo(&info)) return info.reason();
  }
  return "";
}

void QueueTest::SetUpTestSuite() {
  broker_ = std::make_unique<MiniRabbitmq>();
  const absl::Status serves = broker_->Start();
  ASSERT_TRUE(serves.ok()) << serves;
  MiniClusterOptions options;
  options.nodes = kQueueNodes;
  options.consumers = 2;
  options.queue_broker = broker_->address();
  options.zookeeper_session_timeout = absl::Seconds(2);
  // The machine does not lose its power in a test.
  options.fsync = Fsync::kOff;
  auto cluster = MiniCluster::Start(options);
  ASSERT_TRUE(cluster.ok()) << cluster.status();
  shared_ = *std::move(cluster);
}

void QueueTest::TearDownTestSuite() {
  shared_.reset();
  broker_.reset();
}

void QueueTest::SetUp() {
  cluster_ = std::move(shared_);
  ASSERT_NE(cluster_, nullptr) << "the servers did not start";
  for (int node = 0; node < cluster_->nodes(); ++node) {
    reservations_.push_back(v1::ReservationService::NewStub(
        grpc::CreateChannel(cluster_->endpoint(node), grpc::InsecureChannelCredentials())));
  }
}

void QueueTest::TearDown() {
  if (cluster_ != nullptr) CheckLedger();
  shared_ = std::move(cluster_);
}

void QueueTest::AwaitTrue(const std::string& what, const std::function<bool()>& is_so) {
  const absl::Time give_up = absl::Now() + kQueuePatience;
  while (!is_so()) {
    ASSERT_LT(absl::Now(), give_up) << "never: " << what;
    absl::SleepFor(absl::Milliseconds(5));
  }
}

void QueueTest::OpenQueued(const std::string& sku, int64_t stock, v1::ClaimPath path, int32_t per_user_limit) {
  v1::CreateSkuRequest request;
  request.mutable_sku()->set_sku_id(sku);
  request.mutable_sku()->set_title(sku);
  request.mutable_sku()->set_price_minor(49900);
  request.mutable_sku()->set_currency("EUR");
  request.mutable_sku()->set_stock(stock);
  request.mutable_sku()->set_per_user_limit(per_user_limit);
  request.mutable_sku()->mutable_hold()->set_seconds(900);
  request.mutable_sku()->set_claim_path(path);
  v1::CreateSkuResponse response;
  const grpc::Status status = Admin()->CreateSku(Context().get(), request, &response);
  ASSERT_TRUE(status.ok()) << status.error_message();
  WaitUntilAnnounced(sku, stock);
}

v1::CreateReservationRequest QueueTest::ClaimOf(const std::string& sku, const std::string& user) {
  v1::CreateReservationRequest claim;
  claim.set_reservation_id(MakeUuidV7());
  claim.set_sku_id(sku);
  claim.set_user_id(user);
  claim.set_quantity(1);
  claim.set_accept_queued(true);
  return claim;
}

DoorAnswer QueueTest::Claim(int node, const v1::CreateReservationRequest& claim,
                            v1::CreateReservationResponse* response) {
  return DoorAnswerOf(reservations(node).CreateReservation(QueueContext().get(), claim, response));
}

v1::QueuedClaim QueueTest::Queue(int node, v1::CreateReservationRequest claim) {
  v1::CreateReservationResponse response;
  DoorAnswer answer;
  const absl::Time give_up = absl::Now() + kQueuePatience;
  do {
    answer = Claim(node, claim, &response);
    if (answer.ok() && response.has_queued()) return response.queued();
    claim.set_may_exist(true);
    absl::SleepFor(absl::Milliseconds(5));
  } while (!answer.ok() && IsForNow(answer.reason) && absl::Now() < give_up);
  ADD_FAILURE() << "not queued, but " << ::testing::PrintToString(answer) << " " << response.ShortDebugString();
  return {};
}

std::vector<v1::QueuedClaim> QueueTest::QueueMany(const std::string& sku, int claims) {
  std::vector<v1::QueuedClaim> queued;
  for (int i = 0; i < claims; ++i) {
    queued.push_back(Queue(i % kQueueNodes, ClaimOf(sku, absl::StrCat("buyer-", MakeUuidV7()))));
  }
  return queued;
}

v1::GetClaimResponse QueueTest::Get(int node, const v1::QueuedClaim& queued) {
  v1::GetClaimRequest request;
  request.set_ticket(queued.ticket());
  v1::GetClaimResponse response;
  AwaitTrue("the node says what became of a claim", [&] {
    const DoorAnswer answer = DoorAnswerOf(reservations(node).GetClaim(QueueContext().get(), request, &response));
    EXPECT_TRUE(answer.ok() || IsForNow(answer.reason)) << ::testing::PrintToString(answer);
    return answer.ok() || !IsForNow(answer.reason);
  });
  return response;
}

v1::GetClaimResponse QueueTest::AwaitDecided(int node, const v1::QueuedClaim& queued) {
  v1::GetClaimResponse response;
  AwaitTrue("the claim is decided", [&] {
    response = Get(node, queued);
    return !response.has_queued();
  });
  return response;
}

std::string QueueTest::AwaitRefusal(int node, const v1::QueuedClaim& queued) {
  return ReasonIn(AwaitDecided(node, queued).refused());
}

std::set<std::string> QueueTest::AwaitAllSold(const std::vector<v1::QueuedClaim>& queued) {
  std::set<std::string> ids;
  for (size_t i = 0; i < queued.size(); ++i) {
    const v1::GetClaimResponse response = AwaitDecided(static_cast<int>(i % kQueueNodes), queued[i]);
    EXPECT_TRUE(response.has_created()) << response.ShortDebugString();
    EXPECT_TRUE(ids.insert(response.created().reservation().reservation_id()).second) << "one of them twice";
  }
  return ids;
}

int QueueTest::Decided(const std::vector<v1::QueuedClaim>& queued) {
  int decided = 0;
  for (const v1::QueuedClaim& claim : queued) decided += Get(0, claim).has_queued() ? 0 : 1;
  return decided;
}

std::string QueueTest::QueueName(const std::string& sku) {
  return server::ClaimQueueName(storage::kHomeShard, server::PartitionOf(sku, kPartitions));
}

v1::ListClaimQueuesResponse QueueTest::States() {
  v1::ListClaimQueuesResponse response;
  const grpc::Status status = Admin()->ListClaimQueues(QueueContext().get(), v1::ListClaimQueuesRequest(), &response);
  EXPECT_TRUE(status.ok()) << status.error_message();
  return response;
}

v1::ClaimQueueState QueueTest::StateOf(const std::string& queue) {
  const v1::ListClaimQueuesResponse states = States();
  for (const v1::ClaimQueueState& state : states.queues()) {
    if (state.queue() == queue) return state;
  }
  ADD_FAILURE() << "no queue " << queue << " in " << states.ShortDebugString();
  return {};
}

void QueueTest::SetPaused(bool paused) {
  v1::SetClaimQueuePausedRequest request;
  request.set_paused(paused);
  v1::SetClaimQueuePausedResponse response;
  const grpc::Status status = Admin()->SetClaimQueuePaused(QueueContext().get(), request, &response);
  ASSERT_TRUE(status.ok()) << status.error_message();
  AwaitTrue(paused ? "no consumer takes claims" : "consumers take claims", [&] {
    const v1::ListClaimQueuesResponse states = States();
    return states.queues_size() > 0 &&
           std::all_of(states.queues().begin(), states.queues().end(),
                       [&](const v1::ClaimQueueState& state) { return (state.consumers() == 0) == paused; });
  });
}

void QueueTest::PublishRaw(const std::string& queue, const std::string& id, const std::string& body) {
  server::BrokerOptions options;
  options.brokers = broker_->address();
  server::RabbitClaimPublisher publisher(options);
  AwaitTrue("the publisher is connected", [&] { return publisher.Up(); });
  const absl::Status published = PublishAndWait(publisher, queue, id, body);
  ASSERT_TRUE(published.ok()) << published;
}

std::string QueueTest::TakeRaw(const std::string& queue) {
  const auto caller = AmqpCaller::Connect(absl::StrCat("amqp://guest:guest@", broker_->address()));
  EXPECT_TRUE(caller.ok()) << caller.status();
  std::string body;
  if (!caller.ok()) return body;
  AwaitTrue("there is a message", [&] {
    const auto message = (*caller)->Get(queue);
    EXPECT_TRUE(message.ok()) << message.status();
    if (!message.ok() || !message->has_value()) return !message.ok();
    body = (*message)->body;
    return true;
  });
  return body;
}

}  // namespace tranche::testing
