// A real node with an access file: who is let in by a token, what becomes of the others, and what happens when the file
// changes.
#include <gmock/gmock.h>
#include <grpcpp/grpcpp.h>

#include <chrono>
#include <filesystem>
#include <fstream>
#include <functional>
#include <map>
#include <memory>
#include <set>
#include <string>
#include <thread>
#include <type_traits>
#include <vector>

#include "absl/algorithm/container.h"
#include "absl/strings/ascii.h"
#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_split.h"
#include "absl/time/clock.h"
#include "google/protobuf/descriptor.h"
#include "google/rpc/error_details.pb.h"
#include "google/rpc/status.pb.h"
#include "storage/base/access_token.h"
#include "storage/base/role.h"
#include "tests/integration/sale_fixture.h"
#include "tests/support/http_get.h"
#include "tests/support/raw_call.h"
#include "tests/support/scratch_dir.h"
#include "tranche/uuid.h"
#include "tranche/v1/admin_service.grpc.pb.h"
#include "tranche/v1/catalog_service.pb.h"
#include "tranche/v1/front_door_service.pb.h"
#include "tranche/v1/reservation_service.grpc.pb.h"

namespace tranche::testing {
namespace {

using grpc::StatusCode;
using ::testing::AllOf;
using ::testing::HasSubstr;

constexpr absl::Duration kPatience = absl::Seconds(60);

// Has the form of one.
std::string TokenOf(const std::string& name) {
  std::string token = absl::StrCat("trt_the-token-of-", name);
  token.resize(NewToken().size(), '.');
  return token;
}

std::string ReasonOfStatus(const grpc::Status& status) {
  google::rpc::Status details;
  google::rpc::ErrorInfo info;
  if (!details.ParseFromString(status.error_details()) || details.details_size() == 0) return "";
  return details.details(0).UnpackTo(&info) ? info.reason() : "";
}

bool IsLetIn(const grpc::Status& status) {
  return status.error_code() != StatusCode::UNAUTHENTICATED && status.error_code() != StatusCode::PERMISSION_DENIED;
}

// Tries until it is so; whether it came to be.
bool Await(const std::function<bool()>& holds) {
  const absl::Time give_up = absl::Now() + kPatience;
  while (absl::Now() < give_up) {
    if (holds()) return true;
    std::this_thread::sleep_for(std::chrono::milliseconds(20));
  }
  return false;
}

class AccessTest : public SaleTest {
 protected:
  // By role: each role has a principal of its name.
  using Stub = v1::ReservationService::Stub;

  void SetUp() override {
    for (const RoleWord& word : kRoleWords) roles_[word.name] = word.name;
    WriteFile();
    MiniClusterOptions options;
    options.nodes = 1;
    options.workers = 0;
    const std::string port_file = scratch_.path() / "metrics.port";
    options.node_args = {"--access-file", path_.string(),        "--metrics-listen",
                         "127.0.0.1:0",   "--metrics-port-file", port_file};
    StartCluster(options);
    std::ifstream(port_file) >> metrics_port_;
    const auto channel = grpc::CreateChannel(cluster_->endpoint(0), grpc::InsecureChannelCredentials());
    buyers_ = v1::ReservationService::NewStub(channel);
    admin_ = v1::AdminService::NewStub(channel);
  }

