#include "server/handlers/catalog_handler.h"

#include <algorithm>
#include <utility>

#include "server/errors.h"
#include "server/handlers/field_checks.h"
#include "server/handlers/sku_messages.h"
#include "server/proto_time.h"
#include "storage/base/status_macros.h"

namespace tranche::server {
namespace {

// As catalog_service.proto promises.
constexpr int64_t kFewUnits = 10;
constexpr int64_t kFewOfStock = 20;  // one in so many

// A page has up to 100 SKUs of some 500 bytes.
ReadCacheOptions PageOptions() {
  ReadCacheOptions options;
  options.max_entries = 200;
  options.max_reads = 1;
  return options;
}

v1::CatalogSku ToCatalogSku(const storage::Sku& sku, absl::Time now) {
  v1::CatalogSku message;
  message.set_sku_id(sku.sku_id);
  message.set_title(sku.title);
  message.set_price_minor(sku.price_minor);
  message.set_currency(sku.currency);
  if (sku.opens_at > absl::InfinitePast()) *message.mutable_open_time() = ToTimestamp(sku.opens_at);
  if (sku.closes_at < absl::InfiniteFuture()) *message.mutable_close_time() = ToTimestamp(sku.closes_at);
  message.set_per_user_limit(sku.per_user_limit);
  *message.mutable_hold() = ToDuration(sku.hold);
  // Both enums have the same states.
  message.set_state(static_cast<v1::SaleState>(StateOf(sku, now)));
  if (message.state() == v1::SALE_STATE_PAUSED) message.set_pause_reason(sku.pause_reason);
  message.set_availability(AvailabilityOf(sku, now));
  return message;
}

google::protobuf::Duration AgeOf(absl::Time read_at, absl::Time now) {
  return ToDuration(std::max(absl::ZeroDuration(), now - read_at));
}

}  // namespace

v1::Availability AvailabilityOf(const storage::Sku& sku, absl::Time now) {
  if (sku.closed || now >= sku.closes_at) return v1::AVAILABILITY_NONE;
  if (sku.unsold == 0) return sku.holds_may_lapse ? v1::AVAILABILITY_NONE_FOR_NOW : v1::AVAILABILITY_NONE;
  const bool few = sku.unsold <= kFewUnits || sku.unsold <= sku.stock / kFewOfStock;
  return few ? v1::AVAILABILITY_FEW : v1::AVAILABILITY_PLENTY;
}

CatalogHandler::CatalogHandler(SkuCache::Read read_sku, PageCache::Read read_page, storage::Clock* clock)
    : clock_(clock),
      skus_(std::move(read_sku), clock, ReadCacheOptions{}),
      pages_(std::move(read_page), clock, PageOptions()) {}

void CatalogHandler::Get(const v1::CatalogServiceGetSkuRequest& request, absl::Time deadline, GetDone done) {
  if (const absl::Status valid = CheckSkuId(request.sku_id()); !valid.ok()) return done(valid);
  skus_.Get(request.sku_id(), deadline,
            [this, sku_id = request.sku_id(), done = std::move(done)](const SkuCache::Found& found) mutable {
              if (!found.ok()) return done(LedgerError(found.status(), sku_id, Repeatable::kYes));
              if (found->value == nullptr)
                return done(RefusalError({.refusal = storage::Refusal::kSkuNotFound}, sku_id));
              const absl::Time now = clock_->Now();
              v1::CatalogServiceGetSkuResponse response;
              *response.mutable_sku() = ToCatalogSku(*found->value, now);
              *response.mutable_age() = AgeOf(found->read_at, now);
              done(std::move(response));
            });
}

void CatalogHandler::List(const v1::CatalogServiceListSkusRequest& request, absl::Time deadline, ListDone done) {
  const absl::StatusOr<int> wanted = CheckPageSize(request.page_size());
  if (!wanted.ok()) return done(wanted.status());
  const absl::StatusOr<std::string> after = DecodePageToken(request.page_token());
  if (!after.ok()) return done(after.status());
  if (!after->empty() && !IsSkuId(*after)) {
    return done(InvalidField("page_token", "must be the next_page_token of the page before"));
  }
  pages_.Get(*after, deadline,
             [this, page_size = std::min(*wanted, kLargestPage),
              done = std::move(done)](const PageCache::Found& found) mutable {
               if (!found.ok()) return done(LedgerError(found.status(), "", Repeatable::kYes));
               done(Page(*found, page_size));
             });
}

v1::CatalogServiceListSkusResponse CatalogHandler::Page(const PageCache::Entry& entry, int page_size) const {
  const absl::Time now = clock_->Now();
  v1::CatalogServiceListSkusResponse response;
  *response.mutable_age() = AgeOf(entry.read_at, now);
  if (entry.value == nullptr) return response;
  for (const storage::Sku& sku : *entry.value) {
    // One more than wanted shows that there is a next page.
    if (response.skus_size() == page_size) {
      response.set_next_page_token(EncodePageToken(response.skus(page_size - 1).sku_id()));
      break;
    }
    *response.add_skus() = ToCatalogSku(sku, now);
  }
  return response;
}

}  // namespace tranche::server
