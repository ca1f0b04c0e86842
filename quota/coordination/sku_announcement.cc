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

// A closed SKU is announced as such, paused or not: a node tells buyers the more lasting reason.
SkuAnnouncement::State AnnouncedStateOf(const storage::Sku& sku) {
  if (sku.closed) return SkuAnnouncement::STATE_CLOSED;
  return sku.paused ? SkuAnnouncement::STATE_PAUSED : SkuAnnouncement::STATE_OPEN;
}

SkuAnnouncement::ClaimPath AnnouncedPathOf(const storage::Sku& sku) {
  switch (sku.claim_path) {
    case storage::ClaimPath::kQueue:
      return SkuAnnouncement::CLAIM_PATH_QUEUE;
    case storage::ClaimPath::kAuto:
      return SkuAnnouncement::CLAIM_PATH_AUTO;
    case storage::ClaimPath::kDirect:
      break;
  }
  return SkuAnnouncement::CLAIM_PATH_UNSPECIFIED;
}

// A path of a later version is none that this one could take.
storage::ClaimPath PathOf(const SkuAnnouncement& announcement) {
  if (announcement.claim_path() == SkuAnnouncement::CLAIM_PATH_QUEUE) return storage::ClaimPath::kQueue;
  if (announcement.claim_path() == SkuAnnouncement::CLAIM_PATH_AUTO) return storage::ClaimPath::kAuto;
  return storage::ClaimPath::kDirect;
}

}  // namespace

// Servers of earlier versions announce only whether anything is unsold.
int64_t AtMost(const SkuAnnouncement& announcement) {
  if (announcement.has_at_most()) return announcement.at_most();
  return announcement.unsold() == 0 ? 0 : SkuTerms::kPlenty;
}

SkuAnnouncement ToAnnouncement(const storage::Sku& sku) {
  SkuAnnouncement announcement;
  announcement.set_sku_id(sku.sku_id);
  announcement.set_state(AnnouncedStateOf(sku));
  if (announcement.state() == SkuAnnouncement::STATE_PAUSED) announcement.set_pause_reason(sku.pause_reason);
  announcement.set_per_user_limit(sku.per_user_limit);
  announcement.set_opens_at_us(MicrosOrZero(sku.opens_at));
  announcement.set_closes_at_us(MicrosOrZero(sku.closes_at));
  announcement.set_version(sku.quota_version);
  announcement.set_unsold(sku.unsold);
  if (storage::IsScarce(sku)) announcement.set_at_most(sku.unsold);
  announcement.set_holds_may_lapse(sku.holds_may_lapse);
  if (sku.shard != storage::kHomeShard) announcement.set_shard(sku.shard);
  announcement.set_claim_path(AnnouncedPathOf(sku));
  return announcement;
}

SkuTerms TermsOf(const SkuAnnouncement& announcement) {
  SkuTerms terms;
  terms.per_user_limit = announcement.per_user_limit();
  if (announcement.opens_at_us() != 0) terms.opens_at = absl::FromUnixMicros(announcement.opens_at_us());
  if (announcement.closes_at_us() != 0) terms.closes_at = absl::FromUnixMicros(announcement.closes_at_us());
  terms.closed = announcement.state() == SkuAnnouncement::STATE_CLOSED;
  terms.paused = announcement.state() == SkuAnnouncement::STATE_PAUSED;
  terms.pause_reason = announcement.pause_reason();
  terms.at_most = AtMost(announcement);
  terms.holds_may_lapse = announcement.holds_may_lapse();
  if (!announcement.shard().empty()) terms.shard = announcement.shard();
  terms.announced = true;
  terms.version = announcement.version();
  terms.claim_path = PathOf(announcement);
  return terms;
}

bool SameTerms(const SkuAnnouncement& a, const SkuAnnouncement& b) {
  const int64_t at_most = AtMost(a);
  const bool scarce = at_most != SkuTerms::kPlenty;
  return at_most == AtMost(b) && (!scarce || a.holds_may_lapse() == b.holds_may_lapse()) && a.state() == b.state() &&
         a.per_user_limit() == b.per_user_limit() && a.opens_at_us() == b.opens_at_us() &&
         a.closes_at_us() == b.closes_at_us() && a.shard() == b.shard() && a.pause_reason() == b.pause_reason() &&
         a.claim_path() == b.claim_path();
}

bool Supersedes(const SkuAnnouncement& fresh, const SkuAnnouncement& present, bool always) {
  if (storage::Mutated(storage::Mutation::kSoldOutNeverLifted) && present.unsold() == 0) return false;
  // The ledger cannot be raised above it, and has not come there by itself: it was written by hand.
  if (!storage::MayRaise(fresh.version(), present.version())) return true;
  if (fresh.version() < present.version()) return false;
  // Within one version scarce units are only sold (storage/sql/procedures/return_units.sql), so an announcement with
  // more of them was read earlier.
  if (fresh.version() == present.version() && AtMost(fresh) > AtMost(present)) return false;
  return (always && fresh.version() > present.version()) || !SameTerms(fresh, present);
}

bool IsAhead(int64_t version, int64_t at_most, const storage::Sku& read) {
  const int64_t left = TermsOf(read).at_most;
  return version > read.quota_version || (version == read.quota_version && at_most < left);
}

bool IsAhead(int64_t version, std::optional<int64_t> units, const storage::HeldSlice& read) {
  return version > read.version || (version == read.version && units.value_or(read.allotted) != read.allotted);
}

}  // namespace tranche::quota
