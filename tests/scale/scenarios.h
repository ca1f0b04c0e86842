// The phases that the cluster goes through, and the cost of each.
#pragma once

#include <cstdint>
#include <functional>
#include <map>
#include <string>
#include <vector>

#include "tests/scale/scale_cluster.h"
#include "tests/scale/tree_size.h"

namespace tranche::testing {

struct ScaleResult {
  ScaleOptions options;
  std::vector<Phase> phases;
  std::map<std::string, FolderSize> tree;
  Differences differences;
  int64_t violations = 0;
  int64_t stranded = 0;        // units of live SKUs that neither a live node nor a pool holds
  int64_t balancer_bytes = 0;  // memory that is freed with a balancer that has led
  int64_t resident_bytes = 0;  // of this whole process, fakes and nodes included
  int64_t largest_report = 0;  // bytes
  int64_t reports_bytes = 0;   // of all nodes together
  int64_t most_slices = 0;     // of one node
};

// `note` is called with each phase when it ends.
ScaleResult RunScenarios(const ScaleOptions& options, const std::function<void(const Phase&)>& note);

}  // namespace tranche::testing
