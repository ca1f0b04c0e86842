// Claims that join a group: the seller sells them like others, and the ledger decides about the group.
#include <memory>
#include <optional>
#include <utility>
#include <variant>
#include <vector>

#include "gtest/gtest.h"
#include "quota/sale/seller.h"
#include "tests/support/stub_books.h"

namespace tranche::quota {
namespace {

using storage::ReservationClaim;

// A ledger that answers each claim as the test says.
class DecidingBooks : public tranche::testing::StubBooks {
 public:
  void Commit(const std::string&, storage::IncarnationId, ReservationClaim claim, absl::Time,
              storage::CommitDone done) override {
    claims.push_back(std::move(claim));
    done(answer);
  }
  void Find(const storage::Uuid&, storage::Assurance, absl::Time, FindDone done) override { done(found); }

  std::vector<ReservationClaim> claims;
  storage::CommitResult answer;
  absl::StatusOr<storage::Reservation> found = absl::NotFoundError("no such reservation");
};

class SellerGroupTest : public ::testing::Test {
 protected:
  SellerGroupTest() {
    slices_.Begin(1);
    const std::shared_ptr<Slice> slice = slices_.FindOrAdd("tv");
    slice->SetTerms({.per_user_limit = 5});
    slice->counter().Apply(/*allotted=*/1, /*version=*/1);
  }

  static ReservationClaim Joining() {
    ReservationClaim claim{.reservation_id = {}, .sku_id = "tv", .user_id = "alice", .quantity = 1};
    claim.reservation_id.bytes[15] = 1;
    storage::GroupJoin join{.group_id = {}, .offer_id = "three"};
    join.group_id.bytes[15] = 2;
    claim.group = std::make_shared<const storage::GroupJoin>(join);
    return claim;
  }
  SaleResult Sell(const ReservationClaim& claim, bool may_exist = false) {
    std::optional<SaleResult> answer;
    seller_.Sell(claim, absl::InfiniteFuture(), may_exist, [&](SaleResult result) { answer = std::move(result); });
    EXPECT_TRUE(answer.has_value());
    return answer.value_or(Refused{});
  }
  int64_t Free() { return slices_.Find("tv")->counter().free(); }

  storage::FakeClock clock_;
  DecidingBooks books_;
  SliceTable slices_;
  SkuDirectory directory_{&books_, &clock_};
  WaitingRoom room_{&slices_, &clock_, {}};
  Seller seller_{&slices_, &directory_, &books_, &clock_, &room_};
};

TEST_F(SellerGroupTest, TheLedgerIsToldOfTheGroup) {
  books_.answer.outcome = storage::CommitOutcome::kCreated;
  for (const bool may_exist : {false, true}) {
    slices_.Find("tv")->counter().GiveBack(1);
    const ReservationClaim claim = Joining();
    EXPECT_TRUE(std::holds_alternative<Sold>(Sell(claim, may_exist)));
    EXPECT_EQ(books_.claims.back().group, claim.group);
    EXPECT_EQ(books_.claims.back().group->offer_id, "three");
  }
}

// The node looks itself before it refuses a repeat: its group is a part of it.
TEST_F(SellerGroupTest, ARepeatForAnotherGroupIsAnotherClaim) {
  ReservationClaim claim = Joining();
  claim.quantity = 6;  // more than the limit: refused from memory
  storage::Reservation member{.reservation_id = claim.reservation_id,
                              .sku_id = "tv",
                              .user_id = "alice",
                              .quantity = 6,
                              .currency = "EUR",
                              .created_at = clock_.Now(),
                              .expires_at = clock_.Now() + absl::Minutes(1)};
  const auto refusal_if_in = [&](std::optional<storage::Uuid> group_id) {
    member.group_id = group_id;
    books_.found = member;
    const SaleResult result = Sell(claim, /*may_exist=*/true);
    return std::holds_alternative<Refused>(result) ? std::get<Refused>(result).refusal : Refusal::kNone;
  };
  EXPECT_EQ(refusal_if_in(claim.group->group_id), Refusal::kNone);
  EXPECT_EQ(refusal_if_in(storage::Uuid{}), Refusal::kReservationIdReused);
  EXPECT_EQ(refusal_if_in(std::nullopt), Refusal::kReservationIdReused) << "it was bought alone";
  // What notes that the claim was refused for good has no group.
  member.expires_at = member.created_at;
  member.state = storage::ReservationState::kCancelled;
  EXPECT_EQ(refusal_if_in(std::nullopt), Refusal::kNone);
}

// It is about one group: others of the SKU are asked about as ever.
TEST_F(SellerGroupTest, WhatIsWrongWithAGroupIsNotRememberedAboutItsSku) {
  for (const Refusal refusal :
       {Refusal::kGroupNotFound, Refusal::kGroupOver, Refusal::kGroupFull, Refusal::kAlreadyInGroup,
        Refusal::kOfferNotFound, Refusal::kOfferClosed, Refusal::kTooManyGroups}) {
    for (const bool may_exist : {false, true}) {
      books_.answer = storage::RefusedClaim(refusal);
      books_.answer.about = "what the ledger said";
      const SaleResult refused = Sell(Joining(), may_exist);
      ASSERT_TRUE(std::holds_alternative<Refused>(refused));
      EXPECT_EQ(std::get<Refused>(refused).refusal, refusal);
      EXPECT_EQ(std::get<Refused>(refused).about, "what the ledger said");
      EXPECT_EQ(Free(), 1) << "the unit is free for the next one";
    }
  }
  books_.answer = {.outcome = storage::CommitOutcome::kCreated, .reservation = {}};
  const size_t before = books_.claims.size();
  EXPECT_TRUE(std::holds_alternative<Sold>(Sell(Joining())));
  EXPECT_EQ(books_.claims.size(), before + 1);
}

}  // namespace
}  // namespace tranche::quota
