// tranchectl when nodes are silent, gone or unable to serve: whom it asks, what it reports, and how a watch goes on.

#include <arpa/inet.h>
#include <gmock/gmock.h>
#include <grpcpp/grpcpp.h>
#include <gtest/gtest.h>
#include <sys/socket.h>
#include <unistd.h>

#include <atomic>
#include <deque>
#include <nlohmann/json.hpp>
#include <sstream>
#include <string>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "absl/synchronization/notification.h"
#include "absl/time/clock.h"
#include "client/ctl/run.h"
#include "tests/integration/fake_front_node.h"
#include "tests/support/tranchectl_runner.h"
#include "tranche/v1/admin_service.grpc.pb.h"

namespace tranche::ctl {
namespace {

using ::testing::ContainsRegex;
using ::testing::HasSubstr;
using ::testing::Not;

constexpr char kNobody[] = "127.0.0.1:1";

// Takes TCP connections, as the kernel does for a process that is stopped, and never says a word.
class StoppedNode {
 public:
  StoppedNode() : socket_(socket(AF_INET, SOCK_STREAM, 0)) {
    sockaddr_in address{};
    address.sin_family = AF_INET;
    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    socklen_t size = sizeof(address);
    EXPECT_EQ(bind(socket_, reinterpret_cast<sockaddr*>(&address), size), 0);
    EXPECT_EQ(listen(socket_, 16), 0);
    EXPECT_EQ(getsockname(socket_, reinterpret_cast<sockaddr*>(&address), &size), 0);
    address_ = absl::StrCat("127.0.0.1:", ntohs(address.sin_port));
  }
  ~StoppedNode() { close(socket_); }
  const std::string& address() const { return address_; }

 private:
  const int socket_;
  std::string address_;
};

// Answers its first calls as it is told, and all others well.
class MoodyNode final : public v1::AdminService::Service {
 public:
  MoodyNode() {
    grpc::ServerBuilder builder;
    int port = 0;
    builder.AddListeningPort("127.0.0.1:0", grpc::InsecureServerCredentials(), &port);
    builder.RegisterService(this);
    server_ = builder.BuildAndStart();
    address_ = absl::StrCat("127.0.0.1:", port);
  }
  ~MoodyNode() override {
    speak_.Notify();
    server_->Shutdown(std::chrono::system_clock::now());
  }
  const std::string& address() const { return address_; }

  grpc::Status GetSku(grpc::ServerContext*, const v1::GetSkuRequest* request, v1::GetSkuResponse* response) override {
    response->mutable_sku()->set_sku_id(request->sku_id());
    return Next();
  }
  grpc::Status GetQuota(grpc::ServerContext*, const v1::GetQuotaRequest* request,
                        v1::GetQuotaResponse* response) override {
    response->mutable_quota()->set_sku_id(request->sku_id());
    response->mutable_quota()->set_quota_version(calls + 1);
    return Next();
  }
  grpc::Status AddStock(grpc::ServerContext*, const v1::AddStockRequest* request,
                        v1::AddStockResponse* response) override {
    if (request->preview()) return grpc::Status::OK;
    return Next();
  }

  // Without an end: until the test is over.
  static grpc::Status Silence() { return {grpc::StatusCode::DO_NOT_USE, ""}; }
  static grpc::Status Error(grpc::StatusCode code, const std::string& reason) {
    return ToGrpc(ErrorDetails(code, reason));
  }

  std::deque<grpc::Status> moods;
  std::atomic<int> calls{0};

 private:
  grpc::Status Next() {
    const auto call = static_cast<size_t>(calls++);
    if (call >= moods.size()) return grpc::Status::OK;
    if (moods[call].error_code() != grpc::StatusCode::DO_NOT_USE) return moods[call];
    speak_.WaitForNotification();
    return grpc::Status::OK;
  }

  absl::Notification speak_;
  std::unique_ptr<grpc::Server> server_;
  std::string address_;
};

class TranchectlFailoverTest : public ::testing::Test, protected testing::TranchectlRunner {
 protected:
  int CtlAt(const std::vector<std::string>& endpoints, std::vector<std::string> arguments) {
    return RunCtlAt(absl::StrJoin(endpoints, ","), std::move(arguments));
  }

