#include "tests/simulation/queue/claim_askers.h"

#include <algorithm>
#include <utility>

namespace tranche::simulation {
namespace {

// They are told to come later, if the queue is long; but the run has an end.
constexpr absl::Duration kMostPatience = absl::Seconds(1);

}  // namespace

class ClaimAskers::Call {
 public:
  Call(ClaimAskers* askers, FrontNode* node, std::shared_ptr<Claim> claim)
      : askers_(askers), node_(node), claim_(std::move(claim)), asked_at_(askers->world_->scheduler.Now()) {}
  Call(const Call&) = delete;
  Call& operator=(const Call&) = delete;

  ~Call() {
    if (claim_ == nullptr) return;
    if (!node_->process().crashed()) askers_->world_->checker.Violated("one answer", "a question was never answered");
    askers_->AskLater(std::move(claim_));
  }

  void Answer(const absl::StatusOr<std::vector<storage::Reservation>>& rows) {
    // A dead process tells nobody anything.
    if (node_->process().crashed()) return askers_->AskLater(std::move(claim_));
    askers_->Answered(std::move(claim_), asked_at_, rows);
  }

 private:
  ClaimAskers* const askers_;
  FrontNode* const node_;  // holds this
  std::shared_ptr<Claim> claim_;
  const absl::Time asked_at_;
};

void ClaimAskers::Begin(const quota::Queued& queued, std::vector<storage::Uuid> ids, Random random, Decided decided) {
  ++open_;
  AskLater(std::make_shared<Claim>(Claim{.ticket = queued.ticket,
                                         .ids = std::move(ids),
                                         .pause = std::min(queued.poll_after, kMostPatience),
                                         .random = random,
                                         .decided = std::move(decided)}));
}

void ClaimAskers::AskLater(std::shared_ptr<Claim> claim) {
  if (world_->scheduler.stopping()) return;
  const absl::Duration pause = claim->random.Between(claim->pause / 2, claim->pause);
  world_->scheduler.After(pause, [this, claim = std::move(claim)]() mutable { Ask(std::move(claim)); });
}

void ClaimAskers::Ask(std::shared_ptr<Claim> claim) {
  const auto number = static_cast<int>(claim->random.Below(cluster_->front_nodes()));
  const std::shared_ptr<FrontNode> node = cluster_->node(number);
  if (node == nullptr || !node->serving() || node->process().paused()) return AskLater(std::move(claim));
  const std::string ticket = claim->ticket;
  auto call = std::make_unique<Call>(this, node.get(), std::move(claim));
  node->Ask(
      ticket, world_->scheduler.Now() + world_->scenario.request_deadline,
      [call = std::move(call)](const absl::StatusOr<std::vector<storage::Reservation>>& rows) { call->Answer(rows); });
}

void ClaimAskers::Answered(std::shared_ptr<Claim> claim, absl::Time asked_at,
                           const absl::StatusOr<std::vector<storage::Reservation>>& rows) {
  if (!rows.ok()) return AskLater(std::move(claim));
  const ClaimTold told = world_->claims.OnTold(claim->ids, *rows, asked_at, world_->scheduler.Now());
  if (told == ClaimTold::kUndecided) return AskLater(std::move(claim));
  --open_;
  // They come in no order.
  std::vector<storage::Reservation> sold = told == ClaimTold::kSold ? *rows : std::vector<storage::Reservation>();
  std::sort(sold.begin(), sold.end(), [](const auto& a, const auto& b) { return a.reservation_id < b.reservation_id; });
  for (const storage::Reservation& row : sold) aftersale_->Begin(row);
  claim->decided(told);
}

}  // namespace tranche::simulation
