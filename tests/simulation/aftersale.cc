#include "tests/simulation/aftersale.h"

#include <algorithm>
#include <utility>

#include "absl/strings/str_cat.h"

namespace tranche::simulation {
namespace {

constexpr absl::Duration kLongestThought = absl::Seconds(3);
constexpr absl::Duration kLongestDelay = absl::Seconds(4);  // of a payment that is late
constexpr absl::Duration kMoment = absl::Milliseconds(20);
constexpr absl::Duration kLongestPause = absl::Milliseconds(300);
constexpr int kMostTries = 15;

// `number`: which payment for the same reservation.
storage::Payment Payment(const storage::Reservation& reservation, int number) {
  return {reservation.reservation_id, absl::StrCat("payment-", number), reservation.amount_minor, reservation.currency};
}

}  // namespace

class Aftersale::Call {
 public:
  Call(Aftersale* aftersale, FrontNode* node, std::shared_ptr<Errand> errand)
      : aftersale_(aftersale), node_(node), errand_(std::move(errand)) {}
  Call(const Call&) = delete;
  Call& operator=(const Call&) = delete;

  ~Call() {
    if (errand_ == nullptr) return;
    if (!node_->process().crashed()) aftersale_->world_->checker.Violated("one answer", "a change was never answered");
    aftersale_->TryAgain(std::move(errand_));
  }

  void Answer(const absl::StatusOr<storage::ChangeResult>& result) {
    // A dead process tells nobody anything.
    if (node_->process().crashed()) return aftersale_->TryAgain(std::move(errand_));
    if (!result.ok()) return aftersale_->TryAgain(std::move(errand_));
    aftersale_->world_->life.OnAnswer(node_->process().actor(), errand_->change, *result);
    aftersale_->Answered(std::move(errand_));
  }

 private:
  Aftersale* const aftersale_;
  FrontNode* const node_;  // holds this
  std::shared_ptr<Errand> errand_;
};

void Aftersale::Begin(const storage::Reservation& reservation) {
  if (everybody_pays_) return Plan(random_.Between(absl::ZeroDuration(), kMoment), Payment(reservation, 0));
  if (world_->groups.IsMember(reservation.reservation_id)) return DecideMember(reservation);
  Decide(reservation);
}

// Most pay in time, so that groups are filled.
void Aftersale::DecideMember(const storage::Reservation& reservation) {
  const absl::Duration left = std::max(absl::ZeroDuration(), reservation.expires_at - world_->scheduler.Now());
  const absl::Duration soon = random_.Between(absl::ZeroDuration(), std::min(left, kLongestThought) / 2);
  const absl::Duration later = soon + random_.Between(absl::ZeroDuration(), kLongestDelay);
  const absl::Duration late = random_.Chance(0.5) ? left + random_.Between(-kMoment, kMoment)
                                                  : left + random_.Between(absl::ZeroDuration(), kLongestDelay);
  const storage::Uuid& id = reservation.reservation_id;
  switch (random_.Below(12)) {
    case 0:
      return Plan(soon, storage::Cancellation{id, "changed his mind"});
    case 1:
      Plan(soon, Payment(reservation, 0));
      return Plan(later, storage::Cancellation{id, "tired of waiting"});
    case 2:
      Plan(soon, Payment(reservation, 0));
      return Plan(later, Payment(reservation, 1));
    case 3:
    case 4:
      return Plan(late, Payment(reservation, 0));
    case 5:
      Plan(soon, storage::Extension{id, 1, absl::Seconds(1)});
      return Plan(later, Payment(reservation, 0));
    case 6:
      return;
    default:
      return Plan(soon, Payment(reservation, 0));
  }
}

void Aftersale::Decide(const storage::Reservation& reservation) {
  const absl::Duration left = std::max(absl::ZeroDuration(), reservation.expires_at - world_->scheduler.Now());
  const bool lapses_soon = left < absl::Minutes(1);
  const absl::Duration soon = random_.Between(absl::ZeroDuration(), std::min(left, kLongestThought));
  const absl::Duration then = soon + random_.Between(absl::ZeroDuration(), kMoment);
  // At the last moment, or somewhat later.
  const absl::Duration late = !lapses_soon          ? then
                              : random_.Chance(0.3) ? left + random_.Between(-kMoment, kMoment)
                                                    : left + random_.Between(absl::ZeroDuration(), kLongestDelay);
  const storage::Uuid& id = reservation.reservation_id;
  switch (random_.Below(10)) {
    case 0:
    case 1:
    case 2:
      return Plan(soon, Payment(reservation, 0));
    case 3:
      return Plan(soon, storage::Cancellation{id, "changed his mind"});
    case 4:
      Plan(soon, storage::Cancellation{id, "changed his mind"});
      return Plan(then, Payment(reservation, 0));
    case 5:
      for (int number = 1; number <= random_.Between(1, 2); ++number) {
        Plan(soon + kMoment * number, storage::Extension{id, number, absl::Seconds(random_.Between(1, 3))});
      }
      return Plan(late + absl::Seconds(random_.Between(0, 3)), Payment(reservation, 0));
    case 6:
      Plan(then, Payment(reservation, 0));
      return Plan(late, Payment(reservation, 1));
    case 7:
    case 8:
      return Plan(late, Payment(reservation, 0));
    default:
      return;
  }
}

void Aftersale::Plan(absl::Duration delay, Change change) {
  ++open_;
  auto errand = std::make_shared<Errand>(
      Errand{.change = std::move(change), .tries_left = kMostTries, .repeated = false, .random = random_.Fork()});
  world_->scheduler.After(delay, [this, errand = std::move(errand)]() mutable { Send(std::move(errand)); });
}

void Aftersale::Send(std::shared_ptr<Errand> errand) {
  --errand->tries_left;
  const std::shared_ptr<FrontNode> node =
      cluster_->node(static_cast<int>(errand->random.Below(cluster_->front_nodes())));
  if (node == nullptr || !node->serving() || node->process().paused()) return TryAgain(std::move(errand));
  Change change = errand->change;
  auto call = std::make_unique<Call>(this, node.get(), std::move(errand));
  node->Apply(std::move(change), world_->scheduler.Now() + world_->scenario.request_deadline,
              [call = std::move(call)](const absl::StatusOr<storage::ChangeResult>& result) { call->Answer(result); });
}

void Aftersale::Answered(std::shared_ptr<Errand> errand) {
  // Its client lost an answer, or is impatient.
  if (!std::exchange(errand->repeated, true) && errand->random.Chance(0.2)) return TryAgain(std::move(errand));
  --open_;
}

void Aftersale::TryAgain(std::shared_ptr<Errand> errand) {
  if (errand->tries_left <= 0 || world_->scheduler.stopping()) {
    --open_;
    return;
  }
  const absl::Duration pause = errand->random.Between(absl::ZeroDuration(), kLongestPause);
  world_->scheduler.After(pause, [this, errand = std::move(errand)]() mutable { Send(std::move(errand)); });
}

}  // namespace tranche::simulation
