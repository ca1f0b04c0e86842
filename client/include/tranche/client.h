// The client of Tranche: reserves units of limited stock.
//
//   tranche::ClientOptions options;
//   options.endpoints = {"127.0.0.1:7400", "127.0.0.1:7401"};
//   auto client = tranche::Client::Open(options);
//   auto reservation = (*client)->Create({.sku = "tv", .user = "alice"});
//
// A call that a node cannot answer (connection lost, draining, overloaded, out of units) is tried at other nodes,
// always with the same reservation id, within the bounds of ClientOptions.
#pragma once

#include <memory>
#include <string>

#include "absl/functional/any_invocable.h"
#include "absl/status/statusor.h"
#include "tranche/error.h"
#include "tranche/options.h"
#include "tranche/reservation.h"
#include "tranche/reservation_stream.h"
#include "tranche/uuid.h"

namespace tranche {

namespace internal {
class Connection;
}

// Thread-safe. Make one per process and share it.
class Client {
 public:
  // Runs once, on a thread of the library: it must not block and must not destroy the client.
  using Callback = absl::AnyInvocable<void(absl::StatusOr<Reservation>)>;

  // INVALID_ARGUMENT for bad options. Does not wait for any node: an unreachable one shows at the first call.
  static absl::StatusOr<std::unique_ptr<Client>> Open(const ClientOptions& options);

  // For tests.
  explicit Client(std::shared_ptr<internal::Connection> connection);

  // Waits for the calls outstanding: those in flight get their answers or reach their deadlines, those waiting to retry
  // end at once. Must not run in a callback.
  ~Client();
  Client(const Client&) = delete;
  Client& operator=(const Client&) = delete;

  // OK means that the ledger has committed the claim. Refusals are definite (see Reason). When IsOutcomeUnknown(), the
  // claim may exist; the error's metadata holds its reservation_id.
  absl::StatusOr<Reservation> Create(CreateReservation request);
  void CreateAsync(CreateReservation request, Callback callback);

  // NOT_FOUND (Reason::kReservationNotFound) when no such claim was committed.
  absl::StatusOr<Reservation> Get(std::string reservation_id);
  void GetAsync(std::string reservation_id, Callback callback);

  // A stream to one node, for callers that send thousands per second. The client must outlive it.
  std::unique_ptr<ReservationStream> OpenStream(const StreamOptions& options = {});

 private:
  std::shared_ptr<internal::Connection> connection_;
};

}  // namespace tranche
