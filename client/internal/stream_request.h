// A request in flight on a stream: what is sent, what its answer means, and how it goes on if the stream cannot answer
// it.
#pragma once

#include <memory>
#include <utility>

#include "absl/functional/any_invocable.h"
#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/time/time.h"
#include "client/internal/connection.h"
#include "tranche/reservation.h"
#include "tranche/v1/reservation_service.pb.h"

namespace tranche::internal {

// Counts the requests of a stream, for its window and for its end.
class StreamWindow {
 public:
  // So many requests are answered; their callbacks are about to run. They no longer count for the window.
  virtual void OnAnswered(int count) = 0;
  // Their callbacks have run. This may be the end of the window.
  virtual void OnDelivered(int count) = 0;

 protected:
  ~StreamWindow() = default;
};

// Used by one thread at a time.
class StreamRequest {
 public:
  StreamRequest(absl::Time attempt_deadline, absl::Time deadline)
      : attempt_deadline_(attempt_deadline), deadline_(deadline) {}
  virtual ~StreamRequest() = default;
  StreamRequest(const StreamRequest&) = delete;
  StreamRequest& operator=(const StreamRequest&) = delete;

  // For its try on the stream.
  absl::Time attempt_deadline() const { return attempt_deadline_; }
  // For the whole request.
  absl::Time deadline() const { return deadline_; }

  // Whether it may travel as a message of its own; others need a node that takes frames.
  virtual bool MayBeSingle() const { return false; }
  // Whether it may have been done before, so that a refusal must be checked, which takes a call of its own.
  virtual bool NeedsCall() const { return false; }
  // Writes what is asked for. May be called again.
  virtual void Write(tranche::v1::StreamReservationsItem* item) const = 0;
  // Whether `result` is an answer to such a request.
  virtual bool IsAnswer(const tranche::v1::StreamReservationsResult& result) const = 0;

  // These run the callback, which ends the request.
  virtual void Deliver(const tranche::v1::StreamReservationsResult& result) = 0;
  virtual void Refuse(const absl::Status& error) = 0;

  // Goes on as a single call with retries, and tells the window when that is answered. `outcome_unknown`: it may have
  // been done on the stream. The connection and the window live until then.
  virtual void ContinueAsCall(Connection& connection, bool outcome_unknown, StreamWindow* window) = 0;

 protected:
  template <typename Answer>
  static absl::AnyInvocable<void(absl::StatusOr<Answer>)> Telling(
      StreamWindow* window, absl::AnyInvocable<void(absl::StatusOr<Answer>)> callback) {
    return [window, callback = std::move(callback)](absl::StatusOr<Answer> answer) mutable {
      window->OnAnswered(1);
      callback(std::move(answer));
      window->OnDelivered(1);
    };
  }

 private:
  const absl::Time attempt_deadline_;
  const absl::Time deadline_;
};

class CreateOnStream final : public StreamRequest {
 public:
  using Callback = absl::AnyInvocable<void(absl::StatusOr<Reservation>)>;

  // `request` must have its id.
  CreateOnStream(absl::Time attempt_deadline, absl::Time deadline, CreateReservation request, Callback callback)
      : StreamRequest(attempt_deadline, deadline), request_(std::move(request)), callback_(std::move(callback)) {}

  bool MayBeSingle() const override { return true; }
  bool NeedsCall() const override { return request_.retry_of_unknown; }
  void Write(tranche::v1::StreamReservationsItem* item) const override;
  bool IsAnswer(const tranche::v1::StreamReservationsResult& result) const override { return result.has_created(); }
  void Deliver(const tranche::v1::StreamReservationsResult& result) override;
  void Refuse(const absl::Status& error) override { callback_(error); }
  void ContinueAsCall(Connection& connection, bool outcome_unknown, StreamWindow* window) override;

 private:
  CreateReservation request_;
  Callback callback_;
};

class CartOnStream final : public StreamRequest {
 public:
  using Callback = absl::AnyInvocable<void(absl::StatusOr<Cart>)>;

  // `cart` must have a line at least, and its lines their ids.
  CartOnStream(absl::Time attempt_deadline, absl::Time deadline, CreateCart cart, Callback callback)
      : StreamRequest(attempt_deadline, deadline), cart_(std::move(cart)), callback_(std::move(callback)) {}

  bool NeedsCall() const override { return cart_.retry_of_unknown; }
  void Write(tranche::v1::StreamReservationsItem* item) const override;
  bool IsAnswer(const tranche::v1::StreamReservationsResult& result) const override {
    return result.has_cart_created();
  }
  void Deliver(const tranche::v1::StreamReservationsResult& result) override;
  void Refuse(const absl::Status& error) override { callback_(error); }
  void ContinueAsCall(Connection& connection, bool outcome_unknown, StreamWindow* window) override;

 private:
  CreateCart cart_;
  Callback callback_;
};

class ConfirmOnStream final : public StreamRequest {
 public:
  using Callback = absl::AnyInvocable<void(absl::StatusOr<Confirmation>)>;

  ConfirmOnStream(absl::Time attempt_deadline, absl::Time deadline, ConfirmReservation change, Callback callback)
      : StreamRequest(attempt_deadline, deadline), change_(std::move(change)), callback_(std::move(callback)) {}

  void Write(tranche::v1::StreamReservationsItem* item) const override;
  bool IsAnswer(const tranche::v1::StreamReservationsResult& result) const override { return result.has_confirmed(); }
  void Deliver(const tranche::v1::StreamReservationsResult& result) override;
  void Refuse(const absl::Status& error) override { callback_(error); }
  void ContinueAsCall(Connection& connection, bool outcome_unknown, StreamWindow* window) override;

 private:
  ConfirmReservation change_;
  Callback callback_;
};

class CancelOnStream final : public StreamRequest {
 public:
  using Callback = absl::AnyInvocable<void(absl::StatusOr<Reservation>)>;

  CancelOnStream(absl::Time attempt_deadline, absl::Time deadline, CancelReservation change, Callback callback)
      : StreamRequest(attempt_deadline, deadline), change_(std::move(change)), callback_(std::move(callback)) {}

  void Write(tranche::v1::StreamReservationsItem* item) const override;
  bool IsAnswer(const tranche::v1::StreamReservationsResult& result) const override { return result.has_cancelled(); }
  void Deliver(const tranche::v1::StreamReservationsResult& result) override;
  void Refuse(const absl::Status& error) override { callback_(error); }
  void ContinueAsCall(Connection& connection, bool outcome_unknown, StreamWindow* window) override;

 private:
  CancelReservation change_;
  Callback callback_;
};

}  // namespace tranche::internal
