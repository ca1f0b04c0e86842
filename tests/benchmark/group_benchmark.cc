// What group buying costs the ledger, on a private PostgreSQL, through the same pipelines as in a front node but
// without gRPC: groups of three filled per second; a group of 100 settled by its last payment; and what sales to single
// buyers feel of groups beside them.
#include <CLI/CLI.hpp>
#include <algorithm>
#include <atomic>
#include <cstdio>
#include <fstream>
#include <iterator>
#include <memory>
#include <nlohmann/json.hpp>
#include <string>
#include <thread>
#include <utility>
#include <vector>

#include "absl/strings/str_cat.h"
#include "absl/synchronization/mutex.h"
#include "absl/time/clock.h"
#include "absl/time/time.h"
#include "glog/logging.h"
#include "storage/pipeline/change_pipeline.h"
#include "storage/pipeline/commit_pipeline.h"
#include "storage/postgres/postgres_group_ledger.h"
#include "tests/benchmark/bench_shard.h"
#include "tests/support/mini_postgres.h"

namespace tranche::storage {
namespace {

using benchmark::Check;
using benchmark::CreateMany;
using benchmark::kWindow;
using benchmark::NextId;
using benchmark::PerSecond;
using benchmark::Shard;
using benchmark::Window;
using testing::MiniPostgres;

constexpr char kOffer[] = "team";
constexpr int64_t kPrice = 1500;
constexpr int kLargeGroup = kMostSeats;
constexpr int kLargeGroups = 20;

// Units of one SKU that are sold to groups of so many.
class GroupSale {
 public:
  GroupSale(Shard& shard, GroupLedger& groups, const std::string& sku_id, int seats) : shard_(shard), sku_id_(sku_id) {
    shard.Open(sku_id, 100'000'000, absl::Hours(1));
    GroupOffer offer;
    offer.sku_id = sku_id;
    offer.offer_id = kOffer;
    offer.seats = seats;
    offer.price_minor = kPrice;
    offer.open_for = absl::Hours(24);
    offer.pay_within = absl::Hours(1);
    Check(groups.CreateGroupOffer(offer, /*preview=*/false, "benchmark").status());
  }

  // So many buyers join each of the groups; `opens`: they open it. Adds their reservations.
  void Join(const std::vector<Uuid>& groups, int members, bool opens, std::vector<Uuid>& held) {
    CommitPipeline pipeline(&shard_.ledger(), Clock::Real(), PipelineOptions{});
    Window window(kWindow);
    for (int member = 0; member < members; ++member) {
      for (const Uuid& group_id : groups) {
        window.Enter();
        held.push_back(NextId());
        ReservationClaim claim{held.back(), sku_id_, absl::StrCat("user-", held.back().ToString()), 1};
        claim.group = std::make_shared<const GroupJoin>(GroupJoin{group_id, opens ? kOffer : ""});
        pipeline.Submit(shard_.incarnation(), std::move(claim), absl::Now() + absl::Hours(1), [&](auto result) {
          Check(result.status());
          CHECK(result->outcome == CommitOutcome::kCreated) << static_cast<int>(result->outcome);
          window.Leave();
        });
      }
    }
    window.AwaitEmpty();
  }

  void Pay(const std::vector<Uuid>& held) {
    ChangePipeline pipeline(&shard_.lifecycle(), Clock::Real(), PipelineOptions{});
    Window window(kWindow);
    for (const Uuid& id : held) {
      window.Enter();
      pipeline.Submit(Payment{id, "pay-" + id.ToString(), kPrice, "EUR"}, absl::Now() + absl::Hours(1),
                      [&](absl::StatusOr<ChangeResult> result) {
                        Check(result.status());
                        CHECK(result->outcome == ChangeOutcome::kDone) << static_cast<int>(result->outcome);
                        window.Leave();
                      });
    }
    window.AwaitEmpty();
  }

