// CatalogService, without gRPC: what visitors of a shop may see of SKUs, from a cache.
#pragma once

#include <string>
#include <vector>

#include "absl/functional/any_invocable.h"
#include "absl/status/statusor.h"
#include "absl/time/time.h"
#include "server/handlers/read_cache.h"
#include "storage/clock.h"
#include "storage/ledger/sku_ledger.h"
#include "tranche/v1/catalog_service.pb.h"

namespace tranche::server {

// How many are left at `now`, in words.
v1::Availability AvailabilityOf(const storage::Sku& sku, absl::Time now);

// Thread-safe. Outlived by its clock and by what the reads use.
class CatalogHandler {
 public:
  using SkuCache = ReadCache<storage::Sku>;
  using PageCache = ReadCache<std::vector<storage::Sku>>;
  // Called exactly once, inline or on another thread; must not block.
  using GetDone = absl::AnyInvocable<void(absl::StatusOr<v1::CatalogServiceGetSkuResponse>)>;
  using ListDone = absl::AnyInvocable<void(absl::StatusOr<v1::CatalogServiceListSkusResponse>)>;

  static constexpr int kLargestPage = 100;

  // `read_sku` reads one SKU, and `read_page` the first kLargestPage + 1 SKUs after the key, which is "" or an id.
  CatalogHandler(SkuCache::Read read_sku, PageCache::Read read_page, storage::Clock* clock);

  // `request` is not used after these return. `deadline` is the caller's: nothing is read for those who are gone when
  // its turn comes.
  void Get(const v1::CatalogServiceGetSkuRequest& request, absl::Time deadline, GetDone done);
  void List(const v1::CatalogServiceListSkusRequest& request, absl::Time deadline, ListDone done);

 private:
  v1::CatalogServiceListSkusResponse Page(const PageCache::Entry& entry, int page_size) const;

  storage::Clock* const clock_;
  SkuCache skus_;
  PageCache pages_;
};

}  // namespace tranche::server
