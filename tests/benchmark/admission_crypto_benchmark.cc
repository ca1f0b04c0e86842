// What lottery, purchase tokens, challenges and waiting rooms cost a node, without gRPC.
//
// The goals: a challenge is issued within 5 us and verified within 150 us.
#include <benchmark/benchmark.h>
#include <openssl/evp.h>

#include <cstdint>
#include <string>
#include <vector>

#include "absl/strings/escaping.h"
#include "absl/strings/match.h"
#include "absl/time/time.h"
#include "glog/logging.h"
#include "nlohmann/json.hpp"
#include "server/admission/challenge.h"
#include "server/admission/door_rooms.h"
#include "server/admission/front_keys.h"
#include "server/admission/front_policy.h"
#include "server/admission/lottery.h"
#include "server/admission/purchase_token.h"
#include "server/admission/room_entry.h"
#include "server/admission/room_rank.h"
#include "storage/ledger/front_ledger.h"

namespace tranche::server {
namespace {

constexpr char kUser[] = "a-buyer-with-a-long-name-1234567";
constexpr int kBits = 8;
const absl::Time kNow = absl::FromUnixSeconds(1'700'000'000);

const FrontKeys& Keys() {
  static const FrontKeys* const keys =
      new FrontKeys(std::vector<storage::FrontKey>{{.id = 1,
                                                    .secret = std::string(storage::kFrontKeyBytes, 'k'),
                                                    .use = storage::FrontKey::Use::kCurrent,
                                                    .since = {}}});
  return *keys;
}

std::string KeyOf(const nlohmann::json& parameters, uint32_t counter) {
  std::string password = absl::HexStringToBytes(parameters["nonce"].get<std::string>());
  for (int shift = 24; shift >= 0; shift -= 8) password.push_back(static_cast<char>(counter >> shift));
  const std::string salt = absl::HexStringToBytes(parameters["salt"].get<std::string>());
  unsigned char key[32];
  CHECK_EQ(PKCS5_PBKDF2_HMAC(password.data(), static_cast<int>(password.size()),
                             reinterpret_cast<const unsigned char*>(salt.data()), static_cast<int>(salt.size()),
                             parameters["cost"].get<int>(), EVP_sha256(), sizeof(key), key),
           1);
  return absl::BytesToHexString({reinterpret_cast<const char*>(key), sizeof(key)});
}

std::string SolvedChallenge() {
  nlohmann::json solved;
  solved["challenge"] = nlohmann::json::parse(IssueChallenge(Keys(), "tv", kUser, kBits, absl::Minutes(5), kNow)->json);
  const nlohmann::json& parameters = solved["challenge"]["parameters"];
  for (uint32_t counter = 0;; ++counter) {
    const std::string key = KeyOf(parameters, counter);
    if (!absl::StartsWith(key, parameters["keyPrefix"].get<std::string>())) continue;
    solved["solution"] = {{"counter", counter}, {"derivedKey", key}};
    return absl::Base64Escape(solved.dump());
  }
}

void RankOfBuyer(benchmark::State& state) {
  const std::string key(storage::kFrontKeyBytes, 'k');
  for (auto _ : state) benchmark::DoNotOptimize(Rank(key, "tv", 1, kUser));
}
BENCHMARK(RankOfBuyer)->ThreadRange(1, 2)->UseRealTime();

void MakeToken(benchmark::State& state) {
  for (auto _ : state) benchmark::DoNotOptimize(MakePurchaseToken(Keys(), "tv", kUser, absl::Minutes(2), kNow));
}
BENCHMARK(MakeToken)->ThreadRange(1, 2)->UseRealTime();

void ReadToken(benchmark::State& state) {
  const std::string token = MakePurchaseToken(Keys(), "tv", kUser, absl::Minutes(2), kNow).text;
  for (auto _ : state) {
    CHECK(ReadPurchaseToken(Keys(), token, "tv", kUser, kNow).problem == TokenProblem::kNone);
  }
}
BENCHMARK(ReadToken)->ThreadRange(1, 2)->UseRealTime();

// Somebody else's.
void RefuseToken(benchmark::State& state) {
  const std::string token = MakePurchaseToken(Keys(), "tv", kUser, absl::Minutes(2), kNow).text;
  for (auto _ : state) {
    CHECK(ReadPurchaseToken(Keys(), token, "tv", "another", kNow).problem == TokenProblem::kNotForThis);
  }
}
BENCHMARK(RefuseToken)->ThreadRange(1, 2)->UseRealTime();

void Issue(benchmark::State& state) {
  for (auto _ : state) {
    benchmark::DoNotOptimize(IssueChallenge(Keys(), "tv", kUser, kBits, absl::Minutes(5), kNow));
  }
}
BENCHMARK(Issue)->ThreadRange(1, 2)->UseRealTime();

void Verify(benchmark::State& state) {
  const std::string solution = SolvedChallenge();
  for (auto _ : state) CHECK_EQ(ChallengeProblem(Keys(), solution, "tv", kUser, kBits, kNow), "");
}
BENCHMARK(Verify)->ThreadRange(1, 2)->UseRealTime();

// The most that a sender of solutions without any work can make a node do, other than with a challenge that we issued.
void RefuseForged(benchmark::State& state) {
  const std::string solution = SolvedChallenge();
  storage::FrontKey other = {.id = 1,
                             .secret = std::string(storage::kFrontKeyBytes, 'x'),
                             .use = storage::FrontKey::Use::kCurrent,
                             .since = {}};
  const FrontKeys keys(std::vector<storage::FrontKey>{other});
  for (auto _ : state) CHECK_EQ(ChallengeProblem(keys, solution, "tv", kUser, kBits, kNow), "unreadable");
}
BENCHMARK(RefuseForged)->ThreadRange(1, 2)->UseRealTime();

DoorPolicy PolicyWithRoom() {
  DoorPolicy policy;
  policy.sku_id = "tv";
  policy.room = DoorRoom{.key = std::string(storage::kFrontKeyBytes, 'k'),
                         .commitment = "",
                         .round = 1,
                         .buyers_per_s = 1'000,
                         .ahead = 2,
                         .poll_interval = absl::Seconds(20)};
  return policy;
}

// One where many wait, early and late.
DoorRooms& FullRoom() {
  static DoorRooms* const rooms = [] {
    auto* const made = new DoorRooms;
    made->SetRooms(std::vector<OpenRoom>{{.sku_id = "tv", .round = 1, .poll_interval = absl::Seconds(20)}});
    RoomBoard board;
    board.sku_id = "tv";
    board.round = 1;
    board.let_in_per_s = 1'000;
    for (uint64_t i = 0; i < 256; ++i) {
      board.waiting.Add(i << 55, 1'000);
      board.waiting.Add(LateRank(kNow - absl::Seconds(i)), 1'000);
    }
    made->SetBoards(std::vector<RoomBoard>{board});
    return made;
  }();
  return *rooms;
}

// Each comes back with a ticket after an interval, and so is counted.
void AskRoom(benchmark::State& state) {
  const DoorPolicy policy = PolicyWithRoom();
  const auto at_once = [](absl::Duration) { return absl::ZeroDuration(); };
  const std::string ticket = EnterRoom(policy, Keys(), FullRoom(), {.sku_id = "tv", .user_id = kUser, .ticket = ""},
                                       kNow - absl::Seconds(30), at_once)
                                 .ticket;
  const RoomVisit visit = {.sku_id = "tv", .user_id = kUser, .ticket = ticket};
  for (auto _ : state) benchmark::DoNotOptimize(EnterRoom(policy, Keys(), FullRoom(), visit, kNow, at_once));
}
BENCHMARK(AskRoom)->ThreadRange(1, 2)->UseRealTime();

}  // namespace
}  // namespace tranche::server

BENCHMARK_MAIN();
