// How long from an operator's pause until no node sells any more, and from the end of a pause until every node sells?
// With --door, the same of the front door's policies.
//
// One prober per node tries to reserve, all the time. A round pauses the SKU and resumes it, as `tranchectl sku pause`
// does. Its figures are the times from the start of the call until the last node has first refused with SALE_PAUSED,
// and until the last node has first sold again. With --door, a round sets a policy whose lottery admits one of a
// million buyers, which is refused with NOT_ADMITTED, and removes it.
//
//   pause_reach --endpoints 10.0.0.1:7400,10.0.0.2:7400 --sku tv --rounds 200      (tv must have units for all of it)
//
// After each change of the front door a node rests (DoorWatch::kRestAfterChange): with a --gap-ms beyond that, no
// change meets nodes that rest; without one, each does.
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
#include "client/internal/status_translation.h"
#include "tranche/error.h"
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

// What is changed, in turns.
struct Change {
  std::string sku;
  bool door = false;  // its policy, instead of whether its sale is paused
  absl::Duration gap = absl::ZeroDuration();

  std::string refusal() const { return door ? "NOT_ADMITTED" : "SALE_PAUSED"; }
  std::string name(bool closed) const { return closed ? (door ? "close" : "pause") : (door ? "open" : "resume"); }
};

// Tries until the node sells, or with `refusal` until it refuses with that reason; when its answer came.
absl::Time ProbeUntil(ReservationService::Stub& stub, const std::string& sku, const std::string& refusal) {
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
    const std::string reason = status.ok() ? "" : tranche::ReasonNameOf(tranche::internal::ToAbslStatus(status));
    if (refusal.empty() ? status.ok() : reason == refusal) return absl::Now();
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

grpc::Status SetPolicy(AdminService::Stub& admin, const std::string& sku, bool closed) {
  grpc::ClientContext context;
  SetDeadline(&context);
  tranche::v1::SetFrontPolicyRequest request;
  tranche::v1::SetFrontPolicyResponse response;
  request.set_sku_id(sku);
  if (closed) request.mutable_policy()->mutable_lottery()->set_admitted_per_million(1);
  return admin.SetFrontPolicy(&context, request, &response);
}

// The time until all nodes do as they are told; infinite if the call failed, or one does not.
absl::Duration Reach(Nodes& nodes, const Change& change, bool closed) {
  absl::SleepFor(change.gap);
  std::vector<absl::Time> reached(nodes.stubs.size());
  std::vector<std::thread> probers;
  for (size_t i = 0; i < nodes.stubs.size(); ++i) {
    probers.emplace_back(
        [&, i] { reached[i] = ProbeUntil(*nodes.stubs[i], change.sku, closed ? change.refusal() : ""); });
  }
  const absl::Time start = absl::Now();
  const grpc::Status set = (change.door ? SetPolicy : SetPaused)(*nodes.admin, change.sku, closed);
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
  void Print(const std::string& name) const {
    std::printf("%-7s rounds %zu  failed %d  p50 %.1f ms  p90 %.1f ms  p99 %.1f ms  max %.1f ms\n", name.c_str(),
                ms.size(), failed, At(0.5), At(0.9), At(0.99), At(1));
  }
  nlohmann::json ToJson() const {
    return {{"rounds", ms.size()}, {"failed", failed},   {"p50_ms", At(0.5)},
            {"p90_ms", At(0.9)},   {"p99_ms", At(0.99)}, {"max_ms", At(1)}};
  }
};

}  // namespace

int main(int argc, char** argv) {
  CLI::App app("Time from a pause, and from its end, until every node obeys", "pause_reach");
  std::string endpoints, summary;
  Change change;
  int rounds = 200, gap_ms = 0;
  app.add_option("--endpoints", endpoints, "All nodes, host:port,host:port,...")->required();
  app.add_option("--sku", change.sku, "A SKU on sale, with units at every node, and without a policy")->required();
  app.add_option("--rounds", rounds, "How many pauses")->check(CLI::Range(1, 100000))->capture_default_str();
  app.add_flag("--door", change.door, "Set a policy of the front door and remove it, instead of pauses");
  app.add_option("--gap-ms", gap_ms, "Before each change")->check(CLI::Range(0, 60000))->capture_default_str();
  app.add_option("--summary", summary, "File for the figures as JSON");
  CLI11_PARSE(app, argc, argv);
  change.gap = absl::Milliseconds(gap_ms);

  Nodes nodes;
  for (const auto& endpoint : absl::StrSplit(endpoints, ',')) {
    const auto channel = grpc::CreateChannel(std::string(endpoint), grpc::InsecureChannelCredentials());
    nodes.stubs.push_back(ReservationService::NewStub(channel));
    if (nodes.admin == nullptr) nodes.admin = AdminService::NewStub(channel);
  }
  // Connections, and units that are still on their way.
  Series closing, opening, first;
  first.Add(Reach(nodes, change, /*closed=*/false));
  for (int round = 0; round < rounds; ++round) {
    closing.Add(Reach(nodes, change, /*closed=*/true));
    opening.Add(Reach(nodes, change, /*closed=*/false));
  }
  closing.Print(change.name(true));
  opening.Print(change.name(false));
  if (!summary.empty()) {
    std::ofstream file(summary);
    file << nlohmann::json{{"nodes", nodes.stubs.size()},
                           {change.name(true), closing.ToJson()},
                           {change.name(false), opening.ToJson()}}
                .dump(2)
         << "\n";
    if (!file) {
      std::fprintf(stderr, "pause_reach: cannot write %s\n", summary.c_str());
      return 1;
    }
  }
  return closing.failed + opening.failed == 0 ? 0 : 2;
}
