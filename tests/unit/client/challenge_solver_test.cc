#include "client/load/challenge_solver.h"

#include <gtest/gtest.h>

#include <string>
#include <vector>

#include "absl/strings/str_replace.h"
#include "absl/time/clock.h"
#include "server/admission/challenge.h"
#include "server/admission/front_keys.h"
#include "storage/ledger/front_ledger.h"

namespace tranche::load {
namespace {

const server::FrontKeys& SolverTestKeys() {
  static const auto& keys = *new server::FrontKeys(std::vector<storage::FrontKey>{
      {.id = 1, .secret = std::string(32, 'k'), .use = storage::FrontKey::Use::kCurrent, .since = {}}});
  return keys;
}

std::string Issued(int bits) {
  return server::IssueChallenge(SolverTestKeys(), "tv", "alice", bits, absl::Hours(1), absl::Now())->json;
}

TEST(ChallengeSolverTest, ANodeTakesWhatItSolves) {
  StopFlag stop;
  // Between two hex digits and at one.
  for (const int bits : {4, 5, 8}) {
    const absl::StatusOr<std::string> solution = SolveChallenge(Issued(bits), absl::InfiniteFuture(), stop);
    ASSERT_TRUE(solution.ok()) << solution.status();
    EXPECT_EQ(server::ChallengeProblem(SolverTestKeys(), *solution, "tv", "alice", bits, absl::Now()), "");
  }
}

TEST(ChallengeSolverTest, GivesUpInTime) {
  StopFlag stop;
  EXPECT_TRUE(absl::IsDeadlineExceeded(SolveChallenge(Issued(20), absl::InfinitePast(), stop).status()));
  StopFlag stopped;
  stopped.Set();
  EXPECT_TRUE(absl::IsCancelled(SolveChallenge(Issued(20), absl::InfiniteFuture(), stopped).status()));
}

TEST(ChallengeSolverTest, DoesNoWorkOfAnotherKind) {
  StopFlag stop;
  const std::string good = Issued(4);
  for (const std::string& other :
       {std::string("no JSON"), std::string("[]"), std::string("{}"), std::string(R"({"parameters":3})"),
        absl::StrReplaceAll(good, {{"PBKDF2/SHA-256", "ARGON2"}}),
        absl::StrReplaceAll(good, {{R"("cost":320)", R"("cost":9999999)"}}),
        absl::StrReplaceAll(good, {{R"("cost":320)", R"("cost":-1)"}}),
        absl::StrReplaceAll(good, {{R"("keyLength":32)", R"("keyLength":64)"}}),
        absl::StrReplaceAll(good, {{R"("salt":")", R"("salt":"x)"}})}) {
    EXPECT_NE(other, good);
    EXPECT_TRUE(absl::IsInvalidArgument(SolveChallenge(other, absl::InfiniteFuture(), stop).status())) << other;
  }
}

}  // namespace
}  // namespace tranche::load
