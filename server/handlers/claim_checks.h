// Checks the fields that all requests for one claim have: CreateReservation, OpenGroup and JoinGroup.
#pragma once

#include <cstddef>
#include <cstdint>
#include <string>

#include "absl/status/statusor.h"
#include "storage/ledger/reservation_ledger.h"

namespace tranche::server {

// A request's serialized size may be at most this.
inline constexpr size_t kMaxCreateBytes = 4096;

// Of a request, which outlives this.
struct ClaimFields {
  size_t bytes = 0;
  const std::string& reservation_id;
  const std::string& sku_id;
  const std::string& user_id;
  int32_t quantity = 0;
  const std::string& order_reference;
  const std::string& purchase_token;
  const std::string& buyer_address;
};

// The claim, with the trace of the call that this thread works for; or an error about the field that is wrong.
absl::StatusOr<storage::ReservationClaim> CheckClaimFields(const ClaimFields& fields);

template <typename Request>
absl::StatusOr<storage::ReservationClaim> CheckClaim(const Request& request) {
  return CheckClaimFields({.bytes = request.ByteSizeLong(),
                           .reservation_id = request.reservation_id(),
                           .sku_id = request.sku_id(),
                           .user_id = request.user_id(),
                           .quantity = request.quantity(),
                           .order_reference = request.order_reference(),
                           .purchase_token = request.purchase_token(),
                           .buyer_address = request.buyer_address()});
}

}  // namespace tranche::server
