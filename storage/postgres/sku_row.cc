#include "storage/postgres/sku_row.h"

#include "absl/strings/str_cat.h"

namespace tranche::storage {
namespace {

absl::Time TimeOr(const pqxx::field& micros, absl::Time when_null) {
  return micros.is_null() ? when_null : absl::FromUnixMicros(micros.as<int64_t>());
}

}  // namespace

absl::Status NoSuchSku(const std::string& sku_id) { return absl::NotFoundError(absl::StrCat("no SKU ", sku_id)); }

NullableNumber::NullableNumber(std::optional<int64_t> value) {
  if (value.has_value()) text_ = absl::StrCat(*value);
}

Sku ToSku(const pqxx::row& row, int first, int holds) {
  const auto at = [&row, first](int column) { return row[static_cast<pqxx::row::size_type>(first + column)]; };
  return Sku{.sku_id = at(0).c_str(),
             .title = at(1).c_str(),
             .price_minor = at(2).as<int64_t>(),
             .currency = at(3).c_str(),
             .stock = at(4).as<int64_t>(),
             .per_user_limit = at(5).as<int32_t>(),
             .hold = absl::Seconds(at(6).as<int64_t>()),
             .max_extensions = at(holds - first).as<int32_t>(),
             .max_hold = absl::Seconds(at(holds - first + 1).as<int64_t>(0)),
             .opens_at = TimeOr(at(7), absl::InfinitePast()),
             .closes_at = TimeOr(at(8), absl::InfiniteFuture()),
             .closed = at(9).as<bool>(),
             .slots_per_slice = at(10).as<int32_t>(),
             .presplit = at(14).as<bool>(),
             .quota_frozen = at(15).as<bool>(),
             .unsold = at(11).as<int64_t>(),
             .quota_version = at(12).as<int64_t>(),
             .holds_may_lapse = at(13).as<bool>()};
}

}  // namespace tranche::storage
