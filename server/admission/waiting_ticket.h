// A waiting ticket is a buyer's place in a room, for the buyer to keep: nodes remember nobody. It is a PASETO v4.local,
// as purchase tokens are: docs/front-door.md says why.
#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>

#include "absl/strings/string_view.h"
#include "absl/time/time.h"
#include "server/admission/front_keys.h"

namespace tranche::server {

// Longer texts are no tickets.
inline constexpr size_t kMaxWaitingTicketBytes = 512;

struct WaitingTicket {
  int64_t round = 0;
  absl::Time joined_at;
  bool shuffled = false;  // joined before the sale opened
  absl::Time counted_at;  // when the buyer was last counted as somebody who waits
};

// "" if there is no current key. Footer: the key's id, in decimal. Message: the purpose "tranche-waiting-ticket-v1",
// round, joined_at and counted_at in microseconds, and shuffled as one byte, each behind its length. Assertion: the
// purpose, sku_id and user_id behind their lengths. Thread-safe.
std::string MakeWaitingTicket(const FrontKeys& keys, absl::string_view sku_id, absl::string_view user_id,
                              const WaitingTicket& ticket);

// nullopt: it is none, not of this buyer and SKU, altered, or made with a key that is gone. It has no expiry of its
// own: its round ends it, and so do two rotations of the key without a try between them. Thread-safe.
std::optional<WaitingTicket> ReadWaitingTicket(const FrontKeys& keys, absl::string_view text, absl::string_view sku_id,
                                               absl::string_view user_id);

}  // namespace tranche::server
