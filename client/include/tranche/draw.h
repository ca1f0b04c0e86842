// Draws give units of a SKU to winners among all who have entered. As plain values.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "absl/time/time.h"
#include "tranche/export.h"

namespace tranche {

// A buyer enters the open draw of a SKU. They have one entry, however often this is sent.
struct EnterDraw {
  std::string sku = {};
  std::string user = {};
  // From EnterSale, for SKUs whose front door asks for one.
  std::string purchase_token = {};
  // As in CreateReservation.
  std::string buyer_address = {};
};

// The answer. Show `entry_id` to the buyer: it names them in what is published of the draw.
struct EnteredDraw {
  int64_t draw_number = 0;  // of this SKU, from 1
  std::string entry_id;     // a UUID
  bool replayed = false;    // they had entered before
};

// A newer server may have states that are not named here.
enum class DrawState {
  kUnspecified = 0,
  kOpen = 1,     // buyers may enter
  kClosing = 2,  // no more entries are taken
  kClosed = 3,   // the list of entries is sealed; the seed is awaited
  kSeeded = 4,   // ranks are being computed
  kDrawn = 5,    // winners are given reservations
  kFinished = 6,
  kCancelled = 7,  // nobody wins
};
// "OPEN", "CLOSING", ...
TRANCHE_EXPORT const char* DrawStateName(DrawState state);

struct Draw {
  std::string sku_id;
  int64_t number = 0;
  DrawState state = DrawState::kUnspecified;
  int32_t winners = 0;          // so many entries win
  int32_t quantity = 0;         // units for each
  std::string seed_commitment;  // SHA-256 of the seed, 32 bytes; "" if public_source names the seed
  std::string public_source;    // the future public value that is the seed, in words
  int64_t entries = 0;          // 0 before kClosed
  std::string merkle_root;      // of the entry ids, 32 bytes; "" before kClosed
  std::string seed;             // "" before kSeeded
  std::string cutoff;           // the rank of the last entry whose turn has come, 32 bytes; "" before the first
  // Entries whose turn has come: who wait for payment; have paid; have lapsed, or could not be given a reservation.
  int32_t pending = 0;
  int32_t confirmed = 0;
  int32_t lapsed = 0;
  absl::Time create_time;
  absl::Time close_time = absl::InfiniteFuture();   // when entries ended
  absl::Time seed_time = absl::InfiniteFuture();    // when the seed was told
  absl::Time finish_time = absl::InfiniteFuture();  // when it was finished or cancelled
};

// What became of an entry. A newer server may have outcomes that are not named here.
enum class DrawOutcome {
  kUnspecified = 0,
  kWaiting = 1,    // not decided; it may still win if others do not pay
  kPending = 2,    // it won: DrawEntry::reservation_id waits for payment
  kConfirmed = 3,  // it won, and is paid
  kLapsed = 4,     // it won, and the reservation lapsed or was cancelled
  // Its turn came, and the buyer had their limit.
  kPassedOver = 5,
  kNotDrawn = 6,  // the draw ended before its turn
};
// "WAITING", "PENDING", ...
TRANCHE_EXPORT const char* DrawOutcomeName(DrawOutcome outcome);

struct GetDrawEntry {
  std::string sku = {};
  std::string user = {};
  int64_t draw_number = 0;  // 0: the newest one
};

// A buyer's entry, and what proves that it took part and had its fair rank: docs/draws.md says how to check it.
struct DrawEntry {
  std::string entry_id;
  DrawOutcome outcome = DrawOutcome::kUnspecified;
  std::string reservation_id;           // of who won, also after it has lapsed
  std::string rank;                     // 32 bytes; "" before kSeeded
  int64_t leaf_index = 0;               // its place in the sealed list, from 0
  std::vector<std::string> audit_path;  // the hashes beside its way to merkle_root, from the leaf up
  Draw draw;
};

}  // namespace tranche
