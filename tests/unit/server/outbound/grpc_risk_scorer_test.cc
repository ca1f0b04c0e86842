// Against a real server in this process.
#include "server/outbound/grpc_risk_scorer.h"

#include <grpcpp/grpcpp.h>
#include <gtest/gtest.h>

#include <atomic>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "absl/synchronization/notification.h"
#include "tests/support/logged_lines.h"

namespace tranche::server {
namespace {

constexpr int kNoScore = -1000;  // the field is left out

// A score, an error, or nullopt: no answer until Release.
using Answer = std::optional<std::pair<grpc::Status, int>>;

class ScriptedScorer : public v1::RiskScorerService::CallbackService {
 public:
  explicit ScriptedScorer(std::function<Answer(const v1::ScoreBuyerRequest&)> answer) : answer_(std::move(answer)) {
    int port = 0;
    grpc::ServerBuilder builder;
    builder.AddListeningPort("127.0.0.1:0", grpc::InsecureServerCredentials(), &port);
    builder.RegisterService(this);
    server_ = builder.BuildAndStart();
    address_ = absl::StrCat("127.0.0.1:", port);
  }
  ~ScriptedScorer() override {
    Release();
    server_->Shutdown();
  }

  const std::string& address() const { return address_; }

  grpc::ServerUnaryReactor* ScoreBuyer(grpc::CallbackServerContext* context, const v1::ScoreBuyerRequest* request,
                                       v1::ScoreBuyerResponse* response) override {
    grpc::ServerUnaryReactor* reactor = context->DefaultReactor();
    const Answer answer = answer_(*request);
    if (!answer.has_value()) {
      absl::MutexLock lock(&mutex_);
      if (!released_) {
        held_.push_back(reactor);
        return reactor;
      }
    }
    if (answer.has_value() && answer->second != kNoScore) response->set_risk_score(answer->second);
    reactor->Finish(answer.has_value() ? answer->first : grpc::Status::OK);
    return reactor;
  }

 private:
  void Release() {
    std::vector<grpc::ServerUnaryReactor*> held;
    {
      absl::MutexLock lock(&mutex_);
      released_ = true;
      held.swap(held_);
    }
    for (grpc::ServerUnaryReactor* reactor : held) reactor->Finish(grpc::Status::CANCELLED);
  }

