#include "tests/simulation/door/door_staff.h"

#include <algorithm>
#include <iterator>
#include <utility>

namespace tranche::simulation {
namespace {

constexpr absl::Duration kLongestLeadPause = absl::Seconds(12);
constexpr double kBalancerDies = 0.02;
constexpr double kTellsRoundBefore = 0.05;
constexpr uint64_t kFirstLate = uint64_t{1} << 63;

}  // namespace

void DoorOperators::Start() {
  const absl::Duration pause = cluster_->plan().between_changes;
  scheduler_->After(random_.Between(absl::ZeroDuration(), 2 * pause), [this] {
    if (stopped_) return;
    Change();
    Start();
  });
}

void DoorOperators::Stop() {
  stopped_ = true;
  for (const std::string& subject : subjects_) cluster_->home().Unlist(subject);
}

void DoorOperators::Change() {
  const int64_t kind = random_.Below(10);
  if (kind < 5) return ChangeList();
  if (kind < 8) return ChangeTerms();
  cluster_->home().RotateKeys(/*replace_all=*/kind == 9 && random_.Chance(0.3));
}

void DoorOperators::ChangeList() {
  const std::string& subject = random_.Pick(subjects_);
  if (random_.Chance(0.3)) return cluster_->home().Unlist(subject);
  const bool allow = random_.Chance(0.3);
  const absl::Time expires_at = scheduler_->Now() + random_.Between(absl::Seconds(20), absl::Minutes(8));
  cluster_->home().List(subject, allow, expires_at);
}

void DoorOperators::ChangeTerms() {
  const auto books = cluster_->home().books();
  const auto chosen = std::next(books->skus.begin(), random_.Below(static_cast<int64_t>(books->skus.size())));
  DoorTerms terms = chosen->second;
  if (terms.has_round() && random_.Chance(0.5)) {
    return cluster_->home().SetTerms(chosen->first, std::move(terms), /*new_round=*/true);
  }
  if (terms.admitted_per_million.has_value()) {
    terms.admitted_per_million = std::min(*terms.admitted_per_million + 50'000, 1'000'000);
  }
  terms.limits = DoorLimitsLike(random_, terms.limits);
  cluster_->home().SetTerms(chosen->first, std::move(terms), /*new_round=*/false);
}

void DoorBalancer::Start() {
  scheduler_->After(random_.Between(absl::Seconds(1), kLongestLeadPause), [this] {
    if (scheduler_->Now() >= dead_until_) Lead();
    Start();
  });
}

void DoorBalancer::NoteWaiting(int64_t round, uint64_t rank) {
  if (round == round_) waiting_.insert(rank);
}

void DoorBalancer::LetAllIn() {
  all_in_ = true;
  dead_until_ = absl::InfinitePast();
}

void DoorBalancer::Lead() {
  const int64_t round = cluster_->home().books()->TermsOf(kRoomSku)->round;
  if (round != round_) {
    if (!all_in_ && random_.Chance(kTellsRoundBefore)) return cluster_->Tell(round_, threshold_);
    round_ = round;
    threshold_ = 0;
    told_ = {0};
    waiting_.clear();
  }
  if (!all_in_ && random_.Chance(kBalancerDies)) {
    dead_until_ = scheduler_->Now() + random_.Between(absl::Seconds(10), absl::Minutes(1));
    // The next one finds what somebody wrote long ago.
    threshold_ = random_.Pick(told_);
    return;
  }
  Advance();
  told_.push_back(threshold_);
  cluster_->Tell(round_, threshold_);
}

void DoorBalancer::Advance() {
  if (all_in_) {
    threshold_ = kFirstLate + static_cast<uint64_t>(absl::ToUnixMicros(scheduler_->Now() + absl::Hours(1)));
    return;
  }
  auto next = waiting_.lower_bound(threshold_);
  for (int64_t skip = random_.Below(4); skip > 0 && next != waiting_.end(); --skip) ++next;
  // Exactly the rank of somebody, whose turn has not come then, or just behind them.
  if (next != waiting_.end()) threshold_ = *next + (random_.Chance(0.5) ? 1 : 0);
}

}  // namespace tranche::simulation
