// Holds that end by the ledger's index, as tranche-worker ends them, beside holds that end by messages which wait in
// the broker. On a private PostgreSQL and a private broker; docs/queue-messages.md says why only the first is used.
//
//   all due     nothing ends a hold until all are due, and then as fast as it goes: units that come back in a second
//   one by one  holds end while others are still created: how late each one ends, by the database's clock
//
// The messages are published, with confirms, when their holds are created, into a quorum queue whose TTL is the hold's
// time. Those that have waited go to another one, at least once. Their consumer ends as many holds in one transaction
// as the expirer does, by the procedure of cancellations, which does for given ids what the expirer does for those that
// it finds.
#include <CLI/CLI.hpp>
#include <algorithm>
#include <cstdio>
#include <fstream>
#include <functional>
#include <memory>
#include <nlohmann/json.hpp>
#include <string>
#include <thread>
#include <utility>
#include <vector>

#include "absl/base/thread_annotations.h"
#include "absl/strings/str_cat.h"
#include "absl/synchronization/mutex.h"
#include "absl/time/clock.h"
#include "absl/types/span.h"
#include "glog/logging.h"
#include "tests/benchmark/bench_shard.h"
#include "tests/benchmark/descendants.h"
#include "tests/support/amqp_caller.h"
#include "tests/support/mini_postgres.h"
#include "tests/support/test_rabbitmq.h"

namespace tranche::benchmark {
namespace {

using storage::Uuid;
using testing::AmqpCaller;

constexpr absl::Duration kHold = absl::Seconds(5);
// A server that hangs ends the program, not the benchmark's user's patience.
constexpr absl::Duration kPatience = absl::Minutes(10);
// The due ones are all in the second queue by then.
constexpr absl::Duration kSettling = absl::Seconds(3);
constexpr size_t kPublishedAtOnce = 1000;
constexpr int kPrefetch = 1000;
constexpr size_t kReadAtOnce = 100;

enum class Start { kAllDue, kOneByOne };

// How holds end. One object for each measurement.
class Way {
 public:
  virtual ~Way() = default;
  // On any thread.
  virtual void OnCreated(const Uuid& id) = 0;
  // Returns when everything is prepared for the ends of these holds.
  virtual void AwaitPrepared(int64_t holds) = 0;
  // Returns when so many have ended.
  virtual void End(Shard& shard, int64_t holds) = 0;
};

class ByIndex : public Way {
 public:
  explicit ByIndex(int batch) : batch_(batch) {}

  void OnCreated(const Uuid&) override {}
  void AwaitPrepared(int64_t) override {}
  // As Expirer does, without its bound on the rate.
  void End(Shard& shard, int64_t holds) override {
    const absl::Time give_up = absl::Now() + kPatience;
    for (int64_t ended = 0; ended < holds;) {
      CHECK(absl::Now() < give_up) << ended << " of " << holds << " have expired";
      const auto expired = shard.upkeep().ExpireDue(batch_);
      Check(expired.status());
      ended += expired->expired;
      if (expired->more) continue;
      absl::SleepFor(std::clamp(expired->until_next, absl::Milliseconds(1), absl::Milliseconds(200)));
    }
  }

 private:
  const int batch_;
};

class ByMessages : public Way {
 public:
  ByMessages(const std::string& broker, const std::string& name, int batch, int64_t holds)
      : batch_(static_cast<size_t>(batch)),
        waiting_(absl::StrCat("benchmark.waiting.", name)),
        due_(absl::StrCat("benchmark.due.", name)),
        publisher_(Connect(broker)),
        consumer_(Connect(broker)) {
    Check(consumer_->DeclareQueue(due_, {{"x-queue-type", "quorum"}}));
    Check(publisher_->DeclareQueue(waiting_, {{"x-queue-type", "quorum"},
                                              {"x-message-ttl", absl::ToInt64Milliseconds(kHold)},
                                              {"x-overflow", "reject-publish"},
                                              {"x-dead-letter-exchange", ""},
                                              {"x-dead-letter-routing-key", due_},
                                              {"x-dead-letter-strategy", "at-least-once"}}));
    publishing_ = std::thread([this, holds] { PublishAll(holds); });
  }
  ~ByMessages() override {
    publishing_.join();
    consumer_->DeleteQueue(waiting_).IgnoreError();
    consumer_->DeleteQueue(due_).IgnoreError();
  }

