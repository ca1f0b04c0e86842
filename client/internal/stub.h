// One front node as the connection sees it: a single attempt, no retries.
#pragma once

#include <grpcpp/client_context.h>

#include <memory>
#include <optional>

#include "absl/status/status.h"
#include "absl/time/time.h"
#include "tranche/v1/reservation_service.grpc.pb.h"

namespace tranche::internal {

using StreamReactor =
    grpc::ClientBidiReactor<tranche::v1::StreamReservationsRequest, tranche::v1::StreamReservationsResponse>;

// Hears how an attempt ended.
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
  // Binds `reactor`; its owner starts it. No deadline: the owner watches the single requests.
  virtual void StreamReservations(Context& context, StreamReactor* reactor) = 0;
};

}  // namespace tranche::internal
