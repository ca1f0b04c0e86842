// What all nodes reported last: how they are, and each SKU's traffic over all of them.
#pragma once

#include <map>
#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "absl/time/time.h"
#include "quota/coordination/coordination.h"
#include "storage/ledger/incarnation_id.h"
#include "tranche/v1/admin_service.pb.h"

namespace tranche::server {

struct NodeTraffic {
  // By the reporting node's clock.
  absl::Time reported_at;
  bool cannot_commit = false;
  std::vector<std::string> shards_out_of_reach;
  std::string unhealthy;                  // why, for people; "" if it serves or does not tell
  std::vector<std::string> faulty_files;  // flags
  // Units per second over all SKUs.
  double grants_per_s = 0;
  double refused_per_s = 0;  // denials, too
};

struct ClusterTraffic {
  std::map<storage::IncarnationId, NodeTraffic> nodes;  // that have a report
  std::map<std::string, v1::SkuTraffic> skus;           // by id
};

// Reads every report: at most the 400 busiest SKUs of each node are in it.
absl::StatusOr<ClusterTraffic> ReadClusterTraffic(quota::Coordination& session);

// The SKUs with the most granted and refused units per second, at most `limit`; of equal ones, the smaller ids.
std::vector<v1::SkuTraffic> BusiestSkus(const ClusterTraffic& traffic, size_t limit);

}  // namespace tranche::server
