// The totals of a reconciliation.
#pragma once

#include <array>
#include <cstdint>
#include <map>
#include <string>

#include "absl/numeric/int128.h"
#include "client/reconcile/difference.h"
#include "client/reconcile/line_fields.h"

namespace tranche::reconcile {

struct Sum {
  int64_t count = 0;
  // Units of the reservations concerned, as far as the ledger knows them: a statement has no units.
  int64_t units = 0;
  // In minor units. Wider than one amount, so that millions of the largest do not overflow.
  std::map<Currency, absl::int128> amounts;

  void Add(int64_t units_added, int64_t amount_minor, const Currency& currency) {
    ++count;
    units += units_added;
    // The currency is nearly always the last one again: then no search is needed.
    if (latest_ == nullptr || !(latest_currency_ == currency)) {
      latest_ = &amounts[currency];
      latest_currency_ = currency;
    }
    *latest_ += amount_minor;
  }

  Sum() = default;
  Sum(const Sum& other) : count(other.count), units(other.units), amounts(other.amounts) {}
  Sum& operator=(const Sum& other) {
    count = other.count;
    units = other.units;
    amounts = other.amounts;
    latest_ = nullptr;
    return *this;
  }

 private:
  absl::int128* latest_ = nullptr;  // into amounts, whose nodes do not move
  Currency latest_currency_;
};

struct Totals {
  Window window;
  // The statement's lines in the window.
  Sum charges;
  Sum refunds;
  int64_t lines_outside_window = 0;
  std::array<int64_t, static_cast<size_t>(Malformed::kCount)> malformed{};
  int64_t malformed_lines = 0;
  // The payments that the ledger learned of in the window, and the late ones whose refund it noted in it.
  Sum payments;
  Sum paid_back;
  std::array<Sum, kDifferenceClasses> differences;
  int64_t difference_count = 0;  // without malformed lines
  int64_t correctable = 0;

  bool clean() const { return difference_count == 0 && malformed_lines == 0; }
};

// Decimal digits.
std::string ToText(absl::int128 number);
// "19.99", with the currency's decimals.
std::string FormatAmount(absl::int128 minor, const Currency& currency);

}  // namespace tranche::reconcile
