// What a shop shows of SKUs, as plain values.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "absl/time/time.h"
#include "tranche/export.h"

namespace tranche {

// Whether a buyer can get a unit now, and if not, why. A newer server may have states that are not named here.
enum class SaleState {
  kUnspecified = 0,
  kOpen = 1,     // units are unsold
  kClosed = 2,   // by an operator
  kNotYet = 3,   // before open_time
  kSoldOut = 4,  // each unit is sold, or held and not paid yet
  kEnded = 5,    // after close_time
  kPaused = 6,   // by an operator, for a while: see Sku::pause_reason
};
// "OPEN", "CLOSED", ...
TRANCHE_EXPORT const char* SaleStateName(SaleState state);

// How many units are left, in words.
enum class Availability {
  kUnspecified = 0,
  kPlenty = 1,
  kFew = 2,         // at most 10 units, or at most 5 % of the stock
  kNoneForNow = 3,  // none is unsold, but some are held and not paid yet
  kNone = 4,        // every unit is sold, or the sale is over
};
// "PLENTY", "FEW", ...
TRANCHE_EXPORT const char* AvailabilityName(Availability availability);

struct Sku {
  std::string sku_id;
  std::string title;
  int64_t price_minor = 0;  // per unit, in the currency's minor unit (cents)
  std::string currency;     // ISO 4217
  absl::Time open_time = absl::InfinitePast();
  absl::Time close_time = absl::InfiniteFuture();
  int32_t per_user_limit = 0;  // in live reservations
  absl::Duration hold;         // how long a reservation holds its units until it is paid
  SaleState state = SaleState::kUnspecified;
  std::string pause_reason;  // with kPaused: why, for buyers; may be empty
  Availability availability = Availability::kUnspecified;
  // How old this is: up to about a second, and more, up to a minute, only while the ledger does not answer.
  absl::Duration age;
};

struct ListSkus {
  int32_t page_size = 0;        // at most 100; 0: 100
  std::string page_token = {};  // from the previous page
};
struct SkuPage {
  std::vector<Sku> skus;        // by id
  std::string next_page_token;  // empty: that was the last page
};

}  // namespace tranche
