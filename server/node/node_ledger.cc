#include "server/node/node_ledger.h"

#include <algorithm>
#include <utility>

#include "absl/time/clock.h"
#include "glog/logging.h"
#include "server/process/backends.h"
#include "server/process/clock_check.h"
#include "storage/base/status_macros.h"
#include "storage/postgres/postgres_shard_backend.h"
#include "storage/postgres/steady_now.h"
#include "storage/shards/ask_in_turn.h"
#include "storage/shards/ask_shards.h"

namespace tranche::server {
namespace {

constexpr int kLatePaymentThreads = 4;
// Lists may be slow and many pages long, so they share no thread with the calls that buyers wait for.
constexpr int kListThreads = 2;
constexpr int kListQueue = 64;
// Every node knows an added shard after this long.
constexpr absl::Duration kRefreshShards = absl::Seconds(1);
// A difference is logged as often.
constexpr absl::Duration kCompareClocks = absl::Minutes(1);
// Time after the drain timeout. Then a ledger that hangs is given up, so that callers who wait for it are answered.
constexpr absl::Duration kGiveUpAfter = absl::Seconds(1);

storage::PostgresShardOptions ShardOptions(const ServerOptions& options, const std::string& dsn) {
  storage::PostgresShardOptions shard;
  shard.pool = ToPoolOptions(options.backends, "", 0);
  shard.pool.dsn = dsn;
  shard.pipeline.lanes = options.lanes;
  shard.pipeline.max_batch = options.max_batch;
  shard.pipeline.max_queue = options.max_queue;
  shard.blocking_threads = options.blocking_threads;
  shard.blocking_queue = options.blocking_queue;
  return shard;
}

void CompareClock(const std::string& shard, storage::ShardLedger& ledger, ClockOffsets& offsets) {
  const storage::Clock& own = *storage::Clock::Real();
  const absl::Time before = own.Now();
  const absl::StatusOr<absl::Time> read = ledger.ReadClock();
  if (!read.ok()) return;  // others tell of that
  const absl::Time after = own.Now();
  const std::string warning = ClockWarning(shard, before, *read, after);
  LOG_IF(WARNING, !warning.empty()) << warning;
  if (const auto ahead = ClockAhead(before, *read, after); ahead.has_value()) offsets.Note(shard, *ahead);
}

// What the shard that has the SKU says of an entry, also that there is none.
struct EntryAnswer {
  absl::StatusOr<ProvenEntry> entry;
};

// Looked at when a thread takes the call: a caller who has gone takes none from the others.
absl::Status CheckDeadline(absl::Time deadline) {
  if (storage::Clock::Real()->Now() < deadline) return absl::OkStatus();
  return absl::DeadlineExceededError("the deadline passed before the ledger was asked");
}

// An error: this shard has not the SKU, or cannot say.
absl::StatusOr<EntryAnswer> AskForEntry(storage::ShardBackend& shard, DrawProver& prover, const storage::DrawKey& key,
                                        const std::string& user_id, absl::Time deadline) {
  RETURN_IF_ERROR(CheckDeadline(deadline));
  absl::StatusOr<ProvenEntry> found = prover.Find(*shard.draws, key, user_id);
  if (storage::MayBeElsewhere(found.status())) return found.status();
  return EntryAnswer{std::move(found)};
}

absl::Duration Until(absl::Time deadline) { return std::max(absl::ZeroDuration(), deadline - absl::Now()); }

}  // namespace

NodeLedger::NodeLedger(const ServerOptions& options, std::function<void(storage::IncarnationId)> incarnation_ended)
    : needs_(storage::PostgresShardBackend::NeedsOf(ShardOptions(options, ""))),
      check_(ToPoolOptions(options.backends, "", 0), needs_),
      shards_(
          std::make_unique<storage::PostgresShardBackend>(storage::kHomeShard,
                                                          ShardOptions(options, options.backends.postgres)),
          [options](const storage::Shard& shard) {
            storage::PostgresShardOptions its = ShardOptions(options, shard.dsn);
            its.pool.shard = shard.name;
            return std::make_unique<storage::PostgresShardBackend>(shard.name, its);
          },
          std::move(incarnation_ended)),
      late_payment_executor_(std::make_unique<storage::BoundedExecutor>(kLatePaymentThreads, options.blocking_queue)),
      list_executor_(std::make_unique<storage::BoundedExecutor>(kListThreads, kListQueue)),
      router_(&shards_, late_payment_executor_.get(), list_executor_.get(), storage::Clock::Real()),
      stock_(&shards_),
      outbox_(&shards_),
      draws_(&shards_),
      groups_(&shards_),
      payments_(&shards_) {}

NodeLedger::~NodeLedger() { Stop(); }

absl::Status NodeLedger::Start(const BackendOptions& options) {
  RETURN_IF_ERROR(WaitForLedger(*shards_.home().stock, options));
  RETURN_IF_ERROR(RequireHome(*shards_.home().shards, options));
  RETURN_IF_ERROR(CheckConnections(options, needs_));
  RETURN_IF_ERROR(shards_.Refresh());
  CheckShards();
  CompareClocks();
  refresh_task_ = std::make_unique<PeriodicTask>(kRefreshShards, [this] { RefreshShards(); });
  carts_task_ = std::make_unique<PeriodicTask>(storage::CartPipeline::kTryInterval, [this] { shards_.TrySlowCarts(); });
  return absl::OkStatus();
}

void NodeLedger::RefreshShards() {
  const absl::Status refreshed = shards_.Refresh();
  LOG_IF_EVERY_N(WARNING, !refreshed.ok(), 30) << "cannot ask home for the shards: " << refreshed.message();
  CheckShards();
  CompareClocks();
}

void NodeLedger::CheckShards() {
  for (const auto& backend : shards_.All()) {
    if (backend.get() == &shards_.home()) continue;
    const storage::Shard shard{backend->name, backend->dsn, absl::InfinitePast()};
    const absl::Status fits = check_.Check(shard);
    const auto given_up = unfit_.find(shard.name);
    const bool is_given_up = given_up != unfit_.end() && given_up->second == shard.dsn;
    if (absl::IsFailedPrecondition(fits) && !is_given_up) {
      backend->NoteUnfit(std::string(fits.message()));
      backend->GiveUpLedger();
      unfit_[shard.name] = shard.dsn;
    } else if (fits.ok() && given_up != unfit_.end()) {
      unfit_.erase(given_up);
      if (is_given_up) shards_.Renew(shard);
    }
  }
}

// On each shard's own threads: a shard that hangs delays no other. By a clock that nobody sets, since this is about one
// that somebody may set.
void NodeLedger::CompareClocks() {
  const absl::Time now = storage::SteadyNow();
  if (now < compare_clocks_at_) return;
  compare_clocks_at_ = now + kCompareClocks;
  for (const auto& shard : shards_.All()) {
    absl::AnyInvocable<void()> compare = [this, name = shard->name, ledger = shard->shards] {
      CompareClock(name, *ledger, clock_offsets_);
    };
    shard->for_reads().TryRun(compare);  // if there is no room, the next time
  }
}

void NodeLedger::ListSkus(const std::string& after, int limit,
                          absl::AnyInvocable<void(absl::StatusOr<std::vector<storage::Sku>>)> done) {
  storage::RunOn(
      *list_executor_, [this, after, limit] { return stock_.ListSkus(after, limit); }, std::move(done));
}

void NodeLedger::ListLotteryRounds(const std::string& policy_sku_id,
                                   absl::AnyInvocable<void(absl::StatusOr<std::vector<storage::LotteryRound>>)> done) {
  storage::RunOn(
      *list_executor_, [this, policy_sku_id] { return shards_.home().front->ListLotteryRounds(policy_sku_id); },
      std::move(done));
}

void NodeLedger::GetDraw(const storage::DrawKey& key, absl::AnyInvocable<void(absl::StatusOr<storage::Draw>)> done) {
  storage::RunOn(
      *list_executor_, [this, key] { return draws_.GetDraw(key); }, std::move(done));
}

void NodeLedger::FindDrawEntry(DrawProver* prover, const storage::DrawKey& key, const std::string& user_id,
                               absl::Time deadline, absl::AnyInvocable<void(absl::StatusOr<ProvenEntry>)> done) {
  storage::AskShards<EntryAnswer>(
      shards_.All(), storage::Blocking<EntryAnswer>([prover, key, user_id, deadline](storage::ShardBackend& shard) {
        return AskForEntry(shard, *prover, key, user_id, deadline);
      }),
      [done = std::move(done)](absl::StatusOr<EntryAnswer> answer) mutable {
        if (!answer.ok()) return done(answer.status());
        done(std::move(answer->entry));
      },
      storage::AwaitShards::kAll);
}

void NodeLedger::GetGroup(const storage::Uuid& id, const storage::GroupLookup& lookup, absl::Time deadline,
                          absl::AnyInvocable<void(absl::StatusOr<storage::GroupWithMembers>)> done) {
  storage::RunOn(
      *list_executor_,
      [this, id, lookup, deadline]() -> absl::StatusOr<storage::GroupWithMembers> {
        RETURN_IF_ERROR(CheckDeadline(deadline));
        return groups_.GetGroup(id, lookup);
      },
      std::move(done));
}

void NodeLedger::ListGroups(const storage::GroupFilter& filter, const storage::GroupCursor& after, int limit,
                            absl::AnyInvocable<void(absl::StatusOr<storage::GroupPage>)> done) {
  storage::RunOn(
      *list_executor_, [this, filter, after, limit] { return groups_.ListGroups(filter, after, limit); },
      std::move(done));
}

void NodeLedger::ListGroupOffers(const std::string& sku_id,
                                 absl::AnyInvocable<void(absl::StatusOr<std::vector<storage::GroupOffer>>)> done) {
  storage::RunOn(
      *list_executor_, [this, sku_id] { return groups_.ListGroupOffers(sku_id); }, std::move(done));
}

bool NodeLedger::Idle() const {
  const storage::ShardList all = shards_.All();
  return std::all_of(all.begin(), all.end(), [](const auto& shard) {
    return shard->claims->Stats().unanswered == 0 && shard->changes->Stats().unanswered == 0 &&
           shard->entries->Stats().unanswered == 0;
  });
}

// Home first, then the others by name; a shard that is down has no waiting claims.
void NodeLedger::DrainClaims(absl::Time deadline) {
  for (const auto& shard : shards_.All()) {
    const bool decided = shard->claims->Drain(Until(deadline));
    LOG_IF(WARNING, !decided) << "some claims are not decided by the drain timeout";
  }
}

void NodeLedger::DrainChanges(absl::Time deadline) {
  for (const auto& shard : shards_.All()) {
    const bool changes_decided = shard->changes->Drain(Until(deadline));
    LOG_IF(WARNING, !changes_decided) << "some changes are not decided by the drain timeout";
    const bool entries_decided = shard->entries->Drain(Until(deadline));
    LOG_IF(WARNING, !entries_decided) << "some entries into draws are not decided by the drain timeout";
  }
}

void NodeLedger::GiveUpAfter(absl::Duration timeout) {
  if (give_up_ != nullptr) return;
  give_up_ = std::make_unique<DelayedTask>(timeout + kGiveUpAfter, [this] {
    // Before logging, which may block on a log that nobody reads.
    shards_.GiveUpLedgers();
    LOG(WARNING) << "what was still under way at PostgreSQL is given up";
  });
}

void NodeLedger::StopExecutors() {
  refresh_task_.reset();
  carts_task_.reset();
  list_executor_.reset();
  late_payment_executor_.reset();
  shards_.StopExecutors();
}

void NodeLedger::Stop() {
  refresh_task_.reset();
  carts_task_.reset();
  shards_.StopMirrors();
  shards_.StopPipelines();
}

}  // namespace tranche::server