  // Each principal of `roles_`, with its role ("" for none) and its token.
  void WriteFile() {
    std::string principals;
    for (const auto& [name, role] : roles_) {
      absl::StrAppend(&principals, principals.empty() ? "" : ",\n", R"({"name": ")", name, R"(", "roles": [)",
                      role.empty() ? "" : absl::StrCat("\"", role, "\""), R"(], "tokens_sha256": [")",
                      HexOf(DigestOfToken(TokenOf(name))), R"("]})");
    }
    // Replaced at once, as operators should.
    const std::filesystem::path next = scratch_.path() / "next.json";
    std::ofstream(next) << "{ // for a test\n\"principals\": [" << principals << "]}";
    std::filesystem::permissions(next, std::filesystem::perms(0644));  // whatever the umask
    std::filesystem::rename(next, path_);
  }

  static std::unique_ptr<grpc::ClientContext> As(const std::string& name, const std::string& person = "") {
    auto context = Context();
    context->AddMetadata("authorization", absl::StrCat("Bearer ", TokenOf(name)));
    if (!person.empty()) context->AddMetadata("tranche-actor", person);
    return context;
  }
  // The same without a deadline, which the test's own bounds.
  static std::unique_ptr<grpc::ClientContext> StreamAs(const std::string& name) {
    auto context = std::make_unique<grpc::ClientContext>();
    context->set_deadline(absl::ToChronoTime(absl::Now() + kPatience));
    context->AddMetadata("authorization", absl::StrCat("Bearer ", TokenOf(name)));
    return context;
  }
  template <typename Service, typename Request, typename Response>
  grpc::Status Call(const std::string& name, Service& stub,
                    grpc::Status (Service::*method)(grpc::ClientContext*, const Request&, Response*),
                    const std::type_identity_t<Request>& request, const std::string& person = "") {
    Response response;
    return (stub.*method)(As(name, person).get(), request, &response);
  }

  static v1::CreateReservationRequest Claim(const std::string& sku) {
    v1::CreateReservationRequest request;
    request.set_reservation_id(MakeUuidV7());
    request.set_sku_id(sku);
    request.set_user_id("alice");
    request.set_quantity(1);
    return request;
  }
  static v1::CreateSkuRequest Sku(const std::string& sku) {
    v1::CreateSkuRequest request;
    request.mutable_sku()->set_sku_id(sku);
    request.mutable_sku()->set_title(sku);
    request.mutable_sku()->set_price_minor(100);
    request.mutable_sku()->set_currency("EUR");
    request.mutable_sku()->set_stock(5);
    request.mutable_sku()->set_per_user_limit(1);
    request.mutable_sku()->mutable_hold()->set_seconds(900);
    return request;
  }
  static v1::ListReservationsRequest ListOfAlice() {
    v1::ListReservationsRequest request;
    request.set_user_id("alice");
    return request;
  }
  grpc::Status AddStock(const std::string& name, const std::string& person = "") {
    v1::AddStockRequest request;
    request.set_sku_id("tv");
    request.set_units(1);
    return Call(name, *admin_, &v1::AdminService::Stub::AddStock, request, person);
  }
  grpc::Status ListSkus(const std::string& name) { return Call(name, *admin_, &v1::AdminService::Stub::ListSkus, {}); }
  std::vector<v1::AuditEntry> Audit(const std::string& action) {
    v1::ListAuditRequest request;
    request.set_action(action);
    v1::ListAuditResponse response;
    EXPECT_TRUE(admin_->ListAudit(As("viewer").get(), request, &response).ok());
    return {response.entries().begin(), response.entries().end()};
  }
  // Whether the status names this problem.
  bool StatusTells(const std::string& code) {
    v1::GetStatusResponse status;
    EXPECT_TRUE(admin_->GetStatus(As("viewer").get(), {}, &status).ok());
    return absl::c_any_of(status.problems(), [&code](const v1::Problem& problem) { return problem.code() == code; });
  }
  double Sample(const std::string& name) {
    const absl::StatusOr<HttpReply> reply = HttpGet(metrics_port_, "/metrics");
    EXPECT_TRUE(reply.ok()) << reply.status();
    const auto samples = SamplesOf(reply.value_or(HttpReply{}).body);
    const auto found = samples.find(name);
    return found == samples.end() ? -1 : found->second;
  }

  const ScratchDir scratch_{"access"};
  const std::filesystem::path path_ = scratch_.path() / "access.json";
  std::map<std::string, std::string> roles_;
  int metrics_port_ = 0;
  std::unique_ptr<Stub> buyers_;
  std::unique_ptr<v1::AdminService::Stub> admin_;
};

TEST_F(AccessTest, EachRoleMayWhatItIsForAndNoMore) {
  const auto claim = [&](const std::string& who) { return Call(who, *buyers_, &Stub::CreateReservation, Claim("tv")); };
  const auto confirm = [&](const std::string& who) { return Call(who, *buyers_, &Stub::ConfirmReservation, {}); };
  const auto list = [&](const std::string& who) { return Call(who, *buyers_, &Stub::ListReservations, ListOfAlice()); };
  const auto add_sink = [&](const std::string& who) {
    v1::AddSinkRequest request;
    request.set_name("books");
    request.set_preview(true);
    return Call(who, *admin_, &v1::AdminService::Stub::AddSink, request);
  };
  EXPECT_TRUE(Call("operator", *admin_, &v1::AdminService::Stub::CreateSku, Sku("tv"), "ada@desk").ok());
  struct Case {
    const char* role;
    grpc::Status may;
    grpc::Status may_not;
  };
  for (const Case& one : {Case{"storefront", claim("storefront"), confirm("storefront")},
                          Case{"service", confirm("service"), ListSkus("service")},
                          Case{"risk", list("risk"), claim("risk")}, Case{"viewer", list("viewer"), AddStock("viewer")},
                          Case{"operator", AddStock("operator"), add_sink("operator")},
                          Case{"admin", add_sink("admin"), confirm("admin")}}) {
    EXPECT_TRUE(IsLetIn(one.may)) << one.role << ": " << one.may.error_message();
    EXPECT_EQ(one.may_not.error_code(), StatusCode::PERMISSION_DENIED) << one.role;
    EXPECT_EQ(ReasonOfStatus(one.may_not), "ROLE_MISSING") << one.role;
  }

  v1::ListSkusResponse response;
  for (const auto& context : {Context(), As("nobody")}) {
    const grpc::Status unknown = admin_->ListSkus(context.get(), {}, &response);
    EXPECT_EQ(unknown.error_code(), StatusCode::UNAUTHENTICATED);
    EXPECT_EQ(ReasonOfStatus(unknown), "CALLER_UNKNOWN");
  }
  const std::vector<v1::AuditEntry> created = Audit("create_sku");
  ASSERT_EQ(created.size(), 1u);
  EXPECT_EQ(created[0].actor(), "operator as ada@desk");
}

