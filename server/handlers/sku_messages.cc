#include "server/handlers/sku_messages.h"

#include <algorithm>
#include <string>
#include <tuple>

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
// Before the names of the fields of CreateSkuRequest.
constexpr char kOfSku[] = "sku.";

// What may be done instead of giving a field: of a new SKU, it then has its default; of a change, it stays as it is.
std::string OrAbsent(const std::string& of, const char* for_default) {
  return of.empty() ? ", or absent to leave it as it is" : absl::StrCat(", or absent", for_default);
}

// The ledger keeps microseconds. What it would cut off must not look like a change when the call is repeated.
absl::Time InMicros(absl::Time time) { return absl::FromUnixMicros(absl::ToUnixMicros(time)); }

// Fields are named as in the message: with `of` before them.
absl::Status CheckNumbers(const storage::Sku& sku, const std::string& of) {
  if (sku.price_minor < 0 || sku.price_minor > kMaxPriceMinor) {
    return InvalidField(of + "price_minor", absl::StrCat("must be 0 to ", kMaxPriceMinor));
  }
  if (sku.stock < 0 || sku.stock > kMaxStock)
    return InvalidField(of + "stock", absl::StrCat("must be 0 to ", kMaxStock));
  if (sku.per_user_limit < 1 || sku.per_user_limit > kMaxPerUser) {
    return InvalidField(of + "per_user_limit", absl::StrCat("must be 1 to ", kMaxPerUser, OrAbsent(of, " for 1")));
  }
  if (sku.slots_per_slice < 1 || sku.slots_per_slice > kMaxSlots) {
    return InvalidField(of + "slots_per_slice", absl::StrCat("must be 1 to ", kMaxSlots, ", or absent for 1"));
  }
  if (sku.max_extensions < 0 || sku.max_extensions > kMaxExtensions) {
    return InvalidField(of + "max_extensions", absl::StrCat("must be 0 to ", kMaxExtensions, OrAbsent(of, " for 3")));
  }
  return absl::OkStatus();
}

absl::Status CheckTitle(const std::string& title, const std::string& of) {
  if (title.size() <= kMaxTitleBytes && IsPlainUtf8(title)) return absl::OkStatus();
  return InvalidField(of + "title",
                      absl::StrCat("must be at most ", kMaxTitleBytes, " bytes without control characters"));
}

// These read what the messages for creating and for changing a SKU have in common. What is absent stays as it is.
template <typename Message>
absl::Status ReadWindow(const Message& message, const std::string& of, absl::Time now, storage::Sku* sku) {
  if (message.has_open_time()) {
    const auto opens_at = FromTimestamp(message.open_time());
    if (!opens_at.has_value()) return InvalidField(of + "open_time", "is not a valid timestamp");
    sku->opens_at = InMicros(*opens_at);
  }
  if (message.has_close_time()) {
    const auto closes_at = FromTimestamp(message.close_time());
    if (!closes_at.has_value()) return InvalidField(of + "close_time", "is not a valid timestamp");
    if (*closes_at <= now) return InvalidField(of + "close_time", "must be in the future: the sale would be over");
    sku->closes_at = InMicros(*closes_at);
  }
  if (sku->opens_at >= sku->closes_at) return InvalidField(of + "close_time", "must be after open_time");
  return absl::OkStatus();
}

absl::Status InvalidMaxHold(const std::string& of) {
  return InvalidField(of + "max_hold",
                      absl::StrCat("must be the hold to 30 days in whole seconds", OrAbsent(of, " for none")));
}

template <typename Message>
absl::Status ReadHold(const Message& message, const std::string& of, storage::Sku* sku) {
  if (message.has_hold()) {
    const auto hold = FromDuration(message.hold());
    // The ledger keeps whole seconds.
    if (!hold.has_value() || *hold < absl::Seconds(1) || *hold > kMaxHold || message.hold().nanos() != 0) {
      return InvalidField(of + "hold",
                          absl::StrCat("must be 1 s to 7 days in whole seconds", OrAbsent(of, " for 15 minutes")));
    }
    sku->hold = *hold;
  }
  if (message.has_max_hold()) {
    const auto max_hold = FromDuration(message.max_hold());
    if (!max_hold.has_value() || message.max_hold().nanos() != 0) {
      return InvalidMaxHold(of);
    }
    sku->max_hold = *max_hold;
  }
  return absl::OkStatus();
}

absl::Status CheckMaxHold(const storage::Sku& sku, const std::string& of) {
  if (sku.max_hold >= sku.hold && sku.max_hold <= kMaxHoldInAll) return absl::OkStatus();
  return InvalidMaxHold(of);
}

v1::ClaimPath ToPathMessage(storage::ClaimPath path) {
  switch (path) {
    case storage::ClaimPath::kDirect:
      return v1::CLAIM_PATH_DIRECT;
    case storage::ClaimPath::kQueue:
      return v1::CLAIM_PATH_QUEUE;
    case storage::ClaimPath::kAuto:
      return v1::CLAIM_PATH_AUTO;
  }
  return v1::CLAIM_PATH_UNSPECIFIED;
}

