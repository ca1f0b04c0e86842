// A front node's metrics, and the door where they are shown.
#pragma once

#include <functional>
#include <memory>
#include <string>

#include "absl/status/statusor.h"
#include "quota/slices/slice_table.h"
#include "server/metrics/metric_set.h"
#include "server/metrics/metrics_door.h"
#include "server/node/buyer_calls.h"
#include "server/node/door_metrics.h"
#include "server/node/ledger_metrics.h"
#include "server/node/node_access.h"
#include "server/node/node_door.h"
#include "server/node/node_ledger.h"
#include "server/node/node_queue.h"
#include "server/node/node_sale.h"
#include "server/node/operator_calls.h"
#include "server/node/sale_metrics.h"
#include "server/process/metrics_options.h"
#include "server/process/served_certificates.h"
#include "server/rpc/call_metrics.h"

namespace tranche::server {

struct NodeHealth {
  std::string why_not_serving;  // "" while buyers are served
  bool draining = false;        // an operator drains the node, or the process ends
};

// What the metrics are about; all of it outlives them. `calls` counts by method.
struct NodeMetricsParts {
  const quota::SliceTable* slices = nullptr;
  NodeLedger* ledger = nullptr;
  const NodeSale* sale = nullptr;
  const NodeDoor* door = nullptr;
  const NodeQueue* queue = nullptr;  // null without a broker
  BuyerCalls* buyer_calls = nullptr;
  const OperatorCalls* operator_calls = nullptr;
  CallMetrics* calls = nullptr;
  ServedCertificates* certificates = nullptr;  // null: plain text
  NodeAccess* access = nullptr;                // null without an access file
  SaleMetrics::AgentOf agent;
  std::function<NodeHealth()> health;  // called on any thread
};

class NodeMetrics final : public MetricSource {
 public:
  // Shows them until this is destroyed, which must come before the parts' threads end. options.listen is not empty.
  static absl::StatusOr<std::unique_ptr<NodeMetrics>> Start(const MetricsOptions& options, NodeMetricsParts parts);
  NodeMetrics(const NodeMetrics&) = delete;
  NodeMetrics& operator=(const NodeMetrics&) = delete;

  void Collect(MetricSet* metrics) override;

 private:
  NodeMetrics(const MetricsOptions& options, NodeMetricsParts parts);

  absl::Status Ready() const;
  void AddAgent(const quota::NodeAgent& agent, MetricSet* metrics) const;
  void AddCalls(MetricSet* metrics) const;

  const NodeMetricsParts parts_;
  SaleMetrics sale_;
  DoorMetrics front_door_;
  LedgerMetrics ledger_;
  std::unique_ptr<MetricsDoor> door_;  // last: it uses the others
};

}  // namespace tranche::server
