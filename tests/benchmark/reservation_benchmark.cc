// The cost of a reservation's life, on a private PostgreSQL, through the same pipelines as in a front node but without
// gRPC. Every figure is compared with one of the same run.
//
//   reservation_benchmark changes    confirmations and cancellations per second, beside creations
//   reservation_benchmark expiry     how fast due holds expire, and what a sale beside it feels of it
//   reservation_benchmark old-rows   creations per second with old reservations in the table, beside an empty one
#include <CLI/CLI.hpp>
#include <algorithm>
#include <atomic>
#include <cstdio>
#include <fstream>
#include <functional>
#include <memory>
#include <nlohmann/json.hpp>
#include <string>
#include <thread>
#include <vector>

#include "absl/strings/str_cat.h"
#include "absl/synchronization/mutex.h"
#include "absl/time/clock.h"
#include "glog/logging.h"
#include "storage/pipeline/change_pipeline.h"
#include "storage/pipeline/commit_pipeline.h"
#include "tests/benchmark/bench_shard.h"
#include "tests/benchmark/sql_file.h"
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

using Change = std::function<void(ChangePipeline&, const Uuid&, absl::Time deadline, ChangeDone)>;

double ChangeAll(Shard& shard, const std::vector<Uuid>& ids, const Change& change) {
  ChangePipeline pipeline(&shard.lifecycle(), Clock::Real(), PipelineOptions{});
  Window window(kWindow);
  const absl::Time begin = absl::Now();
  for (const Uuid& id : ids) {
    window.Enter();
    change(pipeline, id, begin + absl::Hours(1), [&](absl::StatusOr<ChangeResult> result) {
      Check(result.status());
      CHECK(result->outcome == ChangeOutcome::kDone) << static_cast<int>(result->outcome);
      window.Leave();
    });
  }
  window.AwaitEmpty();
  return PerSecond(static_cast<int64_t>(ids.size()), absl::Now() - begin);
}

nlohmann::json Changes(int64_t count) {
  MiniPostgres postgres;
  Check(postgres.Start());
  Shard shard(postgres.dsn(), postgres.node_dsn());
  nlohmann::json figures;
  for (int round = 0; round < 3; ++round) {
    const auto until_count = [&](int64_t created) { return created < count; };
    const std::string to_confirm = absl::StrCat("confirm-", round), to_cancel = absl::StrCat("cancel-", round);
    shard.Open(to_confirm, count, absl::Hours(1));
    shard.Open(to_cancel, count, absl::Hours(1));
    double created = 0, unused = 0;
    const std::vector<Uuid> bought = CreateMany(shard, to_confirm, until_count, &created);
    const std::vector<Uuid> regretted = CreateMany(shard, to_cancel, until_count, &unused);
    const double confirmed =
        ChangeAll(shard, bought, [](ChangePipeline& pipeline, const Uuid& id, absl::Time deadline, ChangeDone done) {
          pipeline.Submit(storage::Payment{id, "pay-" + id.ToString(), 1999, "EUR"}, deadline, std::move(done));
        });
    const double cancelled =
        ChangeAll(shard, regretted, [](ChangePipeline& pipeline, const Uuid& id, absl::Time deadline, ChangeDone done) {
          pipeline.Submit(storage::Cancellation{id, "changed my mind"}, deadline, std::move(done));
        });
    std::printf("created %8.0f/s   confirmed %8.0f/s (%.0f %%)   cancelled %8.0f/s (%.0f %%)\n", created, confirmed,
                100 * confirmed / created, cancelled, 100 * cancelled / created);
    std::fflush(stdout);
    figures["rounds"].push_back(
        {{"created_per_second", created}, {"confirmed_per_second", confirmed}, {"cancelled_per_second", cancelled}});
  }
  shard.Verify();
  return figures;
}

struct Latencies {
  double p50_ms = 0, p99_ms = 0, max_ms = 0;
  int64_t sales = 0;
};

// A sale at a fixed rate for as long as `go_on`, however long its answers take.
Latencies SellAtRate(Shard& shard, const std::string& sku_id, int per_second, const std::function<bool()>& go_on) {
  CommitPipeline pipeline(&shard.ledger(), Clock::Real(), PipelineOptions{});
  absl::Mutex mutex;
  std::vector<double> took_ms;
  absl::Time next = absl::Now();
  while (go_on()) {
    absl::SleepFor(next - absl::Now());
    const absl::Time due = next;
    next += absl::Seconds(1) / per_second;
    const Uuid id = NextId();
    pipeline.Submit(shard.incarnation(), {id, sku_id, "user-" + id.ToString(), 1}, due + absl::Minutes(1),
                    [&, due](auto result) {
                      Check(result.status());
                      absl::MutexLock lock(&mutex);
                      took_ms.push_back(absl::ToDoubleMilliseconds(absl::Now() - due));
                    });
  }
  CHECK(pipeline.Drain(absl::Minutes(1)));
  absl::MutexLock lock(&mutex);
  std::sort(took_ms.begin(), took_ms.end());
  const auto at = [&](double part) {
    return took_ms[static_cast<size_t>(part * static_cast<double>(took_ms.size() - 1))];
  };
  return {at(0.5), at(0.99), took_ms.back(), static_cast<int64_t>(took_ms.size())};
}

nlohmann::json ToJson(const Latencies& latencies) {
  return {{"sales", latencies.sales},
          {"p50_ms", latencies.p50_ms},
          {"p99_ms", latencies.p99_ms},
          {"max_ms", latencies.max_ms}};
}

