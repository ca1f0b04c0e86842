#include "tests/benchmark/bench_shard.h"

#include <atomic>
#include <optional>
#include <utility>

#include "absl/strings/str_cat.h"
#include "absl/time/clock.h"
#include "absl/types/span.h"
#include "glog/logging.h"
#include "storage/pipeline/commit_pipeline.h"
#include "storage/postgres/migrator.h"

namespace tranche::benchmark {

void Check(const absl::Status& status) { CHECK(status.ok()) << status; }

storage::Uuid NextId() {
  static std::atomic<uint64_t> next{0};
  storage::Uuid id{};
  const uint64_t milliseconds = static_cast<uint64_t>(absl::ToUnixMillis(absl::Now()));
  const uint64_t number = next.fetch_add(1);
  for (int i = 0; i < 6; ++i) id.bytes[i] = static_cast<uint8_t>(milliseconds >> (40 - 8 * i));
  id.bytes[6] = 0x70;
  id.bytes[8] = 0x80;
  for (int i = 0; i < 7; ++i) id.bytes[9 + i] = static_cast<uint8_t>(number >> (48 - 8 * i));
  return id;
}

Shard::Shard(const std::string& owner_dsn, const std::string& node_dsn)
    : pool_(storage::PoolOptions{.dsn = node_dsn, .max_connections = 16, .statement_timeout = absl::Minutes(10)}) {
  const auto migrated = storage::Migrate(owner_dsn);
  Check(migrated.status());
  const auto incarnation = stock_.RegisterIncarnation("benchmark", "127.0.0.1:1");
  Check(incarnation.status());
  incarnation_ = *incarnation;
}

void Shard::Open(const std::string& sku_id, int64_t units, absl::Duration hold) {
  storage::Sku sku;
  sku.sku_id = sku_id;
  sku.title = "A thing";
  sku.price_minor = 1999;
  sku.currency = "EUR";
  sku.stock = units;
  sku.hold = hold;
  Check(stock_.CreateSku(sku, "benchmark").status());
  const storage::QuotaDelta all{incarnation_, units};
  Check(stock_.MoveUnits(sku_id, absl::MakeConstSpan(&all, 1), std::nullopt, "benchmark").status());
}

void Shard::Verify() {
  const auto report = stock_.Verify("");
  Check(report.status());
  for (const auto& violation : report->violations) {
    LOG(FATAL) << violation.rule << " " << violation.sku_id << ": " << violation.detail;
  }
}

void Window::Enter() {
  absl::MutexLock lock(&mutex_);
  mutex_.Await(absl::Condition(this, &Window::HasRoom));
  --free_;
}

void Window::Leave() {
  absl::MutexLock lock(&mutex_);
  ++free_;
}

void Window::AwaitEmpty() {
  absl::MutexLock lock(&mutex_);
  mutex_.Await(absl::Condition(this, &Window::IsEmpty));
}

double PerSecond(int64_t count, absl::Duration took) {
  return static_cast<double>(count) / absl::ToDoubleSeconds(took);
}

std::vector<storage::Uuid> CreateMany(Shard& shard, const std::string& sku_id,
                                      const std::function<bool(int64_t)>& go_on, double* per_second,
                                      const std::function<void(const storage::Uuid&)>& done) {
  storage::CommitPipeline pipeline(&shard.ledger(), storage::Clock::Real(), storage::PipelineOptions{});
  Window window(kWindow);
  std::vector<storage::Uuid> ids;
  const absl::Time begin = absl::Now();
  while (go_on(static_cast<int64_t>(ids.size()))) {
    window.Enter();
    ids.push_back(NextId());
    storage::ReservationClaim claim{ids.back(), sku_id, absl::StrCat("user-", ids.back().ToString()), 1};
    pipeline.Submit(shard.incarnation(), std::move(claim), begin + absl::Hours(1), [&, id = ids.back()](auto result) {
      Check(result.status());
      CHECK(result->outcome == storage::CommitOutcome::kCreated) << static_cast<int>(result->outcome);
      if (done) done(id);
      window.Leave();
    });
  }
  window.AwaitEmpty();
  *per_second = PerSecond(static_cast<int64_t>(ids.size()), absl::Now() - begin);
  return ids;
}

}  // namespace tranche::benchmark
