// The cost of one allocation decision, by the number of nodes.
#include <benchmark/benchmark.h>

#include <numeric>
#include <vector>

#include "quota/balancer/allocation.h"
#include "quota/balancer/demand_plan.h"

namespace tranche::quota {
namespace {

using storage::IncarnationId;
using storage::QuotaSnapshot;

// Every node sells, at its own rate; one in eight is dry and one in eight idle.
struct Sale {
  explicit Sale(int64_t nodes) : receivers(static_cast<size_t>(nodes)) {
    std::iota(receivers.begin(), receivers.end(), IncarnationId{1});
    quota.slices.push_back({.holder = storage::kPool, .allotted = nodes, .remaining = nodes, .version = 1});
    for (const IncarnationId id : receivers) {
      const int64_t units = id % 8 == 0 ? 0 : 20 + id * 7919 % 1000;
      quota.slices.push_back({.holder = id, .allotted = units, .remaining = units, .version = 1});
      const int64_t milli_rate = id % 8 == 1 ? 0 : 1000 + id * 104729 % 500000;
      demand[id] = {.wanted = id % 8 == 0 ? 1 + id % 3 : 0, .milli_rate = milli_rate};
    }
  }

  QuotaSnapshot quota;
  std::vector<IncarnationId> receivers;
  DemandByNode demand;
};

void DemandPlan(benchmark::State& state) {
  const Sale sale(state.range(0));
  for (auto _ : state) benchmark::DoNotOptimize(PlanForDemand(sale.quota, sale.receivers, sale.demand));
}
BENCHMARK(DemandPlan)->Arg(8)->Arg(100)->Arg(1000)->Unit(benchmark::kMicrosecond);

void EqualShare(benchmark::State& state) {
  const Sale sale(state.range(0));
  for (auto _ : state) benchmark::DoNotOptimize(EqualShares(sale.quota, sale.receivers));
}
BENCHMARK(EqualShare)->Arg(8)->Arg(100)->Arg(1000)->Unit(benchmark::kMicrosecond);

void PoolShare(benchmark::State& state) {
  const Sale sale(state.range(0));
  for (auto _ : state) benchmark::DoNotOptimize(SharePool(sale.quota, sale.receivers));
}
BENCHMARK(PoolShare)->Arg(8)->Arg(100)->Arg(1000)->Unit(benchmark::kMicrosecond);

}  // namespace
}  // namespace tranche::quota
