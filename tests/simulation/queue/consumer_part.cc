#include "tests/simulation/queue/consumer_part.h"

#include <utility>

#include "storage/ledger/shard_name.h"

namespace tranche::simulation {
namespace {

constexpr absl::Duration kConsumerTick = absl::Milliseconds(50);
constexpr int kLookAtPauseEvery = 20;  // once a second

}  // namespace

ConsumerPart::ConsumerPart(Process* process, server::ClaimConsumer::Sell sell,
                           server::ClaimConsumer::SellCart sell_cart, storage::Books* books)
    : process_(process),
      source_(process),
      consumer_(server::ClaimConsumer::Parts{.shard = storage::kHomeShard,
                                             .source = &source_,
                                             .sell = std::move(sell),
                                             .sell_cart = std::move(sell_cart),
                                             .books = books,
                                             .clock = &process->world().scheduler,
                                             .seed = process->world().call_random.Next()}) {}

void ConsumerPart::Run() {
  World& world = process_->world();
  source_.Start(world.broker.queues(), world.scenario.prefetch, &consumer_);
  for (int turn = 0; !process_->crashed(); ++turn) {
    if (turn % kLookAtPauseEvery == 0) consumer_.SetPaused(world.broker.claims_paused());
    consumer_.Tick();
    process_->NoteChange();
    process_->AwaitChange([] { return false; }, kConsumerTick);
  }
  source_.Stop();
}

}  // namespace tranche::simulation