  void OnCreated(const Uuid& id) override {
    absl::MutexLock lock(&mutex_);
    created_.push_back(id.ToString());
  }
  void AwaitPrepared(int64_t holds) override {
    absl::MutexLock lock(&mutex_);
    awaited_ = holds;
    CHECK(mutex_.AwaitWithTimeout(absl::Condition(this, &ByMessages::AllPublished), kPatience)) << "still publishing";
  }
  void End(Shard& shard, int64_t holds) override {
    Check(consumer_->Consume(due_, kPrefetch));
    const absl::Time give_up = absl::Now() + kPatience;
    std::vector<storage::Cancellation> some;
    uint64_t last = 0;
    for (int64_t ended = 0; ended < holds;) {
      CHECK(absl::Now() < give_up) << ended << " of " << holds << " have come";
      // As many as are there, up to a batch.
      const auto next = consumer_->Next(some.empty() ? absl::Seconds(1) : absl::ZeroDuration());
      Check(next.status());
      if (next->has_value()) {
        last = (*next)->tag;
        const Uuid id = *Uuid::Parse((*next)->body);
        // The broker may deliver twice; the ids of a batch are distinct.
        const auto is_there = [&id](const auto& other) { return other.reservation_id == id; };
        if (std::none_of(some.begin(), some.end(), is_there)) some.push_back({id, "its time is over"});
        if (some.size() < batch_) continue;
      }
      if (some.empty()) continue;
      storage::LifecycleLedger& lifecycle = shard.lifecycle();
      const auto results = lifecycle.CancelReservations(some);
      Check(results.status());
      Check(consumer_->AcknowledgeUpTo(last));
      // One that came twice is a replay.
      for (const storage::ChangeResult& result : *results) ended += result.outcome == storage::ChangeOutcome::kDone;
      some.clear();
    }
  }

 private:
  static std::unique_ptr<AmqpCaller> Connect(const std::string& broker) {
    auto caller = AmqpCaller::Connect(broker);
    Check(caller.status());
    return *std::move(caller);
  }

  bool AnyCreated() const ABSL_SHARED_LOCKS_REQUIRED(mutex_) { return !created_.empty(); }
  bool AllPublished() const ABSL_SHARED_LOCKS_REQUIRED(mutex_) { return published_ >= awaited_; }

  void PublishAll(int64_t holds) {
    for (int64_t done = 0; done < holds;) {
      std::vector<std::string> some;
      {
        absl::MutexLock lock(&mutex_);
        CHECK(mutex_.AwaitWithTimeout(absl::Condition(this, &ByMessages::AnyCreated), kPatience))
            << "nothing is created";
        const size_t count = std::min(created_.size(), kPublishedAtOnce);
        some.assign(created_.begin(), created_.begin() + static_cast<std::ptrdiff_t>(count));
        created_.erase(created_.begin(), created_.begin() + static_cast<std::ptrdiff_t>(count));
      }
      Check(publisher_->PublishConfirmed(waiting_, some));
      done += static_cast<int64_t>(some.size());
      absl::MutexLock lock(&mutex_);
      published_ = done;
    }
  }

