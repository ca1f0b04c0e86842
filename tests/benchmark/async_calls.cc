#include "tests/benchmark/async_calls.h"

#include <iostream>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "client/internal/status_translation.h"
#include "tranche/error.h"

namespace tranche::benchmark {

absl::Duration Percentile(std::vector<absl::Duration>& times, int percent) {
  if (times.empty()) return absl::ZeroDuration();
  const size_t rank = (times.size() * static_cast<size_t>(percent) + 99) / 100;
  const auto found = times.begin() + static_cast<std::ptrdiff_t>(std::max<size_t>(rank, 1) - 1);
  std::nth_element(times.begin(), found, times.end());
  return *found;
}

std::string ProblemOf(const grpc::Status& status) {
  const std::string reason = ReasonNameOf(internal::ToAbslStatus(status));
  return reason.empty() ? absl::StrCat("status ", static_cast<int>(status.error_code())) : reason;
}

nlohmann::json ToJson(const CallFigures& figures) {
  return {{"answers", figures.answers},
          {"per_second", figures.per_second},
          {"cpu_us", figures.cpu_us},
          {"p50_ms", absl::ToDoubleMilliseconds(figures.p50)},
          {"p99_ms", absl::ToDoubleMilliseconds(figures.p99)}};
}

void PrintFigures(const std::string& name, const CallFigures& figures) {
  std::cout << absl::StrFormat("%-6s %10.0f/s   p50 %.1f ms   p99 %.1f ms   %.1f us of the node's CPU for one\n", name,
                               figures.per_second, absl::ToDoubleMilliseconds(figures.p50),
                               absl::ToDoubleMilliseconds(figures.p99), figures.cpu_us);
}

bool AllAsMeant(absl::string_view program, absl::string_view name, const CallFigures& figures) {
  if (figures.answers > 0 && figures.problems.empty()) return true;
  std::cerr << program << ": not a measurement of " << name << "; of " << figures.answers << " answers:";
  for (const auto& [problem, count] : figures.problems) std::cerr << " " << problem << "=" << count;
  std::cerr << "\n";
  return false;
}

}  // namespace tranche::benchmark
