// A queued claim's ticket, for its caller to keep: nodes remember nobody. A PASETO v4.local, as purchase tokens are
// (docs/front-door.md), so a node needs one of the front door's keys to make one.
#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "absl/strings/string_view.h"
#include "absl/time/time.h"
#include "absl/types/span.h"
#include "server/admission/front_keys.h"
#include "storage/ledger/reservation_ledger.h"
#include "storage/uuid.h"

namespace tranche::server {

// Longer texts are no tickets. One of a cart of 32 lines has less.
inline constexpr size_t kMaxClaimTicketBytes = 2048;
// Older ones are refused: what they ask about may be retired.
inline constexpr absl::Duration kClaimTicketsLast = absl::Hours(24);

struct ClaimTicket {
  std::vector<storage::Uuid> ids;  // of the lines
  std::string payload;             // PayloadOf the lines
  std::string sku_id;              // of the first line
  std::string shard;               // where its queue is
  bool cart = false;
  int64_t ahead = 0;  // when it was queued
  absl::Time enqueued_at;
  absl::Time decide_at;
  // Null: an ordinary claim. Nodes from before this field read no ticket that has it: they could not say whose a
  // reservation is.
  std::shared_ptr<const storage::GroupJoin> group = {};
};

// 32 bytes: SHA-256 of ids, SKUs, buyer, quantities and order reference of the lines, each behind its length, and of
// the group and offer of one that joins. A reservation under one of these ids that gives another payload is somebody
// else's. A reservation does not tell its group's offer: whoever compares one with a ticket takes the ticket's.
std::string PayloadOf(absl::Span<const storage::ReservationClaim> lines);

// "" if there is no current key. Key: FrontKeys::Key::claim_key. Thread-safe.
std::string MakeClaimTicket(const FrontKeys& keys, const ClaimTicket& ticket);
// nullopt: it is none, altered, made with a key that is gone, or older than kClaimTicketsLast. Thread-safe.
std::optional<ClaimTicket> ReadClaimTicket(const FrontKeys& keys, absl::string_view text, absl::Time now);

}  // namespace tranche::server
