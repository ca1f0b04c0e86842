// A SKU and its absence, as the procedures say them.
#pragma once

#include <optional>
#include <pqxx/pqxx>
#include <string>

#include "storage/ledger/sku_ledger.h"

namespace tranche::storage {

absl::Status NoSuchSku(const std::string& sku_id);

// The columns of the view sku_state are in two runs, because new ones come after all that was there before: the first
// kFirstSkuColumns from column `first` on, and those about holds from column `holds` on.
inline constexpr int kFirstSkuColumns = 16;
Sku ToSku(const pqxx::row& row, int first = 0, int holds = kFirstSkuColumns);

// A number as a parameter that may be NULL.
class NullableNumber {
 public:
  explicit NullableNumber(std::optional<int64_t> value);
  const char* parameter() const { return text_.empty() ? nullptr : text_.c_str(); }

 private:
  std::string text_;
};

}  // namespace tranche::storage
