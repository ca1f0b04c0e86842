// The cost of a local grant and of a local refusal, alone and with contention.
#include <benchmark/benchmark.h>

#include <string>

#include "absl/synchronization/mutex.h"
#include "quota/slices/slice_counter.h"
#include "quota/slices/slice_table.h"

namespace tranche::quota {
namespace {

SliceCounter& SharedCounter() {
  static SliceCounter* counter = [] {
    auto* fresh = new SliceCounter;
    fresh->Apply(int64_t{1} << 60, 1);
    return fresh;
  }();
  return *counter;
}

void Grant(benchmark::State& state) {
  SliceCounter& counter = SharedCounter();
  for (auto _ : state) benchmark::DoNotOptimize(counter.TryTake(1));
}
BENCHMARK(Grant)->ThreadRange(1, 8)->UseRealTime();

void Refuse(benchmark::State& state) {
  static SliceCounter* empty = new SliceCounter;
  for (auto _ : state) benchmark::DoNotOptimize(empty->TryTake(1));
}
BENCHMARK(Refuse)->ThreadRange(1, 8)->UseRealTime();

// A claim's whole way through the counter: granted, then given back.
void GrantAndGiveBack(benchmark::State& state) {
  SliceCounter& counter = SharedCounter();
  for (auto _ : state) {
    benchmark::DoNotOptimize(counter.TryTake(1));
    counter.GiveBack(1);
  }
}
BENCHMARK(GrantAndGiveBack)->ThreadRange(1, 8)->UseRealTime();

void FindSliceAndGrant(benchmark::State& state) {
  static SliceTable* table = [] {
    auto* fresh = new SliceTable;
    fresh->Begin(1);
    for (int i = 0; i < 1000; ++i) {
      fresh->FindOrAdd("sku-" + std::to_string(i))->counter().Apply(int64_t{1} << 60, 1);
    }
    return fresh;
  }();
  for (auto _ : state) benchmark::DoNotOptimize(table->Find("sku-500")->counter().TryTake(1));
}
BENCHMARK(FindSliceAndGrant)->ThreadRange(1, 8)->UseRealTime();

}  // namespace
}  // namespace tranche::quota

int main(int argc, char** argv) {
  // As the servers do: it costs more than all the rest.
  absl::SetMutexDeadlockDetectionMode(absl::OnDeadlockCycle::kIgnore);
  benchmark::Initialize(&argc, argv);
  if (benchmark::ReportUnrecognizedArguments(argc, argv)) return 1;
  benchmark::RunSpecifiedBenchmarks();
  return 0;
}
