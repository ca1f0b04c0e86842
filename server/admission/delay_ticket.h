// A delay ticket says until when a buyer has to wait who cannot solve a challenge, since their browser runs no scripts.
// It is a PASETO v4.local, as purchase tokens are: docs/front-door.md says why. Nodes remember nobody.
#pragma once

#include <cstddef>
#include <string>

#include "absl/strings/string_view.h"
#include "absl/time/time.h"
#include "server/admission/front_keys.h"

namespace tranche::server {

// Longer texts are no tickets.
inline constexpr size_t kMaxDelayTicketBytes = 512;

struct DelayTicket {
  absl::Time ready_at;
  absl::Time expires_at;
};

// "" if there is no current key. Footer: the key's id, in decimal. Message: the purpose "tranche-delay-ticket-v1",
// ready_at and expires_at in milliseconds, each behind its length. Assertion: the purpose, sku_id and user_id behind
// their lengths. Thread-safe.
std::string MakeDelayTicket(const FrontKeys& keys, absl::string_view sku_id, absl::string_view user_id,
                            const DelayTicket& ticket);

// What somebody has who shows a ticket.
struct DelayReading {
  enum class State {
    kNone,   // it is none, not of this buyer and SKU, altered, expired, or made with a key that is gone
    kEarly,  // it is theirs, and its time has not come
    kReady,
  } state = State::kNone;
  DelayTicket ticket = {};  // unless kNone
};
// Ready from, and at, ready_at; until, and not at, expires_at. Thread-safe.
DelayReading ReadDelayTicket(const FrontKeys& keys, absl::string_view text, absl::string_view sku_id,
                             absl::string_view user_id, absl::Time now);

}  // namespace tranche::server
