// What a front node's commit pipeline needs from the ledger: to book reservations, and to find them again. What happens
// to them afterwards is LifecycleLedger's (storage/ledger/lifecycle_ledger.h).
//
// Threads, blocking and errors are those of every ledger: storage/ledger/README.md.
#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "absl/time/time.h"
#include "absl/types/span.h"
#include "storage/base/log_trace.h"
#include "storage/ledger/incarnation_id.h"
#include "storage/ledger/refusal.h"
#include "storage/uuid.h"

namespace tranche::storage {

// The most reservations per call, here and in the other ledgers.
inline constexpr int kMaxBatch = 1024;

enum class ReservationState { kPending, kConfirmed, kCancelled, kExpired };

struct Reservation {
  Uuid reservation_id;
  std::string sku_id;
  std::string user_id;
  int32_t quantity = 0;
  ReservationState state = ReservationState::kPending;
  int64_t amount_minor = 0;
  std::string currency;
  absl::Time created_at;
  absl::Time expires_at;
  std::optional<absl::Time> finished_at = {};  // when it left kPending
  std::string payment_reference = {};          // of a confirmed one
  std::string cancel_reason = {};              // of a cancelled one
  int32_t extensions = 0;
  int32_t revision = 1;                    // grows with every change
  std::optional<Uuid> rebooked_from = {};  // the lapsed reservation whose late payment paid for this one
  std::string order_reference = {};        // the shop's id of its order; "" for none
  // That it was made for; of a claim that was refused for good (storage/ledger/claim_refusal.h) never.
  std::optional<Uuid> group_id = {};
};

// For a claim that joins a group: storage/ledger/group_ledger.h.
struct GroupJoin {
  Uuid group_id;
  // Opens the group with this offer, unless it exists; "": it must exist.
  std::string offer_id = {};
};

// What a buyer asks for. server/handlers checks the limits of the values; the ledger checks what its decisions depend
// on.
struct ReservationClaim {
  Uuid reservation_id;
  std::string sku_id;
  std::string user_id;
  int32_t quantity = 0;
  std::string order_reference = {};             // at most 128 bytes; a part of the payload like the others
  TraceTag trace = {};                          // of the call, for the log; no part of the payload
  std::shared_ptr<const GroupJoin> group = {};  // null: no group; a part of the payload
  bool has_token = false;  // a purchase token let it in: it may wait for longer; no part of the payload
};

// That it joins or opens.
inline std::optional<Uuid> GroupOfClaim(const ReservationClaim& claim) {
  return claim.group == nullptr ? std::nullopt : std::make_optional(claim.group->group_id);
}

// Does the reservation match the claim? If not, its id was used before with another payload.
inline bool IsOf(const Reservation& reservation, const ReservationClaim& claim) {
  // Of a claim that was refused for good, the hold ends when it begins; it has no group, whatever it was to join.
  const bool holds_nothing = reservation.expires_at == reservation.created_at;
  return reservation.sku_id == claim.sku_id && reservation.user_id == claim.user_id &&
         reservation.quantity == claim.quantity && reservation.order_reference == claim.order_reference &&
         (reservation.group_id == GroupOfClaim(claim) || holds_nothing);
}

enum class CommitOutcome {
  kCreated,
  kReplayed,  // same id, same payload: `reservation` is the first answer
  kNotHeld,   // the incarnation holds no slot of the SKU
  kShort,     // its slots have too few units; decided with all of them locked
  // With LockMode::kSkipLocked and kNoWait: what is needed is locked, and nothing was decided.
  kBusy,
  kRefused,  // `refusal` says why
  // Of a claim with a group: the answer depends on an earlier claim of the batch, and nothing was decided. To be sent
  // again. Of one buyer's claims that depend on each other, however many, few batches decide (join_groups.sql).
  kDepends,
};

struct CommitResult {
  CommitOutcome outcome = CommitOutcome::kShort;
  // For kCreated and kReplayed: the row as committed.
  Reservation reservation;
  // For kShort: the version of the slice that was too short. If it equals the announced one, no move is on its way: the
  // node's counter is too high.
  int64_t slice_version = 0;
  // For kRefused. kSkuMoving: the SKU is on its way to another shard, or gone there, and nothing was decided.
  Refusal refusal = Refusal::kNone;
  // For kSalePaused: what buyers are told about it.
  std::string pause_reason = {};
  // For kTooManyGroups: who has them, "user" or "sku".
  std::string about = {};
};

inline CommitResult RefusedClaim(Refusal refusal) {
  return {.outcome = CommitOutcome::kRefused, .reservation = {}, .refusal = refusal};
}

// What is done about rows that another transaction has locked.
enum class LockMode {
  kSkipLocked,   // for claims: takes one free slot per SKU; answers kBusy if that has too few units
  kWait,         // locks all slots of the slice in (sku, slot) order
  kWaitBriefly,  // as kWait, but waits for no lock for longer than kBriefLockWait; not for carts, whose wait is brief
  // As kWait, but rather than wait answers kBusy: to all claims for a SKU of whose slice any slot is locked, and to
  // every change that a locked row stands in the way of.
  kNoWait,
};

// Locks of this system are held for milliseconds, so that whoever waits for this long meets somebody else's.
inline constexpr absl::Duration kBriefLockWait = absl::Milliseconds(100);

inline bool MayWait(LockMode mode) { return mode == LockMode::kWait || mode == LockMode::kWaitBriefly; }

// What "found" promises.
enum class Assurance {
  kCommitted,
  kReplicated,  // as by FindReplicated
};

class ReservationLedger {
 public:
  virtual ~ReservationLedger() = default;

  // Commits a batch in one transaction. Ids in `claims` are distinct; at most kMaxBatch of them. Results are in the
  // order of `claims`. A claim of a dead or foreign incarnation gets kNotHeld: this is the fence of the first of the
  // six rules.
  virtual absl::StatusOr<std::vector<CommitResult>> CommitReservations(IncarnationId incarnation, LockMode mode,
                                                                       absl::Span<const ReservationClaim> claims) = 0;

  // The reservation, or kNotFound.
  virtual absl::StatusOr<Reservation> FindReservation(const Uuid& reservation_id) = 0;

  // Those of the ids that exist, unordered, once the synchronous standby has them, too, if there is one. At most
  // kMaxBatch ids. For looking up what an answer was lost about: a row can be read before its standby has it, if
  // somebody cancelled the wait, and is gone after a failover then. IsUnknownCommit if no standby confirms in time.
  virtual absl::StatusOr<std::vector<Reservation>> FindReplicated(absl::Span<const Uuid> reservation_ids) = 0;
};

}  // namespace tranche::storage