// The methods of docs/security.md with the roles that may call each. roles_test compares that page with the code.
std::map<std::string, std::set<std::string>> RolesOfThePage() {
  std::ifstream page(TRANCHE_SECURITY_PAGE);
  std::map<std::string, std::set<std::string>> methods;
  for (std::string line; std::getline(page, line);) {
    const std::vector<std::string> cells = absl::StrSplit(line, '|');
    if (!absl::StartsWith(line, "| `") || cells.size() != kRoleWords.size() + 3) continue;
    const std::vector<std::string> name = absl::StrSplit(cells[1], '`');
    std::set<std::string>& roles = methods[name[1]];
    for (size_t i = 0; i < kRoleWords.size(); ++i) {
      if (absl::StripAsciiWhitespace(cells[i + 2]) == "yes") roles.insert(kRoleWords[i].name);
    }
  }
  return methods;
}

// All that a node serves to callers with roles.
std::vector<const google::protobuf::MethodDescriptor*> AllMethods() {
  std::vector<const google::protobuf::MethodDescriptor*> methods;
  for (const google::protobuf::ServiceDescriptor* service :
       {v1::CreateReservationRequest::descriptor()->file()->FindServiceByName("ReservationService"),
        v1::CatalogSku::descriptor()->file()->FindServiceByName("CatalogService"),
        v1::EnterSaleRequest::descriptor()->file()->FindServiceByName("FrontDoorService"),
        v1::OpenGroupRequest::descriptor()->file()->FindServiceByName("GroupService"),
        v1::CreateSkuRequest::descriptor()->file()->FindServiceByName("AdminService")}) {
    for (int i = 0; i < service->method_count(); ++i) methods.push_back(service->method(i));
  }
  return methods;
}

// With an empty message: whoever may, is told that it is no good, or has a call that changes little.
TEST_F(AccessTest, EveryMethodIsForTheRolesOfThePageAndNoOthers) {
  const auto channel = grpc::CreateChannel(cluster_->endpoint(0), grpc::InsecureChannelCredentials());
  std::map<std::string, std::set<std::string>> expected = RolesOfThePage();
  for (const google::protobuf::MethodDescriptor* method : AllMethods()) {
    const std::string name = absl::StrCat(method->service()->name(), ".", method->name());
    ASSERT_TRUE(expected.contains(name)) << name << " is not on the page";
    const std::set<std::string> may = expected[name];
    expected.erase(name);
    const std::string path = absl::StrCat("/", method->service()->full_name(), "/", method->name());
    for (const RoleWord& word : kRoleWords) {
      const grpc::Status answer =
          RawCall(channel, path, "", nullptr, {{"authorization", absl::StrCat("Bearer ", TokenOf(word.name))}});
      const std::string told = absl::StrCat(name, " as ", word.name, ": ", answer.error_message());
      EXPECT_NE(answer.error_code(), StatusCode::UNAUTHENTICATED) << told;
      EXPECT_NE(answer.error_code(), StatusCode::UNIMPLEMENTED) << told;
      EXPECT_EQ(answer.error_code() != StatusCode::PERMISSION_DENIED, may.contains(word.name)) << told;
    }
    EXPECT_EQ(RawCall(channel, path, "").error_code(), StatusCode::UNAUTHENTICATED) << name << " without credentials";
  }
  EXPECT_TRUE(expected.empty()) << expected.begin()->first << " is on the page only";
  EXPECT_TRUE(ListSkus("viewer").ok()) << "the node serves on";
}

