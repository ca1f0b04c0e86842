// Callers of StreamReservations who do not read, against a front node as a process.
#include <grpcpp/grpcpp.h>

#include <algorithm>
#include <atomic>
#include <cstdint>
#include <map>
#include <memory>
#include <string>
#include <thread>
#include <vector>

#include "absl/strings/str_cat.h"
#include "absl/synchronization/blocking_counter.h"
#include "google/rpc/error_details.pb.h"
#include "google/rpc/status.pb.h"
#include "tests/integration/sale_fixture.h"
#include "tests/support/unread_call.h"
#include "tranche/uuid.h"
#include "tranche/v1/reservation_service.grpc.pb.h"

#if defined(__has_feature)
#if __has_feature(address_sanitizer)
#define TRANCHE_ADDRESS_SANITIZER
#endif
#endif

namespace tranche::testing {
namespace {

constexpr absl::Duration kPatience = absl::Seconds(120);
// Calls on one connection, which may have so many; and what it can cost then, by server/README.md.
#if defined(TRANCHE_ADDRESS_SANITIZER)
// Everything takes several times as long, and freed memory is kept for a while.
constexpr int kStreams = 150;
constexpr int kMostStreams = 32;
constexpr int64_t kMostMib = 128 + 512;
#else
constexpr int kStreams = 4096;
constexpr int kMostStreams = 256;
constexpr int64_t kMostMib = 128;
#endif

std::string ReasonOf(const grpc::Status& status) {
  google::rpc::Status rpc;
  google::rpc::ErrorInfo info;
  if (!rpc.ParseFromString(status.error_details()) || rpc.details_size() == 0) return "";
  return rpc.details(0).UnpackTo(&info) ? info.reason() : "";
}

v1::StreamReservationsRequest RequestOf(const std::string& sku, const std::string& user) {
  v1::StreamReservationsRequest request;
  request.mutable_create()->set_sku_id(sku);
  request.mutable_create()->set_user_id(user);
  request.mutable_create()->set_quantity(1);
  request.mutable_create()->set_reservation_id(MakeUuidV7());
  return request;
}

// What each of many callers does.
struct Attack {
  v1::StreamReservationsRequest message;
  int messages = 0;
  int streams = 0;
  int served_streams = 0;  // the node's limit for a connection
};

// Sends as many messages as the node takes, and reads nothing until it is told to.
class Caller final : public grpc::ClientBidiReactor<v1::StreamReservationsRequest, v1::StreamReservationsResponse> {
 public:
  Caller(v1::ReservationService::Stub& stub, const Attack& attack, absl::BlockingCounter* ended)
      : ended_(ended), attack_(attack) {
    stub.async()->StreamReservations(&context_, this);
    AddHold();  // until Read
    StartWrite(&attack_.message);
    StartCall();
  }

  void Read() {
    StartRead(&response_);
    RemoveHold();
  }
  // After its end.
  std::string End() const { return status_.ok() ? "OK" : absl::StrCat(status_.error_code(), " ", ReasonOf(status_)); }

  void OnWriteDone(bool ok) override {
    if (!ok) return;
    if (++sent_ < attack_.messages) return StartWrite(&attack_.message);
    StartWritesDone();
  }
  void OnReadDone(bool ok) override {
    if (ok) StartRead(&response_);
  }
  void OnDone(const grpc::Status& status) override {
    status_ = status;
    ended_->DecrementCount();
  }

 private:
  absl::BlockingCounter* const ended_;
  grpc::ClientContext context_;
  const Attack& attack_;
  v1::StreamReservationsResponse response_;
  int sent_ = 0;
  grpc::Status status_;
};

// Buys on a connection of its own, one unit after the other, until it is destroyed.
class Buyer {
 public:
  explicit Buyer(std::unique_ptr<Client> client) : client_(std::move(client)), thread_([this] { Buy(); }) {}
  ~Buyer() { Stop(); }
  void Stop() {
    stopping_ = true;
    if (thread_.joinable()) thread_.join();
  }
  // After Stop.
  int bought() const { return bought_; }
  absl::Duration slowest() const { return slowest_; }
  const absl::Status& failure() const { return failure_; }

 private:
  void Buy() {
    while (!stopping_) {
      const absl::Time begun = absl::Now();
      const auto answer = client_->Create({.sku = "book", .user = absl::StrCat("reader-", bought_)});
      slowest_ = std::max(slowest_, absl::Now() - begun);
      if (!answer.ok()) failure_.Update(answer.status());
      ++bought_;
    }
  }

