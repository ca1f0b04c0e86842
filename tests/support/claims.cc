#include "tests/support/claims.h"

#include <atomic>
#include <ostream>

#include "absl/strings/str_cat.h"

namespace tranche::testing {

storage::Uuid NewId() {
  static std::atomic<uint64_t> count{0};
  storage::Uuid id;
  uint64_t value = ++count;
  for (size_t i = 16; i-- > 8; value >>= 8) id.bytes[i] = static_cast<uint8_t>(value);
  return id;
}

storage::ReservationClaim Claim(const std::string& sku_id, const std::string& user_id, int32_t quantity) {
  return storage::ReservationClaim{NewId(), sku_id, user_id, quantity};
}

std::vector<storage::ReservationClaim> ClaimsOf(const std::string& sku_id, const std::string& prefix, int n) {
  std::vector<storage::ReservationClaim> claims;
  for (int i = 0; i < n; ++i) claims.push_back(Claim(sku_id, absl::StrCat(prefix, i)));
  return claims;
}

}  // namespace tranche::testing

namespace tranche::storage {

void PrintTo(CommitOutcome outcome, std::ostream* out) {
  static constexpr const char* kNames[] = {"Created", "Replayed", "NotHeld", "Short", "Busy", "Refused"};
  *out << kNames[static_cast<int>(outcome)];
}

void PrintTo(ChangeOutcome outcome, std::ostream* out) {
  static constexpr const char* kNames[] = {"Done", "Replayed", "Refused", "Busy", "Rebooked", "PaidUnfulfilled"};
  *out << kNames[static_cast<int>(outcome)];
}

void PrintTo(ReservationState state, std::ostream* out) {
  static constexpr const char* kNames[] = {"Pending", "Confirmed", "Cancelled", "Expired"};
  *out << kNames[static_cast<int>(state)];
}

}  // namespace tranche::storage
