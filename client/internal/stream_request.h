// A request in flight on a stream: what is sent, what its answer means, and how it goes on if the stream cannot answer
// it.
#pragma once

#include <memory>
#include <utility>

#include "absl/functional/any_invocable.h"
#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"
#include "absl/time/time.h"
#include "client/internal/connection.h"
#include "tranche/reservation.h"
#include "tranche/v1/reservation_service.pb.h"

namespace tranche::internal {

// Counts the requests of a stream, for its window and for its end.
class StreamWindow {
 public:
  // Requests are answered that took so much room of the window; their callbacks are about to run. They no longer count
  // for it.
  virtual void OnAnswered(int room) = 0;
  // The callbacks of so many requests have run. This may be the end of the window.
  virtual void OnDelivered(int count) = 0;

 protected:
  ~StreamWindow() = default;
};

// What a request takes of the window: as many reservations as its answer may tell, by which the node counts, too.
// Otherwise carts would wait at the node until their timeouts are over.
inline int WindowRoom(const CreateReservation&) { return 1; }
int WindowRoom(const CreateCart& cart);
inline int WindowRoom(const ConfirmReservation&) { return 2; }  // the one that is paid, or what is booked instead
inline int WindowRoom(const CancelReservation&) { return 1; }

// Used by one thread at a time.
class StreamRequest {
 public:
  StreamRequest(absl::Time attempt_deadline, absl::Time deadline, int room)
      : attempt_deadline_(attempt_deadline), deadline_(deadline), room_(room) {}
  virtual ~StreamRequest() = default;
  StreamRequest(const StreamRequest&) = delete;
  StreamRequest& operator=(const StreamRequest&) = delete;

  // For its try on the stream.
  absl::Time attempt_deadline() const { return attempt_deadline_; }
  // For the whole request.
  absl::Time deadline() const { return deadline_; }
  // What it takes of the window.
  int room() const { return room_; }

  // Its name in the node's list of what it takes in frames: that of the item's field.
  virtual absl::string_view kind() const = 0;
  // Whether it claims units: only these are throttled.
  virtual bool IsClaim() const { return false; }
  // Whether it may have been done before, so that a refusal must be checked, which takes a call of its own.
  virtual bool NeedsCall() const { return false; }
  // Writes what is asked for. May be called again.
  virtual void Write(tranche::v1::StreamReservationsItem* item) const = 0;
  // Whether `result` is an answer to such a request.
  virtual bool IsAnswer(const tranche::v1::StreamReservationsResult& result) const = 0;

  // Whether `result`, an answer, says that it is queued and will be decided later.
  virtual bool IsQueued(const tranche::v1::StreamReservationsResult& result) const { return false; }
  // For an answer that says so: waits for the decision, and tells the window then. The environment and the window live
  // until then.
  virtual void AwaitDecision(CallEnvironment& environment, const tranche::v1::StreamReservationsResult& result,
                             StreamWindow* window) {}

  // These run the callback, which ends the request.
  virtual void Deliver(const tranche::v1::StreamReservationsResult& result) = 0;
  virtual void Refuse(const absl::Status& error) = 0;

  // Goes on as a single call with retries, and tells the window when that is answered. The connection and the window
  // live until then.
  virtual void ContinueAsCall(Connection& connection, const CallStart& start, StreamWindow* window) = 0;

 protected:
  template <typename Answer>
  absl::AnyInvocable<void(absl::StatusOr<Answer>)> Telling(
      StreamWindow* window, absl::AnyInvocable<void(absl::StatusOr<Answer>)> callback) const {
    return [window, room = room_, callback = std::move(callback)](absl::StatusOr<Answer> answer) mutable {
      window->OnAnswered(room);
      callback(std::move(answer));
      window->OnDelivered(1);
    };
  }
  // The same for a request that may be queued: that is its answer for the window, and its callback runs later.
  template <typename Answer, typename Request>
  absl::AnyInvocable<void(absl::StatusOr<Answer>)> TellingOf(
      Request& request, StreamWindow* window, absl::AnyInvocable<void(absl::StatusOr<Answer>)> callback) const {
    if (!request.accept_queued) return Telling<Answer>(window, std::move(callback));
    // What is still taken of the window. One thread at a time: it is queued before it is decided.
    const auto taken = std::make_shared<int>(room_);
    request.on_queued = [window, taken, told = std::move(request.on_queued)](const QueuedClaim& queued) {
      window->OnAnswered(std::exchange(*taken, 0));
      if (told != nullptr) told(queued);
    };
    return [window, taken, callback = std::move(callback)](absl::StatusOr<Answer> answer) mutable {
      window->OnAnswered(std::exchange(*taken, 0));
      callback(std::move(answer));
      window->OnDelivered(1);
    };
  }
  // The callback of what is queued, and so no longer takes room.
  template <typename Answer>
  static absl::AnyInvocable<void(absl::StatusOr<Answer>)> TellingOfDecision(
      StreamWindow* window, absl::AnyInvocable<void(absl::StatusOr<Answer>)> callback) {
    return [window, callback = std::move(callback)](absl::StatusOr<Answer> answer) mutable {
      callback(std::move(answer));
      window->OnDelivered(1);
    };
  }

