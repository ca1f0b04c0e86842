// How long from an operator's pause until no node sells any more, and from the end of a pause until every node sells?
//
// One prober per node tries to reserve, all the time. A round pauses the SKU and resumes it, as `tranchectl sku pause`
// does. Its figures are the times from the start of the call until the last node has first refused with SALE_PAUSED,
// and until the last node has first sold again.
//
//   pause_reach --endpoints 10.0.0.1:7400,10.0.0.2:7400 --sku tv --rounds 200      (tv must have units for all of it)
#include <grpcpp/grpcpp.h>

#include <CLI/CLI.hpp>
#include <algorithm>
#include <atomic>
#include <cstdio>
#include <fstream>
#include <memory>
#include <nlohmann/json.hpp>
#include <string>
#include <thread>
#include <vector>

#include "absl/strings/str_split.h"
#include "absl/time/clock.h"
#include "tranche/uuid.h"
#include "tranche/v1/admin_service.grpc.pb.h"
#include "tranche/v1/reservation_service.grpc.pb.h"

namespace {

using tranche::v1::AdminService;
using tranche::v1::ReservationService;

// Often enough to measure with, and rare enough not to be what is measured.
constexpr absl::Duration kProbeEvery = absl::Milliseconds(1);
constexpr absl::Duration kGiveUp = absl::Seconds(10);

void SetDeadline(grpc::ClientContext* context) {
  context->set_deadline(std::chrono::system_clock::now() + std::chrono::seconds(5));
}

struct Nodes {
  std::vector<std::unique_ptr<ReservationService::Stub>> stubs;
  std::unique_ptr<AdminService::Stub> admin;
};

// Tries until the node sells, or with `paused` until it says that the sale is paused; when its answer came.
absl::Time ProbeUntil(ReservationService::Stub& stub, const std::string& sku, bool paused) {
  const absl::Time give_up = absl::Now() + kGiveUp;
  while (absl::Now() < give_up) {
    grpc::ClientContext context;
    SetDeadline(&context);
    tranche::v1::CreateReservationRequest request;
    tranche::v1::CreateReservationResponse response;
    request.set_reservation_id(tranche::MakeUuidV7());
    request.set_user_id(request.reservation_id());
    request.set_sku_id(sku);
    request.set_quantity(1);
    const grpc::Status status = stub.CreateReservation(&context, request, &response);
    const bool refused = status.error_code() == grpc::FAILED_PRECONDITION;
    if (paused ? refused : status.ok()) return absl::Now();
    absl::SleepFor(kProbeEvery);
  }
  return absl::InfiniteFuture();
}

grpc::Status SetPaused(AdminService::Stub& admin, const std::string& sku, bool paused) {
  grpc::ClientContext context;
  SetDeadline(&context);
  tranche::v1::SetSkuPausedRequest request;
  tranche::v1::SetSkuPausedResponse response;
  request.set_sku_id(sku);
  request.set_paused(paused);
  return admin.SetSkuPaused(&context, request, &response);
}

// The time until all nodes do as they are told; infinite if the call failed, or one does not.
absl::Duration Reach(Nodes& nodes, const std::string& sku, bool paused) {
  std::vector<absl::Time> reached(nodes.stubs.size());
  std::vector<std::thread> probers;
  for (size_t i = 0; i < nodes.stubs.size(); ++i) {
    probers.emplace_back([&, i] { reached[i] = ProbeUntil(*nodes.stubs[i], sku, paused); });
  }
  const absl::Time start = absl::Now();
  const grpc::Status set = SetPaused(*nodes.admin, sku, paused);
  for (std::thread& prober : probers) prober.join();
  if (!set.ok()) std::fprintf(stderr, "the call failed: %s\n", set.error_message().c_str());
  return set.ok() ? *std::max_element(reached.begin(), reached.end()) - start : absl::InfiniteDuration();
}

// Of one kind, over all rounds.
struct Series {
  std::vector<double> ms;
  int failed = 0;

  void Add(absl::Duration took) {
    took == absl::InfiniteDuration() ? (void)++failed : ms.push_back(absl::ToDoubleMilliseconds(took));
  }
  double At(double quantile) const {
    if (ms.empty()) return 0;
    std::vector<double> sorted = ms;
    std::sort(sorted.begin(), sorted.end());
    return sorted[static_cast<size_t>(quantile * static_cast<double>(sorted.size() - 1))];
  }
  void Print(const char* name) const {
    std::printf("%-7s rounds %zu  failed %d  p50 %.1f ms  p90 %.1f ms  p99 %.1f ms  max %.1f ms\n", name, ms.size(),
                failed, At(0.5), At(0.9), At(0.99), At(1));
  }
  nlohmann::json ToJson() const {
    return {{"rounds", ms.size()}, {"failed", failed},   {"p50_ms", At(0.5)},
            {"p90_ms", At(0.9)},   {"p99_ms", At(0.99)}, {"max_ms", At(1)}};
  }
};

}  // namespace

int main(int argc, char** argv) {
  CLI::App app("Time from a pause, and from its end, until every node obeys", "pause_reach");
  std::string endpoints, sku, summary;
  int rounds = 200;
  app.add_option("--endpoints", endpoints, "All nodes, host:port,host:port,...")->required();
  app.add_option("--sku", sku, "A SKU on sale, with units at every node")->required();
  app.add_option("--rounds", rounds, "How many pauses")->check(CLI::Range(1, 100000))->capture_default_str();
  app.add_option("--summary", summary, "File for the figures as JSON");
  CLI11_PARSE(app, argc, argv);

  Nodes nodes;
  for (const auto& endpoint : absl::StrSplit(endpoints, ',')) {
    const auto channel = grpc::CreateChannel(std::string(endpoint), grpc::InsecureChannelCredentials());
    nodes.stubs.push_back(ReservationService::NewStub(channel));
    if (nodes.admin == nullptr) nodes.admin = AdminService::NewStub(channel);
  }
  // Connections, and units that are still on their way.
  Series pause, resume, first;
  first.Add(Reach(nodes, sku, /*paused=*/false));
  for (int round = 0; round < rounds; ++round) {
    pause.Add(Reach(nodes, sku, /*paused=*/true));
    resume.Add(Reach(nodes, sku, /*paused=*/false));
  }
  pause.Print("pause");
  resume.Print("resume");
  if (!summary.empty()) {
    std::ofstream file(summary);
    file << nlohmann::json{{"nodes", nodes.stubs.size()}, {"pause", pause.ToJson()}, {"resume", resume.ToJson()}}.dump(
                2)
         << "\n";
    if (!file) {
      std::fprintf(stderr, "pause_reach: cannot write %s\n", summary.c_str());
      return 1;
    }
  }
  return pause.failed + resume.failed == 0 ? 0 : 2;
}