TEST_F(AccessTest, AStreamAndAWatchEndWhenTheirTokensAreTakenAway) {
  ASSERT_TRUE(Call("operator", *admin_, &v1::AdminService::Stub::CreateSku, Sku("tv")).ok());
  const v1::CreateReservationRequest claim = Claim("tv");
  ASSERT_TRUE(Await([&] { return Call("storefront", *buyers_, &Stub::CreateReservation, claim).ok(); }));
  v1::WatchReservationRequest watched;
  watched.set_reservation_id(claim.reservation_id());
  const auto watching = StreamAs("storefront");
  const auto watch = buyers_->WatchReservation(watching.get(), watched);
  v1::WatchReservationResponse state;
  ASSERT_TRUE(watch->Read(&state));
  const auto streaming = StreamAs("service");
  const auto stream = buyers_->StreamReservations(streaming.get());
  v1::StreamReservationsRequest request;
  *request.mutable_create() = claim;
  v1::StreamReservationsResponse answer;
  ASSERT_TRUE(stream->Write(request));
  ASSERT_TRUE(stream->Read(&answer));

  roles_["storefront"] = "";
  roles_.erase("service");
  WriteFile();
  // The stream is idle, and ends all the same.
  EXPECT_FALSE(stream->Read(&answer));
  EXPECT_EQ(ReasonOfStatus(stream->Finish()), "CALLER_UNKNOWN");
  while (watch->Read(&state)) {
  }
  EXPECT_EQ(ReasonOfStatus(watch->Finish()), "ROLE_MISSING");
  EXPECT_TRUE(ListSkus("viewer").ok()) << "others notice nothing";
}

TEST_F(AccessTest, AFaultyFileChangesNothingAndAGoodOneIsReadWithinMoments) {
  ServerProcess& node = cluster_->node(0);
  std::ofstream(path_, std::ios::trunc) << "{ \"principals\": [ { \"name\": \"half";
  ASSERT_TRUE(Await([&] { return node.LogLinesWith("the one before still holds") == 1; })) << node.LogTail();
  EXPECT_EQ(Sample("tranche_access_file_faulty"), 1);
  EXPECT_TRUE(Await([&] { return StatusTells("NODE_FILES_FAULTY"); }));
  EXPECT_TRUE(ListSkus("viewer").ok());
  EXPECT_FALSE(IsLetIn(ListSkus("newcomer")));

  roles_["newcomer"] = "viewer";
  WriteFile();
  EXPECT_TRUE(Await([&] { return ListSkus("newcomer").ok(); }));
  EXPECT_EQ(node.LogLinesWith("the one before still holds"), 1);
  EXPECT_TRUE(Await([&] { return Sample("tranche_access_file_faulty") == 0; }));
  EXPECT_TRUE(Await([&] { return !StatusTells("NODE_FILES_FAULTY"); }));
}

TEST_F(AccessTest, ADeniedChangeIsCountedLoggedAndAuditedOnce) {
  for (int i = 0; i < 3; ++i) EXPECT_EQ(ReasonOfStatus(AddStock("viewer", "bob@laptop")), "ROLE_MISSING");
  EXPECT_EQ(ReasonOfStatus(AddStock("nobody")), "CALLER_UNKNOWN");
  const auto denied = [&](const std::string& reason) {
    return Sample(absl::StrCat("tranche_denied_calls_total{grpc_service=\"tranche.v1.AdminService\",",
                               "grpc_method=\"AddStock\",reason=\"", reason, "\"}"));
  };
  EXPECT_EQ(denied("ROLE_MISSING"), 3);
  EXPECT_EQ(denied("CALLER_UNKNOWN"), 1);
  EXPECT_EQ(Sample("tranche_denied_calls_not_audited_total"), 0);
  ServerProcess& node = cluster_->node(0);
  EXPECT_TRUE(Await([&] { return node.LogLinesWith("event call.denied caller=viewer") == 1; })) << node.LogTail();
  EXPECT_EQ(node.LogLinesWith("trt_"), 0) << "no token in the log";

  EXPECT_TRUE(Await([&] {
    const std::vector<v1::AuditEntry> entries = Audit("denied_call");
    return !entries.empty() && entries[0].after().find("DENIED") != std::string::npos;
  }));
  const std::vector<v1::AuditEntry> entries = Audit("denied_call");
  ASSERT_EQ(entries.size(), 1u);
  EXPECT_EQ(entries[0].actor(), "viewer as bob@laptop");
  EXPECT_THAT(entries[0].after(), AllOf(HasSubstr("AdminService.AddStock"), HasSubstr("DENIED")));
}

}  // namespace
}  // namespace tranche::testing
