// Sends the calls about reservations to the shards that they concern, without blocking.
//
// A claim goes where the SKU's terms say; a change of a reservation to where its SKU is taken to be, if the caller
// names it, and to all shards otherwise. Whoever is asked wrongly says so: the ledger of each shard knows which SKUs
// are there.
#pragma once

#include <string>
#include <vector>

#include "quota/sale_backend.h"
#include "quota/sku_directory.h"
#include "quota/slice_table.h"
#include "server/handlers/change_handler.h"
#include "server/shards/ask_shards.h"
#include "server/shards/shard_set.h"
#include "storage/lifecycle_ledger.h"

namespace tranche::server {

// Thread-safe. Outlived by its dependencies.
class ShardRouter : public quota::SaleBackend {
 public:
  ShardRouter(ShardSet* shards, quota::SliceTable* slices) : shards_(shards), slices_(slices) {}

  // SaleBackend.
  void Submit(const std::string& shard, storage::IncarnationId incarnation, storage::ReservationClaim claim,
              absl::Time deadline, storage::CommitDone done) override;
  void Find(const storage::Uuid& reservation_id, FindDone done) override;

  void ReadSku(const std::string& sku_id, quota::SkuDirectory::ReadDone done);

  void Confirm(const std::string& sku_id, storage::Confirmation change, absl::Time deadline, ChangeCalls::Done done);
  void Cancel(const std::string& sku_id, storage::Cancellation change, absl::Time deadline, ChangeCalls::Done done);
  void Extend(const std::string& sku_id, storage::Extension change, absl::Time deadline, ChangeCalls::Done done);

  // These block.
  absl::StatusOr<storage::ChangeResult> ConfirmLate(const storage::Confirmation& payment);
  // Shard after shard; the cursor says which one is next.
  absl::StatusOr<storage::ReservationPage> List(const storage::ReservationFilter& filter,
                                                const storage::ReservationCursor& after, int limit);
  // For about a second at most. kUnavailable when some were not found and some shard did not say.
  absl::StatusOr<std::vector<storage::Reservation>> Read(absl::Span<const storage::Uuid> reservation_ids);

 private:
  absl::StatusOr<storage::CommitResult> AsItIs(ShardBackend& shard, storage::CommitResult found);
  template <typename Change>
  void Route(const std::string& sku_id, Change change, absl::Time deadline, ChangeCalls::Done done);

  ShardSet* const shards_;
  quota::SliceTable* const slices_;
};

}  // namespace tranche::server
