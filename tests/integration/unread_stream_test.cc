// Callers of StreamReservations who do not read, against a front node as a process.
#include <grpcpp/grpcpp.h>

#include <atomic>
#include <fstream>
#include <map>
#include <memory>
#include <string>
#include <thread>
#include <vector>

#include "absl/strings/match.h"
#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "absl/synchronization/blocking_counter.h"
#include "google/rpc/error_details.pb.h"
#include "google/rpc/status.pb.h"
#include "tests/integration/sale_fixture.h"
#include "tranche/uuid.h"
#include "tranche/v1/reservation_service.grpc.pb.h"

namespace tranche::testing {
namespace {

constexpr int kStreams = 300;
constexpr int kMostStreams = 256;  // on one connection: --max-streams-per-connection
constexpr int kRequests = 2000;    // of each stream
constexpr absl::Duration kPatience = absl::Seconds(120);

std::string ReasonOf(const grpc::Status& status) {
  google::rpc::Status rpc;
  google::rpc::ErrorInfo info;
  if (!rpc.ParseFromString(status.error_details()) || rpc.details_size() == 0) return "";
  return rpc.details(0).UnpackTo(&info) ? info.reason() : "";
}

// Sends as many requests as the node takes, and reads nothing until it is told to.
class Caller final : public grpc::ClientBidiReactor<v1::StreamReservationsRequest, v1::StreamReservationsResponse> {
 public:
  Caller(v1::ReservationService::Stub& stub, absl::BlockingCounter* ended) : ended_(ended) {
    request_.mutable_create()->set_sku_id("tv");
    request_.mutable_create()->set_user_id("late");
    request_.mutable_create()->set_quantity(1);
    request_.mutable_create()->set_reservation_id(MakeUuidV7());
    stub.async()->StreamReservations(&context_, this);
    AddHold();  // until Read
    StartWrite(&request_);
    StartCall();
  }

  void Read() {
    StartRead(&response_);
    RemoveHold();
  }
  // After its end.
  const grpc::Status& status() const { return status_; }
  int64_t answers() const { return answers_; }

  void OnWriteDone(bool ok) override {
    if (!ok) return;
    if (++sent_ < kRequests) return StartWrite(&request_);
    StartWritesDone();
  }
  void OnReadDone(bool ok) override {
    if (!ok) return;
    ++answers_;
    StartRead(&response_);
  }
  void OnDone(const grpc::Status& status) override {
    status_ = status;
    ended_->DecrementCount();
  }

 private:
  absl::BlockingCounter* const ended_;
  grpc::ClientContext context_;
  v1::StreamReservationsRequest request_;
  v1::StreamReservationsResponse response_;
  int sent_ = 0;
  int64_t answers_ = 0;
  grpc::Status status_;
};

class UnreadStreamTest : public SaleTest {
 protected:
  // The most memory that the node has used since it began, in MiB.
  int64_t PeakMib() {
    std::ifstream status(absl::StrCat("/proc/", cluster_->node(0).process().pid(), "/status"));
    std::string line;
    while (std::getline(status, line)) {
      int64_t kib = 0;
      if (absl::StartsWith(line, "VmHWM:") && absl::SimpleAtoi(line.substr(6, line.size() - 6 - 3), &kib)) {
        return kib / 1024;
      }
    }
    ADD_FAILURE() << "no VmHWM";
    return 0;
  }
};

// Answers: 16 MiB for a connection. gRPC: about 128 KiB for each of 256 streams, which is one window in each direction.
TEST_F(UnreadStreamTest, CallersWhoReadNothingCostBoundedMemoryAndAreToldSo) {
  MiniClusterOptions options;
  options.nodes = 1;
  options.workers = 0;
  options.node_args = {"--unread-timeout-ms", "5000"};
  StartCluster(options);
  OpenSale("tv", 1);
  ASSERT_TRUE(client_->Create({.sku = "tv", .user = "first"}).ok());
  const auto channel = grpc::CreateChannel(cluster_->endpoint(0), grpc::InsecureChannelCredentials());
  const auto stub = v1::ReservationService::NewStub(channel);
  const int64_t before = PeakMib();

  absl::BlockingCounter ended(kStreams);
  std::vector<std::unique_ptr<Caller>> callers;
  for (int i = 0; i < kStreams; ++i) callers.push_back(std::make_unique<Caller>(*stub, &ended));
  ServerProcess& node = cluster_->node(0);
  const absl::Time give_up = absl::Now() + kPatience;
  while (node.LogLinesWith("its caller takes no answers") == 0 && absl::Now() < give_up) {
    absl::SleepFor(absl::Milliseconds(20));  // the node needs the processor
  }
  EXPECT_EQ(node.LogLinesWith("its caller takes no answers"), 1) << node.LogTail();
  EXPECT_LT(PeakMib() - before, 96);

  for (const auto& caller : callers) caller->Read();
  ended.Wait();
  std::map<std::string, int> ends;
  for (const auto& caller : callers) {
    const std::string reason = caller->status().ok() ? "OK" : ReasonOf(caller->status());
    ++ends[reason];
    if (reason == "ANSWERS_NOT_READ") {
      EXPECT_EQ(caller->status().error_code(), grpc::StatusCode::RESOURCE_EXHAUSTED);
      EXPECT_GT(caller->answers(), 0);
      EXPECT_LT(caller->answers(), kRequests);
    }
  }
  EXPECT_EQ(ends["TOO_MANY_STREAMS"], kStreams - kMostStreams);
  EXPECT_GT(ends["ANSWERS_NOT_READ"], 0);
  EXPECT_EQ(ends["TOO_MANY_STREAMS"] + ends["ANSWERS_NOT_READ"] + ends["OK"], kStreams) << ends.begin()->first;
  EXPECT_TRUE(IsSoldOut(client_->Create({.sku = "tv", .user = "second"}).status())) << "the node goes on";
}

}  // namespace
}  // namespace tranche::testing
