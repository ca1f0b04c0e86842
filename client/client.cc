#include "tranche/client.h"

#include <utility>

#include "absl/synchronization/notification.h"
#include "client/internal/connection.h"
#include "client/internal/stream_session.h"

namespace tranche {
namespace {

// Runs `start` with a callback and waits for it.
template <typename Start>
absl::StatusOr<Reservation> Await(Start start) {
  absl::StatusOr<Reservation> result;
  absl::Notification done;
  start([&](absl::StatusOr<Reservation> answer) {
    result = std::move(answer);
    done.Notify();
  });
  done.WaitForNotification();
  return result;
}

}  // namespace

absl::StatusOr<std::unique_ptr<Client>> Client::Open(const ClientOptions& options) {
  if (absl::Status status = Validate(options); !status.ok()) return status;
  return std::make_unique<Client>(internal::MakeGrpcConnection(options));
}

Client::Client(std::shared_ptr<internal::Connection> connection) : connection_(std::move(connection)) {}

Client::~Client() = default;

absl::StatusOr<Reservation> Client::Create(CreateReservation request) {
  return Await([&](Callback callback) { connection_->Create(std::move(request), std::move(callback)); });
}

void Client::CreateAsync(CreateReservation request, Callback callback) {
  connection_->Create(std::move(request), std::move(callback));
}

absl::StatusOr<Reservation> Client::Get(std::string reservation_id) {
  return Await([&](Callback callback) { connection_->Get(std::move(reservation_id), std::move(callback)); });
}

void Client::GetAsync(std::string reservation_id, Callback callback) {
  connection_->Get(std::move(reservation_id), std::move(callback));
}

std::unique_ptr<ReservationStream> Client::OpenStream(const StreamOptions& options) {
  return std::make_unique<ReservationStream>(std::make_shared<internal::StreamSession>(*connection_, options));
}

}  // namespace tranche
