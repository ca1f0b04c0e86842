#include "server/balancer/room_sales.h"

#include <algorithm>
#include <cmath>

namespace tranche::server {
namespace {

constexpr int kSalesSlots = 128;  // of a window
// Fewer say too little.
constexpr double kLeastMeasured = 20;
// Sales are seen up to a window before who was let in is: where buyers were let in until a moment ago, and none are
// now, the conversion sinks by about one part in so many.
constexpr double kWindowsRemembered = 8;
// More than any room has; so sums stay numbers.
constexpr double kMostUnderWay = 1e12;

}  // namespace

RoomSales::RoomSales(double under_way, double conversion)
    : found_under_way_(under_way >= 0 ? std::min(under_way, kMostUnderWay) : 0),
      found_conversion_(conversion >= 0 ? std::clamp(conversion, kLeastConversion, 1.0) : 1) {}

void RoomSales::Look(double at_s, double window_s, const std::optional<RoomSale>& sale) {
  const double elapsed_s = looked_ ? at_s - at_s_ : 0;
  at_s_ = at_s;
  window_s_ = window_s;
  if (!looked_) found_until_s_ = at_s_ + window_s_;
  looked_ = true;
  const double kept = std::exp(-elapsed_s / (kWindowsRemembered * window_s_));
  had_their_chance_ *= kept;
  while (!slots_.empty() && slots_.front().at_s <= at_s_ - window_s_) {
    had_their_chance_ += slots_.front().let_in;
    slots_.pop_front();
  }
  const double sold = Sold(sale);
  bought_ = bought_ * kept + sold;
  if (sold > 0) Current().sold += sold;
}

void RoomSales::LetIn(double buyers) {
  if (buyers > 0) Current().let_in += buyers;
}

RoomSales::Slot& RoomSales::Current() {
  if (slots_.empty() || at_s_ - slots_.back().at_s >= window_s_ / kSalesSlots) slots_.push_back({.at_s = at_s_});
  return slots_.back();
}

double RoomSales::Sold(const std::optional<RoomSale>& sale) {
  if (!sale.has_value()) return 0;
  const double units = static_cast<double>(sale->stock) - static_cast<double>(sale->unsold);
  const double sold = units_sold_.has_value() ? std::max(units - *units_sold_, 0.0) : 0;
  units_sold_ = units;
  return std::min(sold, kMostUnderWay);
}

double RoomSales::under_way() const {
  double buyers = at_s_ < found_until_s_ ? found_under_way_ : 0;
  for (const Slot& slot : slots_) buyers += slot.let_in - slot.sold;
  return std::max(buyers, 0.0);
}

double RoomSales::conversion() const {
  if (had_their_chance_ < kLeastMeasured) return found_conversion_;
  return std::clamp(bought_ / had_their_chance_, kLeastConversion, 1.0);
}

}  // namespace tranche::server
