// A SKU, or its absence, as the procedures return it.
#pragma once

#include <optional>
#include <string>

#include "storage/ledger/sku_ledger.h"
#include "storage/postgres/columns.h"

namespace tranche::storage {

absl::Status NoSuchSku(const std::string& sku_id);

// The columns of the view sku_state, in any answer that has them.
Columns<Sku> SkuColumns(const pqxx::result& rows);

// A number as a parameter that may be NULL.
class NullableNumber {
 public:
  explicit NullableNumber(std::optional<int64_t> value);
  const char* parameter() const { return text_.empty() ? nullptr : text_.c_str(); }

 private:
  std::string text_;
};

}  // namespace tranche::storage
