// How fast a front node answers "sold out", compared with the fastest answer that gRPC can give at all: an echo server,
// called in turns by the same client on the same machine, so that both see the same conditions. The node answers in
// several forms: to unary calls as a status, and as a message (refusal_in_response); and on streams, one claim in a
// message, and many in a frame.
//
//   bench_sold_out --endpoint 127.0.0.1:7400 --sku tv        (tv must be sold out)
//
// With --expect it measures answers of another reason, such as those of the front door, which come later.
//
// With --node-pid it also says how much CPU time an answer costs the node, which other work on the machine disturbs
// less than the rates.

#include <CLI/CLI.hpp>
#include <algorithm>
#include <cstdio>
#include <fstream>
#include <functional>
#include <iostream>
#include <map>
#include <memory>
#include <nlohmann/json.hpp>
#include <optional>
#include <string>
#include <vector>

#include "absl/strings/ascii.h"
#include "absl/strings/str_format.h"
#include "absl/synchronization/mutex.h"
#include "absl/time/time.h"
#include "client/flags/security_flags.h"
#include "client/internal/channel_security.h"
#include "tests/benchmark/child_server.h"
#include "tests/benchmark/echo_server.h"
#include "tests/benchmark/process_cpu.h"
#include "tests/benchmark/raw_caller.h"
#include "tests/benchmark/raw_stream_caller.h"

namespace tranche::benchmark {
namespace {

constexpr char kSoldOut[] = "SOLD_OUT";
// Of the sampled answers, that a measurement of another reason needs: a lottery lets a few buyers in.
constexpr double kLeastShareOfOthers = 0.99;

struct Flags {
  std::string endpoint;
  std::string sku;
  std::string expect = kSoldOut;
  int rounds = 5;
  double seconds = 3;
  int in_flight = 256;
  int channels = 1;
  int streams = 2;
  int stream_in_flight = 1024;
  int frame_items = 256;
  std::string json_file;
  int node_pid = 0;
  SecurityFlags security;
};

double Median(std::vector<double> values) {
  std::sort(values.begin(), values.end());
  const size_t middle = values.size() / 2;
  return values.size() % 2 == 1 ? values[middle] : (values[middle - 1] + values[middle]) / 2;
}

// One kind of server, over all rounds.
struct Series {
  std::vector<double> per_second;
  std::map<std::string, uint64_t> outcomes;

  void Add(const RawResult& result) {
    per_second.push_back(result.per_second);
    for (const auto& [name, count] : result.outcomes) outcomes[name] += count;
  }
  // Whether at least such a share of the answers that were examined had this outcome.
  bool Mostly(const std::string& name, double share) const {
    uint64_t all = 0;
    for (const auto& [outcome, count] : outcomes) all += count;
    const auto found = outcomes.find(name);
    return found != outcomes.end() && static_cast<double>(found->second) >= share * static_cast<double>(all);
  }
};

nlohmann::json ToJson(const Series& series) {
  return {{"per_second", series.per_second},
          {"median_per_second", Median(series.per_second)},
          {"sampled_outcomes", series.outcomes}};
}

// A node's sold-out answers of one form, beside the echo.
struct Answers {
  std::string name;
  std::function<RawResult(absl::Duration)> run;
  Series series = {};
  std::vector<double> ratios = {};
  std::vector<double> cpu_us = {};  // of the node, for one answer

