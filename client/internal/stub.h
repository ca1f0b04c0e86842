// One front node as the connection sees it: single attempts, no retries.
#pragma once

#include <grpcpp/client_context.h>

#include <memory>
#include <optional>

#include "absl/status/status.h"
#include "absl/time/time.h"
#include "tranche/v1/catalog_service.grpc.pb.h"
#include "tranche/v1/front_door_service.grpc.pb.h"
#include "tranche/v1/group_service.grpc.pb.h"
#include "tranche/v1/reservation_service.grpc.pb.h"

namespace tranche::internal {

using StreamReactor =
    grpc::ClientBidiReactor<tranche::v1::StreamReservationsRequest, tranche::v1::StreamReservationsResponse>;

using ClaimWatchReactor = grpc::ClientReadReactor<tranche::v1::WatchClaimResponse>;

using WatchReactor = grpc::ClientReadReactor<tranche::v1::WatchReservationResponse>;

using GroupWatchReactor = grpc::ClientReadReactor<tranche::v1::WatchGroupResponse>;

// Learns how an attempt ended.
class AttemptObserver {
 public:
  virtual void OnAttemptDone(const absl::Status& status) = 0;

 protected:
  ~AttemptObserver() = default;
};

// Thread-safe. `context`, `request` and `response` must stay alive until OnAttemptDone(), which is called exactly once,
// on any thread, at the latest shortly after the deadline. Statuses carry their google.rpc details as payloads (see
// status_translation.h). Each call makes a new context in `context`.
class Stub {
 public:
  using Context = std::optional<grpc::ClientContext>;

  virtual ~Stub() = default;
  virtual void CreateReservation(Context& context, absl::Time deadline,
                                 const tranche::v1::CreateReservationRequest& request,
                                 tranche::v1::CreateReservationResponse* response, AttemptObserver* observer) = 0;
  virtual void GetReservation(Context& context, absl::Time deadline, const tranche::v1::GetReservationRequest& request,
                              tranche::v1::GetReservationResponse* response, AttemptObserver* observer) = 0;
  virtual void GetClaim(Context& context, absl::Time deadline, const tranche::v1::GetClaimRequest& request,
                        tranche::v1::GetClaimResponse* response, AttemptObserver* observer) = 0;
  virtual void CreateReservations(Context& context, absl::Time deadline,
                                  const tranche::v1::CreateReservationsRequest& request,
                                  tranche::v1::CreateReservationsResponse* response, AttemptObserver* observer) = 0;
  virtual void ConfirmReservation(Context& context, absl::Time deadline,
                                  const tranche::v1::ConfirmReservationRequest& request,
                                  tranche::v1::ConfirmReservationResponse* response, AttemptObserver* observer) = 0;
  virtual void CancelReservation(Context& context, absl::Time deadline,
                                 const tranche::v1::CancelReservationRequest& request,
                                 tranche::v1::CancelReservationResponse* response, AttemptObserver* observer) = 0;
  virtual void ExtendReservation(Context& context, absl::Time deadline,
                                 const tranche::v1::ExtendReservationRequest& request,
                                 tranche::v1::ExtendReservationResponse* response, AttemptObserver* observer) = 0;
  virtual void ListReservations(Context& context, absl::Time deadline,
                                const tranche::v1::ListReservationsRequest& request,
                                tranche::v1::ListReservationsResponse* response, AttemptObserver* observer) = 0;
  virtual void BatchGetReservations(Context& context, absl::Time deadline,
                                    const tranche::v1::BatchGetReservationsRequest& request,
                                    tranche::v1::BatchGetReservationsResponse* response, AttemptObserver* observer) = 0;
  virtual void GetSku(Context& context, absl::Time deadline, const tranche::v1::CatalogServiceGetSkuRequest& request,
                      tranche::v1::CatalogServiceGetSkuResponse* response, AttemptObserver* observer) = 0;
  virtual void ListSkus(Context& context, absl::Time deadline,
                        const tranche::v1::CatalogServiceListSkusRequest& request,
                        tranche::v1::CatalogServiceListSkusResponse* response, AttemptObserver* observer) = 0;
  virtual void EnterSale(Context& context, absl::Time deadline, const tranche::v1::EnterSaleRequest& request,
                         tranche::v1::EnterSaleResponse* response, AttemptObserver* observer) = 0;
  virtual void EnterDraw(Context& context, absl::Time deadline, const tranche::v1::EnterDrawRequest& request,
                         tranche::v1::EnterDrawResponse* response, AttemptObserver* observer) = 0;
  virtual void GetDrawEntry(Context& context, absl::Time deadline, const tranche::v1::GetDrawEntryRequest& request,
                            tranche::v1::GetDrawEntryResponse* response, AttemptObserver* observer) = 0;
  virtual void OpenGroup(Context& context, absl::Time deadline, const tranche::v1::OpenGroupRequest& request,
                         tranche::v1::OpenGroupResponse* response, AttemptObserver* observer) = 0;
  virtual void JoinGroup(Context& context, absl::Time deadline, const tranche::v1::JoinGroupRequest& request,
                         tranche::v1::JoinGroupResponse* response, AttemptObserver* observer) = 0;
  virtual void LeaveGroup(Context& context, absl::Time deadline, const tranche::v1::LeaveGroupRequest& request,
                          tranche::v1::LeaveGroupResponse* response, AttemptObserver* observer) = 0;
  virtual void GetGroup(Context& context, absl::Time deadline, const tranche::v1::GetGroupRequest& request,
                        tranche::v1::GetGroupResponse* response, AttemptObserver* observer) = 0;
  virtual void ListGroups(Context& context, absl::Time deadline, const tranche::v1::ListGroupsRequest& request,
                          tranche::v1::ListGroupsResponse* response, AttemptObserver* observer) = 0;
  virtual void ListGroupOffers(Context& context, absl::Time deadline,
                               const tranche::v1::ListGroupOffersRequest& request,
                               tranche::v1::ListGroupOffersResponse* response, AttemptObserver* observer) = 0;
  // Like StreamReservations.
  virtual void WatchReservation(Context& context, const tranche::v1::WatchReservationRequest& request,
                                WatchReactor* reactor) = 0;
  virtual void WatchClaim(Context& context, const tranche::v1::WatchClaimRequest& request,
                          ClaimWatchReactor* reactor) = 0;
  virtual void WatchGroup(Context& context, const tranche::v1::WatchGroupRequest& request,
                          GroupWatchReactor* reactor) = 0;
  // Binds `reactor`; its owner starts it. No deadline: the owner checks those of the single requests.
  virtual void StreamReservations(Context& context, StreamReactor* reactor) = 0;
};

}  // namespace tranche::internal
