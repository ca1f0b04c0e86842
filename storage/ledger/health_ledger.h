// Who runs, and whether anything waits at the ledger that should not: for operators and their monitoring.
//
// Threads, blocking and errors are those of every ledger: storage/ledger/README.md. Of one shard. Every call has a
// bounded cost, whatever is stored.
#pragma once

#include <algorithm>
#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/time/time.h"
#include "absl/types/span.h"
#include "storage/ledger/incarnation_id.h"
#include "storage/ledger/outbox_ledger.h"
#include "storage/uuid.h"

namespace tranche::storage {

// What a balancer or a worker says about itself at each shard that it serves. Durations end at the beat when it is
// written, and now when it is read.
struct Heartbeat {
  enum class Kind { kBalancer, kWorker };

  Kind kind = Kind::kWorker;
  Uuid instance;        // one run of one process: its own random id
  std::string name;     // 1 to 128 bytes
  std::string version;  // 1 to 64 bytes

  // Of a worker.
  bool expires = false;
  bool retires = false;
  bool draws = false;                   // carries draws on
  std::vector<std::string> sinks = {};  // at most kMostSinksTold are kept
  // Since its last successful expiry. nullopt: there was none.
  std::optional<absl::Duration> since_expiry = std::nullopt;

  // Of a balancer.
  bool leads = false;
  std::optional<absl::Duration> leads_for = std::nullopt;    // only while it leads
  std::optional<absl::Duration> since_led = std::nullopt;    // 0 while it leads; nullopt: it never did
  std::optional<absl::Duration> since_round = std::nullopt;  // the last that succeeded

  // Set by the ledger, by its clock.
  absl::Time started_at = absl::InfinitePast();
  absl::Duration age = {};  // of the last beat
  bool ended = false;       // in an orderly way, at the last beat
};

inline constexpr size_t kMostSinksTold = 32;

// Counts of LedgerHealth stop here: so many, or more.
inline constexpr int kMostCounted = 10'000;
inline constexpr int kMostPoolsTold = 10;

// A pool whose units a balancer should hand out.
struct WaitingPool {
  std::string sku_id;
  int64_t version = 0;  // grows when anybody takes from it or adds to it
  int64_t units = 0;
};

struct LedgerHealth {
  bool read_only = false;
  int64_t database_bytes = 0;  // 0: not known
  // Of the limit that leaves the fewest connections; 0 if nothing is limited.
  int connections_used = 0;
  int connections_limit = 0;

  // For how many standbys does a commit wait?
  int standbys_needed = 0;
  int64_t standbys = 0;  // that are connected
  // Those that a commit waits for; nullopt: this schema's owner may not see it.
  std::optional<int64_t> synchronous_standbys = std::nullopt;

  // Unpaid holds whose time is over; expiry puts them back within a second.
  int64_t overdue_holds = 0;
  absl::Duration oldest_overdue = {};
  // Payments that are to be refunded and were not seen to be.
  int64_t refunds_waiting = 0;
  absl::Duration oldest_refund = {};
  // That incarnations hold which have ended: nobody sells them.
  int64_t stranded_units = 0;

  // Of the first 1000 SKUs: how many there are, are on sale, and of those are without an unsold unit.
  int64_t skus = 0;
  int64_t open_skus = 0;
  int64_t sold_out_skus = 0;
  // Of the same: in their sale window, not closed, and paused. They are not among the open ones.
  int64_t paused_skus = 0;

  // SettingsLedger's, while it is frozen: since when and by whom.
  bool frozen = false;
  std::optional<absl::Time> frozen_at = std::nullopt;
  std::string frozen_by = {};
  // SettingsLedger's, too.
  bool claims_paused = false;

  std::vector<OutboxDepth> sinks = {};
  std::vector<WaitingPool> pools = {};  // at most kMostPoolsTold
};

// An incarnation that does not serve, and still matters.
struct GoneIncarnation {
  IncarnationId id = kPool;
  std::string node_name;
  std::string address;
  absl::Time started_at;
  // nullopt: the ledger has not ended it, so it keeps its units.
  std::optional<absl::Time> ended_at;
  int64_t units = 0;
};

inline constexpr int kMostGoneTold = 100;

// Units of one SKU's unpaid holds.
struct SkuHolds {
  std::string sku_id;
  int64_t pending = 0;
  // There may be more: this many were counted.
  bool more = false;
  // Those of them whose time is over.
  int64_t overdue = 0;
};

class HealthLedger {
 public:
  virtual ~HealthLedger() = default;

  // The process runs. Repeating it is harmless, and its loss, too. Does not wait for a standby.
  virtual absl::Status Beat(const Heartbeat& heartbeat) = 0;
  // It has ended in an orderly way. An unknown instance is ignored.
  virtual absl::Status EndBeat(Heartbeat::Kind kind, const Uuid& instance) = 0;
  // Those of the last day, at most 100 of a kind, the latest beat first.
  virtual absl::StatusOr<std::vector<Heartbeat>> Heartbeats() = 0;

  // Does it answer at all? Reads nothing that is stored.
  virtual absl::Status Ping() = 0;
  virtual absl::StatusOr<LedgerHealth> Health() = 0;
  // Besides those that serve: those that have not ended, that ended within the last hour, and that have ended and hold
  // units nevertheless. The newest first, at most kMostGoneTold.
  virtual absl::StatusOr<std::vector<GoneIncarnation>> GoneIncarnations(absl::Span<const IncarnationId> serving) = 0;
  // One for each of the SKUs, in any order. Counts MostHoldsOfEach of each.
  virtual absl::StatusOr<std::vector<SkuHolds>> CountHolds(absl::Span<const std::string> sku_ids) = 0;
};

// How many holds CountHolds counts of each of so many SKUs. They are read at each look at a SKU.
inline int MostHoldsOfEach(size_t skus) {
  constexpr size_t kInAll = 20'000, kAtLeast = 200;
  return static_cast<int>(std::max(kInAll / std::max<size_t>(skus, 1), kAtLeast));
}

}  // namespace tranche::storage
