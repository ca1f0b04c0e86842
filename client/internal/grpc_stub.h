// The real Stub: gRPC's callback API over one or more channels to one node.
#pragma once

#include <atomic>
#include <memory>
#include <string>
#include <vector>

#include "client/internal/stub.h"

namespace tranche::internal {

class GrpcStub : public Stub {
 public:
  GrpcStub(const std::string& endpoint, int channels);

  void CreateReservation(Context& context, absl::Time deadline, const tranche::v1::CreateReservationRequest& request,
                         tranche::v1::CreateReservationResponse* response, AttemptObserver* observer) override;
  void GetReservation(Context& context, absl::Time deadline, const tranche::v1::GetReservationRequest& request,
                      tranche::v1::GetReservationResponse* response, AttemptObserver* observer) override;
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
  void WatchReservation(Context& context, const tranche::v1::WatchReservationRequest& request,
                        WatchReactor* reactor) override;
  void StreamReservations(Context& context, StreamReactor* reactor) override;

 private:
  // Those of one channel.
  struct Services {
    std::unique_ptr<tranche::v1::ReservationService::Stub> reservations;
    std::unique_ptr<tranche::v1::CatalogService::Stub> catalog;
  };

  const Services& NextChannel();
  tranche::v1::ReservationService::Stub::async_interface* Next() { return NextChannel().reservations->async(); }

  std::vector<Services> channels_;
  std::atomic<uint32_t> next_{0};
};

}  // namespace tranche::internal
