// FrontDoorService.GetDraw and GetDrawEntry, without gRPC: a draw as everybody may see it, from a cache, and what
// became of a buyer's entry, with its proof.
#pragma once

#include <cstddef>
#include <functional>
#include <string>

#include "absl/functional/any_invocable.h"
#include "absl/status/statusor.h"
#include "absl/time/time.h"
#include "server/handlers/draw_prover.h"
#include "server/handlers/read_cache.h"
#include "server/handlers/read_queue.h"
#include "storage/clock.h"
#include "storage/ledger/draw_ledger.h"
#include "tranche/v1/front_door_service.pb.h"

namespace tranche::server {

// Thread-safe. Outlived by its clock and by what the reads use.
class DrawHandler {
 public:
  using DrawCache = ReadCache<storage::Draw>;
  struct EntryOf {
    storage::DrawKey draw;
    std::string user_id;
  };
  using EntryReads = ReadQueue<EntryOf, ProvenEntry>;
  // DrawLedger::GetDraw and DrawProver::Find, or stand-ins for them, which must not block.
  using ReadDraw = std::function<void(const storage::DrawKey& key, DrawCache::ReadDone done)>;
  using ReadEntry = std::function<void(const storage::DrawKey& key, const std::string& user_id, absl::Time deadline,
                                       EntryReads::Done done)>;
  // Called exactly once, inline or on another thread; must not block.
  using DrawDone = absl::AnyInvocable<void(absl::StatusOr<v1::GetDrawResponse>)>;
  using EntryDone = absl::AnyInvocable<void(absl::StatusOr<v1::GetDrawEntryResponse>)>;

  // Callers. Who asks for a draw shares a read; of entries, each is a read of some milliseconds.
  static constexpr size_t kMostWaitForDraws = 500;
  static constexpr size_t kMostWaitForEntries = 100;
  // They run on the shard's threads for reads, of which other buyers need some.
  static constexpr size_t kMostReadsOfEntries = 4;

  DrawHandler(ReadDraw read_draw, ReadEntry read_entry, storage::Clock* clock);

  // `request` is not used after these return. Whoever comes while too many wait is told at once that the node has too
  // much to do.
  //
  // A draw may be a second old, and up to a minute while the ledger does not answer. Nothing is read for those whose
  // deadlines have passed when its turn comes.
  void GetDraw(const v1::GetDrawRequest& request, absl::Time deadline, DrawDone done);
  // An entry is read each time, from when it was asked for: a buyer who has just entered finds it. Who is not served by
  // the deadline is told so, and not read for.
  void GetEntry(const v1::GetDrawEntryRequest& request, absl::Time deadline, EntryDone done);

 private:
  // Finds out which draw that was, if the caller has not said.
  void AnswerNoEntry(const storage::DrawKey& key, EntryDone done);

  DrawCache draws_;
  EntryReads entries_;
};

}  // namespace tranche::server
