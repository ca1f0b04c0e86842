// The steps of one shard when a SKU moves: as the shard that it leaves, as the shard where it arrives, and as home.
// SkuMove (storage/shards/sku_move.h) combines them into the protocol.
//
// Rows travel in the database's own text form and are not parsed on the way.
//
// Threads, blocking and errors are those of every ledger: storage/ledger/README.md. kFailedPrecondition means that the
// SKU is not where the step expects it, or that the token is not the current attempt's. Tokens are UUIDs, each used for
// one attempt. Every step but BeginArrival and FinishArrival is safe to repeat. A late step of an attempt that is over
// does nothing.
#pragma once

#include <cstdint>
#include <string>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "storage/ledger/actor.h"
#include "storage/ledger/whereabouts_ledger.h"

namespace tranche::storage {

struct PreparedLeave {
  std::string sku_row;
  std::string since;  // a copy that begins now must later fetch the changes from here on
};

// Everything of a leaving SKU except what comes in pages.
struct ExportedSku {
  std::string sku_row, slots, incarnations, retired_units;
  std::string totals;  // equal for two equal copies of its reservations and groups
};

// The parts that come in pages. Lapsed reservations before live ones, groups before their members.
enum class SkuPart { kLapsed, kLive, kGroups, kGroupMembers, kGroupOffers, kLatePayments, kOutbox };

struct PageCursor {
  std::string user_id;  // of groups and offers: a place that only the database reads
  std::string id = "00000000-0000-0000-0000-000000000000";
};

struct SkuPage {
  std::string rows;
  int64_t count = 0;  // less than the limit: the last page
  PageCursor last;
};

class SkuMoveLedger : public WhereaboutsLedger {
 public:
  // Steps of the shard that it leaves.
  virtual absl::StatusOr<PreparedLeave> PrepareLeave(const std::string& sku_id, const std::string& token) = 0;
  virtual absl::StatusOr<std::string> Snapshot() = 0;
  // kUnavailable when transactions that are under way do not end within two seconds.
  virtual absl::Status BeginLeave(const std::string& sku_id, const std::string& token, const std::string& target,
                                  const Actor& actor) = 0;
  // Of reservations, groups and members, those that changed since (from a snapshot), or all (""). Other parts can only
  // be read of a leaving SKU.
  virtual absl::StatusOr<SkuPage> ExportPage(const std::string& sku_id, SkuPart part, const std::string& since,
                                             const PageCursor& after, int limit) = 0;
  virtual absl::StatusOr<ExportedSku> ExportSku(const std::string& sku_id, const std::string& token) = 0;
  // Sells again here. Call it only after CancelArrival. False if that attempt is over.
  virtual absl::StatusOr<bool> CancelLeave(const std::string& sku_id, const std::string& token, const Actor& actor) = 0;
  // Marks it as gone to the target. Call it only after FinishArrival.
  virtual absl::Status FinishLeave(const std::string& sku_id, const std::string& target, const std::string& token,
                                   const Actor& actor) = 0;
  // For a shard that may have been restored to before a move: `shard` has the SKU after `moves` moves. If fewer have
  // brought it to the copy here, the copy sells nothing from now on, and waits to be purged. False if not: the copy
  // here is the newer one, or there is none, or it is leaving for `shard`. A repetition is false, too.
  // kFailedPrecondition if home knows no such shard.
  virtual absl::StatusOr<bool> GiveUpOlderCopy(const std::string& sku_id, const std::string& shard, int64_t moves,
                                               const Actor& actor) = 0;

  // Steps of the shard where it arrives.
  virtual absl::Status BeginArrival(const std::string& sku_row, const std::string& source,
                                    const std::string& token) = 0;
  virtual absl::Status ImportPage(const std::string& sku_id, const std::string& token, SkuPart part,
                                  const std::string& rows) = 0;
  // This is the decision.
  virtual absl::Status FinishArrival(const ExportedSku& sku, const std::string& token, const Actor& actor) = 0;
  // Makes further steps of that mover fail. False if the SKU is here: then the decision was made.
  virtual absl::StatusOr<bool> CancelArrival(const std::string& sku_id) = 0;

  // Deletes up to `limit` rows of a SKU that has gone. 0: nothing is left.
  virtual absl::StatusOr<int64_t> Purge(const std::string& sku_id, int limit) = 0;
  // At home: notes which shard has it.
  virtual absl::Status NoteWhereabouts(const std::string& sku_id, const std::string& shard) = 0;
};

}  // namespace tranche::storage
