// What a front node shows of itself, beside what was done to it; and whether the page of metrics tells all of it.
#include <gmock/gmock.h>
#include <grpcpp/grpcpp.h>

#include <fstream>
#include <map>
#include <memory>
#include <string>
#include <vector>

#include "absl/algorithm/container.h"
#include "absl/strings/ascii.h"
#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_split.h"
#include "absl/strings/strip.h"
#include "tests/integration/sale_fixture.h"
#include "tests/support/http_get.h"
#include "tests/support/scratch_dir.h"
#include "tranche/uuid.h"
#include "tranche/v1/reservation_service.grpc.pb.h"

namespace tranche::testing {
namespace {

using ::testing::HasSubstr;

constexpr absl::Duration kPatience = absl::Seconds(30);

class MetricsTest : public SaleTest {
 protected:
  void Start() {
    MiniClusterOptions options;
    options.nodes = 1;
    options.workers = 0;
    const std::string port_file = scratch_.path() / "metrics.port";
    options.node_args = {"--metrics-listen", "127.0.0.1:0", "--metrics-port-file", port_file};
    StartCluster(options);
    std::ifstream(port_file) >> port_;
    ASSERT_GT(port_, 0);
    stub_ =
        v1::ReservationService::NewStub(grpc::CreateChannel(cluster_->endpoint(0), grpc::InsecureChannelCredentials()));
  }

  HttpReply Ask(const std::string& path) {
    const absl::StatusOr<HttpReply> reply = HttpGet(port_, path);
    EXPECT_TRUE(reply.ok()) << path << ": " << reply.status();
    return reply.value_or(HttpReply{});
  }
  std::map<std::string, double> Samples() { return SamplesOf(Ask("/metrics").body); }
  // Asks until the status is this one; returns the last answer.
  HttpReply AwaitReady(int status) {
    const absl::Time give_up = absl::Now() + kPatience;
    HttpReply reply = Ask("/readyz");
    while (reply.status != status && absl::Now() < give_up) reply = Ask("/readyz");
    return reply;
  }
  // Asks until the sample is this; returns its last value.
  double Await(const std::string& sample, double value) {
    const absl::Time give_up = absl::Now() + kPatience;
    double last = Samples()[sample];
    while (last != value && absl::Now() < give_up) last = Samples()[sample];
    return last;
  }

  static v1::CreateReservationRequest Claim(const std::string& sku, const std::string& buyer) {
    v1::CreateReservationRequest request;
    request.set_reservation_id(MakeUuidV7());
    request.set_sku_id(sku);
    request.set_user_id(buyer);
    request.set_quantity(1);
    return request;
  }
  grpc::StatusCode Create(const v1::CreateReservationRequest& request) {
    v1::CreateReservationResponse response;
    return stub_->CreateReservation(Context().get(), request, &response).error_code();
  }
  // So many claims on one stream, each in a message of its own.
  void Stream(const std::string& sku, int claims) {
    const auto context = Context();
    const auto stream = stub_->StreamReservations(context.get());
    v1::StreamReservationsResponse response;
    for (int i = 0; i < claims; ++i) {
      v1::StreamReservationsRequest request;
      *request.mutable_create() = Claim(sku, absl::StrCat("streaming-", i));
      ASSERT_TRUE(stream->Write(request));
      ASSERT_TRUE(stream->Read(&response));
    }
    stream->WritesDone();
    EXPECT_FALSE(stream->Read(&response));
    EXPECT_TRUE(stream->Finish().ok());
  }
  template <typename Response, typename Request>
  void Admin(grpc::Status (v1::AdminService::Stub::*call)(grpc::ClientContext*, const Request&, Response*),
             const Request& request) {
    Response response;
    const grpc::Status status = (SaleTest::Admin().get()->*call)(Context().get(), request, &response);
    EXPECT_TRUE(status.ok()) << status.error_message();
  }

