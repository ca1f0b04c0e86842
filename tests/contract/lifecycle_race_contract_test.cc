// Changes of the same reservations at the same time, on the fake and on PostgreSQL: each ends in exactly one state.
#include <algorithm>
#include <array>
#include <atomic>
#include <random>

#include "absl/strings/str_cat.h"
#include "absl/time/clock.h"
#include "tests/contract/lifecycle_fixture.h"
#include "tests/contract/race.h"

namespace tranche::storage {
namespace {

using testing::Claim;
using testing::ClaimsOf;
using testing::Retrying;
using testing::RunThreads;

class LifecycleRaceContract : public LifecycleContractTest {
 protected:
  using enum ChangeOutcome;

  std::vector<Reservation> Holds(IncarnationId node, const std::string& sku_id, const std::string& prefix, int n) {
    std::vector<Reservation> holds;
    for (const CommitResult& result : Commit(node, ClaimsOf(sku_id, prefix, n))) holds.push_back(result.reservation);
    return holds;
  }
};
INSTANTIATE_TEST_SUITE_P(Both, LifecycleRaceContract, BothLedgers(), LedgerName);

// Payment, cancellation and expiry at the same moment: one of them wins, and everybody is told which.
TEST_P(LifecycleRaceContract, EachReservationEndsInExactlyOneState) {
  constexpr int kHolds = 240;
  constexpr int kBatch = 20;
  Sku sku = SkuOf("tv", kHolds);
  sku.hold = absl::Seconds(10);
  Create(sku);
  sku.sku_id = "radio";
  Create(sku);
  const IncarnationId node = HolderOf("tv", kHolds);
  Move("radio", {{node, kHolds}});
  std::vector<Reservation> holds = Holds(node, "tv", "u", kHolds / 2);
  for (const Reservation& hold : Holds(node, "radio", "u", kHolds / 2)) holds.push_back(hold);
  LetPass(absl::Seconds(10));

  std::array<std::atomic<int>, kHolds> won{};
  std::atomic<int64_t> expired{0};
  RunThreads(5, [&](int thread) {
    std::mt19937 random(static_cast<unsigned>(thread));
    std::vector<size_t> order(kHolds);
    for (size_t i = 0; i < order.size(); ++i) order[i] = i;
    std::shuffle(order.begin(), order.end(), random);
    for (size_t start = 0; start < order.size(); start += kBatch) {
      if (thread == 4) {
        const auto holds_expired = Retrying([&] { return upkeep().ExpireDue(kBatch / 4); });
        ASSERT_TRUE(holds_expired.ok()) << holds_expired.status();
        expired += holds_expired->expired;
        continue;
      }
      std::vector<Payment> payments;
      std::vector<Cancellation> cancellations;
      for (size_t i = start; i < start + kBatch; ++i) {
        payments.push_back(PaymentOf(holds[order[i]], absl::StrCat("pay-", thread)));
        cancellations.push_back({holds[order[i]].reservation_id, absl::StrCat("by ", thread)});
      }
      const auto results = Retrying([&] {
        return thread % 2 == 0 ? lifecycle().ConfirmReservations(payments)
                               : lifecycle().CancelReservations(cancellations);
      });
      ASSERT_TRUE(results.ok()) << results.status();
      for (size_t i = 0; i < results->size(); ++i) {
        if ((*results)[i].outcome == kDone) ++won[order[start + i]];
        EXPECT_NE((*results)[i].reservation.state, ReservationState::kPending);
      }
    }
  });
  int64_t confirmed = 0, cancelled = 0, lapsed = 0;
  for (size_t i = 0; i < holds.size(); ++i) {
    const Reservation ended = Read(holds[i].reservation_id);
    EXPECT_EQ(ended.revision, 2);
    EXPECT_EQ(won[i], ended.state == ReservationState::kExpired ? 0 : 1);
    confirmed += ended.state == ReservationState::kConfirmed ? 1 : 0;
    cancelled += ended.state == ReservationState::kCancelled ? 1 : 0;
    lapsed += ended.state == ReservationState::kExpired ? 1 : 0;
    EXPECT_EQ(Kinds(holds[i].reservation_id).size(), 1u) << "one change, one message";
  }
  EXPECT_EQ(lapsed, expired);
  EXPECT_EQ(confirmed + cancelled + lapsed, kHolds);
  EXPECT_EQ(stock().GetSku("tv")->unsold + stock().GetSku("radio")->unsold, 2 * kHolds - confirmed);
}

TEST_P(LifecycleRaceContract, ExpirersSideBySideExpireEachHoldOnce) {
  constexpr int kHolds = 300;
  Create(SkuOf("tv", kHolds));
  const IncarnationId node = HolderOf("tv", kHolds);
  Holds(node, "tv", "u", kHolds);
  LetPass(absl::Hours(1));
  std::atomic<int64_t> expired{0};
  const absl::Time give_up = absl::Now() + absl::Seconds(60);
  RunThreads(3, [&](int) {
    // Each passes over what another one has locked, and comes back to it.
    while (expired < kHolds && absl::Now() < give_up) {
      const auto holds = Retrying([&] { return upkeep().ExpireDue(20); });
      ASSERT_TRUE(holds.ok()) << holds.status();
      expired += holds->expired;
    }
  });
  EXPECT_EQ(expired, kHolds);
  EXPECT_EQ(upkeep().ExpireDue(20)->expired, 0);
  EXPECT_EQ(Remaining("tv")[kPool], kHolds);
}

// Sales, their ends, late payments and the balancer's moves, all with the same few units.
TEST_P(LifecycleRaceContract, SalesCancellationsLatePaymentsAndMovesConserve) {
  constexpr int kStock = 60;
  Create(SkuOf("tv", kStock, /*per_user_limit=*/3, /*slots=*/2));
  const IncarnationId a = HolderOf("tv", 30), b = HolderOf("tv", 30);
  std::vector<Reservation> lapsed = Holds(a, "tv", "late", 20);
  LetPass(absl::Hours(1));
  ASSERT_EQ(Expire().expired, 20);
  std::atomic<int> running{3};
  std::atomic<int> rebooked{0}, unfulfilled{0};
  RunThreads(4, [&](int thread) {
    std::mt19937 random(static_cast<unsigned>(thread));
    if (thread < 2) {
      const IncarnationId node = thread == 0 ? a : b;
      for (int round = 0; round < 25; ++round) {
        std::vector<ReservationClaim> claims;
        for (int i = 0; i < 6; ++i) {
          claims.push_back(Claim("tv", absl::StrCat("u", random() % 15), static_cast<int32_t>(random() % 3) + 1));
        }
        const auto sold = Retrying([&] { return reservations().CommitReservations(node, LockMode::kWait, claims); });
        ASSERT_TRUE(sold.ok()) << sold.status();
        std::vector<Cancellation> cancellations;
        for (const CommitResult& result : *sold) {
          if (result.outcome != CommitOutcome::kCreated || random() % 4 == 0) continue;
          cancellations.push_back({result.reservation.reservation_id, "race"});
        }
        const auto cancelled = Retrying([&] { return lifecycle().CancelReservations(cancellations); });
        ASSERT_TRUE(cancelled.ok()) << cancelled.status();
      }
      --running;
    } else if (thread == 2) {
      for (const Reservation& late : lapsed) {
        const auto paid = Retrying([&] { return lifecycle().ConfirmLate(PaymentOf(late)); });
        ASSERT_TRUE(paid.ok()) << paid.status();
        EXPECT_TRUE(paid->outcome == kRebooked || paid->outcome == kPaidUnfulfilled);
        ++(paid->outcome == kRebooked ? rebooked : unfulfilled);
      }
      --running;
    } else {
      while (running > 0) {
        EXPECT_TRUE(stock().MoveUnits("tv", {{a, 5}, {b, 5}}, std::nullopt, "test").ok());
        EXPECT_TRUE(stock().MoveUnits("tv", {{a, -2}, {b, -2}}, std::nullopt, "test").ok());
      }
    }
  });
  EXPECT_EQ(rebooked + unfulfilled, 20) << "each payment has bought a unit or is to be refunded";
  EXPECT_GT(rebooked, 0);
}

// Carts that share SKUs in different orders wait for each other, and do not deadlock for ever.
TEST_P(LifecycleRaceContract, CartsAtOnceAreWholeOrNothing) {
  constexpr int kStock = 90;
  const std::vector<std::string> skus = {"a", "b", "c"};
  const IncarnationId node = Register();
  for (const std::string& sku_id : skus) {
    Create(SkuOf(sku_id, kStock));
    Move(sku_id, {{node, kStock}});
  }
  std::atomic<int> committed{0};
  RunThreads(4, [&](int thread) {
    std::mt19937 random(static_cast<unsigned>(thread));
    for (int round = 0; round < 30; ++round) {
      std::vector<std::string> order = skus;
      std::shuffle(order.begin(), order.end(), random);
      std::vector<ReservationClaim> lines;
      for (const std::string& sku_id : order) lines.push_back(Claim(sku_id, absl::StrCat("u", thread, "-", round)));
      const auto cart = Retrying([&] { return lifecycle().CommitCart(node, lines); });
      ASSERT_TRUE(cart.ok()) << cart.status();
      committed += cart->committed ? 1 : 0;
    }
  });
  EXPECT_EQ(committed, kStock) << "120 carts want 90";
  for (const std::string& sku_id : skus) EXPECT_EQ(stock().GetSku(sku_id)->unsold, 0);
}

}  // namespace
}  // namespace tranche::storage
