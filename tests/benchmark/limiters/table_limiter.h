// Tranche's own limit by user, as a front node's door asks it: the key's home, its fingerprint, the clock, and the
// table. Nodes share nothing, as front nodes do not.
#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <vector>

#include "tests/benchmark/limiters/limiter.h"

namespace tranche::limiters {

struct TableNode;  // in the .cc

class TableLimiter : public Limiter {
 public:
  // Each of the nodes has a table of so many bytes. Keys have their homes among the first `homes` nodes, or among all
  // `nodes` if these are more: the others are looked for, as in a cluster of that size, but nobody tries there.
  TableLimiter(int nodes, int homes, size_t table_bytes);
  ~TableLimiter() override;

  absl::StatusOr<std::unique_ptr<LimiterCaller>> Connect(int node, const LimitTerms& terms) override;
  absl::StatusOr<LimiterMemory> Memory() override;
  absl::StatusOr<int64_t> Capacity() override;

 private:
  const int64_t resident_before_;  // before there was a table
  std::vector<std::unique_ptr<TableNode>> nodes_;
};

}  // namespace tranche::limiters
