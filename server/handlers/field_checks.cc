#include "server/handlers/field_checks.h"

#include <algorithm>

#include "absl/strings/ascii.h"
#include "absl/strings/escaping.h"
#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "server/admission/buyer_address.h"
#include "server/admission/purchase_token.h"
#include "server/errors.h"

namespace tranche::server {
namespace {

// Put in front of every key, so that an arbitrary base64 text is not taken for a token.
constexpr char kTokenPrefix[] = "t1:";

}  // namespace

bool IsCurrency(absl::string_view text) {
  return text.size() == 3 && std::all_of(text.begin(), text.end(), [](char c) { return absl::ascii_isupper(c); });
}

absl::Status CheckSkuId(absl::string_view sku_id, absl::string_view field) {
  if (sku_id.empty()) return FieldError(v1::ERROR_REASON_SKU_ID_REQUIRED, field, "is missing");
  if (!IsSkuId(sku_id)) {
    return FieldError(v1::ERROR_REASON_SKU_ID_MALFORMED, field, "must be 1 to 64 characters of [A-Za-z0-9._-]");
  }
  return absl::OkStatus();
}

absl::Status CheckPurchaseToken(absl::string_view token, absl::string_view field) {
  if (token.size() <= kMaxPurchaseTokenBytes) return absl::OkStatus();
  return InvalidField(field, absl::StrCat("must be at most ", kMaxPurchaseTokenBytes, " bytes"));
}

absl::Status CheckBuyerAddress(absl::string_view address, absl::string_view field) {
  if (address.empty() || ParseIpAddress(address).has_value()) return absl::OkStatus();
  return InvalidField(field, "must be an IP address without a port, or absent");
}

absl::StatusOr<int> CheckPageSize(int32_t page_size, int fallback) {
  if (page_size < 0) return InvalidField("page_size", "must not be negative");
  return page_size == 0 ? fallback : std::min(page_size, kLargestPageSize);
}

std::string EncodePageToken(absl::string_view last_key) {
  std::string token;
  absl::WebSafeBase64Escape(absl::StrCat(kTokenPrefix, last_key), &token);
  return token;
}

absl::StatusOr<std::string> DecodePageToken(absl::string_view token) {
  if (token.empty()) return std::string();
  std::string key;
  if (!absl::WebSafeBase64Unescape(token, &key) || !absl::StartsWith(key, kTokenPrefix) || !IsPlainUtf8(key)) {
    return InvalidField("page_token", "must be the next_page_token of the page before");
  }
  return key.substr(sizeof(kTokenPrefix) - 1);
}

}  // namespace tranche::server
