#include "quota/coordination/sku_announcement.h"

#include "storage/mutation.h"

namespace tranche::quota {
namespace {

using internal::v1::SkuAnnouncement;

// 0 stands for "none" in the payload.
int64_t MicrosOrZero(absl::Time time) {
  if (time == absl::InfinitePast() || time == absl::InfiniteFuture()) return 0;
  return absl::ToUnixMicros(time);
}

}  // namespace

SkuAnnouncement ToAnnouncement(const storage::Sku& sku) {
  SkuAnnouncement announcement;
  announcement.set_sku_id(sku.sku_id);
  announcement.set_state(sku.closed ? SkuAnnouncement::STATE_CLOSED : SkuAnnouncement::STATE_OPEN);
  announcement.set_per_user_limit(sku.per_user_limit);
  announcement.set_opens_at_us(MicrosOrZero(sku.opens_at));
  announcement.set_closes_at_us(MicrosOrZero(sku.closes_at));
  announcement.set_version(sku.quota_version);
  announcement.set_unsold(sku.unsold);
  announcement.set_holds_may_lapse(sku.holds_may_lapse);
  if (sku.shard != storage::kHomeShard) announcement.set_shard(sku.shard);
  return announcement;
}

SkuTerms TermsOf(const SkuAnnouncement& announcement) {
  SkuTerms terms;
  terms.per_user_limit = announcement.per_user_limit();
  if (announcement.opens_at_us() != 0) terms.opens_at = absl::FromUnixMicros(announcement.opens_at_us());
  if (announcement.closes_at_us() != 0) terms.closes_at = absl::FromUnixMicros(announcement.closes_at_us());
  terms.closed = announcement.state() == SkuAnnouncement::STATE_CLOSED;
  terms.sold_out = announcement.unsold() == 0;
  terms.holds_may_lapse = announcement.holds_may_lapse();
  if (!announcement.shard().empty()) terms.shard = announcement.shard();
  return terms;
}

bool SameTerms(const SkuAnnouncement& a, const SkuAnnouncement& b) {
  const bool a_sold_out = a.unsold() == 0;
  return a_sold_out == (b.unsold() == 0) && (!a_sold_out || a.holds_may_lapse() == b.holds_may_lapse()) &&
         a.state() == b.state() && a.per_user_limit() == b.per_user_limit() && a.opens_at_us() == b.opens_at_us() &&
         a.closes_at_us() == b.closes_at_us() && a.shard() == b.shard();
}

bool Supersedes(const SkuAnnouncement& fresh, const SkuAnnouncement& present, bool always) {
  if (storage::Mutated(storage::Mutation::kSoldOutNeverLifted) && present.unsold() == 0) return false;
  if (fresh.version() < present.version()) return false;
  // Within one version units are only sold, so an announcement with unsold units was read earlier.
  if (fresh.version() == present.version() && fresh.unsold() > 0 && present.unsold() == 0) return false;
  return (always && fresh.version() > present.version()) || !SameTerms(fresh, present);
}

}  // namespace tranche::quota
