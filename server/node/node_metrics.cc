#include "server/node/node_metrics.h"

#include <cstddef>
#include <utility>

#include "absl/strings/str_cat.h"
#include "server/node/queue_metrics.h"
#include "server/rpc/open_calls.h"
#include "storage/base/status_macros.h"

namespace tranche::server {

NodeMetrics::NodeMetrics(const MetricsOptions& options, NodeMetricsParts parts)
    : parts_(std::move(parts)),
      sale_(parts_.slices, parts_.sale, parts_.buyer_calls, parts_.agent, static_cast<size_t>(options.skus)),
      front_door_(parts_.door),
      ledger_(parts_.ledger) {}

absl::StatusOr<std::unique_ptr<NodeMetrics>> NodeMetrics::Start(const MetricsOptions& options, NodeMetricsParts parts) {
  std::unique_ptr<NodeMetrics> node(new NodeMetrics(options, std::move(parts)));
  NodeMetrics* const shown = node.get();
  ASSIGN_OR_RETURN(node->door_, MetricsDoor::Start(
                                    options,
                                    {shown, &shown->sale_, &shown->front_door_, &shown->ledger_,
                                     shown->parts_.ledger->clock_offsets(), shown->parts_.calls},
                                    [shown] { return shown->Ready(); }, shown->parts_.certificates));
  return node;
}

absl::Status NodeMetrics::Ready() const {
  const NodeHealth health = parts_.health();
  return health.why_not_serving.empty() ? absl::OkStatus() : absl::UnavailableError(health.why_not_serving);
}

void NodeMetrics::Collect(MetricSet* metrics) {
  const NodeHealth health = parts_.health();
  metrics->AddGauge("tranche_node_serving", "1 while health says that buyers are served.",
                    health.why_not_serving.empty() ? 1 : 0);
  metrics->AddGauge("tranche_node_draining", "1 while an operator drains the node, or the process ends.",
                    health.draining ? 1 : 0);
  if (const quota::NodeAgent* const agent = parts_.agent(); agent != nullptr) AddAgent(*agent, metrics);
  AddCalls(metrics);
  if (parts_.access != nullptr) parts_.access->Collect(metrics);
  if (parts_.queue != nullptr) {
    AddQueueMetrics(parts_.queue->counts(), parts_.queue->depths(), parts_.queue->up(), metrics);
  }
  metrics->AddCounter("tranche_groups_cancelled_total", "Groups that operators have cancelled at this node.",
                      static_cast<double>(parts_.operator_calls->groups_cancelled()));
  AddExecutorQueue("admin", "", parts_.operator_calls->queued(), metrics);
  AddExecutorQueue("move", "", parts_.operator_calls->queued_moves(), metrics);
  AddExecutorQueue("status", "", parts_.operator_calls->queued_status(), metrics);
  AddExecutorQueue("long_read", "", parts_.operator_calls->queued_long_reads(), metrics);
}

void NodeMetrics::AddAgent(const quota::NodeAgent& agent, MetricSet* metrics) const {
  metrics->AddGauge("tranche_node_info", "1; the labels say which node this is.", 1,
                    {{"node", agent.name()}, {"incarnation", absl::StrCat(agent.incarnation())}});
  metrics->AddGauge("tranche_zookeeper_up", "1 while ZooKeeper answers this node.", agent.connected() ? 1 : 0);
  metrics->AddHistogram("tranche_announcement_applying_seconds",
                        "Time from hearing that an announcement has changed until it is applied.",
                        agent.applying_s().values());
}

void NodeMetrics::AddCalls(MetricSet* metrics) const {
  const OverdueCalls overdue = parts_.buyer_calls->open_calls().Overdue();
  for (size_t i = 0; i < kCallKinds; ++i) {
    metrics->AddGauge("tranche_overdue_calls", "Calls that are not answered a second after their deadline.",
                      static_cast<double>(overdue.open[i]), {{"kind", kCallKindNames[i]}});
  }
  metrics->AddCounter("tranche_caller_limited_total", "Calls that --max-calls-per-caller has refused.",
                      static_cast<double>(parts_.buyer_calls->caller_limited()));
  metrics->AddGauge("tranche_open_streams", "Streams of reservations that are open.",
                    parts_.buyer_calls->open_streams());
  metrics->AddGauge("tranche_stream_answers",
                    "Requests of streams that are not answered, or whose answers are not taken, by the room they take.",
                    static_cast<double>(parts_.buyer_calls->unread_answers()));
}

}  // namespace tranche::server
