// The real Stub: gRPC's callback API over one or several channels to one node.
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
  void StreamReservations(Context& context, StreamReactor* reactor) override;

 private:
  tranche::v1::ReservationService::Stub::async_interface* Next();

  std::vector<std::unique_ptr<tranche::v1::ReservationService::Stub>> stubs_;
  std::atomic<uint32_t> next_{0};
};

}  // namespace tranche::internal
