// Books over all shards: sends each call to the shards that it concerns.
//
// A claim goes where the SKU's terms say; a change of a reservation and an entry into a draw go where the SKU is
// believed to be, and to all shards if it is not there. A wrong shard says so: the ledger of each shard knows which
// SKUs are there.
#pragma once

#include <string>
#include <vector>

#include "storage/books.h"
#include "storage/clock.h"
#include "storage/executor.h"
#include "storage/ledger/partial_read.h"
#include "storage/shards/locked_skus.h"
#include "storage/shards/shard_set.h"

namespace tranche::storage {

// Thread-safe. Outlived by its dependencies.
class ShardRouter : public Books {
 public:
  // The executors run blocking calls that may concern any shard. Carts, refusals, reads and questions for units run on
  // their shard's, each of these on threads that the others leave to it, but refusals with carts.
  ShardRouter(ShardSet* shards, Executor* late_payments, Executor* lists, Clock* clock)
      : shards_(shards), late_payments_(late_payments), lists_(lists), clock_(clock), locked_skus_(clock) {}

  void Commit(const std::string& shard, IncarnationId incarnation, ReservationClaim claim, absl::Time deadline,
              CommitDone done) override;
  void CommitCart(const std::string& shard, IncarnationId incarnation, std::vector<ReservationClaim> lines,
                  absl::Time deadline, CartDone done) override;
  void RefuseClaims(const std::string& shard, std::vector<ClaimRefusal> batch, absl::Time deadline,
                    RefuseDone done) override;
  void Apply(const std::string& shard, Change change, absl::Time deadline, ChangeDone done) override;
  void EnterDraw(const std::string& shard, DrawEntryClaim claim, absl::Time deadline, EntryDone done) override;
  void ConfirmLate(Payment payment, const std::string& sku_id, absl::Time deadline, ChangeDone done) override;
  void Find(const Uuid& reservation_id, Assurance assurance, absl::Time deadline, FindDone done) override;
  // Without a deadline: many share the answer, also those who come while it is read (quota/sale/sku_directory.h).
  void FindSku(const std::string& sku_id, SkuDone done) override;
  // The same for page views, which are many: answers when no shard is still busy with it. Deadlines are looked at where
  // they wait for their turn (server/handlers/read_cache.h).
  void ViewSku(const std::string& sku_id, SkuDone done);
  void TakeFromPool(const std::string& shard, PoolRequest request, TakeDone done) override;
  void FindReplicated(const std::string& shard, std::vector<Uuid> reservation_ids, absl::Time deadline,
                      ReadDone done) override;
  void ReadAll(std::vector<Uuid> reservation_ids, absl::Time deadline, ReadDone done) override;
  void ReadKnown(std::vector<Uuid> reservation_ids, absl::Time deadline, KnownDone done) override;
  void List(ReservationFilter filter, ReservationCursor after, int limit, absl::Time deadline, PageDone done) override;

  // See LifecycleLedger::PreviewChange. Blocks.
  absl::StatusOr<ChangeResult> Preview(const Change& change);

  // Those of the ids that exist on the shards that answer. Blocks; with several shards for about a second at most. Call
  // it on a dedicated thread, so that it blocks no buyer's call.
  PartialRead ReadWhereAnswered(absl::Span<const Uuid> reservation_ids);

 private:
  absl::StatusOr<Reservation> AsItIs(ShardBackend& shard, Reservation found, Assurance assurance);
  absl::StatusOr<ChangeResult> TryLate(const Payment& payment, absl::Time deadline);
  absl::StatusOr<ChangeResult> AskLate(const Payment& payment);
  absl::StatusOr<ReservationPage> ReadPage(const ReservationFilter& filter, const ReservationCursor& after, int limit);

  ShardSet* const shards_;
  Executor* const late_payments_;
  Executor* const lists_;
  Clock* const clock_;
  LockedSkus locked_skus_;  // by late payments
};

}  // namespace tranche::storage
