// The ledger as a front node's calls use it: all shards together, and without blocking.
#pragma once

#include <string>
#include <vector>

#include "absl/functional/any_invocable.h"
#include "absl/status/statusor.h"
#include "absl/time/time.h"
#include "storage/ledger/draw_ledger.h"
#include "storage/ledger/lifecycle_ledger.h"
#include "storage/ledger/partial_read.h"
#include "storage/ledger/quota_ledger.h"
#include "storage/ledger/reservation_ledger.h"
#include "storage/ledger/sku_ledger.h"
#include "storage/pipeline/change_pipeline.h"
#include "storage/pipeline/commit_pipeline.h"
#include "storage/pipeline/entry_pipeline.h"

namespace tranche::storage {

// Thread-safe. Callbacks come exactly once, inline or on another thread, and must not block.
//
// `shard` is where the SKU is believed to be; `deadline` is until when a request may wait before it is sent. Who needs
// an answer even then gives none: absl::InfiniteFuture.
//
// Errors of all calls:
//   kUnavailable         the ledger does not answer; nothing happened
//   kResourceExhausted   too many calls wait for it; nothing happened
//   kDeadlineExceeded    the deadline passed before it was sent; nothing happened
//   kCancelled           the node is stopping; nothing happened
//   IsUnknownCommit      it may or may not have happened
class Books {
 public:
  using CartDone = absl::AnyInvocable<void(absl::StatusOr<CartResult>)>;
  using RefuseDone = absl::AnyInvocable<void(absl::StatusOr<std::vector<RefuseResult>>)>;
  using FindDone = absl::AnyInvocable<void(absl::StatusOr<Reservation>)>;
  using ReadDone = absl::AnyInvocable<void(absl::StatusOr<std::vector<Reservation>>)>;
  using KnownDone = absl::AnyInvocable<void(absl::StatusOr<PartialRead>)>;
  using PageDone = absl::AnyInvocable<void(absl::StatusOr<ReservationPage>)>;
  using SkuDone = absl::AnyInvocable<void(absl::StatusOr<Sku>)>;
  using TakeDone = absl::AnyInvocable<void(absl::StatusOr<PoolTake>)>;

  virtual ~Books() = default;

  // In a batch with other claims. Only this shard is asked: if the SKU is elsewhere, it answers so.
  virtual void Commit(const std::string& shard, IncarnationId incarnation, ReservationClaim claim, absl::Time deadline,
                      CommitDone done) = 0;
  // All lines in one transaction of their own; see LifecycleLedger::CommitCart.
  virtual void CommitCart(const std::string& shard, IncarnationId incarnation, std::vector<ReservationClaim> lines,
                          absl::Time deadline, CartDone done) = 0;

  // See LifecycleLedger::RefuseClaims; on the shard, in one call. At most kMaxBatch of them. kUnavailable at once while
  // the shard does not answer.
  virtual void RefuseClaims(const std::string& shard, std::vector<ClaimRefusal> batch, absl::Time deadline,
                            RefuseDone done) = 0;

  // In a batch with other changes of the same kind. `shard` is a hint, "" for none: the others are asked as well.
  virtual void Apply(const std::string& shard, Change change, absl::Time deadline, ChangeDone done) = 0;
  // In a batch with other entries. `shard` is a hint, "" for none: the others are asked as well. kSkuNotFound when all
  // say that they do not have the SKU.
  virtual void EnterDraw(const std::string& shard, DrawEntryClaim claim, absl::Time deadline, EntryDone done) = 0;
  // A payment that Apply refused with kReservationState or kReservationNotFound; see LifecycleLedger::ConfirmLate.
  // `sku_id`: of the reservation, as the ledger said; "" if it did not. kUnavailable, too, for a SKU that earlier ones
  // have lately found locked.
  virtual void ConfirmLate(Payment payment, const std::string& sku_id, absl::Time deadline, ChangeDone done) = 0;

  // Asks all shards; kNotFound when all say that it does not exist.
  virtual void Find(const Uuid& reservation_id, Assurance assurance, absl::Time deadline, FindDone done) = 0;
  // Without a deadline: those who ask for one SKU at a time share one read, and its answer is kept.
  virtual void FindSku(const std::string& sku_id, SkuDone done) = 0;

  // See QuotaLedger::TakeFromPool. Only this shard is asked: kNotFound if the SKU is elsewhere.
  virtual void TakeFromPool(const std::string& shard, PoolRequest request, TakeDone done) = 0;

  // See ReservationLedger::FindReplicated; on the shard.
  virtual void FindReplicated(const std::string& shard, std::vector<Uuid> reservation_ids, absl::Time deadline,
                              ReadDone done) = 0;
  // Those of the ids that exist on any shard, unordered. At most kMaxBatch ids. kUnavailable when some were not found
  // and some shard did not answer.
  virtual void ReadAll(std::vector<Uuid> reservation_ids, absl::Time deadline, ReadDone done) = 0;
  // The same, with what is known when a shard does not answer. Errors: only if nothing was read.
  virtual void ReadKnown(std::vector<Uuid> reservation_ids, absl::Time deadline, KnownDone done) = 0;
  // Shard after shard; the cursor says which one is next. See LifecycleLedger::ListReservations.
  virtual void List(ReservationFilter filter, ReservationCursor after, int limit, absl::Time deadline,
                    PageDone done) = 0;
};

}  // namespace tranche::storage
