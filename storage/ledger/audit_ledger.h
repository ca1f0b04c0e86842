// What the ledger records about itself: who changed what, and whether its books balance.
//
// Threads, blocking and errors are those of every ledger: storage/ledger/README.md.
#pragma once

#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "absl/time/time.h"
#include "storage/ledger/actor.h"
#include "storage/ledger/incarnation_id.h"

namespace tranche::storage {

// Who changed what, when, why, from what to what. Moves that no person has asked for have none.
struct AuditEntry {
  int64_t id = 0;
  absl::Time at;
  std::string actor;
  std::string action;
  std::string sku_id;                 // "" if it concerns no SKU
  IncarnationId incarnation = kPool;  // kPool if it concerns no single node
  std::string before;                 // JSON
  std::string after;                  // JSON
  std::string reason;                 // in the actor's words; "" if they gave none
  bool automatic = false;             // no person has asked for it
  // Of the incarnations that it is about, also of those that have ended. Members of `before` and `after` that are
  // numbers are incarnations, too.
  std::map<IncarnationId, std::string> nodes;
};

// Which entries are meant: those that match all that is given.
struct AuditFilter {
  std::string sku_id = {};
  // Exactly or, without an @, also with any @host behind it.
  std::string actor = {};
  std::string action = {};
  // From the one to before the other.
  absl::Time since = absl::InfinitePast();
  absl::Time until = absl::InfiniteFuture();
  // Also what no person has asked for.
  bool automatic = true;
};

// A change whose own transaction writes no entry.
struct AuditNote {
  Actor actor;
  std::string action;
  std::string sku_id;  // "" if it concerns no SKU
  std::string before;  // a JSON object
  std::string asked;   // a JSON object
};

struct LedgerViolation {
  std::string rule;
  std::string sku_id;
  std::string detail;
};

// How far a verification has come: all shards before `shard` are done (home is the first, the others follow by name),
// and of `shard` all SKUs up to `sku_id`. With several shards, the last part compares them: "~" instead of a name.
struct VerifyPosition {
  std::string shard;
  std::string sku_id;
};

struct VerifyReport {
  std::vector<LedgerViolation> violations;  // at most 1000
  int64_t skus_checked = 0;
  int64_t reservations_checked = 0;
  // From where the next page goes on; nothing after the last one.
  std::optional<VerifyPosition> next;
  // SKUs of the same shard that are still to be checked.
  int64_t skus_left = 0;
};

class AuditLedger {
 public:
  virtual ~AuditLedger() = default;

  // The newest first: the entries that match, with an id below `before` (0 = from the newest), at most `limit`. Ids are
  // per database, so ids of two shards have no order.
  virtual absl::StatusOr<std::vector<AuditEntry>> ListAudit(const AuditFilter& filter, int64_t before, int limit) = 0;

  // Begins the entry about a change before it is made, so that no change is without its entry: `after` is what was
  // asked for, with the outcome UNKNOWN until EndAudit. Returns its id. When the answer is lost, the entry may be
  // there.
  virtual absl::StatusOr<int64_t> BeginAudit(const AuditNote& note) = 0;
  // Adds the members of `result`, a JSON object with an "outcome" other than UNKNOWN, to `after`. False: the entry has
  // an outcome already, or there is none with this id.
  virtual absl::StatusOr<bool> EndAudit(int64_t id, const std::string& result) = 0;

  // Recomputes the invariants of the SKU ("" = of all) from scratch, in one snapshot.
  virtual absl::StatusOr<VerifyReport> Verify(const std::string& sku_id) = 0;
  // The same for the next SKUs, at most `max_skus` > 0, each page in a snapshot of its own. {} is the beginning. A SKU
  // that moves to another shard between two pages may be left out, or be checked twice. The page that compares shards
  // counts no SKUs.
  virtual absl::StatusOr<VerifyReport> VerifyPage(const VerifyPosition& after, int max_skus) = 0;
};

}  // namespace tranche::storage
