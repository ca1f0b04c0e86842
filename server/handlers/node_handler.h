// Admin calls about front nodes. Blocking: not on gRPC's threads. Thread-safe.
#pragma once

#include <optional>
#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "quota/coordination/announcer.h"
#include "quota/coordination/live_nodes.h"
#include "storage/clock.h"
#include "storage/ledger/stock_ledger.h"
#include "tranche/v1/admin_service.pb.h"

namespace tranche::server {

class NodeHandler {
 public:
  NodeHandler(storage::StockLedger* ledger, quota::SessionSource* sessions, storage::Clock* clock)
      : ledger_(ledger), sessions_(sessions), clock_(clock) {}

  absl::StatusOr<v1::ListNodesResponse> List(const v1::ListNodesRequest& request);
  // Changes the ledger first, which is authoritative and audits the change, then the announcement that informs the
  // node.
  absl::StatusOr<v1::DrainNodeResponse> Drain(const v1::DrainNodeRequest& request, const storage::Actor& actor);
  absl::StatusOr<v1::UndrainNodeResponse> Undrain(const v1::UndrainNodeRequest& request, const storage::Actor& actor);

 private:
  struct Change {
    v1::Node before;
    v1::Node after;
    std::vector<std::string> warnings;
  };

  // `exit`: whether its process is to end when it has drained; nullopt: it is to serve again. `tell` changes the
  // announcement.
  template <typename Tell>
  absl::StatusOr<Change> SetDraining(const std::string& name, std::optional<bool> exit, bool preview,
                                     const storage::Actor& actor, const Tell& tell);
  // What a node that drains was told last; nullopt: nothing, or it is not known.
  std::optional<bool> ToldToExit(storage::IncarnationId incarnation);
  absl::Status AskToDrain(quota::Coordination& session, storage::IncarnationId incarnation, bool exit);
  v1::Node ToMessage(const quota::LiveNode& node);
  // The units that it holds, of all SKUs; nullopt if the ledger does not say.
  std::optional<int64_t> UnitsHeld(storage::IncarnationId incarnation);

  storage::StockLedger* const ledger_;
  quota::SessionSource* const sessions_;
  storage::Clock* const clock_;
};

}  // namespace tranche::server
