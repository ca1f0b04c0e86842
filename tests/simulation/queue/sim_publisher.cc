#include "tests/simulation/queue/sim_publisher.h"

#include <utility>

namespace tranche::simulation {

SimPublisher::SimPublisher(Process* process)
    : process_(process), server_(process->world().broker.server().Publisher()) {}

void SimPublisher::After(absl::Duration delay, absl::AnyInvocable<void()> then) {
  process_->world().scheduler.After(delay, [alive = alive_, then = std::move(then)]() mutable {
    if (*alive) then();
  });
}

void SimPublisher::Publish(const std::string& queue, std::string id, std::string body, absl::Time deadline,
                           PublishDone done) {
  const uint64_t number = ++last_number_;
  under_way_.emplace(number, std::move(done));
  After(process_->world().broker.Way(),
        [this, number, queue, id = std::move(id), body = std::move(body), deadline]() mutable {
          Arrive(number, queue, std::move(id), std::move(body), deadline);
        });
}

void SimPublisher::Arrive(uint64_t number, const std::string& queue, std::string id, std::string body,
                          absl::Time deadline) {
  World& world = process_->world();
  // What a process has sent before it died may arrive, or not.
  if (process_->crashed() && world.call_random.Chance(0.5)) return;
  if (world.faulty && world.call_random.Chance(world.scenario.call_faults.confirm_lost)) {
    process_->NoteFault(Fault::kConfirmLost);
    world.broker.server().LoseConfirms(1, /*kept=*/world.call_random.Chance(0.7));
  }
  absl::Status status;
  server_->Publish(queue, std::move(id), std::move(body), deadline,
                   [&status](absl::Status answer) { status = std::move(answer); });
  // It concerned this message alone.
  world.broker.server().LoseConfirms(0);
  world.broker.Changed();
  After(world.broker.Way(), [this, number, status] { Answer(number, status); });
}

void SimPublisher::Answer(uint64_t number, const absl::Status& status) {
  if (process_->crashed()) return;
  if (process_->paused()) return After(process_->paused_for(), [this, number, status] { Answer(number, status); });
  const auto claim = under_way_.find(number);
  PublishDone done = std::move(claim->second);
  under_way_.erase(claim);
  done(status);
  process_->NoteChange();
}

}  // namespace tranche::simulation