// Expires at most `per_second` holds a second, as a worker does.
nlohmann::json Expiry(int64_t holds, int batch, int per_second, int sales_per_second) {
  MiniPostgres postgres;
  Check(postgres.Start());
  Shard shard(postgres.dsn(), postgres.node_dsn());
  constexpr absl::Duration kHold = absl::Seconds(1);
  nlohmann::json figures;
  shard.Open("sale", 100'000'000, absl::Hours(1));
  for (int round = 0; round < 3; ++round) {
    const std::string sku_id = absl::StrCat("lapsing-", round);
    shard.Open(sku_id, holds, kHold);
    double unused = 0;
    CreateMany(
        shard, sku_id, [&](int64_t created) { return created < holds; }, &unused);
    const absl::Time due = absl::Now() + kHold;
    const Latencies before =
        SellAtRate(shard, "sale", sales_per_second, [until = due + absl::Seconds(5)] { return absl::Now() < until; });

    std::atomic<bool> expiring{true};
    absl::Duration took;
    std::thread expirer([&] {
      const absl::Time begin = absl::Now();
      int64_t expired = 0;
      while (expired < holds) {
        const auto done = shard.upkeep().ExpireDue(batch);
        Check(done.status());
        CHECK_GT(done->expired, 0);
        expired += done->expired;
        absl::SleepFor(begin + absl::Seconds(static_cast<double>(expired) / per_second) - absl::Now());
      }
      took = absl::Now() - begin;
      expiring = false;
    });
    const Latencies beside = SellAtRate(shard, "sale", sales_per_second, [&] { return expiring.load(); });
    expirer.join();
    std::printf("%lld holds expired in %.1f s; a sale of %d/s beside it: p99 %.1f ms, before %.1f ms (%.1f times)\n",
                static_cast<long long>(holds), absl::ToDoubleSeconds(took), sales_per_second, beside.p99_ms,
                before.p99_ms, beside.p99_ms / before.p99_ms);
    std::fflush(stdout);
    figures["rounds"].push_back(
        {{"seconds", absl::ToDoubleSeconds(took)}, {"beside", ToJson(beside)}, {"before", ToJson(before)}});
  }
  shard.Verify();
  return figures;
}

nlohmann::json OldRows(int64_t rows, absl::Duration duration) {
  MiniPostgres postgres;
  Check(postgres.Start());
  Check(postgres.CreateDatabase("old"));
  Shard empty(postgres.dsn(), postgres.node_dsn());
  Shard old(postgres.Dsn("old"), postgres.Dsn("old", MiniPostgres::kNodeRole));
  std::printf("filling %lld old reservations\n", static_cast<long long>(rows));
  std::fflush(stdout);
  benchmark::RunSqlFile(postgres.Dsn("old"), TRANCHE_OLD_RESERVATIONS_SQL, {{"rows", absl::StrCat(rows)}});
  nlohmann::json figures;
  const auto rate_of = [&](Shard& shard, const std::string& sku_id) {
    shard.Open(sku_id, 100'000'000, absl::Hours(1));
    double per_second = 0;
    const absl::Time end = absl::Now() + duration;
    CreateMany(
        shard, sku_id, [&](int64_t) { return absl::Now() < end; }, &per_second);
    return per_second;
  };
  rate_of(empty, "warm");
  rate_of(old, "warm");
  for (int round = 0; round < 5; ++round) {
    const std::string sku_id = absl::StrCat("tv-", round);
    const double without = rate_of(empty, sku_id);
    const double with = rate_of(old, sku_id);
    std::printf("created %8.0f/s in the empty table, %8.0f/s beside the old ones (%.0f %%)\n", without, with,
                100 * with / without);
    std::fflush(stdout);
    figures["rounds"].push_back({{"empty_per_second", without}, {"old_per_second", with}});
  }
  return figures;
}

}  // namespace
}  // namespace tranche::storage

int main(int argc, char** argv) {
  using namespace tranche::storage;
  google::InitGoogleLogging(argv[0]);
  FLAGS_logtostderr = true;
  absl::SetMutexDeadlockDetectionMode(absl::OnDeadlockCycle::kIgnore);  // as the servers do
  CLI::App app("Measures what a reservation's life costs.");
  app.require_subcommand(1);
  std::string json_file;
  app.add_option("--json", json_file, "Write the figures to this file");
  nlohmann::json figures;

  int64_t count = 100'000;
  CLI::App* changes = app.add_subcommand("changes", "Confirmations and cancellations per second");
  changes->add_option("--count", count, "Of each, per round")->capture_default_str();
  changes->callback([&] { figures = Changes(count); });

  int64_t holds = 100'000;
  int batch = 100;
  int per_second = 12500;
  int sales_per_second = 2000;
  CLI::App* expiry = app.add_subcommand("expiry", "Due holds, expired beside a sale");
  expiry->add_option("--holds", holds)->capture_default_str();
  expiry->add_option("--batch", batch, "Holds per transaction")->capture_default_str();
  expiry->add_option("--per-second", per_second, "Most holds that expire in a second, as tranche-worker --expire-per-s")
      ->capture_default_str();
  expiry->add_option("--rate", sales_per_second, "Sales per second beside it")->capture_default_str();
  expiry->callback([&] { figures = Expiry(holds, batch, per_second, sales_per_second); });

  int64_t rows = 10'000'000;
  int seconds = 5;
  CLI::App* old_rows = app.add_subcommand("old-rows", "Creations beside old reservations");
  old_rows->add_option("--rows", rows)->capture_default_str();
  old_rows->add_option("--seconds", seconds, "Per measurement")->capture_default_str();
  old_rows->callback([&] { figures = OldRows(rows, absl::Seconds(seconds)); });

  CLI11_PARSE(app, argc, argv);
  if (!json_file.empty()) std::ofstream(json_file) << figures.dump(2) << "\n";
  return 0;
}
