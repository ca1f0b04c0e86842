#include "storage/postgres/sku_row.h"

#include "absl/strings/str_cat.h"
#include "storage/postgres/answer.h"

namespace tranche::storage {
namespace {

ClaimPath ToClaimPath(absl::string_view name) {
  for (const ClaimPath path : {ClaimPath::kDirect, ClaimPath::kQueue, ClaimPath::kAuto}) {
    if (name == ClaimPathName(path)) return path;
  }
  throw UnreadableAnswer(absl::StrCat("unknown path of claims ", name));
}

constexpr Column<Sku> kSkuTable[] = {
    {"sku_id", [](const pqxx::field& field, Sku* to) { to->sku_id = field.c_str(); }},
    {"title", [](const pqxx::field& field, Sku* to) { to->title = field.c_str(); }},
    {"price_minor", [](const pqxx::field& field, Sku* to) { to->price_minor = field.as<int64_t>(); }},
    {"currency", [](const pqxx::field& field, Sku* to) { to->currency = field.c_str(); }},
    {"stock", [](const pqxx::field& field, Sku* to) { to->stock = field.as<int64_t>(); }},
    {"per_user_limit", [](const pqxx::field& field, Sku* to) { to->per_user_limit = field.as<int32_t>(); }},
    {"hold_seconds", [](const pqxx::field& field, Sku* to) { to->hold = absl::Seconds(field.as<int64_t>()); }},
    {"max_extensions", [](const pqxx::field& field, Sku* to) { to->max_extensions = field.as<int32_t>(); }},
    {"max_hold_seconds", [](const pqxx::field& field, Sku* to) { to->max_hold = absl::Seconds(field.as<int64_t>()); }},
    {"opens_us", [](const pqxx::field& field, Sku* to) { to->opens_at = TimeOf(field); }},
    {"closes_us", [](const pqxx::field& field, Sku* to) { to->closes_at = TimeOf(field); }},
    {"closed", [](const pqxx::field& field, Sku* to) { to->closed = field.as<bool>(); }},
    {"slots_per_slice", [](const pqxx::field& field, Sku* to) { to->slots_per_slice = field.as<int32_t>(); }},
    {"presplit", [](const pqxx::field& field, Sku* to) { to->presplit = field.as<bool>(); }},
    {"quota_frozen", [](const pqxx::field& field, Sku* to) { to->quota_frozen = field.as<bool>(); }},
    {"unsold", [](const pqxx::field& field, Sku* to) { to->unsold = field.as<int64_t>(); }},
    {"quota_version", [](const pqxx::field& field, Sku* to) { to->quota_version = field.as<int64_t>(); }},
    {"paused", [](const pqxx::field& field, Sku* to) { to->paused = field.as<bool>(); }},
    {"pause_reason", [](const pqxx::field& field, Sku* to) { to->pause_reason = field.c_str(); }},
    {"terms_version", [](const pqxx::field& field, Sku* to) { to->terms_version = field.as<int64_t>(); }},
    {"claim_path", [](const pqxx::field& field, Sku* to) { to->claim_path = ToClaimPath(TextOf(field)); }},
    {"holds_may_lapse", [](const pqxx::field& field, Sku* to) { to->holds_may_lapse = field.as<bool>(); }},
};

}  // namespace

absl::Status NoSuchSku(const std::string& sku_id) { return absl::NotFoundError(absl::StrCat("no SKU ", sku_id)); }

NullableNumber::NullableNumber(std::optional<int64_t> value) {
  if (value.has_value()) text_ = absl::StrCat(*value);
}

Columns<Sku> SkuColumns(const pqxx::result& rows) {
  ColumnOf(rows, "sku_id");
  return {rows, kSkuTable};
}

}  // namespace tranche::storage