  StoppedNode stopped_;
  MoodyNode first_;
  MoodyNode second_;
};

TEST_F(TranchectlFailoverTest, ANodeThatTakesNoConnectionIsLeftForTheNext) {
  const absl::Time begin = absl::Now();
  EXPECT_EQ(CtlAt({stopped_.address(), first_.address()}, {"sku", "show", "tv"}), 0) << err_;
  EXPECT_LT(absl::Now() - begin, absl::Seconds(5)) << "of the ten that a call may take";
  EXPECT_EQ(CtlAt({stopped_.address(), first_.address()}, {"stock", "add", "tv", "5", "--yes"}), 0) << err_;
  EXPECT_EQ(first_.calls, 2) << "one of each";
}

TEST_F(TranchectlFailoverTest, ANodeThatDoesNotAnswerAReadIsLeftForTheNext) {
  first_.moods = {MoodyNode::Silence()};
  EXPECT_EQ(CtlAt({first_.address(), second_.address()}, {"sku", "show", "tv"}), 0) << err_;
  EXPECT_EQ(second_.calls, 1);
}

TEST_F(TranchectlFailoverTest, WhoWasSilentIsAskedOnceMoreWhenNobodyElseAnswers) {
  first_.moods = {MoodyNode::Silence()};
  EXPECT_EQ(CtlAt({first_.address(), kNobody}, {"sku", "show", "tv"}), 0) << err_;
  EXPECT_EQ(first_.calls, 2);
}

TEST_F(TranchectlFailoverTest, AReadGoesOnToTheNextNodeWhenTheFirstCannotServe) {
  first_.moods = {MoodyNode::Error(grpc::StatusCode::UNAVAILABLE, "LEDGER_UNAVAILABLE")};
  EXPECT_EQ(CtlAt({first_.address(), second_.address()}, {"sku", "show", "tv"}), 0) << err_;
}

TEST_F(TranchectlFailoverTest, ANodeThatDoesNotKnowAReadIsLeftForTheNext) {
  first_.moods = {{grpc::StatusCode::UNIMPLEMENTED, ""}};
  EXPECT_EQ(CtlAt({first_.address(), second_.address()}, {"sku", "show", "tv"}), 0) << err_;
  EXPECT_EQ(second_.calls, 1);
}

TEST_F(TranchectlFailoverTest, AChangeIsNotSentTwice) {
  first_.moods = {MoodyNode::Silence()};
  EXPECT_EQ(CtlAt({first_.address(), second_.address()}, {"stock", "add", "tv", "5", "--yes", "--timeout", "6s"}), 2);
  EXPECT_THAT(err_, HasSubstr("whether it was done is not known"));
  EXPECT_EQ(second_.calls, 0);
}

TEST_F(TranchectlFailoverTest, AChangeWhoseOutcomeIsUnclearIsNotSentToAnotherNode) {
  first_.moods = {MoodyNode::Error(grpc::StatusCode::UNAVAILABLE, "LEDGER_UNAVAILABLE")};
  EXPECT_EQ(CtlAt({first_.address(), second_.address()}, {"stock", "add", "tv", "5", "--yes"}), 2);
  EXPECT_EQ(second_.calls, 0);
}

TEST_F(TranchectlFailoverTest, AChangeWhoseConnectionBreaksMayHaveBeenDone) {
  first_.moods = {{grpc::StatusCode::UNAVAILABLE, "Socket closed"}};
  EXPECT_EQ(CtlAt({first_.address(), second_.address()}, {"stock", "add", "tv", "5", "--yes"}), 2);
  EXPECT_THAT(err_, HasSubstr("whether it was done is not known"));
  EXPECT_EQ(second_.calls, 0);
}

TEST_F(TranchectlFailoverTest, AChangeThatANodeRefusedToBeginGoesOnToTheNext) {
  first_.moods = {MoodyNode::Error(grpc::StatusCode::UNAVAILABLE, "DRAINING")};
  EXPECT_EQ(CtlAt({first_.address(), second_.address()}, {"stock", "add", "tv", "5", "--yes"}), 0) << err_;
  EXPECT_EQ(second_.calls, 1);
}

TEST_F(TranchectlFailoverTest, AReadThatTimesOutChangedNothing) {
  first_.moods = {MoodyNode::Silence()};
  EXPECT_EQ(CtlAt({first_.address()}, {"sku", "show", "tv", "--timeout", "2s"}), 2);
  EXPECT_THAT(err_, HasSubstr("DEADLINE_EXCEEDED"));
  EXPECT_THAT(err_, Not(HasSubstr("whether it was done is not known")));
  EXPECT_THAT(err_, HasSubstr("--timeout waits longer"));
}

TEST_F(TranchectlFailoverTest, TheErrorThatSaysMostIsReportedAndTheOthersAreNamed) {
  first_.moods = {MoodyNode::Error(grpc::StatusCode::UNAVAILABLE, "DRAINING")};
  EXPECT_EQ(CtlAt({stopped_.address(), first_.address(), kNobody}, {"sku", "show", "tv", "--timeout", "6s"}), 2);
  EXPECT_THAT(err_, HasSubstr(absl::StrCat("tranchectl: DRAINING: ", first_.address(), ": ")));
  EXPECT_THAT(err_, HasSubstr(absl::StrCat("also: ", stopped_.address(), ": takes no connection")));
  EXPECT_THAT(err_, HasSubstr(absl::StrCat("also: ", kNobody, ": failed to connect")));
  EXPECT_EQ(CtlAt({kNobody, stopped_.address()}, {"sku", "show", "tv", "--timeout", "6s"}), 2);
  EXPECT_THAT(err_, HasSubstr(absl::StrCat("tranchectl: UNAVAILABLE: ", stopped_.address(), ": takes no connection")));
}

TEST_F(TranchectlFailoverTest, AWatchGoesOnWhenTheClusterAnswersAgain) {
  const auto unavailable = MoodyNode::Error(grpc::StatusCode::UNAVAILABLE, "LEDGER_UNAVAILABLE");
  first_.moods = {{}, {}, unavailable, unavailable, {}, MoodyNode::Error(grpc::StatusCode::NOT_FOUND, "SKU_NOT_FOUND")};
  EXPECT_EQ(CtlAt({first_.address()}, {"quota", "show", "tv", "--watch", "--interval", "1ms", "-o", "json"}), 2);
  std::vector<std::string> versions;
  std::istringstream lines(out_);
  for (std::string line; std::getline(lines, line);) {
    versions.push_back(nlohmann::json::parse(line)["quota_version"]);
  }
  EXPECT_THAT(versions, ::testing::ElementsAre("1", "2", "5"));
  EXPECT_THAT(err_, ContainsRegex("STALE: as of [^\n]*LEDGER_UNAVAILABLE[^\n]*\n[^\n]*answered again\n"))
      << "once, not at every look";
  EXPECT_THAT(err_, HasSubstr("SKU_NOT_FOUND")) << "that does not pass";
}

TEST_F(TranchectlFailoverTest, AWatchOnATerminalKeepsTheLastViewMarkedAsStale) {
  first_.moods = {{},
                  MoodyNode::Error(grpc::StatusCode::UNAVAILABLE, "LEDGER_UNAVAILABLE"),
                  MoodyNode::Error(grpc::StatusCode::NOT_FOUND, "SKU_NOT_FOUND")};
  std::ostringstream out, err;
  EXPECT_EQ(ctl::Run({"--endpoint", first_.address(), "quota", "show", "tv", "--watch", "--interval", "1ms"}, out, err,
                     {.color = false, .redraw = true}),
            2);
  EXPECT_THAT(out.str(),
              ContainsRegex("^\x1b\\[H\x1b\\[2J[0-9T:-]+Z\ntv: [^\x1b]*"
                            "\x1b\\[H\x1b\\[2J[0-9T:-]+Z  STALE: as of [0-9T:-]+Z; LEDGER_UNAVAILABLE: [^\n]*"
                            "\ntv: 0 unsold, quota version 1,[^\x1b]*$"));
}

TEST_F(TranchectlFailoverTest, AWatchThatNeverSawAnythingEnds) {
  EXPECT_EQ(CtlAt({kNobody}, {"quota", "show", "tv", "--watch", "--interval", "1ms"}), 2);
  EXPECT_EQ(out_, "");
}

}  // namespace
}  // namespace tranche::ctl
