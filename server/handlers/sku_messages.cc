#include "server/handlers/sku_messages.h"

#include <string>

#include "absl/strings/str_cat.h"
#include "server/errors.h"
#include "server/handlers/currencies.h"
#include "server/handlers/field_checks.h"
#include "server/proto_time.h"
#include "storage/base/status_macros.h"

namespace tranche::server {
namespace {

constexpr size_t kMaxTitleBytes = 256;
constexpr int64_t kMaxPriceMinor = 1'000'000'000'000;
constexpr int32_t kMaxPerUser = 1000;
constexpr int32_t kMaxSlots = 64;
constexpr absl::Duration kMaxHold = absl::Hours(7 * 24);
constexpr absl::Duration kMaxHoldInAll = absl::Hours(30 * 24);
constexpr int32_t kMaxExtensions = 100;

absl::Status CheckNumbers(const storage::Sku& sku) {
  if (sku.price_minor < 0 || sku.price_minor > kMaxPriceMinor) {
    return InvalidField("sku.price_minor", absl::StrCat("must be 0 to ", kMaxPriceMinor));
  }
  if (sku.stock < 0 || sku.stock > kMaxStock)
    return InvalidField("sku.stock", absl::StrCat("must be 0 to ", kMaxStock));
  if (sku.per_user_limit < 1 || sku.per_user_limit > kMaxPerUser) {
    return InvalidField("sku.per_user_limit", absl::StrCat("must be 1 to ", kMaxPerUser, ", or absent for 1"));
  }
  if (sku.slots_per_slice < 1 || sku.slots_per_slice > kMaxSlots) {
    return InvalidField("sku.slots_per_slice", absl::StrCat("must be 1 to ", kMaxSlots, ", or absent for 1"));
  }
  if (sku.max_extensions < 0 || sku.max_extensions > kMaxExtensions) {
    return InvalidField("sku.max_extensions", absl::StrCat("must be 0 to ", kMaxExtensions, ", or absent for 3"));
  }
  return absl::OkStatus();
}

absl::Status ReadWindow(const v1::Sku& message, absl::Time now, storage::Sku* sku) {
  if (message.has_open_time()) {
    const auto opens_at = FromTimestamp(message.open_time());
    if (!opens_at.has_value()) return InvalidField("sku.open_time", "is not a valid timestamp");
    sku->opens_at = *opens_at;
  }
  if (message.has_close_time()) {
    const auto closes_at = FromTimestamp(message.close_time());
    if (!closes_at.has_value()) return InvalidField("sku.close_time", "is not a valid timestamp");
    if (*closes_at <= now) return InvalidField("sku.close_time", "must be in the future: the sale would be over");
    sku->closes_at = *closes_at;
  }
  if (sku->opens_at >= sku->closes_at) return InvalidField("sku.close_time", "must be after open_time");
  return absl::OkStatus();
}

absl::Status ReadHold(const v1::Sku& message, storage::Sku* sku) {
  if (message.has_hold()) {
    const auto hold = FromDuration(message.hold());
    // The ledger keeps whole seconds.
    if (!hold.has_value() || *hold < absl::Seconds(1) || *hold > kMaxHold || message.hold().nanos() != 0) {
      return InvalidField("sku.hold", "must be 1 s to 7 days in whole seconds, or absent for 15 minutes");
    }
    sku->hold = *hold;
  }
  if (message.has_max_hold()) {
    const auto max_hold = FromDuration(message.max_hold());
    if (!max_hold.has_value() || *max_hold < sku->hold || *max_hold > kMaxHoldInAll ||
        message.max_hold().nanos() != 0) {
      return InvalidField("sku.max_hold", "must be the hold to 30 days in whole seconds, or absent");
    }
    sku->max_hold = *max_hold;
  }
  return absl::OkStatus();
}

}  // namespace

v1::SkuState StateOf(const storage::Sku& sku, absl::Time now) {
  if (sku.closed) return v1::SKU_STATE_CLOSED;
  if (now >= sku.closes_at) return v1::SKU_STATE_ENDED;
  if (now < sku.opens_at) return v1::SKU_STATE_NOT_YET;
  return sku.unsold == 0 ? v1::SKU_STATE_SOLD_OUT : v1::SKU_STATE_OPEN;
}

v1::Sku ToMessage(const storage::Sku& sku, absl::Time now) {
  v1::Sku message;
  message.set_sku_id(sku.sku_id);
  message.set_title(sku.title);
  message.set_price_minor(sku.price_minor);
  message.set_currency(sku.currency);
  message.set_stock(sku.stock);
  message.set_per_user_limit(sku.per_user_limit);
  *message.mutable_hold() = ToDuration(sku.hold);
  message.set_max_extensions(sku.max_extensions);
  if (sku.max_hold > absl::ZeroDuration()) *message.mutable_max_hold() = ToDuration(sku.max_hold);
  if (sku.opens_at > absl::InfinitePast()) *message.mutable_open_time() = ToTimestamp(sku.opens_at);
  if (sku.closes_at < absl::InfiniteFuture()) *message.mutable_close_time() = ToTimestamp(sku.closes_at);
  message.set_state(StateOf(sku, now));
  message.set_slots_per_slice(sku.slots_per_slice);
  message.set_unsold(sku.unsold);
  // Conservation: units that are in no slot are in live reservations.
  message.set_reserved(sku.stock - sku.unsold);
  message.set_quota_version(sku.quota_version);
  message.set_on_demand(!sku.presplit);
  message.set_quota_frozen(sku.quota_frozen);
  message.set_shard(sku.shard);
  return message;
}

absl::StatusOr<storage::Sku> FromMessage(const v1::Sku& message, absl::Time now) {
  RETURN_IF_ERROR(CheckSkuId(message.sku_id(), "sku.sku_id"));
  if (message.title().size() > kMaxTitleBytes || !IsPlainUtf8(message.title())) {
    return InvalidField("sku.title",
                        absl::StrCat("must be at most ", kMaxTitleBytes, " bytes without control characters"));
  }
  if (!IsKnownCurrency(message.currency())) {
    return InvalidField("sku.currency", "must be a code of ISO 4217, such as EUR");
  }
  if (!message.has_price_minor()) return InvalidField("sku.price_minor", "is missing; 0 sells for nothing");
  storage::Sku sku;
  sku.sku_id = message.sku_id();
  sku.title = message.title();
  sku.price_minor = message.price_minor();
  sku.currency = message.currency();
  sku.stock = message.stock();
  sku.per_user_limit = message.per_user_limit() == 0 ? 1 : message.per_user_limit();
  sku.slots_per_slice = message.slots_per_slice() == 0 ? 1 : message.slots_per_slice();
  sku.presplit = !message.on_demand();
  if (!message.shard().empty()) sku.shard = message.shard();
  if (message.has_max_extensions()) sku.max_extensions = message.max_extensions();
  RETURN_IF_ERROR(CheckNumbers(sku));
  RETURN_IF_ERROR(ReadHold(message, &sku));
  RETURN_IF_ERROR(ReadWindow(message, now, &sku));
  return sku;
}

}  // namespace tranche::server
