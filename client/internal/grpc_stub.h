// The real Stub: gRPC's callback API over one or more channels to one node.
//
// When certificates have changed, Renew() makes new channels for the calls that begin from then on. Calls and streams
// that are under way keep theirs. Old channels stay with the stub until nobody uses them and a call has begun on a new
// one: with the last channel that has served a call, gRPC 1.51 ends the threads of all callbacks, waits for them, and
// holds a lock meanwhile that new channels need. So that must happen neither on one of these threads, where a call's
// context may end, nor while one of them begins the first call on a new channel.
#pragma once

#include <atomic>
#include <memory>
#include <string>
#include <vector>

#include "client/internal/channel_security.h"
#include "client/internal/stub.h"

namespace tranche::internal {

class GrpcStub : public Stub {
 public:
  GrpcStub(std::string endpoint, int channels, std::shared_ptr<ChannelSecurity> security);

  // Makes new channels if certificates have changed, and drops old ones that are not used any more. One thread at a
  // time, none of gRPC's.
  void Renew();

  void CreateReservation(Context& context, absl::Time deadline, const tranche::v1::CreateReservationRequest& request,
                         tranche::v1::CreateReservationResponse* response, AttemptObserver* observer) override;
  void GetReservation(Context& context, absl::Time deadline, const tranche::v1::GetReservationRequest& request,
                      tranche::v1::GetReservationResponse* response, AttemptObserver* observer) override;
  void GetClaim(Context& context, absl::Time deadline, const tranche::v1::GetClaimRequest& request,
                tranche::v1::GetClaimResponse* response, AttemptObserver* observer) override;
  void CreateReservations(Context& context, absl::Time deadline, const tranche::v1::CreateReservationsRequest& request,
                          tranche::v1::CreateReservationsResponse* response, AttemptObserver* observer) override;
  void ConfirmReservation(Context& context, absl::Time deadline, const tranche::v1::ConfirmReservationRequest& request,
                          tranche::v1::ConfirmReservationResponse* response, AttemptObserver* observer) override;
  void CancelReservation(Context& context, absl::Time deadline, const tranche::v1::CancelReservationRequest& request,
                         tranche::v1::CancelReservationResponse* response, AttemptObserver* observer) override;
  void ExtendReservation(Context& context, absl::Time deadline, const tranche::v1::ExtendReservationRequest& request,
                         tranche::v1::ExtendReservationResponse* response, AttemptObserver* observer) override;
  void ListReservations(Context& context, absl::Time deadline, const tranche::v1::ListReservationsRequest& request,
                        tranche::v1::ListReservationsResponse* response, AttemptObserver* observer) override;
  void BatchGetReservations(Context& context, absl::Time deadline,
                            const tranche::v1::BatchGetReservationsRequest& request,
                            tranche::v1::BatchGetReservationsResponse* response, AttemptObserver* observer) override;
  void GetSku(Context& context, absl::Time deadline, const tranche::v1::CatalogServiceGetSkuRequest& request,
              tranche::v1::CatalogServiceGetSkuResponse* response, AttemptObserver* observer) override;
  void ListSkus(Context& context, absl::Time deadline, const tranche::v1::CatalogServiceListSkusRequest& request,
                tranche::v1::CatalogServiceListSkusResponse* response, AttemptObserver* observer) override;
  void EnterSale(Context& context, absl::Time deadline, const tranche::v1::EnterSaleRequest& request,
                 tranche::v1::EnterSaleResponse* response, AttemptObserver* observer) override;
  void EnterDraw(Context& context, absl::Time deadline, const tranche::v1::EnterDrawRequest& request,
                 tranche::v1::EnterDrawResponse* response, AttemptObserver* observer) override;
  void GetDrawEntry(Context& context, absl::Time deadline, const tranche::v1::GetDrawEntryRequest& request,
                    tranche::v1::GetDrawEntryResponse* response, AttemptObserver* observer) override;
  void OpenGroup(Context& context, absl::Time deadline, const tranche::v1::OpenGroupRequest& request,
                 tranche::v1::OpenGroupResponse* response, AttemptObserver* observer) override;
  void JoinGroup(Context& context, absl::Time deadline, const tranche::v1::JoinGroupRequest& request,
                 tranche::v1::JoinGroupResponse* response, AttemptObserver* observer) override;
  void LeaveGroup(Context& context, absl::Time deadline, const tranche::v1::LeaveGroupRequest& request,
                  tranche::v1::LeaveGroupResponse* response, AttemptObserver* observer) override;
  void GetGroup(Context& context, absl::Time deadline, const tranche::v1::GetGroupRequest& request,
                tranche::v1::GetGroupResponse* response, AttemptObserver* observer) override;
  void ListGroups(Context& context, absl::Time deadline, const tranche::v1::ListGroupsRequest& request,
                  tranche::v1::ListGroupsResponse* response, AttemptObserver* observer) override;
  void ListGroupOffers(Context& context, absl::Time deadline, const tranche::v1::ListGroupOffersRequest& request,
                       tranche::v1::ListGroupOffersResponse* response, AttemptObserver* observer) override;
  void WatchReservation(Context& context, const tranche::v1::WatchReservationRequest& request,
                        WatchReactor* reactor) override;
  void WatchClaim(Context& context, const tranche::v1::WatchClaimRequest& request, ClaimWatchReactor* reactor) override;
  void WatchGroup(Context& context, const tranche::v1::WatchGroupRequest& request, GroupWatchReactor* reactor) override;
  void StreamReservations(Context& context, StreamReactor* reactor) override;

