// Sends the calls about reservations to the shards that they concern, without blocking.
//
// A claim goes where the SKU's terms say; a change of a reservation to where its SKU is taken to be, if the caller
// names it, and to all shards otherwise. Whoever is asked wrongly says so: the ledger of each shard knows which SKUs
// are there.
#pragma once

#include <string>
#include <vector>

#include "storage/books.h"
#include "storage/ledger/lifecycle_ledger.h"
#include "storage/shards/ask_shards.h"
#include "storage/shards/shard_set.h"

namespace tranche::storage {

// Thread-safe. Outlived by its dependencies.
class ShardRouter : public storage::Books {
 public:
  explicit ShardRouter(ShardSet* shards) : shards_(shards) {}

  // SaleBackend.
  void Submit(const std::string& shard, IncarnationId incarnation, ReservationClaim claim, absl::Time deadline,
              CommitDone done) override;
  void Find(const Uuid& reservation_id, FindDone done) override;

  void ReadSku(const std::string& sku_id, Books::ReadSkuDone done);

  // `shard`: where the SKU is taken to be; "" where nobody knows.
  void Confirm(const std::string& shard, Confirmation change, absl::Time deadline, ChangeDone done);
  void Cancel(const std::string& shard, Cancellation change, absl::Time deadline, ChangeDone done);
  void Extend(const std::string& shard, Extension change, absl::Time deadline, ChangeDone done);

  // These block.
  absl::StatusOr<ChangeResult> ConfirmLate(const Confirmation& payment);
  // Shard after shard; the cursor says which one is next.
  absl::StatusOr<ReservationPage> List(const ReservationFilter& filter, const ReservationCursor& after, int limit);
  // For about a second at most. kUnavailable when some were not found and some shard did not say.
  absl::StatusOr<std::vector<Reservation>> Read(absl::Span<const Uuid> reservation_ids);

 private:
  absl::StatusOr<CommitResult> AsItIs(ShardBackend& shard, CommitResult found);
  template <typename Change>
  void Route(const std::string& shard, Change change, absl::Time deadline, ChangeDone done);

  ShardSet* const shards_;
};

}  // namespace tranche::storage
