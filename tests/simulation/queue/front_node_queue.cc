// A front node's part in the queue path, and what makes it a consumer.
#include <utility>

#include "server/queue/claim_ticket.h"
#include "tests/simulation/front_node.h"

namespace tranche::simulation {
namespace {

constexpr absl::Duration kQueueDrainPoll = absl::Milliseconds(5);

}  // namespace

// As server/node/node_queue.h does.
void FrontNode::LookAtQueues() {
  while (!process_.crashed()) {
    intake_->Look(shard_->claims().Stats());
    process_.AwaitChange([] { return false; }, NodeIntake::kLookInterval);
  }
}

// As server/consumer/consumer_node.h: it takes claims once it can sell.
void FrontNode::DecideQueued() {
  process_.AwaitChange([this] { return serving_; }, absl::InfiniteDuration());
  if (!process_.crashed()) consumer_->Run();
}

void FrontNode::DrainQueues(absl::Time deadline) {
  Scheduler& scheduler = process_.world().scheduler;
  consumer_->SetDraining(true);
  while (!consumer_->idle() && scheduler.Now() < deadline && !process_.crashed()) scheduler.Sleep(kQueueDrainPoll);
  if (!process_.crashed()) consumer_->GiveBack();
}

// What comes when the process has ended is told to nobody.
std::unique_ptr<ConsumerPart> FrontNode::MakeConsumer() {
  const auto sell = [this](storage::ReservationClaim claim, absl::Time deadline, bool may_exist, quota::SaleDone done) {
    if (process_.crashed()) return;
    Sell(std::move(claim), deadline, may_exist, [this, done = std::move(done)](quota::SaleResult result) mutable {
      if (!process_.crashed()) done(std::move(result));
    });
  };
  const auto sell_cart = [this](std::vector<storage::ReservationClaim> lines, absl::Time deadline, bool may_exist,
                                quota::CartDone done) {
    if (process_.crashed()) return;
    SellCart(std::move(lines), deadline, may_exist, [this, done = std::move(done)](quota::CartSale sale) mutable {
      if (!process_.crashed()) done(std::move(sale));
    });
  };
  return std::make_unique<ConsumerPart>(&process_, sell, sell_cart, shard_->books());
}

void FrontNode::Ask(const std::string& ticket, absl::Time deadline, storage::Books::ReadDone answer) {
  World& world = process_.world();
  const auto claim = server::ReadClaimTicket(*world.broker.keys(), ticket, world.scheduler.Now());
  if (!claim.has_value()) {
    world.checker.Violated("told", "a ticket cannot be read");
    return answer(absl::InvalidArgumentError("a ticket cannot be read"));
  }
  shard_->books()->ReadAll(
      claim->ids, deadline,
      [request = requests_.Open("ask", world.scheduler.Now(), deadline),
       answer = std::move(answer)](absl::StatusOr<std::vector<storage::Reservation>> rows) mutable {
        request.Close();
        answer(std::move(rows));
      });
  process_.NoteChange();
}

}  // namespace tranche::simulation
