// How fast a front node lets buyers in: EnterSale of new buyers, and then the claims of those who have entered, each
// with the purchase token that it got. The claims are granted and committed to PostgreSQL.
//
//   bench_door --endpoint 127.0.0.1:7400 --sku tv --token        (tv must be on sale, with units for all claims)
//
// With --node-pid it also says how much CPU time an answer costs the node, which other work on the machine disturbs
// less than the rates.
#include <grpcpp/grpcpp.h>

#include <CLI/CLI.hpp>
#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <fstream>
#include <functional>
#include <iostream>
#include <map>
#include <memory>
#include <nlohmann/json.hpp>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "absl/base/thread_annotations.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "absl/synchronization/mutex.h"
#include "absl/time/clock.h"
#include "absl/time/time.h"
#include "client/internal/status_translation.h"
#include "tests/benchmark/process_cpu.h"
#include "tranche/error.h"
#include "tranche/uuid.h"
#include "tranche/v1/front_door_service.grpc.pb.h"
#include "tranche/v1/reservation_service.grpc.pb.h"

namespace tranche::benchmark {
namespace {

constexpr absl::Duration kCallDeadline = absl::Seconds(5);
// Connections, caches, and units that are still on their way.
constexpr absl::Duration kWarmUp = absl::Milliseconds(500);

struct Flags {
  std::string endpoint;
  std::string sku;
  double seconds = 2;
  int in_flight = 256;
  bool token = false;
  int node_pid = 0;
  std::string json_file;
};

struct Stubs {
  std::unique_ptr<v1::FrontDoorService::Stub> door;
  std::unique_ptr<v1::ReservationService::Stub> reservations;
};

// Who has entered and not claimed yet. Thread-safe.
class Buyers {
 public:
  struct Buyer {
    std::string user_id;
    std::string token;
  };

  void Add(Buyer buyer) {
    absl::MutexLock lock(&mutex_);
    buyers_.push_back(std::move(buyer));
  }
  std::optional<Buyer> Take() {
    absl::MutexLock lock(&mutex_);
    if (buyers_.empty()) return std::nullopt;
    Buyer buyer = std::move(buyers_.back());
    buyers_.pop_back();
    return buyer;
  }

 private:
  absl::Mutex mutex_;
  std::vector<Buyer> buyers_ ABSL_GUARDED_BY(mutex_);
};

struct Figures {
  uint64_t answers = 0;
  double per_second = 0;
  double cpu_us = 0;                         // of the node, for one answer
  std::map<std::string, uint64_t> problems;  // of the answers that are not as they should be
};

template <typename Request, typename Response>
struct CallKind {
  std::function<bool(Request&)> next;  // false: there is nothing left to ask
  std::function<void(grpc::ClientContext*, const Request*, Response*, std::function<void(grpc::Status)>)> call;
  std::function<std::string(const Request&, const Response&)> problem;  // of an answer that is OK; "": none
};

// A fixed number of calls at once, each slot one call after the other. Used once.
template <typename Request, typename Response>
class Calls {
 public:
  Calls(CallKind<Request, Response> kind, int in_flight)
      : kind_(std::move(kind)), slots_(static_cast<size_t>(in_flight)), busy_(slots_.size()) {}

  // Calls for that long, or until there is nothing left to ask, then waits for outstanding answers; counts only answers
  // within the time.
  Figures Run(absl::Duration duration, int node_pid) {
    const absl::Duration cpu_before = CpuOf(node_pid);
    const absl::Time start = absl::Now();
    end_ = start + duration;
    for (Slot& slot : slots_) Next(slot);
    const auto idle = [this]() ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_) { return busy_ == 0; };
    absl::MutexLock lock(&mutex_);
    mutex_.Await(absl::Condition(&idle));
    const absl::Duration used = CpuOf(node_pid) - cpu_before;
    if (figures_.answers == 0) return figures_;
    figures_.per_second = static_cast<double>(figures_.answers) / absl::ToDoubleSeconds(last_answer_ - start);
    figures_.cpu_us = absl::ToDoubleMicroseconds(used) / static_cast<double>(figures_.answers);
    return figures_;
  }

 private:
  struct Slot {
    std::optional<grpc::ClientContext> context;
    Request request;
    Response response;
  };

  void Next(Slot& slot) {
    if (absl::Now() >= end_ || !kind_.next(slot.request)) {
      absl::MutexLock lock(&mutex_);
      --busy_;
      return;
    }
    slot.context.emplace();
    slot.context->set_deadline(absl::ToChronoTime(absl::Now() + kCallDeadline));
    kind_.call(&*slot.context, &slot.request, &slot.response,
               [this, &slot](const grpc::Status& status) { Done(slot, status); });
  }

  void Done(Slot& slot, const grpc::Status& status) {
    const absl::Time now = absl::Now();
    if (now < end_) {
      const std::string problem = status.ok() ? kind_.problem(slot.request, slot.response) : NameOf(status);
      absl::MutexLock lock(&mutex_);
      ++figures_.answers;
      last_answer_ = std::max(last_answer_, now);
      if (!problem.empty()) ++figures_.problems[problem];
    }
    Next(slot);
  }

  static std::string NameOf(const grpc::Status& status) {
    const std::string reason = ReasonNameOf(internal::ToAbslStatus(status));
    return reason.empty() ? absl::StrCat("status ", static_cast<int>(status.error_code())) : reason;
  }

