#include "tests/benchmark/limiters/questions.h"

#include <unistd.h>

#include <algorithm>
#include <cstddef>
#include <memory>
#include <thread>
#include <utility>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/time/clock.h"
#include "server/admission/mix_bits.h"
#include "storage/base/status_macros.h"
#include "tests/benchmark/process_cpu.h"

namespace tranche::limiters {
namespace {

using Callers = std::vector<std::unique_ptr<LimiterCaller>>;

constexpr int64_t kFillBatch = 64;
// Of the period in which a burst comes back: where the flood at its edge begins, and how long it lasts.
constexpr double kEdgeFrom = 0.9;
constexpr double kEdgeTakes = 0.2;

struct Flood {
  int64_t tries = 0;
  int64_t taken = 0;
  absl::Duration took = absl::ZeroDuration();
};

// One key, by all callers in turn.
absl::StatusOr<Flood> FloodKey(const Callers& callers, int64_t key, absl::Duration duration) {
  Flood flood;
  const absl::Time began = absl::Now();
  do {
    for (const auto& caller : callers) {
      ASSIGN_OR_RETURN(const int64_t taken, caller->Try(absl::MakeConstSpan(&key, 1)));
      flood.taken += taken;
      ++flood.tries;
    }
    flood.took = absl::Now() - began;
  } while (flood.took < duration);
  return flood;
}

// What a key that has not tried for long may have in this time.
int64_t Allowed(const LimitTerms& limit, absl::Duration took) { return limit.burst + took / limit.interval; }

nlohmann::json ToJson(const Flood& flood, const LimitTerms& limit) {
  return {{"tries", flood.tries},
          {"taken", flood.taken},
          {"allowed", Allowed(limit, flood.took)},
          {"seconds", absl::ToDoubleSeconds(flood.took)}};
}

absl::StatusOr<Callers> ConnectMany(Limiter& limiter, const LimitTerms& limit, int count) {
  Callers callers;
  for (int node = 0; node < count; ++node) {
    ASSIGN_OR_RETURN(std::unique_ptr<LimiterCaller> caller, limiter.Connect(node, limit));
    callers.push_back(std::move(caller));
  }
  return callers;
}

// One try of each of these keys; how many were taken.
absl::StatusOr<int64_t> TryEach(LimiterCaller& caller, int64_t first, int64_t count) {
  std::vector<int64_t> keys;
  int64_t taken = 0;
  for (int64_t key = first; key < first + count;) {
    keys.clear();
    for (; key < first + count && static_cast<int64_t>(keys.size()) < kFillBatch; ++key) keys.push_back(key);
    ASSIGN_OR_RETURN(const int64_t of_batch, caller.Try(keys));
    taken += of_batch;
  }
  return taken;
}

// A burst of each of the first keys; adds to what each of them has got.
absl::Status TryBursts(LimiterCaller& caller, int64_t burst, std::vector<int64_t>& taken) {
  for (size_t key = 0; key < taken.size(); ++key) {
    const std::vector<int64_t> tries(static_cast<size_t>(burst), static_cast<int64_t>(key));
    ASSIGN_OR_RETURN(const int64_t of_key, caller.Try(tries));
    taken[key] += of_key;
  }
  return absl::OkStatus();
}

struct SpeedTally {
  int64_t checks = 0;
  int64_t taken = 0;
  absl::Status status;
};

// Of one thread.
void TryRandomKeys(LimiterCaller& caller, const QuestionTerms& terms, uint64_t seed, absl::Time end,
                   SpeedTally& tally) {
  SpeedTally own;
  std::vector<int64_t> keys(static_cast<size_t>(terms.batch));
  while (absl::Now() < end) {
    for (int64_t& key : keys) {
      key = static_cast<int64_t>(server::MixBits(++seed) % static_cast<uint64_t>(terms.keys));
    }
    const absl::StatusOr<int64_t> taken = caller.Try(keys);
    if (!taken.ok()) {
      own.status = taken.status();
      break;
    }
    own.checks += terms.batch;
    own.taken += *taken;
  }
  tally = own;
}

}  // namespace

absl::Status AskExact(Limiter& limiter, const QuestionTerms& terms, nlohmann::json& answer) {
  ASSIGN_OR_RETURN(const Callers callers, ConnectMany(limiter, terms.limit, 1));
  ASSIGN_OR_RETURN(const Flood stream, FloodKey(callers, 0, terms.duration));
  const absl::Duration period = terms.limit.burst * terms.limit.interval;
  const absl::Time touched = absl::Now();
  ASSIGN_OR_RETURN(const Flood touch, FloodKey(callers, 1, absl::ZeroDuration()));
  if (touch.taken != 1) return absl::InternalError("the first try of a key was refused");
  // The pause is what is measured: by its end, GCRA has forgotten the first try.
  absl::SleepFor(kEdgeFrom * period);
  if (absl::Now() - touched >= period) return absl::UnavailableError("the machine is too slow to look at an edge");
  ASSIGN_OR_RETURN(const Flood edge, FloodKey(callers, 1, kEdgeTakes * period));
  answer = {{"stream", ToJson(stream, terms.limit)}, {"edge", ToJson(edge, terms.limit)}};
  return absl::OkStatus();
}

absl::Status AskSpeed(Limiter& limiter, const QuestionTerms& terms, nlohmann::json& answer) {
  ASSIGN_OR_RETURN(const Callers callers, ConnectMany(limiter, terms.limit, terms.callers));
  RETURN_IF_ERROR(TryEach(*callers.front(), 0, terms.keys).status());
  std::vector<SpeedTally> tallies(callers.size());
  std::vector<std::thread> threads;
  const absl::Duration cpu_before = benchmark::CpuOf(getpid());
  const absl::Time began = absl::Now();
  for (size_t i = 0; i < callers.size(); ++i) {
    threads.emplace_back([&, i] {
      TryRandomKeys(*callers[i], terms, static_cast<uint64_t>(i) << 40, began + terms.duration, tallies[i]);
    });
  }
  for (std::thread& thread : threads) thread.join();
  const double seconds = absl::ToDoubleSeconds(absl::Now() - began);
  const absl::Duration cpu = benchmark::CpuOf(getpid()) - cpu_before;
  SpeedTally all;
  for (const SpeedTally& tally : tallies) {
    RETURN_IF_ERROR(tally.status);
    all.checks += tally.checks;
    all.taken += tally.taken;
  }
  answer = {{"keys", terms.keys},
            {"callers", terms.callers},
            {"batch", terms.batch},
            {"checks", all.checks},
            {"taken", all.taken},
            {"seconds", seconds},
            {"cpu_seconds", absl::ToDoubleSeconds(cpu)},
            {"per_s", static_cast<double>(all.checks) / seconds}};
  return absl::OkStatus();
}

absl::Status AskMemory(Limiter& limiter, const QuestionTerms& terms, nlohmann::json& answer) {
  ASSIGN_OR_RETURN(const Callers callers, ConnectMany(limiter, terms.limit, 1));
  ASSIGN_OR_RETURN(const int64_t taken, TryEach(*callers.front(), 0, terms.keys));
  ASSIGN_OR_RETURN(const LimiterMemory memory, limiter.Memory());
  answer = {{"keys", terms.keys},
            {"used_bytes", memory.used_bytes},
            {"resident_bytes", memory.resident_bytes},
            {"refused", terms.keys - taken}};
  return absl::OkStatus();
}

absl::Status AskEvicted(Limiter& limiter, const QuestionTerms& terms, nlohmann::json& answer) {
  ASSIGN_OR_RETURN(const int64_t fit, limiter.Capacity());
  ASSIGN_OR_RETURN(const Callers callers, ConnectMany(limiter, terms.limit, 1));
  LimiterCaller& caller = *callers.front();
  std::vector<int64_t> taken(static_cast<size_t>(terms.victims));
  const absl::Time began = absl::Now();
  RETURN_IF_ERROR(TryBursts(caller, terms.limit.burst, taken));
  const int64_t came = terms.times * fit;
  ASSIGN_OR_RETURN(const int64_t came_taken, TryEach(caller, terms.victims, came));
  RETURN_IF_ERROR(TryBursts(caller, terms.limit.burst, taken));
  const absl::Duration took = absl::Now() - began;
  int64_t above = 0;
  for (const int64_t of_victim : taken) above += std::max<int64_t>(0, of_victim - Allowed(terms.limit, took));
  answer = {{"fit", fit},
            {"came", came},
            {"came_refused", came - came_taken},
            {"victims", terms.victims},
            {"burst", terms.limit.burst},
            {"above", above},
            {"seconds", absl::ToDoubleSeconds(took)}};
  return absl::OkStatus();
}

absl::Status AskSprayed(Limiter& limiter, const QuestionTerms& terms, nlohmann::json& answer) {
  ASSIGN_OR_RETURN(const Callers callers, ConnectMany(limiter, terms.limit, terms.nodes));
  ASSIGN_OR_RETURN(const Flood flood, FloodKey(callers, 0, terms.duration));
  answer = ToJson(flood, terms.limit);
  answer["nodes"] = terms.nodes;
  return absl::OkStatus();
}

}  // namespace tranche::limiters