  const ScratchDir scratch_{"metrics"};
  int port_ = 0;
  std::unique_ptr<v1::ReservationService::Stub> stub_;
};

std::string ClaimsOf(const std::string& outcome) {
  return absl::StrCat("tranche_claims_total{outcome=\"", outcome, "\"}");
}
std::string Method(const std::string& name, const std::string& type, const std::string& method,
                   const std::string& more = "") {
  return absl::StrCat("grpc_server_", name, "{grpc_type=\"", type,
                      "\",grpc_service=\"tranche.v1.ReservationService\",grpc_method=\"", method, "\"", more, "}");
}

TEST_F(MetricsTest, CountsWhatWasDone) {
  Start();
  OpenSale("tv", 5);
  const v1::CreateReservationRequest first = Claim("tv", "first");
  EXPECT_EQ(Create(first), grpc::StatusCode::OK);
  EXPECT_EQ(Create(first), grpc::StatusCode::OK) << "again";
  for (int i = 0; i < 2; ++i) EXPECT_EQ(Create(Claim("tv", absl::StrCat("buyer-", i))), grpc::StatusCode::OK);
  Stream("tv", 2);
  // Sold out once it has been announced.
  const absl::Time give_up = absl::Now() + kPatience;
  int refused = 0;
  int sold_out = 0;
  while (sold_out < 3 && absl::Now() < give_up) {
    ++refused;
    if (Create(Claim("tv", absl::StrCat("late-", refused))) == grpc::StatusCode::RESOURCE_EXHAUSTED) ++sold_out;
  }
  ASSERT_EQ(sold_out, 3);
  Stream("tv", 4);
  // gRPC lets go of a stream after its caller has seen the end.
  EXPECT_EQ(Await("tranche_open_streams", 0), 0);

  const auto samples = Samples();
  EXPECT_EQ(samples.at(ClaimsOf("created")), 5);
  EXPECT_EQ(samples.at(ClaimsOf("replayed")), 1);
  EXPECT_EQ(samples.at(ClaimsOf("SOLD_OUT")), 3 + 4) << "by call and by stream";
  EXPECT_EQ(samples.at(ClaimsOf("SOLD_OUT")) + samples.at(ClaimsOf("EXHAUSTED_HERE")), refused + 4);
  EXPECT_EQ(samples.at(Method("started_total", "unary", "CreateReservation")), 4 + refused);
  EXPECT_EQ(samples.at(Method("handled_total", "unary", "CreateReservation", ",grpc_code=\"OK\"")), 4);
  EXPECT_EQ(samples.at(Method("handled_total", "bidi_stream", "StreamReservations", ",grpc_code=\"OK\"")), 2);
  EXPECT_EQ(samples.at(Method("msg_received_total", "bidi_stream", "StreamReservations")), 6);
  EXPECT_EQ(samples.at(Method("msg_sent_total", "bidi_stream", "StreamReservations")), 6);
  EXPECT_EQ(samples.at(Method("handling_seconds_count", "unary", "CreateReservation")), 4 + refused);
  // Five units and a replay.
  EXPECT_EQ(samples.at("tranche_commit_batch_size_sum{shard=\"home\",kind=\"claim\"}"), 6);
  EXPECT_EQ(samples.at("tranche_commit_queueing_seconds_count{shard=\"home\",kind=\"claim\"}"), 6);
  EXPECT_EQ(samples.at("tranche_commit_batches_total{shard=\"home\",kind=\"claim\",outcome=\"unknown\"}"), 0);
  EXPECT_EQ(samples.at("tranche_ledger_up{shard=\"home\"}"), 1);
  EXPECT_EQ(samples.at("tranche_zookeeper_up"), 1);
  EXPECT_EQ(samples.at("tranche_slice_free{sku=\"tv\"}"), 0);
  EXPECT_EQ(samples.at("tranche_slice_allotted{sku=\"tv\"}"), 5);
  EXPECT_EQ(samples.at("tranche_skus"), 1);
  for (const char* executor : {"late_payment", "list", "admin", "move", "status"}) {
    EXPECT_EQ(samples.at(absl::StrCat("tranche_executor_queue{executor=\"", executor, "\",shard=\"\"}")), 0);
  }
  EXPECT_GT(samples.at("tranche_connections_limit{shard=\"home\",pool=\"commit\"}"), 0);
}

TEST_F(MetricsTest, RefusalsPerSecondAreThereAfterTheSale) {
  Start();
  OpenSale("tv", 1);
  EXPECT_EQ(Create(Claim("tv", "first")), grpc::StatusCode::OK);
  const absl::Time give_up = absl::Now() + kPatience;
  double rate = 0;
  while (rate == 0 && absl::Now() < give_up) {
    Create(Claim("tv", "late"));
    rate = Samples()["tranche_sku_refusals_per_second{sku=\"tv\"}"];
  }
  EXPECT_GT(rate, 0);
  EXPECT_EQ(Await("tranche_sku_refusals_per_second{sku=\"tv\"}", 0), 0) << "nobody asks any more";
}

TEST_F(MetricsTest, ChangesAndCartsAreCounted) {
  Start();
  OpenSale("tv", 5, absl::Minutes(15), "", /*per_user_limit=*/5);
  v1::CreateReservationsRequest cart;
  cart.set_user_id("buyer");
  auto* line = cart.add_lines();
  line->set_reservation_id(MakeUuidV7());
  line->set_sku_id("tv");
  line->set_quantity(2);
  v1::CreateReservationsResponse created;
  const grpc::Status bought = stub_->CreateReservations(Context().get(), cart, &created);
  ASSERT_TRUE(bought.ok()) << bought.error_message();
  v1::CancelReservationRequest cancel;
  cancel.set_reservation_id(line->reservation_id());
  v1::CancelReservationResponse cancelled;
  EXPECT_TRUE(stub_->CancelReservation(Context().get(), cancel, &cancelled).ok());
  cancel.set_reservation_id(MakeUuidV7());
  EXPECT_FALSE(stub_->CancelReservation(Context().get(), cancel, &cancelled).ok());
  const auto samples = Samples();
  EXPECT_EQ(samples.at("tranche_carts_total{outcome=\"created\"}"), 1);
  EXPECT_EQ(samples.at("tranche_changes_total{change=\"cancel\",outcome=\"cancelled\"}"), 1);
  EXPECT_EQ(samples.at("tranche_changes_total{change=\"cancel\",outcome=\"RESERVATION_NOT_FOUND\"}"), 1);
  EXPECT_EQ(samples.at("tranche_commit_batches_total{shard=\"home\",kind=\"cart\",outcome=\"committed\"}"), 1);
  EXPECT_GE(samples.at("tranche_commit_batch_size_sum{shard=\"home\",kind=\"cancel\"}"), 2);
}

TEST_F(MetricsTest, ADrainedNodeLivesAndIsNotReady) {
  Start();
  EXPECT_EQ(AwaitReady(200).status, 200);
  v1::DrainNodeRequest drain;
  drain.set_node("node-1");
  drain.set_stay(true);
  Admin(&v1::AdminService::Stub::DrainNode, drain);
  const HttpReply drained = AwaitReady(503);
  EXPECT_EQ(drained.status, 503);
  EXPECT_THAT(drained.body, HasSubstr("drained"));
  EXPECT_EQ(Ask("/livez").status, 200);
  EXPECT_EQ(Samples()["tranche_node_draining"], 1);
  EXPECT_EQ(Samples()["tranche_node_serving"], 0);
  v1::UndrainNodeRequest undrain;
  undrain.set_node("node-1");
  Admin(&v1::AdminService::Stub::UndrainNode, undrain);
  EXPECT_EQ(AwaitReady(200).status, 200);
  EXPECT_EQ(Await("tranche_node_serving", 1), 1);
}

TEST_F(MetricsTest, ANodeEndsAlthoughSomebodyKeepsItsDoorOpen) {
  Start();
  TcpClient silent(port_);
  ASSERT_GE(silent.number(), 0);
  const absl::StatusOr<int> status = cluster_->StopNode(0);
  ASSERT_TRUE(status.ok()) << status.status();
  EXPECT_EQ(*status, 0);
  EXPECT_FALSE(HttpGet(port_, "/livez").ok());
}

// The rows of docs/metrics.md between two headings: name -> type.
std::map<std::string, std::string> Documented(const std::vector<std::string>& headings) {
  std::ifstream file(TRANCHE_METRICS_PAGE);
  std::map<std::string, std::string> rows;
  bool wanted = false;
  for (std::string line; std::getline(file, line);) {
    if (absl::StartsWith(line, "## ")) wanted = absl::c_linear_search(headings, line.substr(3));
    const std::vector<std::string> cells = absl::StrSplit(line, absl::MaxSplits('|', 3));
    if (!wanted || cells.size() < 4 || !absl::StartsWith(cells[1], " `")) continue;
    const absl::string_view name = absl::StripSuffix(absl::StripPrefix(cells[1], " `"), "` ");
    rows[std::string(name)] = std::string(absl::StripAsciiWhitespace(cells[2]));
  }
  return rows;
}

TEST_F(MetricsTest, ThePageTellsEveryMetricOfANode) {
  Start();
  OpenSale("tv", 5);
  EXPECT_EQ(Create(Claim("tv", "buyer")), grpc::StatusCode::OK);
  EXPECT_EQ(TypesOf(Ask("/metrics").body), Documented({"Every process", "Front node"}));
}

}  // namespace
}  // namespace tranche::testing
