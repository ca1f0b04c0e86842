// One line of a payment provider's statement, as a value.
#pragma once

#include <array>
#include <cstdint>
#include <cstring>
#include <optional>
#include <string>

#include "absl/strings/string_view.h"

namespace tranche::reconcile {

// A UUID. Compares as PostgreSQL does: byte by byte.
using ReservationId = std::array<uint8_t, 16>;

// The 36 character form with hyphens, in either case; nothing else.
std::optional<ReservationId> ParseReservationId(absl::string_view text);
std::string FormatReservationId(const ReservationId& id);

// Three upper case letters.
struct Currency {
  std::array<char, 3> code = {'?', '?', '?'};

  static std::optional<Currency> Parse(absl::string_view text);
  absl::string_view text() const { return {code.data(), code.size()}; }
  friend bool operator==(const Currency& a, const Currency& b) { return a.code == b.code; }
  friend bool operator<(const Currency& a, const Currency& b) { return a.code < b.code; }
};

enum class LineKind : uint8_t { kCharge, kRefund };

// The highest amount: the most that a reservation may cost.
inline constexpr int64_t kMaxAmountMinor = 1'000'000'000'000'000;
inline constexpr size_t kMaxReferenceBytes = 128;

struct StatementLine {
  ReservationId reservation_id{};
  // The provider's name for the payment; a refund carries the name of the refunded payment.
  std::string reference;
  int64_t amount_minor = 0;  // never negative: `kind` gives the direction
  Currency currency;
  int64_t time_us = 0;       // since the Unix epoch
  uint64_t line_number = 0;  // in the statement, from 1
  LineKind kind = LineKind::kCharge;
};

}  // namespace tranche::reconcile