 private:
  const absl::Time attempt_deadline_;
  const absl::Time deadline_;
  const int room_;
};

class CreateOnStream final : public StreamRequest {
 public:
  // The only kind that may be a message of its own, and that every node takes.
  static constexpr absl::string_view kClaim = "create";
  using Callback = absl::AnyInvocable<void(absl::StatusOr<Reservation>)>;

  // `request` must have its id.
  CreateOnStream(absl::Time attempt_deadline, absl::Time deadline, CreateReservation request, Callback callback)
      : StreamRequest(attempt_deadline, deadline, WindowRoom(request)),
        request_(std::move(request)),
        callback_(std::move(callback)) {}

  absl::string_view kind() const override { return kClaim; }
  bool IsClaim() const override { return true; }
  bool NeedsCall() const override { return request_.retry_of_unknown; }
  void Write(tranche::v1::StreamReservationsItem* item) const override;
  bool IsAnswer(const tranche::v1::StreamReservationsResult& result) const override { return result.has_created(); }
  bool IsQueued(const tranche::v1::StreamReservationsResult& result) const override {
    return result.created().has_queued();
  }
  void AwaitDecision(CallEnvironment& environment, const tranche::v1::StreamReservationsResult& result,
                     StreamWindow* window) override;
  void Deliver(const tranche::v1::StreamReservationsResult& result) override;
  void Refuse(const absl::Status& error) override { callback_(error); }
  void ContinueAsCall(Connection& connection, const CallStart& start, StreamWindow* window) override;

 private:
  CreateReservation request_;
  Callback callback_;
};

class CartOnStream final : public StreamRequest {
 public:
  using Callback = absl::AnyInvocable<void(absl::StatusOr<Cart>)>;

  // `cart` must have a line at least, and its lines their ids.
  CartOnStream(absl::Time attempt_deadline, absl::Time deadline, CreateCart cart, Callback callback)
      : StreamRequest(attempt_deadline, deadline, WindowRoom(cart)),
        cart_(std::move(cart)),
        callback_(std::move(callback)) {}

  absl::string_view kind() const override { return "create_cart"; }
  bool IsClaim() const override { return true; }
  bool NeedsCall() const override { return cart_.retry_of_unknown; }
  void Write(tranche::v1::StreamReservationsItem* item) const override;
  bool IsAnswer(const tranche::v1::StreamReservationsResult& result) const override {
    return result.has_cart_created();
  }
  bool IsQueued(const tranche::v1::StreamReservationsResult& result) const override {
    return result.cart_created().has_queued();
  }
  void AwaitDecision(CallEnvironment& environment, const tranche::v1::StreamReservationsResult& result,
                     StreamWindow* window) override;
  void Deliver(const tranche::v1::StreamReservationsResult& result) override;
  void Refuse(const absl::Status& error) override { callback_(error); }
  void ContinueAsCall(Connection& connection, const CallStart& start, StreamWindow* window) override;

 private:
  CreateCart cart_;
  Callback callback_;
};

class ConfirmOnStream final : public StreamRequest {
 public:
  using Callback = absl::AnyInvocable<void(absl::StatusOr<Confirmation>)>;

  ConfirmOnStream(absl::Time attempt_deadline, absl::Time deadline, ConfirmReservation change, Callback callback)
      : StreamRequest(attempt_deadline, deadline, WindowRoom(change)),
        change_(std::move(change)),
        callback_(std::move(callback)) {}

  absl::string_view kind() const override { return "confirm"; }
  void Write(tranche::v1::StreamReservationsItem* item) const override;
  bool IsAnswer(const tranche::v1::StreamReservationsResult& result) const override { return result.has_confirmed(); }
  void Deliver(const tranche::v1::StreamReservationsResult& result) override;
  void Refuse(const absl::Status& error) override { callback_(error); }
  void ContinueAsCall(Connection& connection, const CallStart& start, StreamWindow* window) override;

 private:
  ConfirmReservation change_;
  Callback callback_;
};

class CancelOnStream final : public StreamRequest {
 public:
  using Callback = absl::AnyInvocable<void(absl::StatusOr<Reservation>)>;

  CancelOnStream(absl::Time attempt_deadline, absl::Time deadline, CancelReservation change, Callback callback)
      : StreamRequest(attempt_deadline, deadline, WindowRoom(change)),
        change_(std::move(change)),
        callback_(std::move(callback)) {}

  absl::string_view kind() const override { return "cancel"; }
  void Write(tranche::v1::StreamReservationsItem* item) const override;
  bool IsAnswer(const tranche::v1::StreamReservationsResult& result) const override { return result.has_cancelled(); }
  void Deliver(const tranche::v1::StreamReservationsResult& result) override;
  void Refuse(const absl::Status& error) override { callback_(error); }
  void ContinueAsCall(Connection& connection, const CallStart& start, StreamWindow* window) override;

 private:
  CancelReservation change_;
  Callback callback_;
};

}  // namespace tranche::internal
