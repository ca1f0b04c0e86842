// How long from an operator's change of quota until every node sells by it?
//
// A cluster without a balancer holds a SKU with no unit at any node. Each round adds one unit per node to the pool and
// rebalances, as `tranchectl quota rebalance --yes` does (the same call), while one prober per node tries to reserve. A
// round's figure is the time from the start of the call to the last node's first success: ledger transaction,
// announcement, watch, read, and the reservation's own commit are all in it.
//
//   quota_push --endpoints 10.0.0.1:7400,10.0.0.2:7400 --sku push --rounds 200
#include <grpcpp/grpcpp.h>
#include <unistd.h>

#include <CLI/CLI.hpp>
#include <algorithm>
#include <atomic>
#include <cstdio>
#include <memory>
#include <nlohmann/json.hpp>
#include <string>
#include <thread>
#include <vector>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "absl/strings/str_split.h"
#include "absl/synchronization/blocking_counter.h"
#include "absl/time/clock.h"
#include "tranche/v1/admin_service.grpc.pb.h"
#include "tranche/v1/reservation_service.grpc.pb.h"

namespace {

using tranche::v1::AdminService;
using tranche::v1::ReservationService;

void SetDeadline(grpc::ClientContext* context) {
  context->set_deadline(std::chrono::system_clock::now() + std::chrono::seconds(5));
}

// A version 4 UUID is random enough here; the ledger only wants them distinct.
std::string NextId() {
  static std::atomic<uint64_t> next{0};
  static const uint64_t run = static_cast<uint64_t>(absl::GetCurrentTimeNanos());
  return absl::StrFormat("%08x-%04x-4%03x-8%03x-%012x", run >> 32, (run >> 16) & 0xffff, (run >> 4) & 0xfff, run & 0xf,
                         next.fetch_add(1));
}

// Often enough to measure with, and rare enough not to be what is measured.
constexpr absl::Duration kProbeEvery = absl::Milliseconds(1);

// Tries until a unit is sold here; false if that takes too long.
bool ProbeUntilSold(ReservationService::Stub& stub, const std::string& sku) {
  const absl::Time give_up = absl::Now() + absl::Seconds(10);
  while (absl::Now() < give_up) {
    grpc::ClientContext context;
    SetDeadline(&context);
    tranche::v1::CreateReservationRequest request;
    tranche::v1::CreateReservationResponse response;
    request.set_reservation_id(NextId());
    request.set_user_id(request.reservation_id());
    request.set_sku_id(sku);
    request.set_quantity(1);
    if (stub.CreateReservation(&context, request, &response).ok()) return true;
    absl::SleepFor(kProbeEvery);
  }
  return false;
}

grpc::Status AddStock(AdminService::Stub& admin, const std::string& sku, int64_t units) {
  grpc::ClientContext context;
  SetDeadline(&context);
  tranche::v1::AddStockRequest request;
  tranche::v1::AddStockResponse response;
  request.set_sku_id(sku);
  request.set_units(units);
  return admin.AddStock(&context, request, &response);
}

grpc::Status Rebalance(AdminService::Stub& admin, const std::string& sku) {
  grpc::ClientContext context;
  SetDeadline(&context);
  tranche::v1::RebalanceQuotaRequest request;
  tranche::v1::RebalanceQuotaResponse response;
  request.set_sku_id(sku);
  return admin.RebalanceQuota(&context, request, &response);
}

struct Nodes {
  std::vector<std::unique_ptr<ReservationService::Stub>> stubs;
  std::unique_ptr<AdminService::Stub> admin;
};

// The time until all nodes sold, or nullopt if the round failed.
absl::Duration RunRound(Nodes& nodes, const std::string& sku) {
  const grpc::Status added = AddStock(*nodes.admin, sku, static_cast<int64_t>(nodes.stubs.size()));
  if (!added.ok()) {
    std::fprintf(stderr, "stock add failed: %s\n", added.error_message().c_str());
    return absl::InfiniteDuration();
  }
  std::atomic<bool> all_sold{true};
  absl::BlockingCounter probing(static_cast<int>(nodes.stubs.size()));
  std::vector<std::thread> probers;
  for (auto& stub : nodes.stubs) {
    probers.emplace_back([&, stub = stub.get()] {
      probing.DecrementCount();
      if (!ProbeUntilSold(*stub, sku)) all_sold = false;
    });
  }
  probing.Wait();
  const absl::Time start = absl::Now();
  const grpc::Status rebalanced = Rebalance(*nodes.admin, sku);
  for (std::thread& prober : probers) prober.join();
  if (!rebalanced.ok()) std::fprintf(stderr, "quota rebalance failed: %s\n", rebalanced.error_message().c_str());
  return rebalanced.ok() && all_sold ? absl::Now() - start : absl::InfiniteDuration();
}

}  // namespace

int main(int argc, char** argv) {
  CLI::App app("Time from a change of quota until every node sells by it");
  std::string endpoints, sku, summary;
  int rounds = 200;
  app.add_option("--endpoints", endpoints, "All nodes, host:port,host:port,...")->required();
  app.add_option("--sku", sku, "A SKU of stock 0, in a cluster without a balancer")->required();
  app.add_option("--rounds", rounds, "How many changes")->capture_default_str();
  app.add_option("--summary", summary, "File for the figures as JSON");
  CLI11_PARSE(app, argc, argv);

  Nodes nodes;
  for (const auto& endpoint : absl::StrSplit(endpoints, ',')) {
    const auto channel = grpc::CreateChannel(std::string(endpoint), grpc::InsecureChannelCredentials());
    nodes.stubs.push_back(ReservationService::NewStub(channel));
    if (nodes.admin == nullptr) nodes.admin = AdminService::NewStub(channel);
  }
  std::vector<double> ms;
  int failed = 0;
  for (int round = 0; round < rounds; ++round) {
    const absl::Duration took = RunRound(nodes, sku);
    if (took == absl::InfiniteDuration()) {
      ++failed;
    } else {
      ms.push_back(absl::ToDoubleMilliseconds(took));
    }
  }
  if (ms.empty()) {
    std::fprintf(stderr, "no round succeeded\n");
    return 2;
  }
  std::sort(ms.begin(), ms.end());
  const auto at = [&](double quantile) {
    return ms[static_cast<size_t>(quantile * static_cast<double>(ms.size() - 1))];
  };
  std::printf("nodes %zu  rounds %zu  failed %d  p50 %.1f ms  p90 %.1f ms  p99 %.1f ms  max %.1f ms\n",
              nodes.stubs.size(), ms.size(), failed, at(0.5), at(0.9), at(0.99), ms.back());
  if (!summary.empty()) {
    const nlohmann::json figures = {{"nodes", nodes.stubs.size()}, {"rounds", ms.size()}, {"failed", failed},
                                    {"p50_ms", at(0.5)},           {"p90_ms", at(0.9)},   {"p99_ms", at(0.99)},
                                    {"max_ms", ms.back()}};
    std::FILE* file = std::fopen(summary.c_str(), "w");
    if (file == nullptr) {
      std::perror(summary.c_str());
      return 1;
    }
    std::fputs(figures.dump(2).c_str(), file);
    std::fputs("\n", file);
    std::fclose(file);
  }
  return failed == 0 ? 0 : 2;
}