 private:
  Shard& shard_;
  const std::string sku_id_;
};

std::vector<Uuid> NewGroups(int count) {
  std::vector<Uuid> groups;
  std::generate_n(std::back_inserter(groups), count, NextId);
  return groups;
}

// Opens, joins and pays `count` groups of three. Returns how many were filled in a second.
double FillGroups(GroupSale& sale, int count, nlohmann::json* figures) {
  const std::vector<Uuid> groups = NewGroups(count);
  std::vector<Uuid> held;
  const absl::Time began = absl::Now();
  sale.Join(groups, 1, /*opens=*/true, held);
  const absl::Time opened = absl::Now();
  sale.Join(groups, 2, /*opens=*/false, held);
  const absl::Time joined = absl::Now();
  sale.Pay(held);
  const absl::Time paid = absl::Now();
  if (figures != nullptr) {
    *figures = {{"opened_per_second", PerSecond(count, opened - began)},
                {"joined_per_second", PerSecond(2 * count, joined - opened)},
                {"paid_per_second", PerSecond(3 * count, paid - joined)}};
  }
  return PerSecond(count, paid - began);
}

// Milliseconds from the payment for the last seat of a group until all are sold to; the median.
double SettleLargeGroup(GroupSale& sale) {
  std::vector<double> took_ms;
  for (int i = 0; i < kLargeGroups; ++i) {
    std::vector<Uuid> held;
    const std::vector<Uuid> group = NewGroups(1);
    sale.Join(group, 1, /*opens=*/true, held);
    sale.Join(group, kLargeGroup - 1, /*opens=*/false, held);
    const std::vector<Uuid> last = {held.back()};
    held.pop_back();
    sale.Pay(held);
    const absl::Time began = absl::Now();
    sale.Pay(last);
    took_ms.push_back(absl::ToDoubleMilliseconds(absl::Now() - began));
  }
  std::nth_element(took_ms.begin(), took_ms.begin() + kLargeGroups / 2, took_ms.end());
  return took_ms[kLargeGroups / 2];
}

double Create(Shard& shard, const std::string& sku_id, absl::Duration duration) {
  double per_second = 0;
  const absl::Time end = absl::Now() + duration;
  CreateMany(
      shard, sku_id, [&](int64_t) { return absl::Now() < end; }, &per_second);
  return per_second;
}

// As Create, while so many groups of three are filled in a second.
double CreateBeside(Shard& shard, GroupSale& sale, const std::string& sku_id, absl::Duration duration, int per_second) {
  constexpr int kTicks = 10;  // a second
  std::atomic<bool> selling = true;
  std::thread others([&] {
    for (absl::Time next = absl::Now(); selling; next += absl::Seconds(1) / kTicks) {
      absl::SleepFor(next - absl::Now());
      FillGroups(sale, std::max(1, per_second / kTicks), nullptr);
    }
  });
  const double created = Create(shard, sku_id, duration);
  selling = false;
  others.join();
  return created;
}

nlohmann::json Measure(int rounds, int count, int beside, absl::Duration duration) {
  MiniPostgres postgres;
  Check(postgres.Start());
  Shard shard(postgres.dsn(), postgres.node_dsn());
  ConnectionPool pool(PoolOptions{.dsn = postgres.node_dsn(), .max_connections = 1});
  PostgresGroupLedger groups(&pool);
  GroupSale trios(shard, groups, "trio", 3), clubs(shard, groups, "club", kLargeGroup);
  shard.Open("single", 100'000'000, absl::Hours(1));
  FillGroups(trios, 500, nullptr);  // connections and plans
  Create(shard, "single", duration);
  nlohmann::json figures;
  for (int round = 0; round < rounds; ++round) {
    nlohmann::json one;
    const double filled = FillGroups(trios, count, &one);
    const double settled_ms = SettleLargeGroup(clubs);
    const double alone = Create(shard, "single", duration);
    const double created = CreateBeside(shard, trios, "single", duration, beside);
    std::printf(
        "%6.0f groups of 3 filled/s (%.0f opened, %.0f joined, %.0f paid)   a group of %d in %.1f ms   "
        "single claims %.0f/s alone, %.0f/s beside %d groups/s (%.0f %%)\n",
        filled, one["opened_per_second"].get<double>(), one["joined_per_second"].get<double>(),
        one["paid_per_second"].get<double>(), kLargeGroup, settled_ms, alone, created, beside, 100 * created / alone);
    std::fflush(stdout);
    one.update({{"filled_per_second", filled},
                {"settle_100_ms", settled_ms},
                {"created_alone_per_second", alone},
                {"created_beside_per_second", created}});
    figures["rounds"].push_back(one);
  }
  shard.Verify();
  return figures;
}

}  // namespace
}  // namespace tranche::storage

int main(int argc, char** argv) {
  google::InitGoogleLogging(argv[0]);
  FLAGS_logtostderr = true;
  absl::SetMutexDeadlockDetectionMode(absl::OnDeadlockCycle::kIgnore);  // as the servers do
  CLI::App app("Measures what group buying costs.");
  std::string json_file;
  int rounds = 3;
  int count = 5000;
  int beside = 100;
  double seconds = 5;
  app.add_option("--json", json_file, "Write the figures to this file");
  app.add_option("--rounds", rounds)->check(CLI::Range(1, 1000))->capture_default_str();
  app.add_option("--count", count, "Groups of three in a round")->check(CLI::Range(1, 10'000))->capture_default_str();
  app.add_option("--beside", beside, "Groups that are filled in a second beside single claims")
      ->check(CLI::Range(10, 10'000))
      ->capture_default_str();
  app.add_option("--seconds", seconds, "Of single claims, per measurement")
      ->check(CLI::Range(0.1, 3600.0))
      ->capture_default_str();
  CLI11_PARSE(app, argc, argv);
  const nlohmann::json figures = tranche::storage::Measure(rounds, count, beside, absl::Seconds(seconds));
  if (!json_file.empty()) std::ofstream(json_file) << figures.dump(2) << "\n";
  return 0;
}
