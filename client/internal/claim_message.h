// What the requests of all claims of one reservation have in common: CreateReservation, OpenGroup and JoinGroup.
#pragma once

#include <utility>

namespace tranche::internal {

// A Message with the common fields, which it takes out of `request`, a plain value. The others are the caller's.
template <typename Message, typename Request>
Message ClaimMessage(Request& request) {
  Message message;
  message.set_reservation_id(std::move(request.reservation_id));
  message.set_sku_id(std::move(request.sku));
  message.set_user_id(std::move(request.user));
  message.set_quantity(request.quantity);
  message.set_order_reference(std::move(request.order_reference));
  message.set_purchase_token(std::move(request.purchase_token));
  message.set_buyer_address(std::move(request.buyer_address));
  message.set_accept_queued(request.accept_queued);
  return message;
}

}  // namespace tranche::internal
