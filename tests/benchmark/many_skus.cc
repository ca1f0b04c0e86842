// Creates many SKUs, as a rule with a few units each, for figures about nodes that have many.
//
//   many_skus --endpoint 127.0.0.1:7400 --count 10000
#include <grpcpp/grpcpp.h>

#include <CLI/CLI.hpp>
#include <atomic>
#include <chrono>
#include <cstdint>
#include <iostream>
#include <string>
#include <thread>
#include <vector>

#include "tests/benchmark/sku_names.h"
#include "tranche/v1/admin_service.grpc.pb.h"

namespace {

using tranche::v1::AdminService;

// More than a node has threads for admin calls.
constexpr int kCallers = 4;

grpc::Status Create(AdminService::Stub& stub, const std::string& sku_id, int64_t stock) {
  tranche::v1::CreateSkuRequest request;
  tranche::v1::Sku& sku = *request.mutable_sku();
  sku.set_sku_id(sku_id);
  sku.set_title("One of many");
  sku.set_price_minor(100);
  sku.set_currency("EUR");
  sku.set_stock(stock);
  sku.set_per_user_limit(1);
  sku.mutable_hold()->set_seconds(900);
  grpc::ClientContext context;
  context.set_deadline(std::chrono::system_clock::now() + std::chrono::seconds(30));
  tranche::v1::CreateSkuResponse response;
  return stub.CreateSku(&context, request, &response);
}

}  // namespace

int main(int argc, char** argv) {
  CLI::App app("Creates many SKUs, for measurements.", "many_skus");
  std::string endpoint;
  std::string prefix = "sku";
  int count = 10'000;
  int64_t stock = 10;
  app.add_option("--endpoint", endpoint, "A front node, host:port")->required();
  app.add_option("--count", count)->check(CLI::Range(1, 1'000'000))->capture_default_str();
  app.add_option("--prefix", prefix, "Their ids are PREFIX-000000 and so on")->capture_default_str();
  app.add_option("--stock", stock, "Units of each")->check(CLI::Range(0, 1'000'000'000))->capture_default_str();
  CLI11_PARSE(app, argc, argv);

  const auto channel = grpc::CreateChannel(endpoint, grpc::InsecureChannelCredentials());
  std::atomic<int> next{0};
  std::atomic<bool> failed{false};
  std::vector<std::thread> callers;
  for (int i = 0; i < kCallers; ++i) {
    callers.emplace_back([&] {
      const auto stub = AdminService::NewStub(channel);
      for (int number = next++; number < count && !failed; number = next++) {
        const grpc::Status status = Create(*stub, tranche::benchmark::SkuOfMany(prefix, number), stock);
        if (status.ok() || failed.exchange(true)) continue;
        std::cerr << "many_skus: " << status.error_message() << "\n";
      }
    });
  }
  for (std::thread& caller : callers) caller.join();
  return failed ? 1 : 0;
}
