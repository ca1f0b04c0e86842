// Draws: units of a SKU for winners among all who have entered.
//
//   OPEN -> CLOSING -> CLOSED -> SEEDED -> DRAWN -> FINISHED      an operator: close, seed (and finish, cancel)
//                                                                 a worker: seals, ranks, awards, finishes
//
// A draw is in the ledger of its SKU's shard, so that an award and its reservation are one transaction. A SKU with a
// draw that was not removed stays on its shard. What is hashed: server/admission/draw_rank.h and merkle_tree.h.
//
// Threads, blocking and errors are those of every ledger: storage/ledger/README.md. kNotFound: the SKU is not here.
// NoDrawError: it is here, and has no such draw.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/time/time.h"
#include "absl/types/span.h"
#include "storage/base/log_trace.h"
#include "storage/ledger/actor.h"
#include "storage/ledger/refusal.h"
#include "storage/ledger/reservation_ledger.h"
#include "storage/uuid.h"

namespace tranche::storage {

inline constexpr int64_t kMaxDrawEntries = 10'000'000;
inline constexpr int32_t kMaxDrawWinners = 1'000'000;
inline constexpr int kMaxDrawsTold = 100;
// Entries of a chunk of the sealed list; a power of two, so that chunks are whole subtrees of the Merkle tree.
inline constexpr int kDrawChunkEntries = 1'024;
inline constexpr size_t kLeastSeedBytes = 16;
inline constexpr size_t kMostSeedBytes = 64;
// The most that one call reads or writes: entry ids, awards.
inline constexpr int kMaxDrawPage = 10'000;

enum class DrawState { kOpen, kClosing, kClosed, kSeeded, kDrawn, kFinished, kCancelled };

struct DrawKey {
  std::string sku_id;
  int64_t number = 0;  // of this SKU, from 1; 0 where it is read: the newest

  friend bool operator==(const DrawKey&, const DrawKey&) = default;
};

struct Draw {
  DrawKey key;
  DrawState state = DrawState::kOpen;
  int32_t winners = 0;
  int32_t quantity = 1;
  std::string seed_commitment = {};  // 32 bytes, or "" if there is a public_source
  std::string public_source = {};
  int64_t entries = 0;           // before kClosed only where it is asked for
  std::string merkle_root = {};  // 32 bytes; "" before kClosed
  std::string seed = {};         // "" before kSeeded
  std::string cutoff = {};       // the rank of the last award; "" before the first
  int32_t pending = 0;           // awards, by what became of them
  int32_t confirmed = 0;
  int32_t lapsed = 0;  // those passed over included
  absl::Time created_at;
  std::optional<absl::Time> closed_at = {};
  std::optional<absl::Time> seeded_at = {};
  std::optional<absl::Time> finished_at = {};
};

struct NewDraw {
  std::string sku_id;
  int32_t winners = 0;
  int32_t quantity = 1;
  std::string seed_commitment = {};
  std::string public_source = {};
  std::optional<int64_t> expected_number = {};
};

enum class DrawStep { kClose, kSeed, kFinish, kCancel, kRemove };

struct DrawEntryClaim {
  std::string sku_id;
  std::string user_id = {};
  TraceTag trace = {};  // of the call, for the log
};

// kNone: entered, or (`replayed`) it had been before, whatever has become of the draw since. Otherwise kSkuNotFound
// (the SKU is not here), kSkuMoving, kDrawNotOpen or kDrawFull.
struct DrawEntryResult {
  Refusal refusal = Refusal::kNone;
  int64_t draw_number = 0;
  Uuid entry_id = {};
  bool replayed = false;
  std::optional<DrawState> state = {};  // kDrawNotOpen: of the newest draw, if there is one
  // Only with LockMode::kNoWait: the draw is being closed, and nothing was decided.
  bool busy = false;
};

enum class AwardOutcome { kPending, kConfirmed, kLapsed, kPassedOver };

struct DrawAward {
  int64_t place = 0;  // from 1, by rank
  Uuid entry_id = {};
  std::string user_id = {};
  std::string rank = {};                    // 32 bytes
  std::optional<Uuid> reservation_id = {};  // nullopt: kPassedOver
  AwardOutcome outcome = AwardOutcome::kPending;
  absl::Time awarded_at;
};

// A buyer's entry, and its award if it has one.
struct DrawEntry {
  Draw draw;
  Uuid entry_id = {};
  std::optional<DrawAward> award = {};
};

// kDrawChunkEntries entries one after the other in the order of ids, or the rest.
struct DrawChunk {
  int64_t index = 0;  // from 0
  Uuid first = {};
  Uuid last = {};
  int32_t entries = 0;
  std::string hash = {};  // of its subtree, 32 bytes

