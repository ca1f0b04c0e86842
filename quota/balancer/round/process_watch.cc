#include "quota/balancer/round/process_watch.h"

#include "glog/logging.h"

namespace tranche::quota {
namespace {

constexpr absl::Duration kBetweenUnreachedLines = absl::Minutes(1);

}  // namespace

void ProcessWatch::Watch() {
  NodeProbe* const probe = context_.options.probe.get();
  if (probe == nullptr) return;
  probe->Watch(context_.nodes.ToProbe(), [inbox = &context_.inbox] { inbox->Again(); });
  watching_ = true;
  TellOfUnreached(probe->Stats());
}

// Their deaths are only noticed when their sessions end, and nobody would know before one dies.
void ProcessWatch::TellOfUnreached(const NodeProbeStats& stats) {
  const absl::Time now = context_.clock.Now();
  if (stats.unreached == 0 || now - told_of_unreached_ < kBetweenUnreachedLines) return;
  told_of_unreached_ = now;
  const ProbedNode& node = stats.example.node;
  LOG(WARNING) << stats.unreached << " of " << stats.watched << " nodes were not reached for a minute, e.g. "
               << node.name << " at " << node.address << ": " << stats.example.reason
               << ". That one of them has died is only known when its session ends: let balancers connect to the "
               << "nodes' --advertise addresses";
}

void ProcessWatch::Stop() {
  if (!watching_) return;
  const NodeProbeStats stats = context_.options.probe->Stats();
  context_.options.probe->WatchNobody();
  watching_ = false;
  LOG(INFO) << "no longer watches the processes of " << stats.watched << " nodes, " << stats.connected
            << " of them connected; since the start " << stats.found_dead << " were found dead, " << stats.wrong_guesses
            << " of them wrongly, and " << stats.left_alone << " were left to their sessions; " << stats.switched_off
            << " addresses are not believed";
}

std::set<storage::IncarnationId> ProcessWatch::FoundDead() const {
  if (context_.options.probe == nullptr) return {};
  return context_.options.probe->FoundDead();
}

}  // namespace tranche::quota
