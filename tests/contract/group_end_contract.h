// Shared by the suites about how memberships and groups end: a SKU "tv" of 50 units, an offer of three seats, and what
// has become of members.
#pragma once

#include <string>

#include "absl/strings/str_cat.h"
#include "tests/contract/group_contract.h"

namespace tranche::storage {

class GroupEndTest : public GroupContractTest {
 protected:
  void SetUp() override { Sell("tv", 50, /*seats=*/3); }

  // All that is due, in calls of at most so many.
  ExpiredGroups ExpireAll(int limit = 1'000) {
    ExpiredGroups sum;
    for (int calls = 0; calls < 1'000; ++calls) {
      const ExpiredGroups some = ExpireGroups(limit);
      sum.filled += some.filled;
      sum.failed += some.failed;
      sum.ended += some.ended;
      sum.settled += some.settled;
      sum.until_next = some.until_next;
      if (!some.more) return sum;
    }
    ADD_FAILURE() << "it does not end";
    return sum;
  }
  void ExpectRefunded(const Reservation& hold, const std::string& reason) {
    const Reservation ended = Read(hold.reservation_id);
    EXPECT_EQ(ended.state, ReservationState::kCancelled) << hold.user_id;
    EXPECT_EQ(ended.cancel_reason, reason);
    EXPECT_EQ(ended.payment_reference, "") << "it bought nothing";
    EXPECT_TRUE(ended.finished_at.has_value());
    EXPECT_THAT(KindsOf(hold),
                ::testing::ElementsAre("group.seat_taken", "reservation.cancelled", "payment.refund_requested"));
    EXPECT_THAT(PayloadOf(hold, "payment.refund_requested"),
                ::testing::HasSubstr(absl::StrCat("\"payment_reference\": \"pay-", hold.user_id, "\"")));
  }
  void ExpectEndedUnpaid(const Reservation& hold, const std::string& reason) {
    EXPECT_EQ(StateOf(hold), ReservationState::kCancelled) << hold.user_id;
    EXPECT_EQ(ReasonOf(hold), reason);
    EXPECT_THAT(KindsOf(hold), ::testing::ElementsAre("reservation.cancelled"));
  }
  GroupCounts Counts() {
    const auto counts = groups().CountGroups();
    EXPECT_TRUE(counts.ok()) << counts.status();
    return counts.value_or(GroupCounts{});
  }
};

}  // namespace tranche::storage
