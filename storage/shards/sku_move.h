// Moves a SKU to another shard while it is on sale.
//
//   source   HERE ------------------------------> LEAVING ----------------------------> GONE, rows deleted
//   target        ARRIVING (copies, no slots) ........... delta, slots --> HERE
//                 |------ sells at the source ---|------ paused ------|--- sells at the target
//
// The reservations and groups are copied while the source sells. Changes made meanwhile are copied again and again,
// until few are left. Then one transaction fences off the source, the rest is copied, and one transaction at the target
// takes over the SKU: this is the only decision. Before the decision, everything can be undone: first at the target
// (further steps of an abandoned mover fail there on its token), then the source sells again. After the decision, the
// next run does what is left. So at every moment the SKU is for sale on at most one shard, and complete on exactly one.
#pragma once

#include <functional>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "absl/time/time.h"
#include "absl/types/span.h"
#include "storage/clock.h"
#include "storage/ledger/sku_move_ledger.h"

namespace tranche::storage {

struct SkuMoveOptions {
  int page_rows = 2000;   // at once in memory
  int purge_rows = 2000;  // per transaction
  int few_changes = 500;  // this few need no further round before the pause
  int max_rounds = 10;    // of catching up
  // If catching up still takes longer than this, so would the pause: the move is refused.
  absl::Duration max_pause = absl::Milliseconds(1500);
};

// What a move is doing, for observers.
struct SkuMoveProgress {
  enum class Stage { kUndoing, kCopying, kCatchingUp, kPaused, kSelling, kClearing, kDone };
  Stage stage = Stage::kCopying;
  int64_t rows = 0;           // so far in this stage
  absl::Duration paused_for;  // from kSelling on
};

class SkuMove {
 public:
  struct Participant {
    std::string shard;
    SkuMoveLedger* ledger;
  };
  // Called in the run's thread.
  using Watch = std::function<void(const SkuMoveProgress&)>;
  // Announces that the SKU is where it is now; best effort. `certain`: all shards say so. If not, a shard that does not
  // answer may have a newer copy (older_copies.h), and an announcement that names another shard must stay.
  using Announce = std::function<void(const std::string& shard, bool certain)>;

  // All shards, home first. Ledgers outlive it.
  SkuMove(std::vector<Participant> shards, Clock* clock, SkuMoveOptions options, Watch watch, Announce announce);

  // Begins the move, or finishes one that was abandoned; once the SKU is there, deletes what is left elsewhere. Errors:
  // kNotFound (no such SKU), kFailedPrecondition (it is on its way elsewhere; it changes too fast; another shard has a
  // copy of its own, see storage/shards/sku_places.h), kUnavailable (a
  // shard does not answer; if the move could not be undone, the message says that the SKU is paused). Run it again.
  absl::Status Run(const std::string& sku_id, const std::string& target, const Actor& actor);
  // Undoes a move that is not decided. kFailedPrecondition if the SKU is at the target, or on several shards.
  absl::Status Abort(const std::string& sku_id, const std::string& target, const Actor& actor);

 private:
  struct Found;

  absl::StatusOr<Found> Find(const std::string& sku_id, const std::string& target, const Actor& actor);
  absl::Status CheckOneHasIt(const Found& found);
  static absl::Status Silent(const Found& found);
  absl::StatusOr<bool> Undo(const Found& found);
  absl::Status Move(const Found& found);
  absl::Status Pause(const Found& found, const std::string& token, const std::string& since);
  absl::Status AfterFailure(const Found& found, const absl::Status& failure);
  absl::Status CopyWhileSelling(const Found& found, const std::string& token, std::string* since);
  absl::Status Complete(const Found& found);
  absl::Status PurgeAt(SkuMoveLedger& ledger, const std::string& sku_id);
  absl::StatusOr<int64_t> CopyParts(const Found& found, const std::string& token, absl::Span<const SkuPart> parts,
                                    const std::string& since);
  void Tell(SkuMoveProgress::Stage stage, int64_t rows = 0);

  const std::vector<Participant> shards_;
  Clock* const clock_;
  const SkuMoveOptions options_;
  const Watch watch_;
  const Announce announce_;
  SkuMoveProgress progress_;
};

}  // namespace tranche::storage
