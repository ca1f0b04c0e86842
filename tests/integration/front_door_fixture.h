// Four nodes with a front door, and what buyers and operators ask of it.
#pragma once

#include <grpcpp/grpcpp.h>

#include <atomic>
#include <cstdint>
#include <functional>
#include <iosfwd>
#include <map>
#include <memory>
#include <string>
#include <vector>

#include "absl/time/time.h"
#include "tests/integration/sale_fixture.h"
#include "tranche/v1/admin_service.grpc.pb.h"
#include "tranche/v1/front_door_service.grpc.pb.h"
#include "tranche/v1/reservation_service.grpc.pb.h"

namespace tranche::testing {

inline constexpr int kDoorNodes = 4;
// For what takes a moment on an idle machine.
inline constexpr absl::Duration kDoorPatience = absl::Seconds(60);

struct DoorAnswer {
  grpc::StatusCode code = grpc::StatusCode::OK;
  std::string reason = {};  // "" for OK, and for an error that is not Tranche's
  std::map<std::string, std::string> metadata = {};
  absl::Duration retry_after = absl::ZeroDuration();  // of RetryInfo; zero: it has none
  std::string message = {};

  bool ok() const { return code == grpc::StatusCode::OK; }
};
DoorAnswer DoorAnswerOf(const grpc::Status& status);
void PrintTo(const DoorAnswer& answer, std::ostream* out);

// A claim of one unit.
struct DoorClaim {
  std::string user = {};
  std::string token = {};
  std::string forwarded_for = {};   // the header x-forwarded-for
  std::string reservation_id = {};  // "": a new one
  bool may_exist = false;
};

// Policies of one part.
v1::FrontPolicy TokenPolicy(absl::Duration lifetime = absl::Minutes(2));
v1::FrontPolicy LotteryPolicy(int32_t admitted_per_million);
v1::FrontPolicy LimitPolicy(v1::RateLimit::Key key, int32_t tries, absl::Duration per, int32_t burst,
                            absl::Duration max_wait = absl::ZeroDuration());

// On sale is "tv", with units enough at each node. One proxy is trusted, as if the test were a shop.
class FrontDoorFixture : public SaleTest {
 protected:
  void SetUp() override;
  void TearDown() override;

  // Calls with a deadline; a node that restarts is waited for. Any thread.
  DoorAnswer Claim(int node, const DoorClaim& claim);
  DoorAnswer Enter(int node, const std::string& user, v1::EnterSaleResponse* entered = nullptr,
                   const std::string& forwarded_for = "");
  // "" with a failure if it is not given.
  std::string TokenFor(const std::string& user, int node = 0);
  // Another one at each call. Any thread.
  std::string NextUser();

  // Of "tv". Returns the stored version; 0 with a failure if it is not stored.
  int64_t StorePolicy(const v1::FrontPolicy& policy, bool new_round = false);
  // The same, and waits until every node goes by it.
  void SetPolicy(const v1::FrontPolicy& policy, bool new_round = false);
  void RemovePolicy();
  DoorAnswer TrySetPolicy(const v1::SetFrontPolicyRequest& request, v1::SetFrontPolicyResponse* response);
  // Adds an entry about a user, or about an address or prefix.
  void AddEntry(v1::AccessEntry::Verdict verdict, const std::string& user, const std::string& address);
  void Deny(const std::string& user) { AddEntry(v1::AccessEntry::VERDICT_DENY, user, ""); }
  DoorAnswer Rotate(bool replace_all, v1::RotateFrontKeyResponse* response);

  // Asks one node after the other until it is so at each, and returns how long that took. Fails after kDoorPatience.
  absl::Duration AwaitEverywhere(const std::string& what, const std::function<bool(int node)>& holds);
  // The same until a claim without a token has this reason; "" is OK.
  absl::Duration AwaitClaims(const std::string& reason);
  // The same until every node goes by this version of the policy.
  void AwaitVersion(int64_t version);

  struct Node {
    std::unique_ptr<v1::ReservationService::Stub> reservations;
    std::unique_ptr<v1::FrontDoorService::Stub> door;
    std::unique_ptr<v1::AdminService::Stub> admin;
  };
  std::vector<Node> nodes_;

 private:
  static std::unique_ptr<grpc::ClientContext> PatientContext(const std::string& forwarded_for);

  std::atomic<int> users_{0};
};

}  // namespace tranche::testing
