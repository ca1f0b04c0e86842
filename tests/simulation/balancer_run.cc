#include "tests/simulation/balancer_run.h"

#include <memory>

#include "tests/simulation/sim_node_probe.h"

namespace tranche::simulation {

void BalancerRun::Launch() {
  process_.world().scheduler.Spawn([this] {
    Run();
    process_.End();
    ended_();
  });
}

// Like the balancer's own thread, but waits as a fiber.
void BalancerRun::Run() {
  quota::BalancerOptions options;
  options.name = name_;
  options.probe = std::make_shared<SimNodeProbe>(&process_);
  quota::Balancer balancer(&connector_, &ledger_, &process_.world().scheduler, options);
  bool connected = false;
  bool led = false;
  while (!process_.crashed()) {
    if (!connected) connected = balancer.Connect().ok();
    if (connected && !process_.crashed()) connected = !absl::IsUnauthenticated(balancer.RunOnce());
    if (balancer.leading() != led) process_.Note("leads", (led = balancer.leading()) ? 1 : 0);
    process_.AwaitChange([&] { return balancer.HasWork(); }, options.poll_interval);
  }
}

}  // namespace tranche::simulation
