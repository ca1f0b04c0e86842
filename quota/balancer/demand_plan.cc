#include "quota/balancer/demand_plan.h"

#include <algorithm>
#include <iterator>

#include "quota/balancer/allocation.h"

namespace tranche::quota {
namespace {

using storage::IncarnationId;
using storage::QuotaDelta;
using storage::QuotaSnapshot;

// Weight of a node that has buyers but no measured rate yet: one request per second.
constexpr int64_t kLeastMilliRate = 1000;
// For a SKU whose units stay in the pool, a node gets this many seconds of its demand, and at least this many lots.
constexpr int64_t kSecondsOfDemand = 2;
constexpr int64_t kLeastLots = 8;

// One holder other than the pool.
struct Party {
  IncarnationId holder = storage::kPool;
  int64_t has = 0;  // without units in flight
  int64_t wanted = 0;
  int64_t milli_rate = 0;
  bool receives = false;
  bool low = false;
  int64_t target = 0;
  int64_t gets = 0;
  int64_t gives = 0;

  bool dry() const { return receives && wanted > 0 && has < wanted; }
  int64_t missing() const { return wanted - has; }
  bool idle() const { return milli_rate == 0 && wanted == 0; }
};

class Plan {
 public:
  Plan(const QuotaSnapshot& quota, absl::Span<const IncarnationId> receivers, const DemandByNode& demand,
       bool pool_feeds, const DemandPlanOptions& options)
      : options_(options), pool_feeds_(pool_feeds) {
    AddParties(quota, receivers, demand);
  }

  std::vector<QuotaDelta> Make() {
    if (!SomebodyNeeds()) return {};
    SetTargets();
    ServeTheDry();
    RaiseTowardsTargets();
    return Deltas();
  }

 private:
  void AddParties(const QuotaSnapshot& quota, absl::Span<const IncarnationId> receivers, const DemandByNode& demand) {
    auto receiver = receivers.begin();
    const auto add = [&](IncarnationId holder, int64_t remaining, int64_t version, bool receives) {
      Party party{.holder = holder, .has = remaining, .receives = receives};
      if (const auto found = demand.find(holder); receives && found != demand.end()) {
        const NodeDemand& says = found->second;
        party.wanted = says.wanted;
        party.milli_rate = says.milli_rate;
        // Units in flight are as good as sold: the node cannot grant them, and they should not be taken from it.
        if (says.slice_version == version) party.has = std::clamp<int64_t>(says.free, 0, remaining);
      }
      total_ += party.has;
      parties_.push_back(party);
    };
    // Both ascend by id.
    for (const storage::HeldSlice& slice : quota.slices) {
      if (slice.holder == storage::kPool) {
        pool_ = slice.remaining;
        total_ += pool_;
        continue;
      }
      for (; receiver != receivers.end() && *receiver < slice.holder; ++receiver) add(*receiver, 0, 0, true);
      const bool receives = receiver != receivers.end() && *receiver == slice.holder;
      if (receives) ++receiver;
      add(slice.holder, slice.remaining, slice.version, receives);
    }
    for (; receiver != receivers.end(); ++receiver) add(*receiver, 0, 0, true);
  }

  bool SomebodyNeeds() {
    bool needs = false;
    for (Party& party : parties_) {
      party.low = party.receives && !party.dry() && IsLow(party.has, party.milli_rate, options_);
      if (party.wanted > total_) continue;
      // Includes nodes that were served and have not heard of it: otherwise the targets would change with every look.
      lot_ = std::max(lot_, party.wanted);
      needs = needs || party.dry() || party.low;
    }
    return needs && total_ > 0;
  }

  void SetTargets() {
    int64_t total_rate = 0;
    int64_t receivers = 0;
    for (const Party& party : parties_) {
      if (!party.receives) continue;
      ++receivers;
      total_rate += WeightOf(party);
    }
    const int64_t even = pool_feeds_ ? 0 : total_rate / (options_.even_divisor * receivers);
    std::vector<int64_t> weights;
    for (const Party& party : parties_) weights.push_back(party.receives ? WeightOf(party) + even : 0);
    const std::vector<int64_t> shares = ShareByWeight(total_ / lot_, weights);
    for (size_t i = 0; i < parties_.size(); ++i) {
      Party& party = parties_[i];
      party.target = shares[i] * lot_;
      if (pool_feeds_) {
        party.target = std::min(party.target,
                                std::max(kLeastLots * lot_, WeightOf(party) * kSecondsOfDemand / 1000 / lot_ * lot_));
      }
    }
  }

  static int64_t WeightOf(const Party& party) {
    return party.wanted > 0 ? std::max(party.milli_rate, kLeastMilliRate) : party.milli_rate;
  }

  // What a party that is not dry can do without.
  int64_t Surplus(const Party& party) const {
    if (!party.receives || party.idle()) return party.has;
    if (AboutToSell(party)) return 0;
    const int64_t above = party.has - std::max(party.target, party.wanted);
    return above > party.target / options_.hysteresis_divisor ? above : 0;
  }

  // What a seller could spare if otherwise another node's buyers got nothing at all.
  int64_t LastResort(const Party& party) const {
    return AboutToSell(party) ? 0 : party.has - party.wanted;  // party.wanted was given for its own buyers
  }

  bool AboutToSell(const Party& party) const {
    return party.low || party.has * 1'000'000 < party.milli_rate * options_.keep_ms;
  }