template <typename Message>
absl::Status ReadClaimPath(const Message& message, const std::string& of, storage::Sku* sku) {
  switch (message.claim_path()) {
    case v1::CLAIM_PATH_UNSPECIFIED:
      return absl::OkStatus();
    case v1::CLAIM_PATH_DIRECT:
      sku->claim_path = storage::ClaimPath::kDirect;
      return absl::OkStatus();
    case v1::CLAIM_PATH_QUEUE:
      sku->claim_path = storage::ClaimPath::kQueue;
      return absl::OkStatus();
    case v1::CLAIM_PATH_AUTO:
      sku->claim_path = storage::ClaimPath::kAuto;
      return absl::OkStatus();
    default:
      return InvalidField(of + "claim_path",
                          absl::StrCat("must be DIRECT, QUEUE or AUTO", OrAbsent(of, " for DIRECT")));
  }
}

}  // namespace

v1::SkuState StateOf(const storage::Sku& sku, absl::Time now) {
  if (sku.closed) return v1::SKU_STATE_CLOSED;
  if (now >= sku.closes_at) return v1::SKU_STATE_ENDED;
  if (sku.paused) return v1::SKU_STATE_PAUSED;
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
  message.set_paused(sku.paused);
  message.set_pause_reason(sku.pause_reason);
  message.set_terms_version(sku.terms_version);
  message.set_claim_path(ToPathMessage(sku.claim_path));
  return message;
}

absl::StatusOr<storage::Sku> FromMessage(const v1::Sku& message, absl::Time now) {
  RETURN_IF_ERROR(CheckSkuId(message.sku_id(), "sku.sku_id"));
  RETURN_IF_ERROR(CheckTitle(message.title(), kOfSku));
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
  sku.paused = message.paused();
  sku.pause_reason = message.pause_reason();
  RETURN_IF_ERROR(CheckPauseReason(sku.paused, sku.pause_reason, "sku.pause_reason"));
  RETURN_IF_ERROR(CheckNumbers(sku, kOfSku));
  RETURN_IF_ERROR(ReadHold(message, kOfSku, &sku));
  if (message.has_max_hold()) RETURN_IF_ERROR(CheckMaxHold(sku, kOfSku));
  RETURN_IF_ERROR(ReadWindow(message, kOfSku, now, &sku));
  RETURN_IF_ERROR(ReadClaimPath(message, kOfSku, &sku));
  return sku;
}

absl::Status CheckPauseReason(bool paused, absl::string_view reason, absl::string_view field) {
  if (!paused && !reason.empty()) return InvalidField(field, "must be empty: the sale is not paused");
  const auto characters =
      std::count_if(reason.begin(), reason.end(), [](unsigned char c) { return (c & 0xc0) != 0x80; });
  if (characters <= storage::kMaxPauseReason && IsPlainUtf8(reason)) return absl::OkStatus();
  return InvalidField(
      field, absl::StrCat("must be at most ", storage::kMaxPauseReason, " characters without control characters"));
}

absl::StatusOr<storage::Sku> Updated(storage::Sku sku, const v1::UpdateSkuRequest& request, absl::Time now) {
  if (request.has_open_time() && request.clear_open_time()) {
    return InvalidField("clear_open_time", "must be false if there is an open_time");
  }
  if (request.has_close_time() && request.clear_close_time()) {
    return InvalidField("clear_close_time", "must be false if there is a close_time");
  }
  if (request.has_title()) sku.title = request.title();
  if (request.has_price_minor()) sku.price_minor = request.price_minor();
  if (request.has_per_user_limit()) sku.per_user_limit = request.per_user_limit();
  if (request.has_max_extensions()) sku.max_extensions = request.max_extensions();
  if (request.has_on_demand()) sku.presplit = !request.on_demand();
  if (request.clear_open_time()) sku.opens_at = absl::InfinitePast();
  if (request.clear_close_time()) sku.closes_at = absl::InfiniteFuture();
  RETURN_IF_ERROR(CheckTitle(sku.title, ""));
  RETURN_IF_ERROR(CheckNumbers(sku, ""));
  RETURN_IF_ERROR(ReadHold(request, "", &sku));
  const bool is_bounded = sku.max_hold != absl::ZeroDuration();
  if (is_bounded && !request.has_max_hold() && sku.hold > sku.max_hold) {
    return InvalidField("max_hold", "is shorter than the new hold: send both (tranchectl: --hold and --max-hold)");
  }
  if (is_bounded) RETURN_IF_ERROR(CheckMaxHold(sku, ""));
  RETURN_IF_ERROR(ReadWindow(request, "", now, &sku));
  RETURN_IF_ERROR(ReadClaimPath(request, "", &sku));
  return sku;
}

bool HaveSameTerms(const storage::Sku& a, const storage::Sku& b) {
  const auto terms = [](const storage::Sku& sku) {
    return std::tie(sku.title, sku.price_minor, sku.per_user_limit, sku.hold, sku.max_extensions, sku.max_hold,
                    sku.opens_at, sku.closes_at, sku.presplit, sku.claim_path);
  };
  return terms(a) == terms(b);
}

}  // namespace tranche::server