  friend bool operator==(const DrawChunk&, const DrawChunk&) = default;
};

// HMAC-SHA256 by its parts (RFC 2104), for a key of 32 bytes: each block has 64 bytes.
struct HmacBlocks {
  std::string inner = {};
  std::string outer = {};
};

struct RankProgress {
  int64_t ranked = 0;  // by this call
  bool drawn = false;  // all are; the draw is kDrawn
};

struct AwardProgress {
  int32_t awarded = 0;      // by this call
  int32_t passed_over = 0;  // by this call
  // Places that are free. With entries left, call again: at once if `waits_for` is kNone.
  int32_t open_places = 0;
  bool entries_left = false;
  // Why no more could be awarded now: the sale is paused or not open, nobody may have so many units, or its pool has
  // too few.
  Refusal waits_for = Refusal::kNone;
  bool finished = false;
};

class DrawLedger {
 public:
  virtual ~DrawLedger() = default;

  // Operators. kFailedPrecondition (DrawStateError): one of this SKU is not over, or it would have another number; of
  // ChangeDraw: the state forbids the step. A step that was taken already changes and audits nothing. A preview returns
  // what would be. `seed` is for kSeed; SeedMismatchError.
  virtual absl::StatusOr<Draw> CreateDraw(const NewDraw& draw, bool preview, const Actor& actor) = 0;
  virtual absl::StatusOr<Draw> ChangeDraw(const DrawKey& key, DrawStep step, const std::string& seed, bool preview,
                                          const Actor& actor) = 0;
  // The newest first, at most kMaxDrawsTold, with exact counts of entries. "": of all SKUs.
  virtual absl::StatusOr<std::vector<Draw>> ListDraws(const std::string& sku_id) = 0;
  // By place, after this one.
  virtual absl::StatusOr<std::vector<DrawAward>> ListDrawAwards(const DrawKey& key, int64_t after, int limit) = 0;

  // Buyers. One result for each claim, in their order. (SKU, user) are distinct; at most kMaxBatch. Whoever has entered
  // the newest draw gets the same answer again, whatever its state. `mode`: not kSkipLocked.
  virtual absl::StatusOr<std::vector<DrawEntryResult>> EnterDraws(LockMode mode,
                                                                  absl::Span<const DrawEntryClaim> claims) = 0;
  virtual absl::StatusOr<Draw> GetDraw(const DrawKey& key) = 0;
  // NoDrawEntryError: the draw is there, and not the entry.
  virtual absl::StatusOr<DrawEntry> FindDrawEntry(const DrawKey& key, const std::string& user_id) = 0;

  // The list. Entry ids in the order of their bytes, after this one, from kClosing on.
  virtual absl::StatusOr<std::vector<Uuid>> ListDrawEntries(const DrawKey& key, const std::optional<Uuid>& after,
                                                            int limit) = 0;
  // By index, all.
  virtual absl::StatusOr<std::vector<DrawChunk>> ReadDrawChunks(const DrawKey& key) = 0;

  // Workers. Several may do the same side by side, and each step may be repeated.
  // Draws that are kClosing, kSeeded or kDrawn.
  virtual absl::StatusOr<std::vector<Draw>> ListDrawWork() = 0;
  // Those that are there already are left as they are. At most 1,000.
  virtual absl::Status AddDrawChunks(const DrawKey& key, absl::Span<const DrawChunk> chunks) = 0;
  // kClosing -> kClosed. kFailedPrecondition if `entries` or the chunks are not all.
  virtual absl::Status SealDraw(const DrawKey& key, int64_t entries, const std::string& merkle_root) = 0;
  // Ranks the next `limit` entries, at most 50,000; kSeeded -> kDrawn after the last.
  virtual absl::StatusOr<RankProgress> RankDraw(const DrawKey& key, const HmacBlocks& blocks, int limit) = 0;
  // Notes which awards were paid or have lapsed, and gives reservations to the next by rank: until no place is free,
  // or `limit` entries, at most kMaxBatch, were awarded or passed over. kDrawn -> kFinished when all places are paid,
  // or no entry is left and none is pending.
  virtual absl::StatusOr<AwardProgress> AwardDraw(const DrawKey& key, int limit) = 0;
  // Deletes up to `limit` rows of removed draws. Returns how many.
  virtual absl::StatusOr<int64_t> PurgeDraws(int limit) = 0;
};

}  // namespace tranche::storage
