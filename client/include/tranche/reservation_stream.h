// Many reservations over one call, and many in one message while others wait: several times cheaper per request than
// Client::CreateAsync.
#pragma once

#include <memory>

#include "absl/functional/any_invocable.h"
#include "absl/status/statusor.h"
#include "absl/time/time.h"
#include "tranche/export.h"
#include "tranche/reservation.h"

namespace tranche {

namespace internal {
class StreamSession;
}

struct StreamOptions {
  // The most requests that are sent and not yet answered. A cart counts as its lines, and a payment as two; the last
  // one that comes in may exceed the bound. Payments and cancellations may be an eighth more, so that they do not wait
  // for claims. A request that is answered makes room before its callback runs.
  int max_outstanding = 1024;
};

// Requests that the stream's node cannot answer continue as single calls with the client's retries and failover and
// with the same reservation ids. So do those outstanding when the stream breaks, as retries: after a wait, which
// is up to a second for those that the retry budget has no tokens for. Who has less time ends with kCommitUnknown: it
// may have been done. The next Create then opens a stream to another node. Thread-safe.
//
// A node with an access file takes streams from callers with the role `service` only. The requests of others go as
// single calls, and a stream is tried again after a minute: with the role `storefront`, use Client instead.
//
// A claim or cart that was queued (see CreateReservation::accept_queued) leaves the window then. Its callback runs when
// it is decided, for which it no longer needs the stream.
//
// What the callbacks of one answer send to their own stream goes out together, when all of them have run.
class TRANCHE_EXPORT ReservationStream {
 public:
  using Callback = absl::AnyInvocable<void(absl::StatusOr<Reservation>)>;
  using CartCallback = absl::AnyInvocable<void(absl::StatusOr<Cart>)>;
  using ConfirmCallback = absl::AnyInvocable<void(absl::StatusOr<Confirmation>)>;

  // Made by Client::OpenStream.
  explicit ReservationStream(std::shared_ptr<internal::StreamSession> session);
  // Does Close(). Must not run in a callback.
  ~ReservationStream();
  ReservationStream(const ReservationStream&) = delete;
  ReservationStream& operator=(const ReservationStream&) = delete;

  // Waits while the window is full. Must not run in a callback. The callback gets what
  // Client::Create would return, on a thread of the library, and must not block.
  void Create(CreateReservation request, Callback callback);

  // Like Create, but instead of waiting returns false at once, with `request` and `callback` unchanged.
  bool TryCreate(CreateReservation& request, Callback& callback);

  // The same for carts and for changes: the callback gets what Client::CreateCart, Confirm and Cancel would return.
  // They travel on the stream if its node takes them there, and otherwise as single calls. Requests of a stream are
  // carried out side by side, in no order: pay or cancel a reservation only after its claim has been answered.
  void CreateCart(tranche::CreateCart cart, CartCallback callback);
  void Confirm(ConfirmReservation change, ConfirmCallback callback);
  void Cancel(CancelReservation change, Callback callback);

  // Sends no more requests and waits for outstanding answers, at most until their deadlines; of queued claims, until
  // the end of their waits.
  void Close();

 private:
  std::shared_ptr<internal::StreamSession> session_;
};

}  // namespace tranche
