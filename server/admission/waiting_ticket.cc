#include "server/admission/waiting_ticket.h"

#include "absl/strings/str_cat.h"
#include "server/admission/keyed_hash.h"
#include "server/admission/paseto.h"

namespace tranche::server {
namespace {

constexpr absl::string_view kTicketPurpose = "tranche-waiting-ticket-v1";

// Where the message has what; before each there are 4 bytes of length.
constexpr size_t kTicketRoundAt = 4 + kTicketPurpose.size() + 4;
constexpr size_t kTicketJoinedAt = kTicketRoundAt + 8 + 4;
constexpr size_t kTicketCountedAt = kTicketJoinedAt + 8 + 4;
constexpr size_t kTicketShuffledAt = kTicketCountedAt + 8 + 4;
constexpr size_t kTicketMessageBytes = kTicketShuffledAt + 1;

std::string TicketTime(absl::Time time) { return BigEndian64(static_cast<uint64_t>(absl::ToUnixMicros(time))); }

std::string TicketMessage(const WaitingTicket& ticket) {
  return LengthDelimited({kTicketPurpose, BigEndian64(static_cast<uint64_t>(ticket.round)),
                          TicketTime(ticket.joined_at), TicketTime(ticket.counted_at),
                          ticket.shuffled ? absl::string_view("\1", 1) : absl::string_view("\0", 1)});
}

std::string TicketAssertion(absl::string_view sku_id, absl::string_view user_id) {
  return LengthDelimited({kTicketPurpose, sku_id, user_id});
}

}  // namespace

std::string MakeWaitingTicket(const FrontKeys& keys, absl::string_view sku_id, absl::string_view user_id,
                              const WaitingTicket& ticket) {
  const FrontKeys::Key* const key = keys.current();
  if (key == nullptr) return "";
  return SealPaseto(key->ticket_key, TicketMessage(ticket), absl::StrCat(key->id), TicketAssertion(sku_id, user_id));
}

std::optional<WaitingTicket> ReadWaitingTicket(const FrontKeys& keys, absl::string_view text, absl::string_view sku_id,
                                               absl::string_view user_id) {
  if (text.empty() || text.size() > kMaxWaitingTicketBytes) return std::nullopt;
  const FrontKeys::Key* const key = keys.KeyOfPaseto(text);
  if (key == nullptr) return std::nullopt;
  const std::optional<std::string> message = OpenPaseto(key->ticket_key, text, TicketAssertion(sku_id, user_id));
  // Nobody else has the key. But a later version may say more, of which this one must not guess the meaning.
  if (!message.has_value() || message->size() != kTicketMessageBytes) return std::nullopt;
  const auto number_at = [&message](size_t at) {
    return static_cast<int64_t>(FromBigEndian64(absl::string_view(*message).substr(at)));
  };
  const WaitingTicket ticket = {.round = number_at(kTicketRoundAt),
                                .joined_at = absl::FromUnixMicros(number_at(kTicketJoinedAt)),
                                .shuffled = (*message)[kTicketShuffledAt] != '\0',
                                .counted_at = absl::FromUnixMicros(number_at(kTicketCountedAt))};
  if (*message != TicketMessage(ticket)) return std::nullopt;
  return ticket;
}

}  // namespace tranche::server