  // Gives as many dry nodes as possible what their buyers ask for, the smallest demand first. Nodes that cannot be
  // served have no use for what they hold: it serves the others.
  void ServeTheDry() {
    std::vector<Party*> dry;
    int64_t supply = pool_;
    int64_t last_resort = 0;
    for (Party& party : parties_) {
      if (party.dry()) {
        dry.push_back(&party);
      } else {
        supply += Surplus(party);
        last_resort += std::max<int64_t>(0, LastResort(party) - Surplus(party));
      }
    }
    std::sort(dry.begin(), dry.end(), [](const Party* a, const Party* b) {
      if (a->wanted != b->wanted) return a->wanted < b->wanted;
      return a->milli_rate != b->milli_rate ? a->milli_rate > b->milli_rate : a->holder < b->holder;
    });
    int64_t missing = 0;
    for (const Party* party : dry) missing += party->missing();
    int64_t left_over = 0;
    while (!dry.empty() && missing > supply + last_resort + left_over) {
      missing -= dry.back()->missing();
      left_over += dry.back()->has;
      unserved_.push_back(dry.back());
      dry.pop_back();
    }
    for (Party* party : dry) party->gets = party->missing();
    force_ = missing > supply + left_over;
    supply_ = supply + left_over - missing;
  }

  // Brings nodes that need units towards their targets with what is left, in whole lots.
  void RaiseTowardsTargets() {
    if (!force_) supply_ -= SurplusOfMoreDonors();
    if (force_ || supply_ < lot_) return;
    std::vector<int64_t> needs;
    int64_t total_need = 0;
    for (const Party& party : parties_) {
      const bool gets = party.gets > 0 || party.low;
      int64_t need = gets ? std::max<int64_t>(0, party.target - party.has - party.gets) / lot_ : 0;
      // A node that is only about to be dry is not urgent: small corrections are not worth a move.
      if (party.low && need * lot_ <= party.target / options_.hysteresis_divisor) need = 0;
      needs.push_back(need);
      total_need += need;
    }
    if (total_need == 0) return;
    const std::vector<int64_t> raised = ShareByWeight(std::min(supply_ / lot_, total_need), needs);
    for (size_t i = 0; i < parties_.size(); ++i) parties_[i].gets += raised[i] * lot_;
  }

  // The surplus of the donors after the first kMostDonors. Beyond what their buyers ask for, the dry nodes share only
  // what the first kMostDonors have; when they run low again, the next donors give.
  int64_t SurplusOfMoreDonors() {
    std::vector<Party*> donors = Donors();
    std::erase_if(donors, [this](const Party* party) { return Surplus(*party) == 0; });
    int64_t surplus = 0;
    for (auto i = static_cast<size_t>(kMostDonors); i < donors.size(); ++i) surplus += Surplus(*donors[i]);
    return surplus;
  }

  // Those that miss their units least come first.
  std::vector<Party*> Donors() {
    std::vector<Party*> donors;
    for (Party& party : parties_) {
      if (!party.dry() && party.gets == 0) donors.push_back(&party);
    }
    std::sort(donors.begin(), donors.end(), [&](const Party* a, const Party* b) {
      if (RankOf(*a) != RankOf(*b)) return RankOf(*a) < RankOf(*b);
      return Surplus(*a) != Surplus(*b) ? Surplus(*a) > Surplus(*b) : a->holder < b->holder;
    });
    return donors;
  }

  // Takes the units to give from as few slices as possible.
  std::vector<QuotaDelta> Deltas() {
    int64_t needed = -pool_;
    for (const Party& party : parties_) needed += party.gets;
    std::vector<Party*> donors = Donors();
    for (Party* donor : donors) TakeFrom(*donor, Surplus(*donor), &needed);
    for (Party* party : unserved_) TakeFrom(*party, party->has, &needed);
    if (force_) {
      std::sort(donors.begin(), donors.end(), [](const Party* a, const Party* b) { return a->has > b->has; });
      for (Party* donor : donors) TakeFrom(*donor, LastResort(*donor), &needed);
    }
    std::vector<QuotaDelta> deltas;
    for (const Party& party : parties_) {
      if (party.gets != party.gives) deltas.push_back({party.holder, party.gets - party.gives});
    }
    return deltas;
  }

  static int RankOf(const Party& party) { return !party.receives ? 0 : party.idle() ? 1 : 2; }

  static void TakeFrom(Party& donor, int64_t at_most, int64_t* needed) {
    const int64_t taken = std::clamp<int64_t>(at_most - donor.gives, 0, std::max<int64_t>(0, *needed));
    donor.gives += taken;
    *needed -= taken;
  }

  const DemandPlanOptions options_;
  const bool pool_feeds_;
  std::vector<Party> parties_;  // ascending by holder
  int64_t pool_ = 0;
  int64_t total_ = 0;
  int64_t lot_ = 1;
  std::vector<Party*> unserved_;
  bool force_ = false;
  int64_t supply_ = 0;  // what is left when the dry are served; below 0 if units must be taken by force
};

}  // namespace

bool IsLow(int64_t units, int64_t milli_rate, const DemandPlanOptions& options) {
  return units < milli_rate * options.low_water_ms / 1'000'000;
}

std::vector<QuotaDelta> PlanForDemand(const QuotaSnapshot& quota, absl::Span<const IncarnationId> receivers,
                                      const DemandByNode& demand, bool pool_feeds, const DemandPlanOptions& options) {
  return Plan(quota, receivers, demand, pool_feeds, options).Make();
}

}  // namespace tranche::quota
