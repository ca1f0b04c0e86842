#include "server/admission/purchase_token.h"

#include <cstddef>
#include <cstdint>
#include <optional>
#include <utility>

#include "absl/strings/str_cat.h"
#include "server/admission/keyed_hash.h"
#include "server/admission/paseto.h"
#include "storage/mutation.h"

namespace tranche::server {
namespace {

constexpr absl::string_view kTokenPurpose = "tranche-purchase-token-v1";
constexpr size_t kTokenIdBytes = 16;

std::string TokenMessage(uint64_t expires_at_ms, absl::string_view id) {
  return LengthDelimited({kTokenPurpose, BigEndian64(expires_at_ms), id});
}

std::string TokenAssertion(absl::string_view sku_id, absl::string_view user_id) {
  if (storage::Mutated(storage::Mutation::kTokenForAnySku)) sku_id = "";
  if (storage::Mutated(storage::Mutation::kTokenForAnyUser)) user_id = "";
  return LengthDelimited({kTokenPurpose, sku_id, user_id});
}

}  // namespace

PurchaseToken MakePurchaseToken(const FrontKeys& keys, absl::string_view sku_id, absl::string_view user_id,
                                absl::Duration lifetime, absl::Time now) {
  const FrontKeys::Key* const key = keys.current();
  if (key == nullptr) return {};
  const int64_t expires_at_ms = absl::ToUnixMillis(now + lifetime);
  return {
      .text = SealPaseto(key->token_key, TokenMessage(static_cast<uint64_t>(expires_at_ms), RandomBytes(kTokenIdBytes)),
                         absl::StrCat(key->id), TokenAssertion(sku_id, user_id)),
      .expires_at = absl::FromUnixMillis(expires_at_ms)};
}

TokenReading ReadPurchaseToken(const FrontKeys& keys, absl::string_view text, absl::string_view sku_id,
                               absl::string_view user_id, absl::Time now) {
  if (text.size() > kMaxPurchaseTokenBytes) return {.problem = TokenProblem::kUnreadable, .id = {}};
  const FrontKeys::Key* const key = keys.KeyOfPaseto(text);
  if (key == nullptr) return {.problem = TokenProblem::kUnreadable, .id = {}};
  const std::optional<std::string> message = OpenPaseto(key->token_key, text, TokenAssertion(sku_id, user_id));
  if (!message.has_value()) return {.problem = TokenProblem::kNotForThis, .id = {}};
  // Nobody else has the key. But a later version may say more, of which this one must not guess the meaning.
  constexpr size_t kExpiryAt = 4 + kTokenPurpose.size() + 4;
  if (message->size() != kExpiryAt + 8 + 4 + kTokenIdBytes) return {.problem = TokenProblem::kUnreadable, .id = {}};
  const uint64_t expires_at_ms = FromBigEndian64(absl::string_view(*message).substr(kExpiryAt));
  std::string id = message->substr(message->size() - kTokenIdBytes);
  if (*message != TokenMessage(expires_at_ms, id)) return {.problem = TokenProblem::kUnreadable, .id = {}};
  if (now >= absl::FromUnixMillis(static_cast<int64_t>(expires_at_ms)) &&
      !storage::Mutated(storage::Mutation::kTokenNeverExpires)) {
    return {.problem = TokenProblem::kExpired, .id = {}};
  }
  return {.problem = TokenProblem::kNone, .id = std::move(id)};
}

}  // namespace tranche::server
