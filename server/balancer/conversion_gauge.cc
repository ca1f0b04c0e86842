#include "server/balancer/conversion_gauge.h"

#include <algorithm>
#include <cmath>

namespace tranche::server {
namespace {

constexpr double kLeastConversion = 0.05;
constexpr double kFewBuyers = 20;

}  // namespace

void ConversionGauge::NoteTaken(absl::Duration elapsed, int64_t units) {
  const double bought =
      taken_.has_value() ? std::max(0.0, static_cast<double>(units) - static_cast<double>(*taken_)) : 0;
  taken_ = units;
  if (bought == 0) return;
  events_.push_back({.at = elapsed, .bought = bought});
  bought_ += bought;
  done_ += bought;
}

void ConversionGauge::NoteLetIn(absl::Duration elapsed, double buyers) {
  if (buyers <= 0) return;
  events_.push_back({.at = elapsed, .let_in = buyers});
  let_in_ += buyers;
}

void ConversionGauge::Advance(absl::Duration elapsed, absl::Duration window) {
  while (!events_.empty() && events_.front().at + window < elapsed) {
    let_in_ -= events_.front().let_in;
    bought_ -= events_.front().bought;
    events_.pop_front();
  }
  // Sums of many fractions do not come back to exactly zero.
  if (events_.empty()) let_in_ = bought_ = 0;
  const double step = absl::FDivDuration(elapsed - advanced_at_, window);
  advanced_at_ = elapsed;
  const double kept = std::exp(-step / 2);
  due_ = due_ * kept + let_in_ * std::min(step, 1.0);
  done_ *= kept;
}

double ConversionGauge::under_way() const { return std::max(0.0, let_in_ - bought_); }

double ConversionGauge::conversion() const {
  if (due_ < kFewBuyers) return 1;
  return std::clamp(done_ / due_, kLeastConversion, 1.0);
}

}  // namespace tranche::server
