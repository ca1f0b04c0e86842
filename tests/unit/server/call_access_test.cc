// What the call frame asks the access file, for every call: on a real server and channel, with tokens.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <filesystem>
#include <fstream>
#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "absl/functional/any_invocable.h"
#include "absl/strings/str_cat.h"
#include "absl/time/clock.h"
#include "google/rpc/error_details.pb.h"
#include "google/rpc/status.pb.h"
#include "server/access/access_control.h"
#include "server/rpc/call_service.h"
#include "server/services/admin_service.h"
#include "storage/executor.h"
#include "tests/support/logged_lines.h"
#include "tests/support/raw_call.h"
#include "tests/support/scratch_dir.h"
#include "tests/unit/server/grpc_fixture.h"
#include "tranche/v1/admin_service.grpc.pb.h"
#include "tranche/v1/outbox_sink.grpc.pb.h"

namespace tranche::server {
namespace {

using grpc::StatusCode;
using ::testing::HasSubstr;
using ::testing::Not;
using v1::DeliverRequest;
using v1::DeliverResponse;

constexpr char kDeliverService[] = "tranche.v1.OutboxSinkService";
constexpr char kDeliverPath[] = "/tranche.v1.OutboxSinkService/Deliver";

std::string TokenOf(const std::string& name) { return absl::StrCat("trt_", name, std::string(43 - name.size(), '.')); }
std::string Bearer(const std::string& name) { return absl::StrCat("Bearer ", TokenOf(name)); }

std::string PrincipalJson(const std::string& name, const std::string& role) {
  return absl::StrCat(R"({"name": ")", name, R"(", "roles": [")", role, R"("], "tokens_sha256": [")",
                      HexOf(DigestOfToken(TokenOf(name))), R"("]})");
}

// Runs a task at once, after what happens while it waits.
class WaitingExecutor : public storage::Executor {
 public:
  bool TryRun(absl::AnyInvocable<void()>& task) override {
    meanwhile();
    task();
    return true;
  }
  std::function<void()> meanwhile;
};

class CallAccessTest : public ::testing::Test {
 protected:
  void SetUp() override { Serve(); }

  // The file: who is an operator, who is a viewer, and what callers without credentials are.
  void Allow(const std::string& anonymous = "") {
    std::ofstream(path_, std::ios::trunc)
        << R"({"anonymous": [)" << anonymous << R"(], "principals": [)" << PrincipalJson("ops", "operator") << ","
        << PrincipalJson("eye", "viewer") << "]}";
    std::filesystem::permissions(path_, std::filesystem::perms(0644));  // whatever the umask
  }
  void Serve(bool with_file = true) {
    const auto entry = InlineCall<DeliverRequest, DeliverResponse>(
        CallPolicy("Deliver", Permission::kOperate, RunsOn::kInline, Repeatable::kYes),
        [this](const CallContext& call, const DeliverRequest&, const Reply<DeliverResponse>& reply) {
          actor_ = call.actor().name;
          StandingAccess standing(call);
          if (reload_ != nullptr) {
            reload_();
            still_allowed_ = standing.Check(call);
          }
          reply(DeliverResponse());
        });
    Serve(entry, with_file);
  }
  void Serve(const CallEntry& entry, bool with_file) {
    server_.reset();
    const CallFrame frame{
        .clock = storage::Clock::Real(), .access = with_file ? &control_ : nullptr, .admin_executor = &executor_};
    const auto* service = DeliverRequest::descriptor()->file()->FindServiceByName("OutboxSinkService");
    service_ = std::make_unique<CallService>(*service, frame, std::vector<CallEntry>{entry});
    server_ = std::make_unique<LocalServer>(service_.get());
    stub_ = v1::OutboxSinkService::NewStub(server_->channel());
  }