  const std::unique_ptr<Client> client_;
  std::atomic<bool> stopping_{false};
  int bought_ = 0;
  absl::Duration slowest_;
  absl::Status failure_;
  std::thread thread_;  // last: it uses the others
};

class UnreadStreamTest : public SaleTest {
 protected:
  std::unique_ptr<v1::ReservationService::Stub> Connect() {
    return v1::ReservationService::NewStub(UnreadChannel(cluster_->endpoint(0)));
  }

  void ExpectBoundedCost(const Attack& attack);

  // One claim over a stream.
  static void ExpectStreamSells(v1::ReservationService::Stub& stub, const std::string& user) {
    const auto context = Context();
    const auto stream = stub.StreamReservations(context.get());
    ASSERT_TRUE(stream->Write(RequestOf("book", user)));
    ASSERT_TRUE(stream->WritesDone());
    v1::StreamReservationsResponse response;
    EXPECT_TRUE(stream->Read(&response));
    EXPECT_TRUE(response.has_created()) << response.ShortDebugString();
    EXPECT_TRUE(stream->Finish().ok());
  }
};

void UnreadStreamTest::ExpectBoundedCost(const Attack& attack) {
  MiniClusterOptions options;
  options.nodes = 1;
  options.workers = 0;
  options.node_args = {"--max-streams-per-connection", absl::StrCat(attack.served_streams)};
  StartCluster(options);
  OpenSale("tv", 1);
  OpenSale("book", 1000000);
  ASSERT_TRUE(client_->Create({.sku = "tv", .user = "first"}).ok());
  ServerProcess& node = cluster_->node(0);
  const auto ended_streams = [&node] { return node.LogLinesWith("its caller takes no answers"); };
  const auto greedy = Connect();
  const int64_t before = PeakMib(0);

  Buyer buyer(ClientOf({cluster_->endpoint(0)}));
  absl::BlockingCounter ended(attack.streams);
  std::vector<std::unique_ptr<Caller>> callers;
  for (int i = 0; i < attack.streams; ++i) callers.push_back(std::make_unique<Caller>(*greedy, attack, &ended));
  const absl::Time give_up = absl::Now() + kPatience;
  bool accepted_meanwhile = false;
  while (ended_streams() == 0 && absl::Now() < give_up) {
    if (!accepted_meanwhile) ExpectStreamSells(*Connect(), "meanwhile");
    accepted_meanwhile = true;
    absl::SleepFor(absl::Milliseconds(20));  // the node needs the processor
  }
  EXPECT_TRUE(accepted_meanwhile);
  EXPECT_EQ(ended_streams(), 1) << node.LogTail();

  for (const auto& caller : callers) caller->Read();
  ended.Wait();
  buyer.Stop();
  EXPECT_LT(PeakMib(0) - before, kMostMib);
  std::map<std::string, int> ends;
  for (const auto& caller : callers) ++ends[caller->End()];
  const std::string refused = absl::StrCat(grpc::StatusCode::RESOURCE_EXHAUSTED, " TOO_MANY_STREAMS");
  const std::string cut_off = absl::StrCat(grpc::StatusCode::CANCELLED, " ");
  EXPECT_EQ(ends[refused], attack.streams - attack.served_streams);
  EXPECT_GT(ends[cut_off], 0);
  // Those that go on when others have made room, and whose caller reads by then.
  EXPECT_EQ(ends[refused] + ends[cut_off] + ends["OK"], attack.streams);
  // Each claim has the SDK's deadline.
  EXPECT_TRUE(buyer.failure().ok()) << buyer.failure();
  EXPECT_GT(buyer.bought(), 10);
  RecordProperty("peak_mib", static_cast<int>(PeakMib(0) - before));
  RecordProperty("slowest_ms", static_cast<int>(absl::ToInt64Milliseconds(buyer.slowest())));
  ExpectStreamSells(*Connect(), "later");
  ExpectStreamSells(*greedy, "improved");
}

TEST_F(UnreadStreamTest, ACallerWhoOpensFourThousandAndReadsNothingCostsBoundedMemoryAndNobodyElse) {
  ExpectBoundedCost({RequestOf("tv", "late"), /*messages=*/2000, kStreams, kMostStreams});
}

TEST_F(UnreadStreamTest, ACallerWhoSendsFramesAndReadsNothingCostsNoMore) {
  // An answer takes the ten bytes of its sequence, so that 30 frames are more than gRPC takes from the node unread.
  Attack attack{.message = {}, .messages = 30, .streams = 40, .served_streams = 32};
  const v1::CreateReservationRequest late = RequestOf("tv", "late").create();
  for (uint64_t i = 0; i < 800; ++i) {
    v1::StreamReservationsItem* const item = attack.message.add_items();
    item->set_sequence((uint64_t{1} << 63) + i);
    *item->mutable_create() = late;
  }
  ExpectBoundedCost(attack);
}

}  // namespace
}  // namespace tranche::testing
