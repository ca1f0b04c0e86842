#include "server/queue/claim_ticket.h"

#include <sodium.h>

#include <algorithm>
#include <memory>
#include <utility>

#include "absl/strings/str_cat.h"
#include "server/admission/keyed_hash.h"
#include "server/admission/paseto.h"
#include "storage/ledger/lifecycle_ledger.h"

namespace tranche::server {
namespace {

constexpr absl::string_view kClaimPurpose = "tranche-queued-claim-v1";
constexpr size_t kUuidBytes = sizeof(storage::Uuid::bytes);
constexpr size_t kPayloadBytes = crypto_hash_sha256_BYTES;
static_assert(kPayloadBytes == 32);

absl::string_view BytesOfId(const storage::Uuid& id) {
  return {reinterpret_cast<const char*>(id.bytes.data()), id.bytes.size()};
}

std::string BigEndianTime(absl::Time time) { return BigEndian64(static_cast<uint64_t>(absl::ToUnixMicros(time))); }

// Of an ordinary claim nothing is added: its tickets and payloads are the same as before there were joins.
std::string GroupFields(const storage::GroupJoin* join) {
  return join == nullptr ? "" : LengthDelimited({BytesOfId(join->group_id), join->offer_id});
}

std::string ClaimMessage(const ClaimTicket& ticket) {
  std::string ids;
  for (const storage::Uuid& id : ticket.ids) absl::StrAppend(&ids, BytesOfId(id));
  return absl::StrCat(LengthDelimited({kClaimPurpose, ids, ticket.payload, ticket.sku_id, ticket.shard,
                                       ticket.cart ? absl::string_view("\1", 1) : absl::string_view("\0", 1),
                                       BigEndian64(static_cast<uint64_t>(ticket.ahead)),
                                       BigEndianTime(ticket.enqueued_at), BigEndianTime(ticket.decide_at)}),
                      GroupFields(ticket.group.get()));
}

// Takes fields off a message that LengthDelimited has made.
class FieldReader {
 public:
  explicit FieldReader(absl::string_view message) : rest_(message) {}

  // "" also when there is no field: whoever reads compares the whole in the end.
  absl::string_view Next() {
    if (rest_.size() < 4) return {};
    size_t length = 0;
    for (size_t i = 0; i < 4; ++i) length = (length << 8) | static_cast<unsigned char>(rest_[i]);
    const absl::string_view field = rest_.substr(4, length);
    rest_.remove_prefix(4 + field.size());
    return field;
  }
  int64_t NextNumber() {
    const absl::string_view field = Next();
    return field.size() == 8 ? static_cast<int64_t>(FromBigEndian64(field)) : 0;
  }
  absl::Time NextTime() { return absl::FromUnixMicros(NextNumber()); }
  bool AtEnd() const { return rest_.empty(); }

 private:
  absl::string_view rest_;
};

// Null if the id is not one.
std::shared_ptr<const storage::GroupJoin> ReadGroupFields(FieldReader& fields) {
  const absl::string_view id = fields.Next();
  const absl::string_view offer_id = fields.Next();
  if (id.size() != kUuidBytes) return nullptr;
  storage::GroupJoin join;
  std::copy(id.begin(), id.end(), join.group_id.bytes.begin());
  join.offer_id = std::string(offer_id);
  return std::make_shared<const storage::GroupJoin>(std::move(join));
}

std::optional<ClaimTicket> FromClaimMessage(absl::string_view message) {
  FieldReader fields(message);
  ClaimTicket ticket;
  if (fields.Next() != kClaimPurpose) return std::nullopt;
  const absl::string_view ids = fields.Next();
  const size_t lines = ids.size() / kUuidBytes;
  if (lines == 0 || lines > static_cast<size_t>(storage::kMaxCartLines)) return std::nullopt;
  ticket.ids.resize(lines);
  for (size_t i = 0; i < lines; ++i) {
    const absl::string_view id = ids.substr(i * kUuidBytes, kUuidBytes);
    std::copy(id.begin(), id.end(), ticket.ids[i].bytes.begin());
  }
  ticket.payload = std::string(fields.Next());
  ticket.sku_id = std::string(fields.Next());
  ticket.shard = std::string(fields.Next());
  ticket.cart = fields.Next() == absl::string_view("\1", 1);
  ticket.ahead = fields.NextNumber();
  ticket.enqueued_at = fields.NextTime();
  ticket.decide_at = fields.NextTime();
  if (!fields.AtEnd()) ticket.group = ReadGroupFields(fields);
  // Nobody else has the key. But a later version may say more, of which this one must not guess the meaning.
  if (ticket.payload.size() != kPayloadBytes || ClaimMessage(ticket) != message) return std::nullopt;
  return ticket;
}

}  // namespace

std::string PayloadOf(absl::Span<const storage::ReservationClaim> lines) {
  UseSodium();
  crypto_hash_sha256_state state;
  crypto_hash_sha256_init(&state);
  for (const storage::ReservationClaim& line : lines) {
    const std::string fields =
        LengthDelimited({BytesOfId(line.reservation_id), line.sku_id, line.user_id,
                         BigEndian64(static_cast<uint64_t>(line.quantity)), line.order_reference});
    crypto_hash_sha256_update(&state, SodiumBytes(fields), fields.size());
    const std::string group = GroupFields(line.group.get());
    crypto_hash_sha256_update(&state, SodiumBytes(group), group.size());
  }
  std::string hash(kPayloadBytes, '\0');
  crypto_hash_sha256_final(&state, reinterpret_cast<unsigned char*>(hash.data()));
  return hash;
}

std::string MakeClaimTicket(const FrontKeys& keys, const ClaimTicket& ticket) {
  const FrontKeys::Key* const key = keys.current();
  if (key == nullptr) return "";
  return SealPaseto(key->claim_key, ClaimMessage(ticket), absl::StrCat(key->id), LengthDelimited({kClaimPurpose}));
}

std::optional<ClaimTicket> ReadClaimTicket(const FrontKeys& keys, absl::string_view text, absl::Time now) {
  if (text.empty() || text.size() > kMaxClaimTicketBytes) return std::nullopt;
  const FrontKeys::Key* const key = keys.KeyOfPaseto(text);
  if (key == nullptr) return std::nullopt;
  const std::optional<std::string> message = OpenPaseto(key->claim_key, text, LengthDelimited({kClaimPurpose}));
  if (!message.has_value()) return std::nullopt;
  std::optional<ClaimTicket> ticket = FromClaimMessage(*message);
  if (!ticket.has_value() || now - ticket->enqueued_at >= kClaimTicketsLast) return std::nullopt;
  return ticket;
}

}  // namespace tranche::server
