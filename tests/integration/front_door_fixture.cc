#include "tests/integration/front_door_fixture.h"

#include <ostream>
#include <utility>

#include "absl/strings/str_cat.h"
#include "absl/time/clock.h"
#include "google/rpc/error_details.pb.h"
#include "google/rpc/status.pb.h"
#include "gtest/gtest.h"
#include "tranche/uuid.h"

namespace tranche::testing {
namespace {

constexpr char kDoorSku[] = "tv";
constexpr int64_t kDoorStock = 40000;
constexpr int32_t kUnitsPerDoorUser = 1000;

void FillDuration(absl::Duration from, google::protobuf::Duration* to) {
  to->set_seconds(absl::ToInt64Seconds(from));
  to->set_nanos(static_cast<int32_t>(absl::ToInt64Nanoseconds(from % absl::Seconds(1))));
}

}  // namespace

DoorAnswer DoorAnswerOf(const grpc::Status& status) {
  DoorAnswer answer;
  answer.code = status.error_code();
  answer.message = status.error_message();
  google::rpc::Status details;
  details.ParseFromString(status.error_details());
  for (const auto& any : details.details()) {
    google::rpc::ErrorInfo info;
    google::rpc::RetryInfo retry;
    if (any.UnpackTo(&info)) {
      answer.reason = info.reason();
      answer.metadata.insert(info.metadata().begin(), info.metadata().end());
    } else if (any.UnpackTo(&retry)) {
      answer.retry_after =
          absl::Seconds(retry.retry_delay().seconds()) + absl::Nanoseconds(retry.retry_delay().nanos());
    }
  }
  return answer;
}

void PrintTo(const DoorAnswer& answer, std::ostream* out) {
  *out << "code " << answer.code << " " << answer.reason << ": " << answer.message;
  for (const auto& [name, value] : answer.metadata) *out << " " << name << "=" << value;
  *out << " retry after " << answer.retry_after;
}

v1::FrontPolicy TokenPolicy(absl::Duration lifetime) {
  v1::FrontPolicy policy;
  FillDuration(lifetime, policy.mutable_purchase_token()->mutable_lifetime());
  return policy;
}

v1::FrontPolicy LotteryPolicy(int32_t admitted_per_million) {
  v1::FrontPolicy policy;
  policy.mutable_lottery()->set_admitted_per_million(admitted_per_million);
  return policy;
}

v1::FrontPolicy LimitPolicy(v1::RateLimit::Key key, int32_t tries, absl::Duration per, int32_t burst,
                            absl::Duration max_wait) {
  v1::FrontPolicy policy;
  v1::RateLimit* limit = policy.add_limits();
  limit->set_key(key);
  limit->set_tries(tries);
  FillDuration(per, limit->mutable_per());
  limit->set_burst(burst);
  if (max_wait > absl::ZeroDuration()) FillDuration(max_wait, limit->mutable_max_wait());
  return policy;
}

void FrontDoorFixture::SetUp() {
  MiniClusterOptions options;
  options.nodes = kDoorNodes;
  options.workers = 0;
  options.lasting_ports = true;
  options.node_args = {"--trusted-proxies", "1"};
  StartCluster(options);
  for (int node = 0; node < kDoorNodes; ++node) {
    const auto channel = grpc::CreateChannel(cluster_->endpoint(node), grpc::InsecureChannelCredentials());
    nodes_.push_back({v1::ReservationService::NewStub(channel), v1::FrontDoorService::NewStub(channel),
                      v1::AdminService::NewStub(channel)});
  }
  OpenSale(kDoorSku, kDoorStock, absl::Minutes(15), "", kUnitsPerDoorUser);
  WaitUntilShared(kDoorSku, kDoorStock);
  AwaitClaims("");
}

void FrontDoorFixture::TearDown() {
  if (cluster_ != nullptr) CheckLedger();
}

std::unique_ptr<grpc::ClientContext> FrontDoorFixture::PatientContext(const std::string& forwarded_for) {
  auto context = std::make_unique<grpc::ClientContext>();
  context->set_deadline(absl::ToChronoTime(absl::Now() + kDoorPatience));
  context->set_wait_for_ready(true);
  if (!forwarded_for.empty()) context->AddMetadata("x-forwarded-for", forwarded_for);
  return context;
}

DoorAnswer FrontDoorFixture::Claim(int node, const DoorClaim& claim) {
  v1::CreateReservationRequest request;
  request.set_reservation_id(claim.reservation_id.empty() ? MakeUuidV7() : claim.reservation_id);
  request.set_sku_id(kDoorSku);
  request.set_user_id(claim.user);
  request.set_quantity(1);
  request.set_may_exist(claim.may_exist);
  request.set_purchase_token(claim.token);
  v1::CreateReservationResponse response;
  return DoorAnswerOf(
      nodes_.at(static_cast<size_t>(node))
          .reservations->CreateReservation(PatientContext(claim.forwarded_for).get(), request, &response));
}

DoorAnswer FrontDoorFixture::Enter(int node, const std::string& user, v1::EnterSaleResponse* entered,
                                   const std::string& forwarded_for) {
  v1::EnterSaleRequest request;
  request.set_sku_id(kDoorSku);
  request.set_user_id(user);
  v1::EnterSaleResponse unused;
  return DoorAnswerOf(
      nodes_.at(static_cast<size_t>(node))
          .door->EnterSale(PatientContext(forwarded_for).get(), request, entered == nullptr ? &unused : entered));
}

std::string FrontDoorFixture::TokenFor(const std::string& user, int node) {
  v1::EnterSaleResponse entered;
  const DoorAnswer answer = Enter(node, user, &entered);
  EXPECT_TRUE(answer.ok()) << ::testing::PrintToString(answer);
  EXPECT_TRUE(entered.admitted());
  EXPECT_NE(entered.purchase_token(), "");
  return entered.purchase_token();
}

std::string FrontDoorFixture::NextUser() { return absl::StrCat("user-", ++users_); }

DoorAnswer FrontDoorFixture::TrySetPolicy(const v1::SetFrontPolicyRequest& request,
                                          v1::SetFrontPolicyResponse* response) {
  return DoorAnswerOf(nodes_.back().admin->SetFrontPolicy(PatientContext("").get(), request, response));
}

int64_t FrontDoorFixture::StorePolicy(const v1::FrontPolicy& policy, bool new_round) {
  v1::SetFrontPolicyRequest request;
  request.set_sku_id(kDoorSku);
  *request.mutable_policy() = policy;
  request.set_new_lottery_round(new_round);
  v1::SetFrontPolicyResponse response;
  const DoorAnswer answer = TrySetPolicy(request, &response);
  EXPECT_TRUE(answer.ok()) << ::testing::PrintToString(answer);
  EXPECT_GT(response.policy().version(), 0);
  return response.policy().version();
}

void FrontDoorFixture::SetPolicy(const v1::FrontPolicy& policy, bool new_round) {
  AwaitVersion(StorePolicy(policy, new_round));
}

void FrontDoorFixture::RemovePolicy() {
  v1::SetFrontPolicyRequest request;
  request.set_sku_id(kDoorSku);
  v1::SetFrontPolicyResponse response;
  const DoorAnswer answer = TrySetPolicy(request, &response);
  ASSERT_TRUE(answer.ok()) << ::testing::PrintToString(answer);
  EXPECT_FALSE(response.has_policy());
}

void FrontDoorFixture::AddEntry(v1::AccessEntry::Verdict verdict, const std::string& user, const std::string& address) {
  v1::AddAccessEntriesRequest request;
  v1::AccessEntry* entry = request.add_entries();
  entry->set_verdict(verdict);
  if (address.empty()) {
    entry->set_user_id(user);
  } else {
    entry->set_address(address);
  }
  entry->set_reason("a test");
  v1::AddAccessEntriesResponse response;
  grpc::Status added;
  // A database that has just started again may have cut the node's connections.
  const absl::Time give_up = absl::Now() + kDoorPatience;
  do {
    added = nodes_.back().admin->AddAccessEntries(PatientContext("").get(), request, &response);
  } while (added.error_code() == grpc::StatusCode::UNAVAILABLE && absl::Now() < give_up);
  ASSERT_TRUE(added.ok()) << added.error_message();
}

DoorAnswer FrontDoorFixture::Rotate(bool replace_all, v1::RotateFrontKeyResponse* response) {
  v1::RotateFrontKeyRequest request;
  request.set_replace_all(replace_all);
  return DoorAnswerOf(nodes_.back().admin->RotateFrontKey(PatientContext("").get(), request, response));
}

absl::Duration FrontDoorFixture::AwaitEverywhere(const std::string& what, const std::function<bool(int node)>& holds) {
  const absl::Time began = absl::Now();
  for (int node = 0; node < kDoorNodes; ++node) {
    while (!holds(node)) {
      if (absl::Now() > began + kDoorPatience) {
        ADD_FAILURE() << what << ": not at node " << node;
        return absl::Now() - began;
      }
      absl::SleepFor(absl::Milliseconds(2));
    }
  }
  return absl::Now() - began;
}

absl::Duration FrontDoorFixture::AwaitClaims(const std::string& reason) {
  return AwaitEverywhere(absl::StrCat("claims are answered with '", reason, "'"), [&](int node) {
    const DoorAnswer answer = Claim(node, {.user = NextUser()});
    return answer.ok() ? reason.empty() : answer.reason == reason;
  });
}

void FrontDoorFixture::AwaitVersion(int64_t version) {
  AwaitEverywhere(absl::StrCat("version ", version), [&](int node) {
    v1::ExplainAdmissionRequest request;
    request.set_sku_id(kDoorSku);
    request.set_user_id("nobody");
    v1::ExplainAdmissionResponse response;
    const grpc::Status told =
        nodes_.at(static_cast<size_t>(node)).admin->ExplainAdmission(PatientContext("").get(), request, &response);
    EXPECT_TRUE(told.ok()) << told.error_message();
    return !told.ok() || response.policy_version() == version;
  });
}

}  // namespace tranche::testing
