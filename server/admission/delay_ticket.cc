#include "server/admission/delay_ticket.h"

#include <cstdint>
#include <optional>

#include "absl/strings/str_cat.h"
#include "server/admission/keyed_hash.h"
#include "server/admission/paseto.h"
#include "storage/mutation.h"

namespace tranche::server {
namespace {

constexpr absl::string_view kDelayPurpose = "tranche-delay-ticket-v1";

// Where the message has what; before each there are 4 bytes of length.
constexpr size_t kDelayReadyAt = 4 + kDelayPurpose.size() + 4;
constexpr size_t kDelayExpiresAt = kDelayReadyAt + 8 + 4;
constexpr size_t kDelayMessageBytes = kDelayExpiresAt + 8;

std::string DelayTime(absl::Time time) { return BigEndian64(static_cast<uint64_t>(absl::ToUnixMillis(time))); }

std::string DelayMessage(const DelayTicket& ticket) {
  return LengthDelimited({kDelayPurpose, DelayTime(ticket.ready_at), DelayTime(ticket.expires_at)});
}

std::string DelayAssertion(absl::string_view sku_id, absl::string_view user_id) {
  if (storage::Mutated(storage::Mutation::kDelayForAnybody)) sku_id = user_id = "";
  return LengthDelimited({kDelayPurpose, sku_id, user_id});
}

}  // namespace

std::string MakeDelayTicket(const FrontKeys& keys, absl::string_view sku_id, absl::string_view user_id,
                            const DelayTicket& ticket) {
  const FrontKeys::Key* const key = keys.current();
  if (key == nullptr) return "";
  return SealPaseto(key->delay_key, DelayMessage(ticket), absl::StrCat(key->id), DelayAssertion(sku_id, user_id));
}

DelayReading ReadDelayTicket(const FrontKeys& keys, absl::string_view text, absl::string_view sku_id,
                             absl::string_view user_id, absl::Time now) {
  if (text.empty() || text.size() > kMaxDelayTicketBytes) return {};
  const FrontKeys::Key* const key = keys.KeyOfPaseto(text);
  if (key == nullptr) return {};
  const std::optional<std::string> message = OpenPaseto(key->delay_key, text, DelayAssertion(sku_id, user_id));
  // Nobody else has the key. But a later version may say more, of which this one must not guess the meaning.
  if (!message.has_value() || message->size() != kDelayMessageBytes) return {};
  const auto time_at = [&message](size_t at) {
    return absl::FromUnixMillis(static_cast<int64_t>(FromBigEndian64(absl::string_view(*message).substr(at))));
  };
  const DelayTicket ticket = {.ready_at = time_at(kDelayReadyAt), .expires_at = time_at(kDelayExpiresAt)};
  if (*message != DelayMessage(ticket) || now >= ticket.expires_at) return {};
  const bool early = now < ticket.ready_at && !storage::Mutated(storage::Mutation::kDelayNotAwaited);
  return {.state = early ? DelayReading::State::kEarly : DelayReading::State::kReady, .ticket = ticket};
}

}  // namespace tranche::server
