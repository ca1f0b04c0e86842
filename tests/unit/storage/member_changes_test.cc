// What becomes of a batch of changes of which some are about members of groups.
#include "storage/postgres/member_changes.h"

#include <string>
#include <vector>

#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "storage/ledger/ledger_error.h"

namespace tranche::storage {
namespace {

using ::testing::ElementsAre;
using ::testing::IsEmpty;

using Answer = absl::StatusOr<std::vector<ChangeResult>>;

class MemberChangesTest : public ::testing::Test {
 protected:
  // One word for each: the first answer, with "member" for what is refused as such.
  Answer Change(const std::vector<std::string>& first) {
    std::vector<Cancellation> batch;
    std::vector<ChangeResult> results;
    for (size_t i = 0; i < first.size(); ++i) {
      Cancellation cancellation{.reservation_id = {}, .reason = std::to_string(i)};
      batch.push_back(cancellation);
      results.push_back(first[i] == "member" ? RefusedChange(Refusal::kInGroup) : ChangeResult{ChangeOutcome::kDone});
    }
    return WithMembers(absl::MakeConstSpan(batch), Answer(results), [this](absl::Span<const Cancellation> members) {
      for (const Cancellation& member : members) sent_.push_back(member.reason);
      return answer_;
    });
  }
  static std::vector<ChangeOutcome> Outcomes(const Answer& answer) {
    EXPECT_TRUE(answer.ok()) << answer.status();
    std::vector<ChangeOutcome> outcomes;
    for (const ChangeResult& result : answer.value_or(std::vector<ChangeResult>())) outcomes.push_back(result.outcome);
    return outcomes;
  }

  std::vector<std::string> sent_;  // reasons of those that were sent as members
  Answer answer_ = std::vector<ChangeResult>{};
};

TEST_F(MemberChangesTest, ABatchWithoutMembersIsSentOnce) {
  answer_ = absl::InternalError("nobody asks");
  EXPECT_THAT(Outcomes(Change({"done", "done"})), ElementsAre(ChangeOutcome::kDone, ChangeOutcome::kDone));
  EXPECT_THAT(sent_, IsEmpty());
}

TEST_F(MemberChangesTest, MembersAreSentInTheirOrderAndAnsweredInTheirPlaces) {
  answer_ = std::vector<ChangeResult>{{ChangeOutcome::kReplayed}, RefusedChange(Refusal::kGroupOver)};
  const Answer answer = Change({"member", "done", "member"});
  EXPECT_THAT(sent_, ElementsAre("0", "2"));
  EXPECT_THAT(Outcomes(answer), ElementsAre(ChangeOutcome::kReplayed, ChangeOutcome::kDone, ChangeOutcome::kRefused));
  EXPECT_EQ(answer->back().refusal, Refusal::kGroupOver);
}

TEST_F(MemberChangesTest, TheFirstErrorIsTheAnswer) {
  bool asked = false;
  const std::vector<Cancellation> batch(1);
  const Answer answer =
      WithMembers(absl::MakeConstSpan(batch), Answer(BusyError("locked")), [&](absl::Span<const Cancellation>) {
        asked = true;
        return Answer(std::vector<ChangeResult>{});
      });
  EXPECT_TRUE(FoundLocked(answer.status())) << answer.status();
  EXPECT_FALSE(asked);
}

// Nothing was decided about anything: the error says so.
TEST_F(MemberChangesTest, MembersAloneFailAsTheyFail) {
  for (const absl::Status& error :
       {BusyError("locked"), RetryTransactionError("deadlock"), UnknownCommitError("lost"), absl::InternalError("?")}) {
    answer_ = error;
    EXPECT_EQ(Change({"member", "member"}).status(), error);
  }
}

TEST_F(MemberChangesTest, MembersThatFailForSureLeaveTheOthersTheirAnswers) {
  for (const absl::Status& error :
       {BusyError("locked"), RetryTransactionError("deadlock"), NotReachedError("down"), absl::InternalError("?")}) {
    answer_ = error;
    EXPECT_THAT(Outcomes(Change({"done", "member"})), ElementsAre(ChangeOutcome::kDone, ChangeOutcome::kBusy)) << error;
  }
}

TEST_F(MemberChangesTest, MembersInDoubtLeaveTheOthersTheirAnswers) {
  for (const absl::Status& error : {UnknownCommitError("lost"), UnsettledCommitError("no standby")}) {
    answer_ = error;
    EXPECT_THAT(Outcomes(Change({"member", "done", "member"})),
                ElementsAre(ChangeOutcome::kInDoubt, ChangeOutcome::kDone, ChangeOutcome::kInDoubt))
        << error;
  }
}

}  // namespace
}  // namespace tranche::storage
