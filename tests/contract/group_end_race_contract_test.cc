// The ends of groups, and everything else that happens to them at the same time, on the fake and on PostgreSQL.
#include <algorithm>
#include <atomic>
#include <optional>
#include <string>
#include <vector>

#include "absl/strings/str_cat.h"
#include "absl/time/clock.h"
#include "tests/contract/group_end_contract.h"
#include "tests/contract/race.h"

namespace tranche::storage {
namespace {

using ::testing::IsEmpty;
using testing::NewId;
using testing::Retrying;
using testing::RunThreads;
using ::testing::SizeIs;

class GroupEndRaceContract : public GroupEndTest {
 protected:
  // Claims as a node does: without waiting at first.
  CommitResult JoinAsNode(const ReservationClaim& claim) {
    for (const LockMode mode : {LockMode::kSkipLocked, LockMode::kWait}) {
      const auto results = Retrying([&] { return reservations().CommitReservations(node_, mode, {&claim, 1}); });
      EXPECT_TRUE(results.ok()) << results.status();
      if (!results.ok()) return {};
      if (results->front().outcome != CommitOutcome::kBusy) return results->front();
    }
    ADD_FAILURE() << "busy, although it may wait";
    return {};
  }
  ChangeResult PayAsNode(const Payment& payment) {
    const auto paid = Retrying([&] { return lifecycle().ConfirmReservations({payment}); });
    EXPECT_TRUE(paid.ok()) << paid.status();
    if (!paid.ok()) return {};
    const Refusal refusal = paid->front().refusal;
    if (refusal != kGroupOver && refusal != kReservationState) return paid->front();
    const auto late = Retrying([&] { return lifecycle().ConfirmLate(payment); });
    EXPECT_TRUE(late.ok()) << late.status();
    return late.value_or(ChangeResult{});
  }
  ExpiredGroups ExpireAsWorker(int limit) {
    const auto expired = Retrying([&] { return groups().ExpireGroups(limit); });
    EXPECT_TRUE(expired.ok()) << expired.status();
    return expired.value_or(ExpiredGroups{});
  }
};
INSTANTIATE_TEST_SUITE_P(Both, GroupEndRaceContract, BothLedgers(), LedgerName);

// Whoever comes before the deadline is ended by it, and whoever comes after it is refused.
TEST_P(GroupEndRaceContract, NoJoinAndNoPaymentOutlastsTheDeadline) {
  constexpr int kBuyers = 4;       // threads
  constexpr int kPaidOfEach = 20;  // so that the group is never full
  constexpr int64_t kStock = 100'000;
  ASSERT_TRUE(stock().AddStock("tv", kStock - 50, std::nullopt, "test").ok());
  Move("tv", {{node_, kStock - 50}});
  GroupOffer brief = OfferOf("tv", kMostSeats, "brief");
  brief.open_for = absl::Seconds(3);
  Offer(brief);
  const Uuid group_id = NewId();
  OpenPaid(group_id, "opener", "brief");
  std::atomic<int64_t> payments{1};
  std::atomic<int> joining{kBuyers};
  RunThreads(kBuyers + 2, [&](int thread) {
    if (thread >= kBuyers) {
      while (joining > 0) {
        ExpireAsWorker(30);
        absl::SleepFor(absl::Milliseconds(1));
      }
      return;
    }
    for (int i = 0;; ++i) {
      const CommitResult joined = JoinAsNode(ClaimIn(group_id, absl::StrCat("u", thread, "-", i)));
      if (joined.outcome != CommitOutcome::kCreated) {
        EXPECT_EQ(Answer(joined), kGroupOver);
        break;
      }
      if (i < kPaidOfEach) {
        const ChangeResult paid = PayAsNode(PaymentBy(joined.reservation));
        EXPECT_TRUE(paid.outcome == kDone || paid.outcome == kPaidUnfulfilled);
        ++payments;
      }
      absl::SleepFor(absl::Milliseconds(5));
    }
    --joining;
  });
  ExpireAll();
  EXPECT_EQ(GroupNow(group_id).state, GroupState::kFailed);
  EXPECT_THAT(Listed({ReservationState::kPending, ReservationState::kConfirmed}), IsEmpty());
  EXPECT_EQ(Unsold(), kStock);
  EXPECT_EQ(Refunds(), payments) << "each payment is to be refunded, once";
}

TEST_P(GroupEndRaceContract, WorkersSideBySideEndEachGroupOnce) {
  constexpr int kGroups = 60;
  ASSERT_TRUE(stock().AddStock("tv", 1'000, std::nullopt, "test").ok());
  Move("tv", {{node_, 1'000}});
  for (int i = 0; i < kGroups; ++i) {
    const Uuid group_id = NewId();
    OpenPaid(group_id, absl::StrCat("opener-", i));
    JoinPaid(group_id, absl::StrCat("friend-", i));
    Join(group_id, absl::StrCat("idle-", i));
  }
  LetPass(kOpenFor);
  std::atomic<int64_t> failed{0}, ended{0};
  const absl::Time give_up = absl::Now() + absl::Seconds(60);
  RunThreads(3, [&](int) {
    // Each passes over what another one has locked, and comes back to it.
    while (ended < 3 * kGroups && absl::Now() < give_up) {
      const ExpiredGroups expired = ExpireAsWorker(7);
      failed += expired.failed;
      ended += expired.ended;
    }
  });
  EXPECT_EQ(failed, kGroups);
  EXPECT_EQ(ended, 3 * kGroups);
  EXPECT_EQ(Refunds(), 2 * kGroups);
  EXPECT_EQ(Unsold(), 1'050);
}

// All or nothing: the group is sold to all who have paid, or all of them are refunded.
TEST_P(GroupEndRaceContract, TheLastPaymentAndTheOperatorsEndExcludeEachOther) {
  constexpr int kRounds = 20;
  ASSERT_TRUE(stock().AddStock("tv", 1'000, std::nullopt, "test").ok());
  Move("tv", {{node_, 1'000}});
  int64_t refunds = 0, sold = 0;
  for (int round = 0; round < kRounds; ++round) {
    const Uuid group_id = NewId();
    const auto name = [&](const char* who) { return absl::StrCat(who, "-", round); };
    OpenPaid(group_id, name("opener"));
    JoinPaid(group_id, name("second"));
    const Reservation last = Join(group_id, name("last")), leaver = Join(group_id, name("leaver"));
    std::optional<ChangeResult> paid;
    bool cancelled = false;
    RunThreads(3, [&](int thread) {
      if (thread == 0) {
        paid = PayAsNode(PaymentBy(last));
      } else if (thread == 1) {
        const auto ended = Retrying([&] { return CancelGroup(group_id); });
        cancelled = ended.ok();
      } else {
        const auto left = Retrying([&] { return lifecycle().CancelReservations({{leaver.reservation_id, "race"}}); });
        EXPECT_TRUE(left.ok()) << left.status();
      }
    });
    EXPECT_EQ(GroupNow(group_id).state, cancelled ? GroupState::kCancelled : GroupState::kFilled);
    ASSERT_TRUE(paid.has_value());
    EXPECT_EQ(paid->outcome, cancelled ? kPaidUnfulfilled : kDone);
    (cancelled ? refunds : sold) += 3;
    EXPECT_EQ(StateOf(last), cancelled ? ReservationState::kCancelled : ReservationState::kConfirmed);
    EXPECT_EQ(StateOf(leaver), ReservationState::kCancelled);
    EXPECT_EQ(Refunds(), refunds);
  }
  EXPECT_EQ(Unsold(), 1'050 - sold);
}

// Seats are taken and given up at the same time.
TEST_P(GroupEndRaceContract, SeatsThatAreGivenUpAreCounted) {
  constexpr int kThreads = 6;
  constexpr int kOfEach = 8;
  ASSERT_TRUE(stock().AddStock("tv", 1'000, std::nullopt, "test").ok());
  Move("tv", {{node_, 1'000}});
  Offer(OfferOf("tv", kMostSeats, "crowd"));
  const Uuid group_id = NewId();
  OpenPaid(group_id, "opener", "crowd");
  RunThreads(kThreads, [&](int thread) {
    for (int i = 0; i < kOfEach; ++i) {
      const CommitResult joined = JoinAsNode(ClaimIn(group_id, absl::StrCat("u", thread, "-", i)));
      ASSERT_EQ(joined.outcome, CommitOutcome::kCreated);
      EXPECT_EQ(PayAsNode(PaymentBy(joined.reservation)).outcome, kDone);
      if (i % 2 == 0) continue;
      const Uuid& id = joined.reservation.reservation_id;
      const auto left = Retrying([&] { return lifecycle().CancelReservations({{id, "race"}}); });
      ASSERT_TRUE(left.ok()) << left.status();
      EXPECT_EQ(left->front().outcome, kDone);
    }
  });
  constexpr int kLeft = kThreads * kOfEach / 2;
  constexpr int kSeated = 1 + kThreads * kOfEach - kLeft;
  EXPECT_EQ(GroupNow(group_id).seats_taken, kSeated);
  EXPECT_EQ(Refunds(), kLeft);
  std::vector<int32_t> seats;
  for (const GroupMember& member : Members(group_id)) {
    if (member.seat > 0) seats.push_back(member.seat);
  }
  EXPECT_THAT(seats, SizeIs(kSeated));
  std::sort(seats.begin(), seats.end());
  EXPECT_TRUE(std::adjacent_find(seats.begin(), seats.end()) == seats.end()) << "nobody sits on another's seat";
  EXPECT_EQ(Unsold(), 1'050 - kSeated);
}

}  // namespace
}  // namespace tranche::storage