  const size_t batch_;
  const std::string waiting_, due_;
  const std::unique_ptr<AmqpCaller> publisher_, consumer_;
  absl::Mutex mutex_;
  std::vector<std::string> created_ ABSL_GUARDED_BY(mutex_);  // and not published
  int64_t published_ ABSL_GUARDED_BY(mutex_) = 0;
  int64_t awaited_ ABSL_GUARDED_BY(mutex_) = 0;
  std::thread publishing_;  // last: it uses the others
};

// How late the holds have ended, by the database's clock.
std::vector<double> LatenessMs(Shard& shard, const std::vector<Uuid>& ids) {
  std::vector<double> late_ms;
  const absl::Span<const Uuid> all(ids);
  for (size_t begin = 0; begin < all.size(); begin += kReadAtOnce) {
    const auto rows = shard.lifecycle().ReadReservations(all.subspan(begin, kReadAtOnce));
    Check(rows.status());
    for (const storage::Reservation& row : *rows) {
      CHECK(row.finished_at.has_value()) << row.reservation_id.ToString() << " has not ended";
      late_ms.push_back(absl::ToDoubleMilliseconds(*row.finished_at - row.expires_at));
    }
  }
  CHECK_EQ(late_ms.size(), ids.size());
  std::sort(late_ms.begin(), late_ms.end());
  CHECK_GE(late_ms.front(), 0) << "ended before its time";
  return late_ms;
}

// Used by both servers since an earlier look.
nlohmann::json UsedSince(const ServerUse& broker, const ServerUse& postgres) {
  return {{"broker_cpu_s", absl::ToDoubleSeconds(UseOfDescendants("beam.smp").cpu - broker.cpu)},
          {"postgres_cpu_s", absl::ToDoubleSeconds(UseOfDescendants("postgres").cpu - postgres.cpu)}};
}

nlohmann::json Measure(Shard& shard, Way& way, const std::string& name, Start start, int64_t holds) {
  const ServerUse broker_before = UseOfDescendants("beam.smp"), postgres_before = UseOfDescendants("postgres");
  shard.Open(name, holds, kHold);
  absl::Time begun = absl::Now();
  std::thread ender;
  const auto end = [&] { way.End(shard, holds); };
  if (start == Start::kOneByOne) ender = std::thread(end);
  double unused = 0;
  const std::vector<Uuid> ids = CreateMany(
      shard, name, [holds](int64_t created) { return created < holds; }, &unused,
      [&way](const Uuid& id) { way.OnCreated(id); });
  nlohmann::json figures;
  if (start == Start::kAllDue) {
    way.AwaitPrepared(holds);
    absl::SleepFor(kHold + kSettling);
    const ServerUse broker = UseOfDescendants("beam.smp");
    figures["broker_memory_mib"] = static_cast<double>(broker.resident_kib - broker_before.resident_kib) / 1024;
    begun = absl::Now();
    ender = std::thread(end);
  }
  ender.join();
  const absl::Duration took = absl::Now() - begun;
  figures.update(UsedSince(broker_before, postgres_before));
  const std::vector<double> late_ms = LatenessMs(shard, ids);
  const auto at = [&](double part) {
    return late_ms[static_cast<size_t>(part * static_cast<double>(late_ms.size() - 1))];
  };
  if (start == Start::kAllDue) figures["per_second"] = PerSecond(holds, took);
  if (start == Start::kOneByOne) figures["late_ms"] = {{"p50", at(0.5)}, {"p99", at(0.99)}, {"max", late_ms.back()}};
  return figures;
}

nlohmann::json CompareWays(int64_t holds, int batch, int rounds) {
  testing::MiniPostgres postgres;
  Check(postgres.Start());
  Shard shard(postgres.dsn(), postgres.node_dsn());
  const std::string broker = testing::UrlOf(testing::SharedRabbitmq());
  LOG_IF(WARNING, UseOfDescendants("beam.smp").processes == 0)
      << "the broker is not this program's: its CPU time and memory are not known, and told as 0";
  nlohmann::json figures;
  for (int round = 0; round < rounds; ++round) {
    for (const auto& [start, when] :
         {std::pair(Start::kAllDue, "all_due"), std::pair(Start::kOneByOne, "one_by_one")}) {
      for (const std::string& how : {std::string("index"), std::string("messages")}) {
        const std::string name = absl::StrCat(how, "-", when, "-", round);
        std::unique_ptr<Way> way;
        if (how == "index") {
          way = std::make_unique<ByIndex>(batch);
        } else {
          way = std::make_unique<ByMessages>(broker, absl::StrCat(absl::ToUnixMicros(absl::Now())), batch, holds);
        }
        const nlohmann::json measured = Measure(shard, *way, name, start, holds);
        std::printf("%-9s %-11s %s\n", how.c_str(), when, measured.dump().c_str());
        std::fflush(stdout);
        figures[how][when].push_back(measured);
      }
    }
  }
  shard.Verify();
  return figures;
}

}  // namespace
}  // namespace tranche::benchmark

int main(int argc, char** argv) {
  google::InitGoogleLogging(argv[0]);
  FLAGS_logtostderr = true;
  absl::SetMutexDeadlockDetectionMode(absl::OnDeadlockCycle::kIgnore);  // as the servers do
  CLI::App app("Compares holds that end by the ledger's index with holds that end by delayed messages.");
  int64_t holds = 100'000;
  int batch = 100;
  int rounds = 3;
  std::string json_file;
  app.add_option("--holds", holds, "For each measurement")->capture_default_str()->check(CLI::PositiveNumber);
  app.add_option("--batch", batch, "Holds per transaction")->capture_default_str()->check(CLI::Range(1, 1000));
  app.add_option("--rounds", rounds)->capture_default_str()->check(CLI::PositiveNumber);
  app.add_option("--json", json_file, "Write the figures to this file");
  CLI11_PARSE(app, argc, argv);
  const nlohmann::json figures = tranche::benchmark::CompareWays(holds, batch, rounds);
  if (!json_file.empty()) std::ofstream(json_file) << figures.dump(2) << "\n";
  return 0;
}