  // `headers`: as they are sent. The answer's reason; "OK" if it has none.
  std::string Call(const std::vector<std::pair<std::string, std::string>>& headers) {
    grpc::ClientContext context;
    context.set_deadline(absl::ToChronoTime(absl::Now() + absl::Seconds(20)));
    for (const auto& [key, value] : headers) context.AddMetadata(key, value);
    actor_.reset();
    DeliverResponse response;
    status_ = stub_->Deliver(&context, DeliverRequest(), &response);
    EXPECT_EQ(actor_.has_value(), status_.ok()) << "the handler";
    return status_.ok() ? "OK" : ReasonOnWire(status_);
  }
  std::string CallWith(const std::string& authorization) { return Call({{"authorization", authorization}}); }
  std::map<std::string, std::string> Metadata() const {
    google::rpc::Status rpc;
    google::rpc::ErrorInfo info;
    if (!rpc.ParseFromString(status_.error_details()) || rpc.details_size() == 0) return {};
    rpc.details(0).UnpackTo(&info);
    return {info.metadata().begin(), info.metadata().end()};
  }

  const tranche::testing::ScratchDir scratch_{"call-access"};
  const std::filesystem::path path_ = scratch_.path() / "access.json";
  AccessFile file_{path_};
  Denials denials_{nullptr, storage::Clock::Real()};
  AccessControl control_{&file_, &denials_};
  WaitingExecutor executor_;
  std::function<void()> reload_;
  absl::Status still_allowed_;
  std::optional<std::string> actor_;
  grpc::Status status_;
  std::unique_ptr<CallService> service_;
  std::unique_ptr<LocalServer> server_;
  std::unique_ptr<v1::OutboxSinkService::Stub> stub_;
};

TEST_F(CallAccessTest, WithoutAFileEverybodyMay) {
  Serve(/*with_file=*/false);
  EXPECT_EQ(CallWith("Bearer anything"), "OK");
  EXPECT_THAT(*actor_, HasSubstr("127.0.0.1"));
  EXPECT_EQ(Call({{"tranche-actor", "alice@laptop"}}), "OK");
  EXPECT_EQ(*actor_, "alice@laptop");
  EXPECT_EQ(Call({{"tranche-actor", "ops as alice@laptop"}}), "OK");
  EXPECT_THAT(*actor_, HasSubstr("127.0.0.1")) << "no node vouches for ops";
}

TEST_F(CallAccessTest, WhatUnknownCallersCallThemselvesIsMarked) {
  Allow();
  ASSERT_TRUE(file_.Open().ok());
  const tranche::testing::LoggedLines log;
  EXPECT_EQ(Call({{"tranche-actor", "ops"}}), "CALLER_UNKNOWN");
  ASSERT_EQ(log.lines().size(), 1u);
  EXPECT_THAT(log.lines()[0], HasSubstr("unknown as ops"));
}

TEST_F(CallAccessTest, BeforeTheFileIsReadNobodyMay) { EXPECT_EQ(Call({}), "CALLER_UNKNOWN"); }

TEST_F(CallAccessTest, ATokenSaysWhoCalls) {
  Allow();
  ASSERT_TRUE(file_.Open().ok());
  EXPECT_EQ(CallWith(Bearer("ops")), "OK");
  EXPECT_EQ(*actor_, "ops");
  EXPECT_EQ(CallWith(absl::StrCat("bearer  ", TokenOf("ops"))), "OK") << "schemes have no case";

  EXPECT_EQ(CallWith(Bearer("eye")), "ROLE_MISSING");
  EXPECT_EQ(status_.error_code(), StatusCode::PERMISSION_DENIED);
  EXPECT_THAT(status_.error_message(), HasSubstr("eye may not call Deliver"));
  const std::map<std::string, std::string> missing = {
      {"method", "Deliver"}, {"roles", "operator,admin"}, {"principal", "eye"}};
  EXPECT_EQ(Metadata(), missing);

  const std::vector<std::string> others = {Bearer("nobody"), "Bearer", "Bearer ", "Basic dG9rZW4gb2Ygb3Bz",
                                           TokenOf("ops")};
  for (const std::string& other : others) {
    EXPECT_EQ(CallWith(other), "CALLER_UNKNOWN") << other;
    EXPECT_EQ(status_.error_code(), StatusCode::UNAUTHENTICATED);
    EXPECT_THAT(status_.error_message(), Not(HasSubstr("nobody"))) << "an answer repeats no credential";
  }
  EXPECT_EQ(Call({}), "CALLER_UNKNOWN");
  EXPECT_EQ(Call({{"authorization", Bearer("ops")}, {"authorization", Bearer("eye")}}), "CALLER_UNKNOWN")
      << "two are none";
  EXPECT_EQ(denials_.counts(),
            (Denials::Counts{{{kDeliverService, "Deliver", false}, 7}, {{kDeliverService, "Deliver", true}, 1}}));
}

