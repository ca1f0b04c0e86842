// Removes each fence in turn: the simulation must notice. A fence whose removal it does not notice is not protected.
#include "storage/mutation.h"

#include <glog/logging.h>

#include <cstdio>
#include <string>

#include "absl/strings/str_format.h"
#include "absl/time/clock.h"
#include "gtest/gtest.h"
#include "tests/simulation/campaign.h"

namespace tranche::simulation {
namespace {

using storage::Mutation;

constexpr uint64_t kMostSeeds = 10000;

struct Case {
  Mutation mutation;
  const char* name;
  // The scenario in which it shows soonest; "" for all that the seed may choose.
  const char* scenario;
};

class MutationTest : public testing::TestWithParam<Case> {
 protected:
  void TearDown() override { storage::present_mutation = Mutation::kNone; }
};

TEST_P(MutationTest, IsCaught) {
  storage::present_mutation = GetParam().mutation;
  const absl::Time start = absl::Now();
  SimulationResult caught;
  CampaignOptions options;
  options.seeds = kMostSeeds;
  options.scenario = GetParam().scenario;
  options.on_violation = [&](const SimulationResult& result) { caught = result; };
  const CampaignSummary summary = RunCampaign(options);
  ASSERT_EQ(summary.violations, 1u) << "not caught within " << summary.seeds << " seeds";
  std::printf("%-26s caught at seed %5llu after %5.2f s by \"%s\": %s\n", GetParam().name,
              static_cast<unsigned long long>(caught.seed), absl::ToDoubleSeconds(absl::Now() - start),
              caught.violation->rule.c_str(), caught.violation->detail.c_str());
}

#define TRANCHE_CASE(name, scenario) \
  Case { Mutation::k##name, #name, scenario }

INSTANTIATE_TEST_SUITE_P(
    Fences, MutationTest,
    testing::Values(
        TRANCHE_CASE(NoHolderCheck, ""), TRANCHE_CASE(ReclaimLeavesLive, ""), TRANCHE_CASE(NoReplay, ""),
        TRANCHE_CASE(NoUserLimit, ""), TRANCHE_CASE(SellsWhilePaused, "pauses"), TRANCHE_CASE(MoveLosesUnits, ""),
        TRANCHE_CASE(NoExpectedVersion, ""), TRANCHE_CASE(UnknownIsFailure, ""),
        TRANCHE_CASE(AcknowledgeBeforeCommit, ""), TRANCHE_CASE(UnorderedAnnouncements, ""),
        TRANCHE_CASE(InFlightNotCounted, ""), TRANCHE_CASE(NoGiveBack, ""), TRANCHE_CASE(GiveBackTwice, ""),
        TRANCHE_CASE(MayExistIgnored, ""), TRANCHE_CASE(SoldOutFromOwnSlice, ""), TRANCHE_CASE(LooksNeverRepeated, ""),
        TRANCHE_CASE(WaitersNeverWoken, "calm"), TRANCHE_CASE(WaitersForgotten, ""),
        TRANCHE_CASE(CartKeepsItsUnits, "calm"), TRANCHE_CASE(CartStaysInItsLine, "calm"),
        TRANCHE_CASE(PoolNeverAsked, "unbalanced"), TRANCHE_CASE(AnnouncerOverwritesNewer, ""),
        TRANCHE_CASE(SoldOutNeverLifted, ""), TRANCHE_CASE(NoReread, ""), TRANCHE_CASE(KeepsDeadIncarnation, ""),
        TRANCHE_CASE(DemandNotReported, ""), TRANCHE_CASE(SharesLoseOddUnits, ""), TRANCHE_CASE(SharesInventUnits, ""),
        TRANCHE_CASE(BalancerDoesNotReclaim, ""), TRANCHE_CASE(BalancerNeverRepairs, ""),
        TRANCHE_CASE(BalancerIgnoresDemand, ""), TRANCHE_CASE(ConfirmsWhatEnded, ""),
        TRANCHE_CASE(SecondPaymentReplayed, ""), TRANCHE_CASE(ExpiresWhatEnded, ""), TRANCHE_CASE(ExpiresExtended, ""),
        TRANCHE_CASE(CancelReturnsTwice, ""), TRANCHE_CASE(ReturnedNotMarked, "calm"),
        TRANCHE_CASE(MessageForgotten, ""), TRANCHE_CASE(LateBookedTwice, ""), TRANCHE_CASE(LateTakesNoUnits, ""),
        TRANCHE_CASE(LateForgetsLimit, ""), TRANCHE_CASE(BalancerIgnoresReturned, "calm"),
        TRANCHE_CASE(OtherQueuesNotSeen, ""), TRANCHE_CASE(ReturnMarkedOnlyIfEmpty, "calm"),
        TRANCHE_CASE(InsufficientFromOwnSlice, ""), TRANCHE_CASE(SlowDoubtForgotten, ""),
        TRANCHE_CASE(NothingOverruled, ""), TRANCHE_CASE(HistoryAlwaysGoesOn, "restores"),
        TRANCHE_CASE(MarkCountsRegardless, "restores"), TRANCHE_CASE(TokenForAnyUser, "door"),
        TRANCHE_CASE(TokenForAnySku, "door"), TRANCHE_CASE(TokenNeverExpires, "door"),
        TRANCHE_CASE(PreviousKeyDropped, "door"), TRANCHE_CASE(BusySlotReused, "door"),
        TRANCHE_CASE(LimitNotShared, "door"), TRANCHE_CASE(EntryIgnoresDenials, "door"),
        TRANCHE_CASE(LotteryNotAsked, "door"), TRANCHE_CASE(ChallengeForAnybody, "door"),
        TRANCHE_CASE(TicketOfAnyRound, "door"), TRANCHE_CASE(ThresholdFalls, "door"),
        TRANCHE_CASE(ThresholdIncludesItsRank, "door"), TRANCHE_CASE(RefusedTierEnters, "door"),
        TRANCHE_CASE(TierAsksForNoMore, "door"), TRANCHE_CASE(DelayNotAwaited, "door"),
        TRANCHE_CASE(DelayForAnybody, "door"), TRANCHE_CASE(CaptchaNotAsked, "door"),
        TRANCHE_CASE(RefusesWhatExists, "queue"), TRANCHE_CASE(RefusedIsSoldAgain, "queue"),
        TRANCHE_CASE(DoneBeforeDecision, "queue"), TRANCHE_CASE(BacklogForgotten, "queue"),
        TRANCHE_CASE(SeatBeyondTheLast, "groups"), TRANCHE_CASE(SeatAfterDeadline, "groups"),
        TRANCHE_CASE(FailureNotRefunded, "groups"), TRANCHE_CASE(FilledLeavesOneOut, "groups"),
        TRANCHE_CASE(ExpiresSeated, "groups")),
    [](const testing::TestParamInfo<Case>& info) { return std::string(info.param.name); });

// A fence that is in the enumeration but not in this list would not be tested.
TEST(MutationListTest, EveryFenceIsInTheList) {
  const int listed = testing::UnitTest::GetInstance()->total_test_count() - 2;
  EXPECT_EQ(listed, static_cast<int>(Mutation::kCount) - 1);
}

// Without a mutation this build must find nothing.
TEST(NoMutationTest, FindsNothing) {
  for (const char* const scenario : {"", "door", "queue", "groups"}) {
    CampaignOptions options;
    options.seeds = 100;
    options.scenario = scenario;
    options.on_violation = [](const SimulationResult& result) { ADD_FAILURE() << Describe(result, "of this build"); };
    EXPECT_EQ(RunCampaign(options).violations, 0u);
  }
}

}  // namespace
}  // namespace tranche::simulation

int main(int argc, char** argv) {
  FLAGS_minloglevel = google::GLOG_FATAL;
  testing::InitGoogleTest(&argc, argv);
  return RUN_ALL_TESTS();
}
