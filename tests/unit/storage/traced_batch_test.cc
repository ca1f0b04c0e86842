// What a lane logs of the calls in its batches.

#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "storage/pipeline/commit_lane.h"
#include "tests/support/logged_lines.h"
#include "tests/unit/storage/commit_fixture.h"

namespace tranche::storage {
namespace {

ReservationClaim TracedClaim(uint8_t id, const std::string& trace_id, const std::string& request_id = "") {
  ReservationClaim claim = ClaimOf(id);
  claim.trace = std::make_shared<const LogTrace>(LogTrace{trace_id, request_id});
  return claim;
}

// One lane that is run by hand, and what it logs.
class TracedBatchTest : public ::testing::Test {
 protected:
  void Submit(ReservationClaim claim) {
    pipeline_.Submit(1, std::move(claim), absl::InfiniteFuture(), answers_.Expect());
  }
  static PipelineOptions NoThreads() {
    PipelineOptions options = OneLane();
    options.lanes = 0;
    return options;
  }
  std::vector<std::string> BatchLines() const {
    std::vector<std::string> lines;
    for (const std::string& line : log_.lines()) {
      if (line.rfind("a batch of ", 0) == 0) lines.push_back(line);
    }
    return lines;
  }

  FakeClock clock_;
  ScriptedLedger ledger_;
  Answers answers_;
  CommitPipeline pipeline_{&ledger_, &clock_, NoThreads()};
  CommitLane lane_{&pipeline_};
  const testing::LoggedLines log_;
};

TEST_F(TracedBatchTest, AFailedBatchNamesUpToThreeOfItsCalls) {
  ledger_.Then([](auto, auto, auto) -> CommitResults { return absl::InternalError("no such column"); });
  Submit(ClaimOf(1));
  Submit(TracedClaim(2, "aa"));
  Submit(TracedClaim(3, "aa"));
  Submit(TracedClaim(4, "", "r 17"));
  Submit(TracedClaim(5, "bb", "r-18"));
  Submit(TracedClaim(6, "cc"));
  lane_.Step();
  EXPECT_THAT(BatchLines(),
              ::testing::ElementsAre("a batch of 6 reservations was not committed at this try, after 0 (no such "
                                     "column); calls in it: trace=aa, request=\"r 17\", trace=bb"));
}

TEST_F(TracedBatchTest, ASlowBatchIsToldWithOrWithoutTraces) {
  ledger_.Then([this](auto, auto, absl::Span<const ReservationClaim> claims) -> CommitResults {
    clock_.AdvanceBy(absl::Milliseconds(1500));
    return AllCreated(claims);
  });
  Submit(ClaimOf(1));
  lane_.Step();
  EXPECT_THAT(BatchLines(), ::testing::ElementsAre("a batch of 1 reservations took 1.5s"));
}

TEST_F(TracedBatchTest, WhatIsWellIsNotTold) {
  Submit(TracedClaim(1, "aa"));
  lane_.Step();
  ledger_.Then([](auto, auto, auto) -> CommitResults { return absl::InternalError("no such column"); });
  Submit(ClaimOf(2));
  lane_.Step();
  EXPECT_THAT(BatchLines(), ::testing::IsEmpty()) << "nobody looks for a call without a trace";
}

TEST_F(TracedBatchTest, FailuresInARowAreToldOnceASecond) {
  for (uint8_t id = 1; id <= 20; ++id) {
    ledger_.Then([](auto, auto, auto) -> CommitResults { return absl::InternalError("no such column"); });
    Submit(TracedClaim(id, "aa"));
    lane_.Step();
    clock_.AdvanceBy(absl::Milliseconds(100));
  }
  EXPECT_EQ(BatchLines().size(), 2u);
}

}  // namespace
}  // namespace tranche::storage