TEST_F(CallAccessTest, OnlyThePrincipalIsVouchedFor) {
  Allow();
  ASSERT_TRUE(file_.Open().ok());
  const auto actor_when = [this](const std::string& declared) {
    EXPECT_EQ(Call({{"authorization", Bearer("ops")}, {"tranche-actor-bin", declared}}), "OK");
    return actor_.value_or("");
  };
  EXPECT_EQ(actor_when("alice@laptop"), "ops as alice@laptop");
  EXPECT_EQ(actor_when("eye"), "ops as eye");
  EXPECT_EQ(actor_when(std::string(128, 'a')), absl::StrCat("ops as ", std::string(121, 'a')));
  std::string umlauts;
  for (int i = 0; i < 64; ++i) umlauts += "\xc3\xb6";
  EXPECT_EQ(actor_when(umlauts).size(), 127u) << "no half of a character";
}

TEST_F(CallAccessTest, AnonymousHasTheRolesOfTheFile) {
  Allow(R"("operator")");
  ASSERT_TRUE(file_.Open().ok());
  EXPECT_EQ(Call({{"tranche-actor", "ops"}}), "OK");
  EXPECT_EQ(*actor_, "anonymous as ops");
  EXPECT_EQ(CallWith(Bearer("nobody")), "CALLER_UNKNOWN") << "who shows a credential means it";
}

TEST_F(CallAccessTest, WhoMayNotIsNotToldWhatIsWrongWithTheRequest) {
  Allow();
  ASSERT_TRUE(file_.Open().ok());
  const grpc::Status answer = tranche::testing::RawCall(server_->channel(), kDeliverPath, "\xff\xff\xff");
  EXPECT_EQ(ReasonOnWire(answer), "CALLER_UNKNOWN");
}

TEST_F(CallAccessTest, ACallThatLastsIsCheckedAgain) {
  Allow();
  ASSERT_TRUE(file_.Open().ok());
  reload_ = [this] {
    std::ofstream(path_, std::ios::trunc) << R"({"principals": []})";
    file_.Look();
  };
  EXPECT_EQ(CallWith(Bearer("ops")), "OK");
  EXPECT_TRUE(absl::IsUnauthenticated(still_allowed_)) << still_allowed_;
  reload_ = nullptr;
  EXPECT_EQ(CallWith(Bearer("ops")), "CALLER_UNKNOWN");
}

TEST_F(CallAccessTest, WhatWaitsForAThreadIsNotBegunForACallerWhoMayNotAnyMore) {
  Allow();
  ASSERT_TRUE(file_.Open().ok());
  Serve(BlockingCall<DeliverRequest, DeliverResponse>(
            CallPolicy("Deliver", Permission::kOperate, RunsOn::kAdmin, Repeatable::kYes),
            [this](const CallContext& call, const DeliverRequest&) {
              actor_ = call.actor().name;
              return DeliverResponse();
            }),
        /*with_file=*/true);
  executor_.meanwhile = [] {};
  EXPECT_EQ(CallWith(Bearer("ops")), "OK");
  executor_.meanwhile = [this] {
    std::ofstream(path_, std::ios::trunc) << R"({"principals": []})";
    file_.Look();
  };
  EXPECT_EQ(CallWith(Bearer("ops")), "CALLER_UNKNOWN");
}

TEST_F(CallAccessTest, SoItIsWithAMove) {
  Allow(R"("admin")");
  ASSERT_TRUE(file_.Open().ok());
  executor_.meanwhile = [this] {
    Allow();
    file_.Look();
  };
  const auto admin =
      MakeAdminService({}, {.clock = storage::Clock::Real(), .access = &control_, .move_executor = &executor_});
  const LocalServer server(admin.get());
  const auto stub = v1::AdminService::NewStub(server.channel());
  grpc::ClientContext context;
  const auto reader = stub->MoveSku(&context, v1::MoveSkuRequest());
  v1::MoveSkuResponse response;
  EXPECT_FALSE(reader->Read(&response));
  EXPECT_EQ(ReasonOnWire(reader->Finish()), "CALLER_UNKNOWN");
}

}  // namespace
}  // namespace tranche::server
