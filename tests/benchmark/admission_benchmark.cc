// What the front door costs a claim: each check alone, and all that a policy may ask for, one more after the other.
//
// The goal for a limit: less than 100 ns for a key whose memory is cold, with 3.5 million live keys in 64 MiB.
#include <benchmark/benchmark.h>

#include <cstdint>
#include <memory>
#include <random>
#include <string>
#include <utility>
#include <vector>

#include "absl/strings/str_cat.h"
#include "absl/synchronization/mutex.h"
#include "absl/time/time.h"
#include "absl/types/span.h"
#include "glog/logging.h"
#include "server/admission/access_lists.h"
#include "server/admission/buyer_address.h"
#include "server/admission/front_door.h"
#include "server/admission/front_keys.h"
#include "server/admission/homes.h"
#include "server/admission/lottery.h"
#include "server/admission/purchase_token.h"
#include "server/admission/rate_key.h"
#include "server/admission/rate_table.h"
#include "server/admission/risk_rule.h"
#include "server/admission/turn_queue.h"
#include "storage/clock.h"
#include "storage/ledger/front_ledger.h"

namespace tranche::server {
namespace {

constexpr size_t kTableBytes = size_t{64} << 20;
constexpr size_t kLiveKeys = 3'500'000;
const absl::Time kStart = absl::FromUnixSeconds(1'800'000'000);
// One try keeps a slot for an hour; a hundred thousand may come at once.
const RateRule kLasting = {.interval = absl::Hours(1), .tolerance = absl::Hours(100'000)};
// Refuses nobody, however long it is measured.
const RateRule kGenerous = {.interval = absl::Nanoseconds(1), .tolerance = absl::Hours(1)};

struct FullTable {
  FullTable() : table(kTableBytes) {
    std::mt19937_64 random(1);
    for (RateFingerprint& key : keys) key = random();
    for (const RateFingerprint key : keys) table.Try(key, kLasting, kStart);
    LOG(INFO) << "load " << table.load(kStart) << ", shared " << table.shared();
  }

  RateTable table;
  std::vector<RateFingerprint> keys = std::vector<RateFingerprint>(kLiveKeys);
};

FullTable& SharedTable() {
  static FullTable* const full = new FullTable;
  return *full;
}

// Each thread begins elsewhere; what is next is nowhere near in the table.
void TryColdKey(benchmark::State& state) {
  FullTable& full = SharedTable();
  size_t next = kLiveKeys / static_cast<size_t>(state.threads()) * static_cast<size_t>(state.thread_index());
  for (auto _ : state) {
    benchmark::DoNotOptimize(full.table.Try(full.keys[next], kLasting, kStart));
    if (++next == kLiveKeys) next = 0;
  }
}
BENCHMARK(TryColdKey)->ThreadRange(1, 4)->UseRealTime();

// A key that is not in the table. Its slot is free again at the next try.
void TryNewKey(benchmark::State& state) {
  FullTable& full = SharedTable();
  const RateRule brief = {.interval = absl::Nanoseconds(1)};
  std::mt19937_64 random(100 + static_cast<uint64_t>(state.thread_index()));
  absl::Time now = kStart;
  for (auto _ : state) {
    now += absl::Nanoseconds(100);
    benchmark::DoNotOptimize(full.table.Try(random(), brief, now));
  }
}
BENCHMARK(TryNewKey)->ThreadRange(1, 4)->UseRealTime();

// Such as the limit of a SKU, which each of its claims counts for.
void TryHotKey(benchmark::State& state) {
  FullTable& full = SharedTable();
  for (auto _ : state) benchmark::DoNotOptimize(full.table.Try(77, kGenerous, kStart));
}
BENCHMARK(TryHotKey)->ThreadRange(1, 4)->UseRealTime();

void TryAndGiveBack(benchmark::State& state) {
  FullTable& full = SharedTable();
  size_t next = 0;
  for (auto _ : state) {
    benchmark::DoNotOptimize(full.table.Try(full.keys[next], kLasting, kStart));
    full.table.GiveBack(full.keys[next], kLasting, kStart);
    if (++next == kLiveKeys) next = 0;
  }
}
BENCHMARK(TryAndGiveBack);

void HashKey(benchmark::State& state) {
  const RateKeyHasher hasher;
  for (auto _ : state) benchmark::DoNotOptimize(hasher.Of(RateKeyKind::kUser, "tv", "a-buyer-with-a-long-name-17"));
}
BENCHMARK(HashKey);

std::vector<std::string> SomeUsers() {
  std::vector<std::string> users;
  for (int i = 0; i < 1'024; ++i) users.push_back(absl::StrCat("a-buyer-with-a-long-name-", i));
  return users;
}

// Some keys are at home here, most are not.
void FindHome(benchmark::State& state) {
  std::vector<storage::IncarnationId> nodes;
  for (storage::IncarnationId node = 1; node <= state.range(0); ++node) nodes.push_back(node);
  const Homes homes(1, nodes);
  const std::vector<std::string> users = SomeUsers();
  size_t next = 0;
  for (auto _ : state) benchmark::DoNotOptimize(homes.IsHome(RateKeyKind::kUser, "tv", users[next++ % users.size()]));
}
BENCHMARK(FindHome)->Arg(1)->Arg(8)->Arg(100)->Arg(1000);

// Half of them users, half of them prefixes of four lengths.
AccessLists ListsOfSize(int64_t size) {
  std::vector<storage::AccessEntry> entries;
  for (int64_t i = 0; i < size / 2; ++i) {
    entries.push_back({.subject = {storage::AccessSubject::Kind::kUser, absl::StrCat("bot-", i)}});
    const std::string network = absl::StrCat("10.", i / 256 % 256, ".", i % 256);
    const std::string prefix = i % 4 == 0   ? absl::StrCat(network, ".0/24")
                               : i % 4 == 1 ? absl::StrCat(network, ".7")
                               : i % 4 == 2 ? absl::StrCat("2001:db8:", absl::Hex(i), "::/48")
                                            : absl::StrCat("2001:db8:0:", absl::Hex(i & 0xffff), "::/64");
    entries.push_back({.subject = {storage::AccessSubject::Kind::kAddress, prefix}});
  }
  AccessLists lists;
  lists.Apply(entries);
  CHECK_EQ(lists.unreadable(), 0u);
  return lists;
}

// Somebody who is not on the list.
void FindInAccessLists(benchmark::State& state) {
  const AccessLists lists = ListsOfSize(state.range(0));
  const std::vector<std::string> users = SomeUsers();
  size_t next = 0;
  for (auto _ : state) benchmark::DoNotOptimize(lists.Find(users[next++ % users.size()], "203.0.113.7", kStart));
}
BENCHMARK(FindInAccessLists)->Arg(0)->Arg(100)->Arg(100'000);

void ReadBuyerAddress(benchmark::State& state) {
  for (auto _ : state) {
    benchmark::DoNotOptimize(
        NetworkOf(BuyerAddress("ipv4:10.0.0.7:51234", "198.51.100.66, 203.0.113.7, 192.0.2.1", 2)));
  }
}
BENCHMARK(ReadBuyerAddress);

const std::string& RoundKey() {
  static const auto* const key = new std::string(storage::kFrontKeyBytes, 'k');
  return *key;
}

void FindRank(benchmark::State& state) {
  const std::vector<std::string> users = SomeUsers();
  size_t next = 0;
  for (auto _ : state) benchmark::DoNotOptimize(Rank(RoundKey(), "tv", 1, users[next++ % users.size()]));
}
BENCHMARK(FindRank);

FrontKeys SomeFrontKeys() {
  std::vector<storage::FrontKey> keys(1);
  keys[0].id = 1;
  keys[0].secret = std::string(storage::kFrontKeyBytes, 's');
  keys[0].use = storage::FrontKey::Use::kCurrent;
  return FrontKeys(keys);
}

void MakeToken(benchmark::State& state) {
  const FrontKeys keys = SomeFrontKeys();
  for (auto _ : state) benchmark::DoNotOptimize(MakePurchaseToken(keys, "tv", "alice", absl::Minutes(2), kStart));
}
BENCHMARK(MakeToken);

void ReadToken(benchmark::State& state) {
  const FrontKeys keys = SomeFrontKeys();
  const std::string token = MakePurchaseToken(keys, "tv", "alice", absl::Minutes(2), kStart).text;
  CHECK(ReadPurchaseToken(keys, token, "tv", "alice", kStart).problem == TokenProblem::kNone);
  for (auto _ : state) benchmark::DoNotOptimize(ReadPurchaseToken(keys, token, "tv", "alice", kStart));
}
BENCHMARK(ReadToken);

// What an EnterSale pays more where a policy has risk rules; a claim pays nothing. As many rules as there may be, and
// none of them is cheap to rule out.
void FindScoreAndTier(benchmark::State& state) {
  DoorRisk risk;
  for (int i = 0; i < 16; ++i) {
    risk.points.push_back({.kind = v1::RiskPoints::kLabel, .points = 1, .label = absl::StrCat("label_", i)});
    risk.points.push_back(
        {.kind = v1::RiskPoints::kAccountYoungerThan, .points = 1, .younger_than = absl::Hours(24 * (i + 1))});
  }
  for (int i = 0; i < 4; ++i) risk.tiers.push_back({.number = i + 1, .from_score = 25 * i});
  v1::BuyerHints hints;
  hints.set_risk_score(40);
  hints.mutable_account_create_time()->set_seconds(absl::ToUnixSeconds(kStart - absl::Hours(36)));
  for (int i = 0; i < 8; ++i) hints.add_labels(absl::StrCat("label_", 2 * i + 1));
  const RiskFacts facts = {.hints = &hints};
  for (auto _ : state) benchmark::DoNotOptimize(TierOf(risk, RiskScore(risk, facts, kStart)).number);
}
BENCHMARK(FindScoreAndTier);

// What a policy asks for: each stage also has what the one before has.
enum Stage : int64_t { kNothing, kAccessList, kUserLimit, kFourLimits, kLotteryToo, kTokenToo };
constexpr const char* kStageNames[] = {"no policy", "access list", "limit of users", "all limits", "lottery", "token"};

std::shared_ptr<const DoorState> StateOf(Stage stage) {
  auto state = std::make_shared<DoorState>();
  state->version.number = 1;
  state->keys = std::make_shared<const FrontKeys>(SomeFrontKeys());
  state->access = std::make_shared<const AccessLists>(ListsOfSize(stage >= kAccessList ? 100'000 : 0));
  if (stage <= kAccessList) return state;
  auto policy = std::make_shared<DoorPolicy>();
  policy->sku_id = "tv";
  policy->version = 1;
  for (const RateKeyKind kind : kRateKeyKinds) {
    if (kind == RateKeyKind::kUser || stage >= kFourLimits) policy->limits.push_back({kind, kGenerous});
  }
  if (stage >= kLotteryToo) {
    policy->lottery = DoorLottery{.key = RoundKey(), .commitment = "", .round = 1, .threshold = UINT64_MAX};
  }
  if (stage >= kTokenToo) policy->token_lifetime = absl::Minutes(2);
  state->policies.emplace("tv", std::move(policy));
  return state;
}

// A front door at a stage, and claims of buyers who pass it.
class OpenDoor {
 public:
  explicit OpenDoor(Stage stage) {
    const std::shared_ptr<const DoorState> state = StateOf(stage);
    door_.SetState(state);
    door_.SetHomes(std::make_shared<const Homes>());
    for (std::string& user : SomeUsers()) {
      storage::ReservationClaim claim{.reservation_id = {}, .sku_id = "tv", .user_id = std::move(user), .quantity = 1};
      quota::Visitor visitor{.address = "203.0.113.7", .purchase_token = ""};
      if (stage >= kTokenToo) {
        visitor.purchase_token = MakePurchaseToken(*state->keys, "tv", claim.user_id, absl::Minutes(2), kStart).text;
      }
      claims_.push_back(std::move(claim));
      visitors_.push_back(std::move(visitor));
    }
  }

  quota::GateVerdict Enter(size_t which) {
    const quota::GateLine line = {&claims_[which % claims_.size()], &visitors_[which % claims_.size()]};
    return door_.Check(absl::MakeConstSpan(&line, 1), kStart, absl::InfiniteFuture());
  }
  // As a seller does.
  quota::GateVerdict EnterIfClosed(size_t which) {
    if (!door_.closed_to_some()) return {};
    return Enter(which);
  }

 private:
  TurnQueue turns_{storage::Clock::Real(), 1'000, {}};
  FrontDoor door_{kTableBytes, &turns_};
  std::vector<storage::ReservationClaim> claims_;
  std::vector<quota::Visitor> visitors_;
};

void EnterByStage(benchmark::State& state) {
  const auto stage = static_cast<Stage>(state.range(0));
  OpenDoor door(stage);
  state.SetLabel(kStageNames[stage]);
  CHECK(!door.EnterIfClosed(0).refused.has_value());
  size_t next = 0;
  for (auto _ : state) benchmark::DoNotOptimize(door.EnterIfClosed(next++));
}
BENCHMARK(EnterByStage)->DenseRange(kNothing, kTokenToo);

}  // namespace
}  // namespace tranche::server

int main(int argc, char** argv) {
  // As the servers do: it costs more than all the rest.
  absl::SetMutexDeadlockDetectionMode(absl::OnDeadlockCycle::kIgnore);
  benchmark::Initialize(&argc, argv);
  if (benchmark::ReportUnrecognizedArguments(argc, argv)) return 1;
  benchmark::RunSpecifiedBenchmarks();
  return 0;
}
