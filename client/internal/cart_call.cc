#include "client/internal/cart_call.h"

#include <memory>
#include <optional>
#include <utility>

#include "client/internal/convert.h"

namespace tranche::internal {

CartCall::CartCall(CallEnvironment& environment, absl::Time deadline, CreateCart cart, Callback callback)
    : ClaimCall(environment, deadline, cart.retry_of_unknown, cart.accept_queued),
      terms_{cart.decide_within, std::move(cart.on_queued)},
      request_(ToProto(std::move(cart))),
      callback_(std::move(callback)) {}

void CartCall::Send(Stub& stub, absl::Time deadline) {
  request_.set_may_exist(outcome_unknown());
  response_.Clear();
  stub.CreateReservations(context(), deadline, request_, &response_, observer());
}

void CartCall::Granted() {
  if (!response_.has_queued()) return End(FromProto(response_));
  const std::unique_ptr<CartCall> self(this);
  AwaitDecision(environment(), reservation_id(), FromProto(response_.queued()), std::move(terms_),
                std::move(callback_));
}

bool CartCall::IsNextLine(const Reservation& found) const {
  const tranche::v1::CartLine& line = request_.lines(static_cast<int>(found_.reservations.size()));
  // An older node without order references drops the reference, and so does not return it. No cart joins a group.
  return found.group_id.empty() && found.sku_id == line.sku_id() && found.user_id == request_.user_id() &&
         found.quantity == line.quantity() &&
         (found.order_reference.empty() || found.order_reference == request_.order_reference());
}

// The first line was found, so the others exist, too: they are looked up one after the other.
void CartCall::Found(Reservation found, const absl::Status& refusal) {
  if (!IsNextLine(found)) {
    // The id belongs to another claim.
    Believe(refusal);
    return;
  }
  // It is refused with all its lines.
  if (const std::optional<absl::Status> refused = RefusalIn(found)) return End(*refused);
  found.replayed = true;
  found_.reservations.push_back(std::move(found));
  const int next = static_cast<int>(found_.reservations.size());
  if (next == request_.lines_size()) {
    found_.replayed = true;
    End(std::move(found_));
    return;
  }
  LookUp(request_.lines(next).reservation_id(), [this, refusal](absl::StatusOr<Reservation> line) {
    if (line.ok()) {
      Found(*std::move(line), refusal);
    } else {
      // No time, no node, or a line that was retired: the cart was made, but cannot be told as a whole.
      StayInDoubt(refusal);
    }
  });
}

void CartCall::End(absl::StatusOr<Cart> answer) {
  const std::unique_ptr<CartCall> self(this);
  callback_(std::move(answer));
}

}  // namespace tranche::internal
