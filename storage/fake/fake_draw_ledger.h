// The draws' ledger in memory, with the same rules as the procedures under sql/. tests/contract runs one suite on both.
#pragma once

#include <cstddef>
#include <cstdint>
#include <map>
#include <optional>
#include <set>
#include <string>
#include <utility>
#include <vector>

#include "absl/base/thread_annotations.h"
#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"
#include "absl/synchronization/mutex.h"
#include "absl/time/time.h"
#include "absl/types/span.h"
#include "storage/clock.h"
#include "storage/fake/fake_ledger.h"
#include "storage/ledger/draw_ledger.h"

namespace tranche::storage {

// Thread-safe: one mutex around every call. The only draws' ledger of its ledger, since ids that it chooses are those
// of a row of numbers.
class FakeDrawLedger : public DrawLedger {
 public:
  // `ledger` has the SKUs and the reservations, hears which SKUs have a draw, and gets the entries of the audit log.
  // Its FailNext counts the calls that come from here, too. `clock` is the database's. Neither is owned.
  FakeDrawLedger(FakeLedger* ledger, Clock* clock) : ledger_(ledger), clock_(clock) {}

  absl::StatusOr<Draw> CreateDraw(const NewDraw& asked, bool preview, const Actor& actor) override;
  absl::StatusOr<Draw> ChangeDraw(const DrawKey& key, DrawStep step, const std::string& seed, bool preview,
                                  const Actor& actor) override;
  absl::StatusOr<std::vector<Draw>> ListDraws(const std::string& sku_id) override;
  absl::StatusOr<std::vector<DrawAward>> ListDrawAwards(const DrawKey& key, int64_t after, int limit) override;
  absl::StatusOr<std::vector<DrawEntryResult>> EnterDraws(LockMode mode,
                                                          absl::Span<const DrawEntryClaim> claims) override;
  absl::StatusOr<Draw> GetDraw(const DrawKey& key) override;
  absl::StatusOr<DrawEntry> FindDrawEntry(const DrawKey& key, const std::string& user_id) override;
  absl::StatusOr<std::vector<Uuid>> ListDrawEntries(const DrawKey& key, const std::optional<Uuid>& after,
                                                    int limit) override;
  absl::StatusOr<std::vector<DrawChunk>> ReadDrawChunks(const DrawKey& key) override;
  absl::StatusOr<std::vector<Draw>> ListDrawWork() override;
  absl::Status AddDrawChunks(const DrawKey& key, absl::Span<const DrawChunk> chunks) override;
  absl::Status SealDraw(const DrawKey& key, int64_t entries, const std::string& merkle_root) override;
  absl::StatusOr<RankProgress> RankDraw(const DrawKey& key, const HmacBlocks& blocks, int limit) override;
  absl::StatusOr<AwardProgress> AwardDraw(const DrawKey& key, int limit) override;
  absl::StatusOr<int64_t> PurgeDraws(int limit) override;

  // The next `calls` calls of DrawLedger's methods return kUnavailable and do nothing.
  void FailNext(int calls);

 private:
  // A rank, and whose it is.
  using Ranked = std::pair<std::string, Uuid>;
  struct Stored {
    Draw draw;                             // without the counts of awards
    std::map<Uuid, std::string> entries;   // buyers by their entries
    std::map<std::string, Uuid> by_buyer;  // the opposite
    std::map<int64_t, DrawChunk> chunks;   // by index
    std::optional<Uuid> ranked_to;
    std::set<Ranked> ranks;
    std::vector<DrawAward> awards;  // by place

    int64_t rows() const {
      return static_cast<int64_t>(1 + entries.size() + chunks.size() + ranks.size() + awards.size());
    }
  };
  using DrawsOfSku = std::map<int64_t, Stored>;  // by number

  // SHA-256.
  static std::string Digest(absl::string_view text);
  static const char* NameOf(DrawState state);
  static absl::Status StateError(const Draw& draw, absl::string_view detail);
  static bool IsOver(const Draw& draw);
  static absl::Status CheckNew(const NewDraw& asked);
  static bool IsAsAsked(const Draw& draw, const NewDraw& asked);
  // Of one draw: does the step without writing it. False if it was taken already.
  static absl::StatusOr<bool> TakeStep(Draw& draw, DrawStep step, const std::string& seed, absl::Time now);
  static absl::StatusOr<bool> TakeSeed(Draw& draw, const std::string& seed, absl::Time now);

  absl::Time DatabaseNow() const;
  absl::Status Enter() ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);
  Uuid RandomId() ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);
  // The draw, or the newest one for number 0. NoDrawError; kNotFound if there is no such SKU.
  absl::StatusOr<Stored*> Find(const DrawKey& key) ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);
  // As it is told, with the counts of awards.
  static Draw Told(const Stored& stored);
  void Audit(const Actor& actor, const char* action, const std::string& before, const Draw& after)
      ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);
  DrawEntryResult EnterOne(const DrawEntryClaim& claim) ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);

  // The steps of award_draw. Notes which pending awards were paid or have lapsed.
  void Settle(Stored& stored) ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);
  // Those whose turn is next.
  static std::vector<Ranked> NextRanks(const Stored& stored, size_t most);
  // Gives up to `most` places.
  absl::Status Give(Stored& stored, const std::vector<Ranked>& next, size_t most, AwardProgress* progress)
      ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);

  FakeLedger* const ledger_;
  Clock* const clock_;
  mutable absl::Mutex mutex_;
  std::map<std::string, DrawsOfSku> draws_ ABSL_GUARDED_BY(mutex_);
  std::map<std::string, int64_t> last_numbers_ ABSL_GUARDED_BY(mutex_);              // by SKU; of removed draws, too
  std::map<std::pair<std::string, int64_t>, Draw> removed_ ABSL_GUARDED_BY(mutex_);  // until they are purged
  int64_t removed_rows_ ABSL_GUARDED_BY(mutex_) = 0;                                 // of these
  uint64_t chances_ ABSL_GUARDED_BY(mutex_) = 0;                                     // that were taken
  int fail_next_ ABSL_GUARDED_BY(mutex_) = 0;
};

}  // namespace tranche::storage
