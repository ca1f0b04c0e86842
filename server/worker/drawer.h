// Carries draws on once an operator has closed or seeded them: hashes the list of entries and seals it, ranks the
// entries, and gives places to the next by rank until all are paid. Also deletes what is left of removed draws.
#pragma once

#include <deque>
#include <map>
#include <optional>
#include <string>
#include <tuple>
#include <utility>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/time/time.h"
#include "absl/types/span.h"
#include "server/worker/ledger_trouble.h"
#include "server/worker/retry_policy.h"
#include "server/worker/worker_counts.h"
#include "storage/clock.h"
#include "storage/ledger/draw_ledger.h"

namespace tranche::server {

// Of one piece of work: a transaction should not be long, and memory stays small. A sale goes on beside a draw, in the
// same database: while a piece keeps a processor busy, claims wait longer. Short pieces with a rest behind each leave
// them half of the time, and a million entries are still sealed and ranked in about half a minute.
struct DrawerOptions {
  int chunks = 4;  // of entries that are read and hashed; so many entries are at most storage::kMaxDrawPage
  int ranks = 5'000;
  int awards = 256;
  int purged = 5'000;  // rows
  // Between looks for work, and between pieces while there is more.
  absl::Duration poll = absl::Seconds(1);
  absl::Duration pause = absl::Milliseconds(10);
  // After sealing, ranking or deleting a piece, the worker rests for as long as that took, and not for longer than
  // this: a ledger that is slow must not stop a draw.
  absl::Duration longest_rest = absl::Seconds(1);
  // Between looks for removed draws when there were none.
  absl::Duration purge_every = absl::Seconds(10);
};

// Any number may run side by side: each may do what another one does, and the ledger decides which comes first.
// `clock` only measures how long a draw has waited, and how long a piece took.
class Drawer {
 public:
  Drawer(storage::DrawLedger* ledger, storage::Clock* clock, RandomSource random, const DrawerOptions& options);

  // A look for work, or a piece of work of one draw; the draws take turns. Blocks for a few calls to the ledger;
  // returns how long to wait before the next. One thread at a time.
  absl::Duration Step();

  // How often it was logged that a draw waits or fails.
  int told() const { return told_; }
  // From any thread.
  const DrawCounts& counts() const { return counts_; }

 private:
  // The list of a draw that is kClosing, as far as it is hashed and stored.
  struct HashedList {
    int64_t entries = 0;
    std::optional<storage::Uuid> last = {};
    std::vector<std::string> chunks;  // their hashes
  };
  struct Course {
    storage::Draw draw;  // as listed
    // When it last went on, by whichever worker, or had nothing to do.
    absl::Time progress_at;
    absl::Time next_at;
    absl::Time tell_at;
    int failures = 0;   // since it last went on here
    bool idle = false;  // as far as is known, it has nothing to do now
    int32_t open_places = 0;
    std::optional<HashedList> list = {};  // nullopt: not read from the ledger yet
  };
  // By SKU and number.
  using Name = std::pair<std::string, int64_t>;
  struct Piece {
    bool progress = false;
    bool more = false;  // go on soon; otherwise after the usual pause
    bool idle = false;
    storage::Refusal waits_for = storage::Refusal::kNone;
  };

  absl::Duration Look();
  void Note(const std::vector<storage::Draw>& listed);
  void Purge();
  absl::Duration GoOn(Course* course);
  // After a piece that began then.
  absl::Duration RestAfter(absl::Time begun) const;
  absl::StatusOr<Piece> Do(Course* course);
  absl::StatusOr<Piece> Hash(Course* course);
  absl::StatusOr<HashedList> ReadHashed(const storage::DrawKey& key);
  absl::StatusOr<Piece> Rank(const storage::Draw& draw);
  absl::StatusOr<Piece> Award(Course* course);
  absl::Duration Failed(Course* course, const absl::Status& status);
  void Tell(Course* course, const std::string& what);
  void TellOfEnd(const storage::Draw& draw);
  absl::Duration UntilNext() const;
  void Publish();

  storage::DrawLedger* const ledger_;
  storage::Clock* const clock_;
  const RandomSource random_;
  const DrawerOptions options_;
  LedgerTrouble trouble_;
  LedgerTrouble purge_trouble_;
  DrawCounts counts_;
  std::map<Name, Course> courses_;  // of the draws that the last look has found
  std::deque<Name> turn_;           // of these, those whose piece is still to be done before the next look
  absl::Time purge_at_ = absl::InfinitePast();
  int told_ = 0;
};

}  // namespace tranche::server
