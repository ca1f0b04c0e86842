#include "storage/shards/routing_group_ledger.h"

#include <algorithm>
#include <iterator>
#include <tuple>
#include <utility>

#include "absl/status/status.h"
#include "storage/base/status_macros.h"
#include "storage/shards/ask_in_turn.h"

namespace tranche::storage {
namespace {

// What the shard that has the SKU says, also that it has too many offers.
struct OfferAnswer {
  absl::StatusOr<GroupOffer> offer;
};

absl::Status WorkersDoThis() { return absl::UnimplementedError("groups are ended on each shard's own ledger"); }

// Calls `ask` with all shards; the first error ends it. Home is asked in any case, as if it were the only shard.
template <typename Ask>
absl::Status AskAllForGroups(const ShardSet& shards, const Ask& ask) {
  for (const auto& shard : shards.All()) {
    if (shard->name != kHomeShard && !shard->Answers()) return SilentShard(*shard);
    RETURN_IF_ERROR(ask(*shard->groups));
  }
  return absl::OkStatus();
}

// Reads what is about one SKU, which `sku_of` finds in an answer. A shard that a SKU is leaving does not know whether
// it has arrived at the other one: then the other shard's answer counts.
template <typename Ask, typename SkuOf>
auto ReadAt(const ShardSet& shards, ShardBackend& shard, const Ask& ask, const SkuOf& sku_of)
    -> decltype(ask(*shard.groups)) {
  auto answer = ask(*shard.groups);
  if (shards.All().size() == 1 || !answer.ok()) return answer;
  ASSIGN_OR_RETURN(const auto where, shard.whereabouts->Where(sku_of(*answer)));
  if (where.place != SkuWhereabouts::Place::kLeaving) return answer;
  const auto target = shards.Find(where.other_shard);
  if (target == nullptr) return absl::UnavailableError("the shard is not known here yet");
  auto there = ask(*target->groups);
  return absl::IsNotFound(there.status()) ? answer : there;
}

template <typename Ask, typename SkuOf>
auto ReadGroups(const ShardSet& shards, const Ask& ask, const SkuOf& sku_of) {
  return AskInTurn(shards, [&](ShardBackend& shard) { return ReadAt(shards, shard, ask, sku_of); });
}

}  // namespace

std::shared_ptr<ShardBackend> RoutingGroupLedger::LastPlaceOf(const std::string& sku_id) {
  std::string name;
  {
    absl::MutexLock lock(&mutex_);
    const auto place = places_.find(sku_id);
    if (place == places_.end()) return nullptr;
    name = place->second;
  }
  std::shared_ptr<ShardBackend> shard = shards_->Find(name);
  return shard != nullptr && shard->Answers() ? shard : nullptr;
}

void RoutingGroupLedger::Remember(const std::string& sku_id, const ShardBackend& shard) {
  absl::MutexLock lock(&mutex_);
  if (shard.name == kHomeShard) {
    places_.erase(sku_id);
    return;
  }
  if (places_.size() >= kMostPlaces && !places_.contains(sku_id)) places_.clear();
  places_[sku_id] = shard.name;
}

template <typename Ask>
auto RoutingGroupLedger::AskForGroup(const std::string& sku_id, const Ask& ask) {
  const auto ask_and_remember = [&](ShardBackend& shard) {
    auto answer = ask(shard);
    if (answer.ok() && !sku_id.empty()) Remember(sku_id, shard);
    return answer;
  };
  if (const auto last = sku_id.empty() ? nullptr : LastPlaceOf(sku_id); last != nullptr) {
    auto answer = ask_and_remember(*last);
    if (answer.ok() || !MayBeElsewhere(answer.status())) return answer;
  }
  return AskInTurn(*shards_, ask_and_remember);
}

absl::StatusOr<GroupOffer> RoutingGroupLedger::CreateGroupOffer(const GroupOffer& offer, bool preview,
                                                                const Actor& actor) {
  ASSIGN_OR_RETURN(OfferAnswer answer, AskInTurn(*shards_, [&](ShardBackend& shard) -> absl::StatusOr<OfferAnswer> {
                     absl::StatusOr<GroupOffer> created = shard.groups->CreateGroupOffer(offer, preview, actor);
                     const bool has_sku = absl::IsResourceExhausted(created.status());
                     if (!has_sku && MayBeElsewhere(created.status())) return created.status();
                     return OfferAnswer{std::move(created)};
                   }));
  return std::move(answer.offer);
}

absl::StatusOr<GroupOffer> RoutingGroupLedger::CloseGroupOffer(const std::string& sku_id, const std::string& offer_id,
                                                               bool preview, const Actor& actor) {
  return AskInTurn(
      *shards_, [&](ShardBackend& shard) { return shard.groups->CloseGroupOffer(sku_id, offer_id, preview, actor); });
}

absl::StatusOr<std::vector<GroupOffer>> RoutingGroupLedger::ListGroupOffers(const std::string& sku_id) {
  if (!sku_id.empty()) {
    return ReadGroups(
        *shards_, [&](GroupLedger& groups) { return groups.ListGroupOffers(sku_id); },
        [&](const std::vector<GroupOffer>&) { return sku_id; });
  }
  std::vector<GroupOffer> all;
  RETURN_IF_ERROR(AskAllForGroups(*shards_, [&](GroupLedger& groups) {
    absl::StatusOr<std::vector<GroupOffer>> offers = groups.ListGroupOffers("");
    if (offers.ok()) std::move(offers->begin(), offers->end(), std::back_inserter(all));
    return offers.status();
  }));
  // While a SKU moves, two shards may list it.
  const auto name = [](const GroupOffer& offer) { return std::tie(offer.sku_id, offer.offer_id); };
  std::stable_sort(all.begin(), all.end(), [&](const auto& a, const auto& b) { return name(a) < name(b); });
  all.erase(std::unique(all.begin(), all.end(), [&](const auto& a, const auto& b) { return name(a) == name(b); }),
            all.end());
  return all;
}

absl::StatusOr<Group> RoutingGroupLedger::CancelGroup(const Uuid& group_id, const std::string& sku_id,
                                                      const std::string& reason, bool preview, const Actor& actor) {
  return AskForGroup(
      sku_id, [&](ShardBackend& shard) { return shard.groups->CancelGroup(group_id, sku_id, reason, preview, actor); });
}

absl::StatusOr<GroupWithMembers> RoutingGroupLedger::GetGroup(const Uuid& group_id, const GroupLookup& lookup) {
  return AskForGroup(lookup.sku_id, [&](ShardBackend& shard) {
    return ReadAt(
        *shards_, shard, [&](GroupLedger& groups) { return groups.GetGroup(group_id, lookup); },
        [](const GroupWithMembers& found) { return found.group.sku_id; });
  });
}

absl::StatusOr<GroupPage> RoutingGroupLedger::ListGroups(const GroupFilter& filter, const GroupCursor& after,
                                                         int limit) {
  return ReadGroups(
      *shards_, [&](GroupLedger& groups) { return groups.ListGroups(filter, after, limit); },
      [&](const GroupPage&) { return filter.sku_id; });
}

absl::StatusOr<GroupCounts> RoutingGroupLedger::CountGroups() {
  GroupCounts sum;
  RETURN_IF_ERROR(AskAllForGroups(*shards_, [&](GroupLedger& groups) {
    const absl::StatusOr<GroupCounts> counts = groups.CountGroups();
    if (!counts.ok()) return counts.status();
    sum.forming += counts->forming;
    sum.overdue += counts->overdue;
    return absl::OkStatus();
  }));
  return sum;
}

absl::StatusOr<ExpiredGroups> RoutingGroupLedger::ExpireGroups(int) { return WorkersDoThis(); }

absl::StatusOr<int64_t> RoutingGroupLedger::RetireGroups(absl::Duration, int) { return WorkersDoThis(); }

}  // namespace tranche::storage
