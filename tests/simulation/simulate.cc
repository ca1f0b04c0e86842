// The simulation as a command; scripts/simulate runs it.
#include <glog/logging.h>
#include <sys/wait.h>
#include <unistd.h>

#include <CLI/CLI.hpp>
#include <cstdio>
#include <cstdlib>
#include <optional>
#include <string>
#include <type_traits>
#include <vector>

#include "absl/strings/str_join.h"
#include "absl/time/clock.h"
#include "tests/simulation/campaign.h"
#include "tests/simulation/scenario.h"

namespace tranche::simulation {
namespace {

struct Arguments {
  uint64_t first = 1;
  uint64_t seeds = 1000;
  std::optional<uint64_t> seed;
  int jobs = 1;
  bool trace = false;
  bool keep_going = false;
  std::string scenario;
  std::string commit = "unknown";
};

int RunOneSeed(const Arguments& arguments) {
  const absl::Time start = absl::Now();
  const SimulationResult result =
      Simulate({.seed = *arguments.seed, .scenario = arguments.scenario, .print_trace = arguments.trace});
  CampaignSummary summary;
  summary.Add(result);
  summary.real_time = absl::Now() - start;
  std::printf("scenario %s, trace hash %016llx\n%s", result.scenario.c_str(),
              static_cast<unsigned long long>(result.trace_hash), Describe(summary).c_str());
  if (!result.violation.has_value()) return 0;
  std::fputs(Describe(result, arguments.commit).c_str(), stdout);
  return 1;
}

// One job's part, in a process of its own: the fakes and the fibers belong to one thread. The summary goes through a
// pipe as bytes.
struct Job {
  pid_t pid = 0;
  int read_end = -1;
};

Job StartJob(const Arguments& arguments, uint64_t first, uint64_t seeds, bool shows_progress) {
  int ends[2];
  PCHECK(pipe(ends) == 0);
  const pid_t pid = fork();
  PCHECK(pid >= 0);
  if (pid > 0) {
    close(ends[1]);
    return {pid, ends[0]};
  }
  close(ends[0]);
  CampaignOptions options;
  options.first_seed = first;
  options.seeds = seeds;
  options.scenario = arguments.scenario;
  options.stop_at_first = !arguments.keep_going;
  options.on_violation = [&](const SimulationResult& result) {
    std::fputs(Describe(result, arguments.commit).c_str(), stdout);
    std::fflush(stdout);
  };
  absl::Time last_progress = absl::Now();
  options.on_progress = [&](uint64_t done, uint64_t violations) {
    if (!shows_progress || absl::Now() - last_progress < absl::Seconds(1)) return;
    last_progress = absl::Now();
    std::fprintf(stderr, "\rjob 1 of %d: %llu of %llu seeds, %llu violations ", arguments.jobs,
                 static_cast<unsigned long long>(done), static_cast<unsigned long long>(seeds),
                 static_cast<unsigned long long>(violations));
  };
  const CampaignSummary summary = RunCampaign(options);
  if (shows_progress) std::fputs("\n", stderr);
  static_assert(std::is_trivially_copyable_v<CampaignSummary>);
  PCHECK(write(ends[1], &summary, sizeof summary) == static_cast<ssize_t>(sizeof summary));
  std::_Exit(0);
}

int RunMany(const Arguments& arguments) {
  const absl::Time start = absl::Now();
  std::vector<Job> jobs;
  const auto count = static_cast<uint64_t>(arguments.jobs);
  uint64_t first = arguments.first;
  for (uint64_t i = 0; i < count; ++i) {
    const uint64_t seeds = arguments.seeds / count + (i < arguments.seeds % count ? 1 : 0);
    jobs.push_back(StartJob(arguments, first, seeds, /*shows_progress=*/i == 0 && isatty(2) != 0));
    first += seeds;
  }
  CampaignSummary total;
  bool crashed = false;
  for (const Job& job : jobs) {
    CampaignSummary part;
    const bool read_all = read(job.read_end, &part, sizeof part) == static_cast<ssize_t>(sizeof part);
    int status = 0;
    waitpid(job.pid, &status, 0);
    crashed = crashed || !read_all || !WIFEXITED(status) || WEXITSTATUS(status) != 0;
    if (read_all) total.Merge(part);
  }
  total.real_time = absl::Now() - start;
  std::fputs(Describe(total).c_str(), stdout);
  if (crashed) std::fputs("a job did not end as it should: see above\n", stdout);
  return crashed || total.violations > 0 ? 1 : 0;
}

int Main(int argc, char** argv) {
  Arguments arguments;
  CLI::App app{"Runs the quota plane in simulated time under seeded faults, and checks every step."};
  app.add_option("--seeds", arguments.seeds, "how many seeds")
      ->check(CLI::Range(uint64_t{1}, uint64_t{1'000'000'000}))
      ->capture_default_str();
  app.add_option("--first", arguments.first, "the first of them")->capture_default_str();
  app.add_option("--jobs", arguments.jobs, "processes")->check(CLI::Range(1, 256))->capture_default_str();
  app.add_option("--seed", arguments.seed, "this one only");
  app.add_flag("--trace", arguments.trace, "with --seed: print every line of what happens");
  app.add_flag("--keep-going", arguments.keep_going, "do not stop at the first violation");
  app.add_option("--scenario", arguments.scenario,
                 "instead of what the seed chooses: " + absl::StrJoin(ScenarioNames(), ", "))
      ->check(CLI::IsMember(ScenarioNames()));
  app.add_option("--commit", arguments.commit, "for the report: what was built");
  CLI11_PARSE(app, argc, argv);
  return arguments.seed.has_value() ? RunOneSeed(arguments) : RunMany(arguments);
}

}  // namespace
}  // namespace tranche::simulation

int main(int argc, char** argv) {
  // Otherwise most of the time would go into the code's log messages about its faults.
  FLAGS_minloglevel = google::GLOG_FATAL;
  google::InitGoogleLogging(argv[0]);
  return tranche::simulation::Main(argc, argv);
}
