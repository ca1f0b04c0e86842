// What operators find in the logs of a real cluster, as programs read them.
#include <fstream>
#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "absl/time/clock.h"
#include "google/protobuf/struct.pb.h"
#include "google/protobuf/util/json_util.h"
#include "gtest/gtest.h"
#include "tests/integration/sale_fixture.h"
#include "tests/support/between_looks.h"

namespace tranche::testing {
namespace {

using Line = google::protobuf::Struct;

constexpr absl::Duration kPatience = absl::Seconds(60);

std::string TextOf(const Line& line, const std::string& field) {
  const auto found = line.fields().find(field);
  return found == line.fields().end() ? "" : found->second.string_value();
}

// One of an event's own fields.
google::protobuf::Value FieldOf(const Line& line, const std::string& field) {
  const auto all = line.fields().find("fields");
  if (all == line.fields().end()) return {};
  const auto& fields = all->second.struct_value().fields();
  const auto found = fields.find(field);
  return found == fields.end() ? google::protobuf::Value() : found->second;
}

class LogTest : public SaleTest {
 protected:
  void SetUp() override {
    MiniClusterOptions options;
    options.nodes = 2;
    options.zookeeper_session_timeout = absl::Seconds(3);
    options.node_args = {"--log-format", "json", "--access-log", "all"};
    options.balancer_args = {"--log-format", "json"};
    options.worker_args = {"--log-format", "json"};
    StartCluster(options);
  }

  // The whole lines so far; each must be one JSON object.
  static std::vector<Line> LinesOf(const ServerProcess& process) {
    std::ifstream log(process.log_file());
    std::vector<Line> lines;
    for (std::string text; std::getline(log, text) && !log.eof();) {
      Line line;
      const auto parsed = google::protobuf::util::JsonStringToMessage(text, &line);
      EXPECT_TRUE(parsed.ok()) << process.name() << ": " << text;
      lines.push_back(std::move(line));
    }
    return lines;
  }

  // Waits for a line; an empty one if it does not come.
  static Line Await(ServerProcess& process, const std::function<bool(const Line&)>& wanted) {
    const absl::Time give_up = absl::Now() + kPatience;
    while (absl::Now() < give_up && !::testing::Test::HasFailure()) {
      for (const Line& line : LinesOf(process)) {
        if (wanted(line)) return line;
      }
      RestBetweenLooks();
    }
    ADD_FAILURE() << "no such line:\n" << process.LogTail();
    return {};
  }
  Line AwaitSale(const std::string& event, const std::string& sku) {
    return Await(cluster_->balancer(0), [&](const Line& line) {
      return TextOf(line, "event") == event && FieldOf(line, "sku").string_value() == sku;
    });
  }
  void SellOut(const std::string& sku) {
    Shoppers shoppers(client_.get(), {sku}, 4);
    EXPECT_TRUE(shoppers.WaitForReason(Reason::kSoldOut, 20, kPatience));
    shoppers.Stop();
  }
};

TEST_F(LogTest, TheSaleIsToldByTheLeader) {
  OpenSale("tv", 20);
  SellOut("tv");
  const Line sold_out = AwaitSale("sale.sold_out", "tv");
  EXPECT_EQ(FieldOf(sold_out, "units").number_value(), 20);
  EXPECT_EQ(FieldOf(sold_out, "unsold").number_value(), 0);
  EXPECT_EQ(TextOf(sold_out, "program"), "tranche-balancer");
  // The leader has seen all SKUs by now, so that this one is new to it.
  OpenSale("phone", 10);
  const Line opened = AwaitSale("sale.opened", "phone");
  EXPECT_EQ(FieldOf(opened, "units").number_value(), 10);
  SellOut("phone");
  EXPECT_GT(FieldOf(AwaitSale("sale.sold_out", "phone"), "seconds").number_value(), 0);
  CheckLedger();
}

TEST_F(LogTest, ADeadNodeIsNamedWithItsUnits) {
  OpenSale("tv", 20);
  const Line began = Await(cluster_->node(1), [](const Line& line) { return TextOf(line, "event") == "node.began"; });
  const std::string name = FieldOf(began, "node").string_value();
  EXPECT_FALSE(name.empty());
  EXPECT_EQ(TextOf(began, "node"), name) << "every line has it";
  WaitUntilShared("tv", 20);
  ASSERT_TRUE(cluster_->KillNode(1).ok());
  const Line gone = Await(cluster_->balancer(0), [](const Line& line) { return TextOf(line, "event") == "node.gone"; });
  EXPECT_EQ(FieldOf(gone, "node").string_value(), name);
  EXPECT_EQ(FieldOf(gone, "incarnation").number_value(), FieldOf(began, "incarnation").number_value());
  EXPECT_EQ(FieldOf(gone, "units").number_value(), 10);
}

TEST_F(LogTest, ACallIsFoundByTheRequestIdOfItsCaller) {
  const auto context = Context();
  context->AddMetadata("x-request-id", "find-me");
  context->AddMetadata("traceparent", "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01");
  v1::GetQuotaRequest request;
  request.set_sku_id("no-such");
  v1::GetQuotaResponse response;
  EXPECT_FALSE(Admin()->GetQuota(context.get(), request, &response).ok());
  std::vector<Line> found;
  const auto is_ours = [](const Line& line) {
    return TextOf(line, "event") == "call" && TextOf(line, "request") == "find-me";
  };
  const absl::Time give_up = absl::Now() + kPatience;
  while (found.empty() && absl::Now() < give_up) {
    for (int node = 0; node < cluster_->nodes(); ++node) {
      for (Line& line : LinesOf(cluster_->node(node))) {
        if (is_ours(line)) found.push_back(std::move(line));
      }
    }
    RestBetweenLooks();
  }
  ASSERT_EQ(found.size(), 1u);
  EXPECT_EQ(TextOf(found[0], "trace"), "0af7651916cd43dd8448eb211c80319c");
  EXPECT_EQ(FieldOf(found[0], "method").string_value(), "AdminService.GetQuota");
  EXPECT_EQ(FieldOf(found[0], "code").string_value(), "NOT_FOUND");
  EXPECT_EQ(FieldOf(found[0], "reason").string_value(), "SKU_NOT_FOUND");
}

}  // namespace
}  // namespace tranche::testing
