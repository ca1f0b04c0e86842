// Carts: several claims, all or none; on the fake and on PostgreSQL.
#include "tests/contract/lifecycle_fixture.h"

namespace tranche::storage {
namespace {

using testing::Claim;
using ::testing::Each;
using ::testing::ElementsAre;

class CartContract : public LifecycleContractTest {
 protected:
  using enum CommitOutcome;
  using enum Refusal;

  void SetUp() override {
    Create(SkuOf("radio", 10, /*per_user_limit=*/3));
    Create(SkuOf("tv", 10, /*per_user_limit=*/3, /*slots=*/2));
    node_ = HolderOf("tv", 5);
    Move("radio", {{node_, 5}});
  }

  CartResult CommitCart(const std::vector<ReservationClaim>& lines) {
    const auto cart = lifecycle().CommitCart(node_, lines);
    EXPECT_TRUE(cart.ok()) << cart.status();
    if (cart.ok() && cart->lines.size() == lines.size()) return *cart;
    ADD_FAILURE() << "not one result per line";
    return CartResult{.committed = false, .lines = std::vector<CommitResult>(lines.size())};
  }

  static std::vector<Answer> OutcomesOf(const CartResult& cart) {
    return std::vector<Answer>(cart.lines.begin(), cart.lines.end());
  }

  void ExpectNothingSold() {
    EXPECT_EQ(Remaining("tv")[node_], 5);
    EXPECT_EQ(Remaining("radio")[node_], 5);
  }

  IncarnationId node_ = kPool;
};
INSTANTIATE_TEST_SUITE_P(Both, CartContract, BothLedgers(), LedgerName);

TEST_P(CartContract, AllLinesAreCreatedAndReplayed) {
  const std::vector<ReservationClaim> lines = {Claim("tv", "alice", 2), Claim("radio", "alice"), Claim("tv", "alice")};
  const CartResult cart = CommitCart(lines);
  EXPECT_TRUE(cart.committed);
  EXPECT_THAT(OutcomesOf(cart), Each(kCreated));
  for (size_t i = 0; i < lines.size(); ++i) {
    EXPECT_EQ(cart.lines[i].reservation.reservation_id, lines[i].reservation_id);
    ExpectSame(Read(lines[i].reservation_id), cart.lines[i].reservation);
  }
  EXPECT_EQ(Remaining("tv")[node_], 2);
  EXPECT_EQ(Remaining("radio")[node_], 4);

  const CartResult again = CommitCart(lines);
  EXPECT_TRUE(again.committed);
  EXPECT_THAT(OutcomesOf(again), Each(kReplayed));
  for (size_t i = 0; i < lines.size(); ++i) ExpectSame(again.lines[i].reservation, cart.lines[i].reservation);
  EXPECT_EQ(Remaining("tv")[node_], 2);
  EXPECT_EQ(Confirm(PaymentOf(cart.lines[0].reservation)).outcome, ChangeOutcome::kDone);
}

TEST_P(CartContract, OneLineThatCannotBeLeavesNothing) {
  const CartResult unknown = CommitCart({Claim("tv", "alice"), Claim("no-such-sku", "alice")});
  EXPECT_FALSE(unknown.committed);
  EXPECT_THAT(OutcomesOf(unknown), ElementsAre(kCreated, kSkuNotFound)) << "which line was in the way";
  ExpectNothingSold();
  Commit(node_, {Claim("radio", "bob", 3)});
  const CartResult too_short = CommitCart({Claim("radio", "alice", 3), Claim("tv", "alice", 1)});
  EXPECT_FALSE(too_short.committed);
  EXPECT_THAT(OutcomesOf(too_short), ElementsAre(kShort, kCreated));
  EXPECT_EQ(Remaining("tv")[node_], 5);
  ASSERT_TRUE(stock().CloseSku("radio", "test").ok());
  EXPECT_THAT(OutcomesOf(CommitCart({Claim("radio", "alice"), Claim("tv", "alice")})),
              ElementsAre(kSaleClosed, kCreated));
  EXPECT_EQ(Remaining("tv")[node_], 5);
}

TEST_P(CartContract, WhatWasRolledBackCanBeTriedAgainUnderTheSameIds) {
  const ReservationClaim tv = Claim("tv", "alice"), radio = Claim("radio", "alice", 3), none = Claim("boat", "alice");
  EXPECT_FALSE(CommitCart({tv, radio, none}).committed);
  EXPECT_EQ(reservations().FindReservation(tv.reservation_id).status().code(), absl::StatusCode::kNotFound);
  EXPECT_TRUE(CommitCart({tv, radio}).committed);
  EXPECT_EQ(Outcome(node_, Claim("radio", "alice")), kUserLimitReached);
}

TEST_P(CartContract, LinesThatShareASkuCountTogether) {
  const CartResult over_limit = CommitCart({Claim("tv", "alice", 2), Claim("tv", "alice", 2)});
  EXPECT_FALSE(over_limit.committed);
  EXPECT_THAT(OutcomesOf(over_limit), ElementsAre(kCreated, kUserLimitReached));
  Commit(node_, {Claim("tv", "bob", 3)});
  const CartResult over_stock = CommitCart({Claim("tv", "alice", 1), Claim("tv", "alice", 2)});
  EXPECT_FALSE(over_stock.committed) << "2 are left";
  EXPECT_EQ(Remaining("tv")[node_], 2);
  EXPECT_TRUE(CommitCart({Claim("tv", "alice", 1), Claim("tv", "alice", 1)}).committed);
}

TEST_P(CartContract, AnIdThatIsInUseMakesNoCart) {
  const ReservationClaim before = Claim("tv", "alice");
  Commit(node_, {before});
  const CartResult partly = CommitCart({before, Claim("radio", "alice")});
  EXPECT_FALSE(partly.committed);
  EXPECT_THAT(OutcomesOf(partly), ElementsAre(kReplayed, kCreated));
  EXPECT_EQ(Remaining("radio")[node_], 5);
  ReservationClaim other = before;
  other.quantity = 2;
  const CartResult conflict = CommitCart({Claim("radio", "alice"), other});
  EXPECT_FALSE(conflict.committed);
  EXPECT_THAT(OutcomesOf(conflict), ElementsAre(kCreated, kReservationIdReused));
  EXPECT_EQ(Remaining("radio")[node_], 5);
  const ReservationClaim twice = Claim("radio", "alice");
  EXPECT_EQ(lifecycle().CommitCart(node_, {twice, twice}).status().code(), absl::StatusCode::kInvalidArgument);
}

TEST_P(CartContract, IsTheClaimOfOneIncarnation) {
  const IncarnationId other = Register("other");
  const auto cart = lifecycle().CommitCart(other, {Claim("tv", "alice")});
  ASSERT_TRUE(cart.ok()) << cart.status();
  EXPECT_FALSE(cart->committed);
  EXPECT_THAT(OutcomesOf(*cart), ElementsAre(kNotHeld));
}

}  // namespace
}  // namespace tranche::storage