  const std::function<Answer(const v1::ScoreBuyerRequest&)> answer_;
  std::string address_;
  absl::Mutex mutex_;
  bool released_ ABSL_GUARDED_BY(mutex_) = false;
  std::vector<grpc::ServerUnaryReactor*> held_ ABSL_GUARDED_BY(mutex_);
  std::unique_ptr<grpc::Server> server_;
};

constexpr absl::Duration kPatient = absl::Seconds(30);

std::optional<int> ScoreNow(GrpcRiskScorer& scorer, const v1::ScoreBuyerRequest& buyer = {}) {
  std::optional<int> score;
  absl::Notification done;
  scorer.Score(buyer, [&](std::optional<int> scored) {
    score = scored;
    done.Notify();
  });
  done.WaitForNotification();
  return score;
}

Answer Told(int score) { return std::make_pair(grpc::Status::OK, score); }

TEST(GrpcRiskScorerTest, TellsTheScoreOfTheBuyer) {
  ScriptedScorer server([](const v1::ScoreBuyerRequest& buyer) { return Told(buyer.user_id() == "bot" ? 100 : 0); });
  storage::FakeClock clock;
  GrpcRiskScorer scorer({.address = server.address(), .timeout = kPatient}, &clock);
  v1::ScoreBuyerRequest buyer;
  buyer.set_user_id("bot");
  EXPECT_EQ(ScoreNow(scorer, buyer), 100);
  buyer.set_user_id("ada");
  EXPECT_EQ(ScoreNow(scorer, buyer), 0);
  EXPECT_EQ(scorer.counts().answered, 2);
  EXPECT_FALSE(scorer.counts().open());
}

TEST(GrpcRiskScorerTest, ScoresOutOfRangeAndErrorsAreNoAnswers) {
  for (const Answer& answer : {Told(-1), Told(101), Told(kNoScore),
                               Answer(std::make_pair(grpc::Status(grpc::StatusCode::INTERNAL, "no"), 5))}) {
    ScriptedScorer server([&](const v1::ScoreBuyerRequest&) { return answer; });
    storage::FakeClock clock;
    GrpcRiskScorer scorer({.address = server.address(), .timeout = kPatient}, &clock);
    EXPECT_EQ(ScoreNow(scorer), std::nullopt);
    EXPECT_EQ(scorer.counts().failed, 1);
    EXPECT_EQ(scorer.counts().answered, 0);
  }
}

TEST(GrpcRiskScorerTest, ALateAnswerIsNone) {
  ScriptedScorer server([](const v1::ScoreBuyerRequest&) { return std::nullopt; });
  storage::FakeClock clock;
  GrpcRiskScorer scorer({.address = server.address()}, &clock);
  EXPECT_EQ(ScoreNow(scorer), std::nullopt);
  EXPECT_EQ(scorer.counts().late, 1);
}

TEST(GrpcRiskScorerTest, OneThatIsGoneIsNotAskedForAWhileAndThenIsAgain) {
  std::string address;
  {
    ScriptedScorer server([](const v1::ScoreBuyerRequest&) { return Told(1); });
    address = server.address();
  }
  storage::FakeClock clock;
  GrpcRiskScorer scorer({.address = address, .timeout = kPatient}, &clock);
  for (int i = 0; i < CircuitBreaker::kFailuresToOpen; ++i) EXPECT_EQ(ScoreNow(scorer), std::nullopt);
  EXPECT_TRUE(scorer.counts().open());
  EXPECT_EQ(ScoreNow(scorer), std::nullopt);
  EXPECT_EQ(scorer.counts().skipped, 1);
  EXPECT_EQ(scorer.counts().failed, CircuitBreaker::kFailuresToOpen);
  clock.AdvanceBy(CircuitBreaker::kFirstOpen);
  EXPECT_EQ(ScoreNow(scorer), std::nullopt);
  EXPECT_EQ(scorer.counts().failed, CircuitBreaker::kFailuresToOpen + 1);
}

TEST(GrpcRiskScorerTest, FaultsAreLoggedOnceAMinuteByCode) {
  std::atomic<int> calls{0};
  ScriptedScorer server([&](const v1::ScoreBuyerRequest&) {
    return std::make_pair(grpc::Status(grpc::StatusCode::INTERNAL, absl::StrCat("broken ", ++calls)), 0);
  });
  storage::FakeClock clock;
  testing::LoggedLines logged;
  GrpcRiskScorer scorer({.address = server.address(), .timeout = kPatient}, &clock);
  ScoreNow(scorer);
  ScoreNow(scorer);
  clock.AdvanceBy(absl::Minutes(1));
  ScoreNow(scorer);
  ASSERT_EQ(logged.lines().size(), 2U) << "another message is no other kind";
  EXPECT_TRUE(absl::StrContains(logged.lines()[0], "INTERNAL: broken 1")) << logged.lines()[0];
  EXPECT_TRUE(absl::StrContains(logged.lines()[1], "and 1 such faults before")) << logged.lines()[1];
}

TEST(GrpcRiskScorerTest, AsksForABoundedNumberAtOnceAndEndsThemAllWhenItIsDestroyed) {
  ScriptedScorer server([](const v1::ScoreBuyerRequest&) { return std::nullopt; });
  storage::FakeClock clock;
  std::atomic<int> unscored{0};
  const auto count = [&](std::optional<int> scored) { unscored += scored.has_value() ? 0 : 1; };
  {
    GrpcRiskScorer scorer({.address = server.address(), .timeout = absl::Seconds(3)}, &clock);
    for (int i = 0; i < GrpcRiskScorer::kMostCalls; ++i) scorer.Score({}, count);
    EXPECT_EQ(scorer.counts().skipped, 0);
    EXPECT_EQ(ScoreNow(scorer), std::nullopt);
    EXPECT_EQ(scorer.counts().skipped, 1);
  }
  EXPECT_EQ(unscored, GrpcRiskScorer::kMostCalls);
}

}  // namespace
}  // namespace tranche::server