 private:
  // One channel and what calls it.
  struct Services {
    std::shared_ptr<grpc::Channel> channel;
    std::unique_ptr<tranche::v1::ReservationService::Stub> reservations;
    std::unique_ptr<tranche::v1::CatalogService::Stub> catalog;
    std::unique_ptr<tranche::v1::FrontDoorService::Stub> front_door;
    std::unique_ptr<tranche::v1::GroupService::Stub> groups;
  };
  // Those that were made with the same credentials.
  struct ChannelSet {
    const Services& Next();

    std::shared_ptr<grpc::ChannelCredentials> credentials;
    std::vector<Services> channels;
    std::atomic<uint32_t> next{0};
    std::atomic<bool> used{false};  // a call has begun
  };
  // A channel, kept while a call is begun on it; the call's context keeps it from then on.
  struct Lease {
    ~Lease() {
      if (keeper != nullptr && !keeper->used.load(std::memory_order_relaxed)) keeper->used = true;
    }
    tranche::v1::ReservationService::Stub::async_interface* reservations() const {
      return services->reservations->async();
    }
    tranche::v1::CatalogService::Stub::async_interface* catalog() const { return services->catalog->async(); }
    tranche::v1::FrontDoorService::Stub::async_interface* front_door() const { return services->front_door->async(); }
    tranche::v1::GroupService::Stub::async_interface* groups() const { return services->groups->async(); }

    std::shared_ptr<ChannelSet> keeper;  // null: the channels stay as long as the stub
    const Services* services;
  };

  std::shared_ptr<ChannelSet> MakeChannels();
  Lease NextChannel();
  void Prepare(Context& context) const;
  void Prepare(Context& context, absl::Time deadline) const;
  void DropUnusedChannels();

  const std::string endpoint_;
  const int channels_;
  const std::shared_ptr<ChannelSecurity> security_;
  // Without renewal, these are the only ones: taking the next one costs no reference.
  const std::shared_ptr<ChannelSet> first_;
  std::atomic<std::shared_ptr<ChannelSet>> newest_;
  // Of Renew() alone.
  std::vector<std::shared_ptr<ChannelSet>> replaced_;              // calls may be about to begin on them
  std::vector<std::shared_ptr<grpc::Channel>> replaced_channels_;  // calls may be under way on them
};

}  // namespace tranche::internal
