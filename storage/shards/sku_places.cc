#include "storage/shards/sku_places.h"

#include <algorithm>
#include <set>
#include <utility>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "absl/strings/string_view.h"
#include "storage/base/status_macros.h"

namespace tranche::storage {
namespace {

using At = SkuWhereabouts::Place;

// Besides the first one.
constexpr int kLooks = 4;

bool LeavesFor(const SkuPlace& from, const SkuPlace& to) {
  return from.where.place == At::kLeaving && from.where.other_shard == to.shard;
}

// Neither is what a move leaves behind until the other one is told.
bool BothHave(const SkuPlace& a, const SkuPlace& b) {
  return HasSku(a.where) && HasSku(b.where) && !LeavesFor(a, b) && !LeavesFor(b, a);
}

const SkuPlace* FindPlace(const SkuPlaces& places, absl::string_view shard) {
  const auto found =
      std::find_if(places.begin(), places.end(), [&](const auto& place) { return place.shard == shard; });
  return found == places.end() ? nullptr : &*found;
}

std::string Several(const SkuPlaces& before, const SkuPlaces& now) {
  std::set<size_t> having;
  for (size_t a = 0; a < now.size(); ++a) {
    for (size_t b = a + 1; b < now.size(); ++b) {
      if (!BothHave(before[a], before[b]) || !BothHave(now[a], now[b])) continue;
      // In the order of the looks, which is the only one in which it can have moved.
      const bool may_have_moved = before[a].where.version < before[b].where.version &&
                                  before[b].where.version < now[a].where.version &&
                                  now[a].where.version < now[b].where.version;
      if (!may_have_moved) having.insert({a, b});
    }
  }
  return absl::StrJoin(having, " and ", [&](std::string* out, size_t i) { absl::StrAppend(out, now[i].shard); });
}

// Where each shard believes the SKU to be.
std::string Beliefs(const SkuPlaces& places) {
  std::vector<std::string> beliefs;
  for (const SkuPlace& place : places) {
    switch (place.where.place) {
      case At::kNowhere:
        beliefs.push_back(absl::StrCat(place.shard, " does not know it"));
        break;
      case At::kHere:
        beliefs.push_back(absl::StrCat(place.shard, " has it"));
        break;
      case At::kLeaving:
        beliefs.push_back(absl::StrCat(place.shard, " says it is leaving for ", place.where.other_shard));
        break;
      case At::kGone:
        beliefs.push_back(absl::StrCat(place.shard, " says it has gone to ", place.where.other_shard));
        break;
      case At::kArriving:
        beliefs.push_back(absl::StrCat(place.shard, " says it is coming from ", place.where.other_shard));
        break;
    }
  }
  return absl::StrJoin(beliefs, ", ");
}

bool NoneHasHadIt(const SkuPlaces& before, const SkuPlaces& now) {
  bool known = false;
  for (size_t i = 0; i < now.size(); ++i) {
    const SkuWhereabouts& was = before[i].where;
    const SkuWhereabouts& is = now[i].where;
    if (HasSku(was) || HasSku(is) || was.version != is.version) return false;
    if (is.place == At::kNowhere) continue;
    known = known || !was.only_reserved;
    if (FindPlace(now, is.other_shard) == nullptr) return false;
  }
  return known;
}

// A move makes a row at the shard where the SKU arrives before the SKU begins to leave, and no row vanishes.
bool LeavesForNowhere(const SkuPlaces& before, const SkuPlaces& now) {
  for (size_t i = 0; i < now.size(); ++i) {
    if (before[i].where.place != At::kLeaving || now[i].where.place != At::kLeaving) continue;
    if (before[i].where.other_shard != now[i].where.other_shard) continue;
    const SkuPlace* const target = FindPlace(now, now[i].where.other_shard);
    if (target != nullptr && target->where.place == At::kNowhere) return true;
  }
  return false;
}

std::string None(const SkuPlaces& before, const SkuPlaces& now) {
  return NoneHasHadIt(before, now) || LeavesForNowhere(before, now) ? Beliefs(now) : std::string();
}

// `judge` says what two looks prove. A look is compared with itself first, which says whether it is worth another one.
template <typename Judge>
absl::StatusOr<std::string> Prove(SkuPlaces look, const LookAtSku& look_again, const Judge& judge) {
  for (int i = 0; i < kLooks; ++i) {
    if (judge(look, look).empty()) return std::string();
    ASSIGN_OR_RETURN(SkuPlaces next, look_again());
    std::string proven = judge(look, next);
    if (!proven.empty()) return proven;
    look = std::move(next);
  }
  return std::string();
}

}  // namespace

bool HasSku(const SkuWhereabouts& where) { return where.place == At::kHere || where.place == At::kLeaving; }

absl::StatusOr<SkuPlaces> LookAt(const ShardList& shards, const std::string& sku_id) {
  SkuPlaces places;
  for (const auto& shard : shards) {
    ASSIGN_OR_RETURN(SkuWhereabouts where, shard->whereabouts->Where(sku_id));
    places.push_back({shard->name, std::move(where)});
  }
  return places;
}

absl::StatusOr<std::string> OnSeveralShards(SkuPlaces first_look, const LookAtSku& look_again) {
  return Prove(std::move(first_look), look_again, Several);
}

absl::Status OnSeveralShardsError(const std::string& shards) {
  return absl::FailedPreconditionError(absl::StrCat(
      "it is on ", shards,
      ", and each may sell it: one of them was restored to before a move. The balancers give the older "
      "copy up within seconds if they can tell which it is. If they do not, take it out, as \"An older copy "
      "came back\" in docs/operations.md says"));
}

absl::StatusOr<std::string> OnNoShard(SkuPlaces first_look, const LookAtSku& look_again) {
  return Prove(std::move(first_look), look_again, None);
}

}  // namespace tranche::storage