  void Run(const Flags& flags, double echo_rate) {
    const absl::Duration before = CpuOf(flags.node_pid);
    const RawResult result = run(absl::Seconds(flags.seconds));
    const absl::Duration used = CpuOf(flags.node_pid) - before;
    cpu_us.push_back(absl::ToDoubleMicroseconds(used) / std::max<double>(1, static_cast<double>(result.calls)));
    series.Add(result);
    ratios.push_back(result.per_second / std::max(1.0, echo_rate));
  }
};

bool Write(const std::string& path, const nlohmann::json& report) {
  std::ofstream file(path);
  file << report.dump(2) << "\n";
  return static_cast<bool>(file);
}

nlohmann::json ToJson(const Answers& answers) {
  nlohmann::json json = ToJson(answers.series);
  json["ratios"] = answers.ratios;
  json["median_ratio"] = Median(answers.ratios);
  json["cpu_us"] = answers.cpu_us;
  return json;
}

// Says so if something else than the answers that were meant was measured.
bool Valid(const Flags& flags, const Series& echo, const std::vector<std::unique_ptr<Answers>>& forms) {
  const double share = flags.expect == kSoldOut ? 1 : kLeastShareOfOthers;
  bool valid = echo.Mostly("OK", 1);
  for (const auto& answers : forms) {
    if (answers->series.Mostly(flags.expect, share)) continue;
    valid = false;
    std::cerr << "bench_sold_out: not a measurement of " << flags.expect << "; sampled:";
    for (const auto& [name, count] : answers->series.outcomes) std::cerr << " " << name << "=" << count;
    std::cerr << "\n";
  }
  return valid;
}

// The last one is the stream of frames.
std::vector<std::unique_ptr<Answers>> FormsOf(const Flags& flags, internal::ChannelSecurity* security) {
  std::vector<std::unique_ptr<Answers>> forms;
  for (const bool in_response : {false, true}) {
    const auto caller =
        std::make_shared<RawCaller>(flags.endpoint, flags.sku, flags.in_flight, flags.channels, in_response, security);
    forms.emplace_back(new Answers{in_response ? "message" : "status",
                                   [caller](absl::Duration duration) { return caller->Run(duration); }});
  }
  for (const int frame_items : {0, flags.frame_items}) {
    const auto caller = std::make_shared<RawStreamCaller>(RawStreamOptions{.address = flags.endpoint,
                                                                           .sku = flags.sku,
                                                                           .streams = flags.streams,
                                                                           .in_flight = flags.stream_in_flight,
                                                                           .frame_items = frame_items,
                                                                           .security = security});
    forms.emplace_back(new Answers{frame_items == 0 ? "stream" : "frames",
                                   [caller](absl::Duration duration) { return caller->Run(duration); }});
  }
  return forms;
}

int Measure(const Flags& flags, internal::ChannelSecurity* security, const std::string& echo_address) {
  const auto plain = internal::ChannelSecurity::Open(std::nullopt, "");
  RawCaller echo_caller(echo_address, flags.sku, flags.in_flight, flags.channels, false, plain->get());
  const std::vector<std::unique_ptr<Answers>> forms = FormsOf(flags, security);
  const absl::Duration duration = absl::Seconds(flags.seconds);
  // Connections and caches.
  echo_caller.Run(absl::Milliseconds(500));
  for (const auto& answers : forms) answers->run(absl::Milliseconds(500));
  Series echo;
  std::cout << absl::StrFormat("%-7s %10s", "ROUND", "ECHO/s");
  for (const auto& answers : forms) {
    std::cout << absl::StrFormat(" %10s %8s", absl::AsciiStrToUpper(answers->name) + "/s", "RATIO");
  }
  std::cout << "\n";
  const auto print = [&](const std::string& round, double echo_rate, const auto& rate, const auto& ratio) {
    std::cout << absl::StrFormat("%-7s %10.0f", round, echo_rate);
    for (const auto& a : forms) std::cout << absl::StrFormat(" %10.0f %7.1f%%", rate(*a), ratio(*a) * 100);
    std::cout << std::endl;
  };
  for (int round = 1; round <= flags.rounds; ++round) {
    echo.Add(echo_caller.Run(duration));
    const double echo_rate = echo.per_second.back();
    for (const auto& answers : forms) answers->Run(flags, echo_rate);
    print(
        std::to_string(round), echo_rate, [](const Answers& a) { return a.series.per_second.back(); },
        [](const Answers& a) { return a.ratios.back(); });
  }
  print(
      "median", Median(echo.per_second), [](const Answers& a) { return Median(a.series.per_second); },
      [](const Answers& a) { return Median(a.ratios); });
  std::cout << absl::StrFormat("A stream of frames refuses %.1f times as fast as the echo answers (medians).\n",
                               Median(forms.back()->ratios));
  nlohmann::json report = {{"in_flight", flags.in_flight},
                           {"channels", flags.channels},
                           {"streams", flags.streams},
                           {"stream_in_flight", flags.stream_in_flight},
                           {"frame_items", flags.frame_items},
                           {"round_seconds", flags.seconds},
                           {"echo", ToJson(echo)}};
  for (const auto& answers : forms) report[absl::AsciiStrToLower(flags.expect)][answers->name] = ToJson(*answers);
  if (!flags.json_file.empty() && !Write(flags.json_file, report)) {
    std::cerr << "bench_sold_out: cannot write " << flags.json_file << "\n";
    return 1;
  }
  return Valid(flags, echo, forms) ? 0 : 2;
}

int Main(int argc, char** argv) {
  CLI::App app("Sold-out answers of a front node beside a bare gRPC echo server, in turns.", "bench_sold_out");
  Flags flags;
  app.add_option("--endpoint", flags.endpoint, "A front node, host:port")->required();
  app.add_option("--sku", flags.sku, "A SKU that is sold out, or is refused as --expect says")->required();
  app.add_option("--expect", flags.expect, "The reason of the answers")->capture_default_str();
  app.add_option("--rounds", flags.rounds)->check(CLI::Range(1, 1000))->capture_default_str();
  app.add_option("--seconds", flags.seconds, "Of each half of a round")
      ->check(CLI::Range(0.1, 3600.0))
      ->capture_default_str();
  app.add_option("--in-flight", flags.in_flight)->check(CLI::Range(1, 100'000))->capture_default_str();
  app.add_option("--channels", flags.channels, "Connections")->check(CLI::Range(1, 1000))->capture_default_str();
  app.add_option("--streams", flags.streams, "Each on a connection of its own")
      ->check(CLI::Range(1, 1000))
      ->capture_default_str();
  app.add_option("--stream-in-flight", flags.stream_in_flight, "Claims of each stream")
      ->check(CLI::Range(1, 100'000))
      ->capture_default_str();
  app.add_option("--frame-items", flags.frame_items, "Claims in a frame; at most those in flight")
      ->check(CLI::Range(1, 1024))
      ->capture_default_str();
  app.add_option("--json", flags.json_file, "Write the figures to this file");
  app.add_option("--node-pid", flags.node_pid, "The node's process, to measure its CPU time");
  AddSecurityFlags(app, flags.security);
  CLI11_PARSE(app, argc, argv);
  flags.frame_items = std::min(flags.frame_items, flags.stream_in_flight);
  const auto echo = ChildServer::Start({"--serve-echo"});
  if (!echo.ok()) {
    std::cerr << "bench_sold_out: " << echo.status().message() << "\n";
    return 1;
  }
  const auto security = internal::ChannelSecurity::Open(TlsOf(flags.security), flags.security.token_file);
  if (!security.ok()) {
    std::cerr << "bench_sold_out: " << security.status().message() << "\n";
    return 1;
  }
  return Measure(flags, security->get(), (*echo)->address());
}

}  // namespace
}  // namespace tranche::benchmark

int main(int argc, char** argv) {
  // Debian builds Abseil with its deadlock detector on, which would cost gRPC time at every lock.
  absl::SetMutexDeadlockDetectionMode(absl::OnDeadlockCycle::kIgnore);
  if (argc == 3 && std::string(argv[1]) == "--serve-echo") return tranche::benchmark::ServeEcho(argv[2]);
  return tranche::benchmark::Main(argc, argv);
}