  const CallKind<Request, Response> kind_;
  absl::Time end_;
  std::vector<Slot> slots_;
  absl::Mutex mutex_;
  size_t busy_ ABSL_GUARDED_BY(mutex_);
  absl::Time last_answer_ ABSL_GUARDED_BY(mutex_) = absl::InfinitePast();
  Figures figures_ ABSL_GUARDED_BY(mutex_);
};

Figures Enter(const Stubs& stubs, const Flags& flags, absl::Duration duration, Buyers& buyers) {
  CallKind<v1::EnterSaleRequest, v1::EnterSaleResponse> kind;
  kind.next = [&](v1::EnterSaleRequest& request) {
    request.set_sku_id(flags.sku);
    request.set_user_id(MakeUuidV7());
    return true;
  };
  kind.call = [&](grpc::ClientContext* context, const v1::EnterSaleRequest* request, v1::EnterSaleResponse* response,
                  std::function<void(grpc::Status)> done) {
    stubs.door->async()->EnterSale(context, request, response, std::move(done));
  };
  kind.problem = [&](const v1::EnterSaleRequest& request, const v1::EnterSaleResponse& response) -> std::string {
    if (!response.admitted()) return "not admitted";
    if (response.purchase_token().empty() == flags.token) return flags.token ? "no token" : "an unexpected token";
    buyers.Add({request.user_id(), response.purchase_token()});
    return "";
  };
  return Calls<v1::EnterSaleRequest, v1::EnterSaleResponse>(std::move(kind), flags.in_flight)
      .Run(duration, flags.node_pid);
}

Figures Claim(const Stubs& stubs, const Flags& flags, absl::Duration duration, Buyers& buyers) {
  CallKind<v1::CreateReservationRequest, v1::CreateReservationResponse> kind;
  kind.next = [&](v1::CreateReservationRequest& request) {
    std::optional<Buyers::Buyer> buyer = buyers.Take();
    if (!buyer.has_value()) return false;
    request.set_reservation_id(MakeUuidV7());
    request.set_sku_id(flags.sku);
    request.set_user_id(std::move(buyer->user_id));
    request.set_quantity(1);
    request.set_purchase_token(std::move(buyer->token));
    return true;
  };
  kind.call = [&](grpc::ClientContext* context, const v1::CreateReservationRequest* request,
                  v1::CreateReservationResponse* response, std::function<void(grpc::Status)> done) {
    stubs.reservations->async()->CreateReservation(context, request, response, std::move(done));
  };
  kind.problem = [](const v1::CreateReservationRequest&, const v1::CreateReservationResponse&) {
    return std::string();
  };
  return Calls<v1::CreateReservationRequest, v1::CreateReservationResponse>(std::move(kind), flags.in_flight)
      .Run(duration, flags.node_pid);
}

void Print(const std::string& name, const Figures& figures) {
  std::cout << absl::StrFormat("%-6s %10.0f/s   %.1f us of the node's CPU for one\n", name, figures.per_second,
                               figures.cpu_us);
}

nlohmann::json ToJson(const Figures& figures) {
  return {{"answers", figures.answers}, {"per_second", figures.per_second}, {"cpu_us", figures.cpu_us}};
}

// Says so if something else than buyers who are let in was measured.
bool Valid(const std::string& name, const Figures& figures) {
  if (figures.answers > 0 && figures.problems.empty()) return true;
  std::cerr << "bench_door: " << name << ": not a measurement of buyers who are let in; of " << figures.answers
            << " answers:";
  for (const auto& [problem, count] : figures.problems) std::cerr << " " << problem << "=" << count;
  std::cerr << "\n";
  return false;
}

int Measure(const Flags& flags) {
  const auto channel = grpc::CreateChannel(flags.endpoint, grpc::InsecureChannelCredentials());
  const Stubs stubs = {v1::FrontDoorService::NewStub(channel), v1::ReservationService::NewStub(channel)};
  Buyers first;
  Enter(stubs, flags, kWarmUp, first);
  Claim(stubs, flags, kWarmUp, first);
  Buyers buyers;
  const Figures entered = Enter(stubs, flags, absl::Seconds(flags.seconds), buyers);
  const Figures claimed = Claim(stubs, flags, absl::Seconds(flags.seconds), buyers);
  Print("enter", entered);
  Print("claim", claimed);
  if (!flags.json_file.empty()) {
    std::ofstream file(flags.json_file);
    file << nlohmann::json{{"enter", ToJson(entered)}, {"claim", ToJson(claimed)}}.dump(2) << "\n";
    if (!file) {
      std::cerr << "bench_door: cannot write " << flags.json_file << "\n";
      return 1;
    }
  }
  const bool entries_valid = Valid("enter", entered);
  return Valid("claim", claimed) && entries_valid ? 0 : 2;
}

int Main(int argc, char** argv) {
  CLI::App app("How fast a front node lets buyers in, and grants their claims.", "bench_door");
  Flags flags;
  app.add_option("--endpoint", flags.endpoint, "A front node, host:port")->required();
  app.add_option("--sku", flags.sku, "A SKU on sale, with units for all claims")->required();
  app.add_option("--seconds", flags.seconds, "Of entering; and of claiming, unless all who entered have claimed before")
      ->check(CLI::Range(0.1, 30.0))  // within the lifetime of a token
      ->capture_default_str();
  app.add_option("--in-flight", flags.in_flight, "Calls at once")->check(CLI::Range(1, 10'000))->capture_default_str();
  app.add_flag("--token", flags.token, "The SKU's policy asks for a purchase token; without: it must ask for none");
  app.add_option("--node-pid", flags.node_pid, "The node's process, to measure its CPU time");
  app.add_option("--json", flags.json_file, "Write the figures to this file");
  CLI11_PARSE(app, argc, argv);
  return Measure(flags);
}

}  // namespace
}  // namespace tranche::benchmark

int main(int argc, char** argv) {
  // Debian builds Abseil with its deadlock detector on, which would cost gRPC time at every lock.
  absl::SetMutexDeadlockDetectionMode(absl::OnDeadlockCycle::kIgnore);
  return tranche::benchmark::Main(argc, argv);
}
