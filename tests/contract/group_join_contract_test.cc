// Offers of groups, and who opens and joins groups, on the fake and on PostgreSQL. group_pay_contract_test.cc has their
// payments.
#include <algorithm>
#include <string>
#include <vector>

#include "absl/strings/str_cat.h"
#include "absl/time/clock.h"
#include "storage/ledger/claim_refusal.h"
#include "tests/contract/group_contract.h"

namespace tranche::storage {
namespace {

using testing::Claim;
using ::testing::ElementsAre;
using ::testing::IsEmpty;
using testing::NewId;
using ::testing::SizeIs;

class GroupJoinContract : public GroupContractTest {
 protected:
  void SetUp() override { Sell("tv", 50, /*seats=*/3); }

  absl::StatusOr<GroupOffer> MakeOffer(const GroupOffer& offer, bool preview = false) {
    return groups().CreateGroupOffer(offer, preview, "alice");
  }
  absl::StatusOr<GroupOffer> CloseOffer(const std::string& sku_id, const std::string& offer_id, bool preview = false) {
    return groups().CloseGroupOffer(sku_id, offer_id, preview, "alice");
  }
  std::vector<std::string> Offers(const std::string& sku_id) {
    std::vector<std::string> names;
    const auto listed = groups().ListGroupOffers(sku_id);
    EXPECT_TRUE(listed.ok()) << listed.status();
    for (const GroupOffer& offer : listed.value_or(std::vector<GroupOffer>())) names.push_back(offer.offer_id);
    return names;
  }
  static ReservationClaim InOtherSku(ReservationClaim claim, const std::string& sku_id) {
    claim.sku_id = sku_id;
    return claim;
  }
  static ReservationClaim Of(ReservationClaim claim, int32_t quantity) {
    claim.quantity = quantity;
    return claim;
  }
  std::string WhoHasTooMany(const ReservationClaim& claim) {
    const CommitResult refused = Commit(node_, {claim}).front();
    EXPECT_EQ(Answer(refused), kTooManyGroups);
    return refused.about;
  }
  void ExpectNoGroup(const Uuid& group_id) { EXPECT_TRUE(absl::IsNotFound(groups().GetGroup(group_id, {}).status())); }
};
INSTANTIATE_TEST_SUITE_P(Both, GroupJoinContract, BothLedgers(), LedgerName);

TEST_P(GroupJoinContract, AnOfferIsAsItWasMade) {
  GroupOffer asked = PartialOf("tv", 10, 4);
  asked.open_for = kLongestGroup;
  asked.pay_within = absl::Seconds(1);
  const GroupOffer made = Offer(asked);
  EXPECT_EQ(made.sku_id, "tv");
  EXPECT_EQ(made.offer_id, "partial");
  EXPECT_EQ(made.seats, 10);
  EXPECT_EQ(made.price_minor, kPrice);
  EXPECT_EQ(made.currency, "EUR") << "the SKU's";
  EXPECT_EQ(made.open_for, kLongestGroup);
  EXPECT_EQ(made.pay_within, absl::Seconds(1));
  EXPECT_EQ(made.on_timeout, OnGroupTimeout::kPartial);
  EXPECT_EQ(made.min_members, 4);
  EXPECT_LT(absl::AbsDuration(absl::Now() - made.created_at), absl::Minutes(1));
  EXPECT_FALSE(made.closed_at.has_value());
  const auto listed = groups().ListGroupOffers("tv");
  ASSERT_TRUE(listed.ok()) << listed.status();
  ASSERT_THAT(*listed, SizeIs(2));
  EXPECT_EQ((*listed)[0].created_at, made.created_at);
  EXPECT_EQ((*listed)[0].currency, "EUR");
  EXPECT_EQ((*listed)[0].min_members, 4);
}

TEST_P(GroupJoinContract, OffersAreListedByName) {
  Sell("radio", 5, 2);
  Offer(OfferOf("tv", 2, "Pair"));
  Offer(OfferOf("tv", 5, "x-large"));
  EXPECT_THAT(Offers("tv"), ElementsAre("Pair", "team", "x-large"));
  EXPECT_THAT(Offers("radio"), ElementsAre("team"));
  EXPECT_THAT(Offers(""), SizeIs(4));
}

TEST_P(GroupJoinContract, WhatIsNoOfferIsRefused) {
  const auto code = [this](const auto& change) {
    GroupOffer offer = OfferOf("tv", 5, "bad");
    change(offer);
    return MakeOffer(offer).status().code();
  };
  constexpr auto kInvalid = absl::StatusCode::kInvalidArgument;
  EXPECT_EQ(code([](GroupOffer& offer) { offer.sku_id = "sofa"; }), absl::StatusCode::kNotFound);
  EXPECT_EQ(code([](GroupOffer& offer) { offer.offer_id = "no spaces"; }), kInvalid);
  EXPECT_EQ(code([](GroupOffer& offer) { offer.offer_id = ""; }), kInvalid);
  EXPECT_EQ(code([](GroupOffer& offer) { offer.seats = kLeastSeats - 1; }), kInvalid);
  EXPECT_EQ(code([](GroupOffer& offer) { offer.seats = kMostSeats + 1; }), kInvalid);
  EXPECT_EQ(code([](GroupOffer& offer) { offer.price_minor = -1; }), kInvalid);
  EXPECT_EQ(code([](GroupOffer& offer) { offer.open_for = absl::ZeroDuration(); }), kInvalid);
  EXPECT_EQ(code([](GroupOffer& offer) { offer.open_for = kLongestGroup + absl::Seconds(1); }), kInvalid);
  EXPECT_EQ(code([](GroupOffer& offer) { offer.pay_within = absl::ZeroDuration(); }), kInvalid);
  EXPECT_EQ(code([](GroupOffer& offer) { offer.min_members = 6; }), kInvalid);
  EXPECT_EQ(code([](GroupOffer& offer) { offer.min_members = 0; }), kInvalid);
  EXPECT_THAT(Offers("tv"), ElementsAre("team"));
}

TEST_P(GroupJoinContract, AnOfferThatIsMadeAgainChangesNothing) {
  const GroupOffer first = Offer(OfferOf("tv", 5, "again"));
  const size_t audited = AuditEntries();
  EXPECT_EQ(Offer(OfferOf("tv", 5, "again")).created_at, first.created_at) << "the answer was lost";
  EXPECT_EQ(AuditEntries(), audited);
  EXPECT_EQ(MakeOffer(OfferOf("tv", 6, "again")).status().code(), absl::StatusCode::kAlreadyExists);
  EXPECT_EQ(MakeOffer(OfferOf("tv", 6, "again"), /*preview=*/true).status().code(), absl::StatusCode::kAlreadyExists);
  ASSERT_TRUE(CloseOffer("tv", "again").ok());
  EXPECT_TRUE(Offer(OfferOf("tv", 5, "again")).closed_at.has_value()) << "it stays closed";
  EXPECT_EQ(AuditEntries(), audited + 1);
}

TEST_P(GroupJoinContract, OffersAreClosedOnce) {
  const size_t audited = AuditEntries();
  const auto seen = CloseOffer("tv", "team", /*preview=*/true);
  ASSERT_TRUE(seen.ok()) << seen.status();
  EXPECT_TRUE(seen->closed_at.has_value());
  EXPECT_FALSE(groups().ListGroupOffers("tv")->front().closed_at.has_value()) << "that was a preview";
  const auto closed = CloseOffer("tv", "team");
  ASSERT_TRUE(closed.ok()) << closed.status();
  ASSERT_TRUE(closed->closed_at.has_value());
  EXPECT_EQ(closed->seats, 3);
  EXPECT_EQ(CloseOffer("tv", "team")->closed_at, closed->closed_at);
  EXPECT_EQ(AuditEntries(), audited + 1);
  EXPECT_EQ(CloseOffer("tv", "other").status().code(), absl::StatusCode::kFailedPrecondition);
  EXPECT_EQ(CloseOffer("sofa", "team").status().code(), absl::StatusCode::kNotFound);
}

TEST_P(GroupJoinContract, APreviewOffersNothing) {
  const size_t audited = AuditEntries();
  const auto seen = MakeOffer(OfferOf("tv", 5, "seen"), /*preview=*/true);
  ASSERT_TRUE(seen.ok()) << seen.status();
  EXPECT_EQ(seen->seats, 5);
  EXPECT_EQ(seen->currency, "EUR");
  EXPECT_THAT(Offers("tv"), ElementsAre("team"));
  EXPECT_EQ(AuditEntries(), audited);
}

TEST_P(GroupJoinContract, ASkuHasSoManyOffers) {
  for (int i = 1; i < kMostOffers; ++i) Offer(OfferOf("tv", 5, absl::StrCat("offer-", i)));
  ASSERT_TRUE(CloseOffer("tv", "offer-1").ok());
  EXPECT_EQ(MakeOffer(OfferOf("tv", 5, "more")).status().code(), absl::StatusCode::kResourceExhausted)
      << "closed ones count";
  EXPECT_TRUE(MakeOffer(OfferOf("tv", 5, "offer-2")).ok()) << "it is there";
  Sell("radio", 5, 2);  // another SKU has its own
}

TEST_P(GroupJoinContract, WhoOpensAGroupHoldsAUnitAtItsPrice) {
  const Uuid group_id = NewId();
  const Reservation hold = Open(group_id, "alice");
  EXPECT_EQ(hold.state, ReservationState::kPending);
  EXPECT_EQ(hold.amount_minor, kPrice);
  EXPECT_EQ(hold.currency, "EUR");
  EXPECT_EQ(hold.expires_at, hold.created_at + kPayWithin) << "not the SKU's hold";
  EXPECT_EQ(hold.revision, 1);
  EXPECT_EQ(hold.group_id, group_id);
  ExpectSame(Read(hold.reservation_id), hold);
  const std::vector<Reservation> listed = Listed({});
  ASSERT_THAT(listed, SizeIs(1));
  ExpectSame(listed[0], hold);
  EXPECT_THAT(KindsOf(hold), IsEmpty()) << "they have the answer";
  EXPECT_EQ(Unsold(), 49);

  const Group group = GroupNow(group_id);
  EXPECT_EQ(group.group_id, group_id);
  EXPECT_EQ(group.sku_id, "tv");
  EXPECT_EQ(group.offer_id, "team");
  EXPECT_EQ(group.seats, 3);
  EXPECT_EQ(group.seats_taken, 0) << "nobody has paid";
  EXPECT_EQ(group.price_minor, kPrice);
  EXPECT_EQ(group.currency, "EUR");
  EXPECT_EQ(group.state, GroupState::kForming);
  EXPECT_FALSE(group.partial);
  EXPECT_EQ(group.opened_by, "alice");
  EXPECT_EQ(group.deadline_at, group.created_at + kOpenFor);
  EXPECT_EQ(group.created_at, hold.created_at);
  EXPECT_FALSE(group.finished_at.has_value());
  const GroupMember member = MemberNow(group_id, "alice");
  EXPECT_EQ(member.reservation_id, hold.reservation_id);
  EXPECT_EQ(member.quantity, 1);
  EXPECT_EQ(member.reservation_state, ReservationState::kPending);
  EXPECT_EQ(member.joined_at, hold.created_at);
  EXPECT_EQ(member.seat, 0);
  EXPECT_FALSE(member.paid_at.has_value());
  EXPECT_EQ(member.payment_reference, "");
}

TEST_P(GroupJoinContract, OthersJoinAtTheSamePrice) {
  Sell("radio", 10, 3, /*per_user_limit=*/4);
  const Uuid group_id = NewId();
  const Reservation alice = Book(InOtherSku(ClaimIn(group_id, "alice", "team"), "radio"));
  ReservationClaim several = Of(InOtherSku(ClaimIn(group_id, "bob"), "radio"), 3);
  several.order_reference = "A-1017";
  const Reservation bob = Book(several);
  EXPECT_EQ(bob.amount_minor, 3 * kPrice);
  EXPECT_EQ(bob.order_reference, "A-1017");
  EXPECT_EQ(bob.expires_at, bob.created_at + kPayWithin);
  ExpectSame(Read(bob.reservation_id), bob);
  EXPECT_EQ(MemberNow(group_id, "bob").quantity, 3);
  EXPECT_EQ(Members(group_id).front().reservation_id, alice.reservation_id) << "in the order of joining";
  EXPECT_EQ(Unsold("radio"), 6);
}

// Each has a unit. Who pays first sits.
TEST_P(GroupJoinContract, MoreMayJoinThanThereAreSeats) {
  const Uuid group_id = NewId();
  Open(group_id, "alice");
  for (int i = 0; i < 10; ++i) Join(group_id, absl::StrCat("u", i));
  EXPECT_THAT(Members(group_id), SizeIs(11));
  EXPECT_EQ(GroupNow(group_id).seats_taken, 0);
  EXPECT_EQ(Unsold(), 39);
}

TEST_P(GroupJoinContract, AHoldNeverOutlastsItsGroup) {
  GroupOffer brief = OfferOf("tv", 3, "brief");
  brief.open_for = kPayWithin / 2;
  Offer(brief);
  const Uuid group_id = NewId();
  const Reservation alice = Open(group_id, "alice", "brief");
  EXPECT_EQ(alice.expires_at, GroupNow(group_id).deadline_at);
  LetPass(absl::Minutes(5));
  const Reservation bob = Join(group_id, "bob");
  EXPECT_EQ(bob.expires_at, GroupNow(group_id).deadline_at);
  EXPECT_LT(bob.expires_at, bob.created_at + absl::Minutes(11));
}

TEST_P(GroupJoinContract, ARepeatIsAnsweredWithTheReservationAsItIsNow) {
  const Uuid group_id = NewId();
  const ReservationClaim opens = ClaimIn(group_id, "alice", "team"), joins = ClaimIn(group_id, "bob");
  const Reservation alice = Book(opens), bob = Book(joins);
  for (const LockMode mode : {LockMode::kSkipLocked, LockMode::kNoWait, LockMode::kWaitBriefly, LockMode::kWait}) {
    const std::vector<CommitResult> again = Commit(node_, {opens, joins}, mode);
    EXPECT_EQ(Answer(again[0]), CommitOutcome::kReplayed);
    ExpectSame(again[0].reservation, alice);
    EXPECT_EQ(Answer(again[1]), CommitOutcome::kReplayed);
    ExpectSame(again[1].reservation, bob);
  }
  EXPECT_THAT(Members(group_id), SizeIs(2));
  EXPECT_EQ(Unsold(), 48);
  // Also when nobody could join any more.
  Cancel(bob);
  ASSERT_TRUE(CancelGroup(group_id).ok());
  ASSERT_TRUE(CloseOffer("tv", "team").ok());
  const std::vector<CommitResult> later = Commit(node_, {opens, joins});
  EXPECT_EQ(Answer(later[0]), CommitOutcome::kReplayed);
  EXPECT_EQ(later[0].reservation.state, ReservationState::kCancelled);
  EXPECT_EQ(Answer(later[1]), CommitOutcome::kReplayed);
}

TEST_P(GroupJoinContract, AnIdStandsForOneClaim) {
  const Uuid group_id = NewId(), other_id = NewId();
  const ReservationClaim opens = ClaimIn(group_id, "alice", "team");
  Book(opens);
  Open(other_id, "bob");
  ReservationClaim changed = ClaimIn(other_id, "alice");
  changed.reservation_id = opens.reservation_id;
  EXPECT_EQ(Try(changed), kReservationIdReused) << "another group";
  changed = Of(opens, 2);
  EXPECT_EQ(Try(changed), kReservationIdReused) << "another quantity";
  ReservationClaim alone = Claim("tv", "carol");
  Book(alone);
  ReservationClaim in_group = ClaimIn(group_id, "carol");
  in_group.reservation_id = alone.reservation_id;
  EXPECT_EQ(Try(in_group), kReservationIdReused) << "it was bought alone";
  ReservationClaim member = opens;
  member.group = nullptr;
  EXPECT_EQ(Try(member), kReservationIdReused) << "it was for a group";
  const auto cart = lifecycle().CommitCart(node_, std::vector{member});
  ASSERT_TRUE(cart.ok()) << cart.status();
  EXPECT_EQ(cart->lines[0].refusal, kReservationIdReused);
  ReservationClaim other = opens;
  other.group = std::make_shared<const GroupJoin>(GroupJoin{.group_id = other_id});
  const auto refuse = [this](const ReservationClaim& claim) {
    const auto results = lifecycle().RefuseClaims(std::vector<ClaimRefusal>{{.claim = claim, .refusal = kSoldOut}});
    EXPECT_TRUE(results.ok()) << results.status();
    return results.ok() ? results->front().outcome : RefuseOutcome::kSkuNotFound;
  };
  EXPECT_EQ(refuse(opens), RefuseOutcome::kSold) << "it is refused for good only if it was not sold";
  EXPECT_EQ(refuse(member), RefuseOutcome::kConflict);
  EXPECT_EQ(refuse(other), RefuseOutcome::kConflict);
  EXPECT_THAT(Members(group_id), SizeIs(1));
  EXPECT_THAT(Members(other_id), SizeIs(1));
}

// Such a row has no group, whoever's it was.
TEST_P(GroupJoinContract, WhatWasRefusedForGoodJoinsNothingLater) {
  const Uuid group_id = NewId(), unopened = NewId();
  Open(group_id, "alice");
  std::vector<ClaimRefusal> refusals;
  std::vector<ReservationClaim> claims;
  for (const Refusal refusal :
       {kGroupNotFound, kGroupOver, kGroupFull, kAlreadyInGroup, kOfferNotFound, kOfferClosed, kTooManyGroups}) {
    const std::string user_id = absl::StrCat("buyer", claims.size());
    const bool opens = refusal == kOfferNotFound || refusal == kOfferClosed || refusal == kTooManyGroups;
    claims.push_back(ClaimIn(opens ? unopened : group_id, user_id, opens ? "team" : ""));
    refusals.push_back({.claim = claims.back(), .refusal = refusal});
  }
  for (const RefuseOutcome outcome : {RefuseOutcome::kRefused, RefuseOutcome::kReplayed}) {
    const auto noted = lifecycle().RefuseClaims(refusals);
    ASSERT_TRUE(noted.ok()) << noted.status();
    ASSERT_THAT(*noted, SizeIs(claims.size()));
    for (size_t i = 0; i < claims.size(); ++i) {
      EXPECT_EQ((*noted)[i].outcome, outcome);
      EXPECT_EQ(RefusalOf((*noted)[i].reservation), refusals[i].refusal);
    }
  }
  for (const LockMode mode : {LockMode::kSkipLocked, LockMode::kNoWait, LockMode::kWaitBriefly, LockMode::kWait}) {
    const std::vector<CommitResult> again = Commit(node_, claims, mode);
    for (size_t i = 0; i < claims.size(); ++i) {
      EXPECT_EQ(Answer(again[i]), CommitOutcome::kReplayed);
      EXPECT_EQ(RefusalOf(again[i].reservation), refusals[i].refusal) << "they hear what was decided";
    }
  }
  EXPECT_THAT(Members(group_id), SizeIs(1));
  ExpectNoGroup(unopened);
  EXPECT_EQ(Unsold(), 49);
  Join(group_id, claims[0].user_id);
}

TEST_P(GroupJoinContract, NobodyJoinsAFullGroup) {
  EXPECT_EQ(Try(ClaimIn(Filled(3), "late")), kGroupFull);
  EXPECT_EQ(Unsold(), 47);
}

TEST_P(GroupJoinContract, NobodyJoinsAGroupThatIsOver) {
  const Uuid failed = NewId(), cancelled = NewId();
  Open(failed, "alice");
  Open(cancelled, "bob");
  ASSERT_TRUE(CancelGroup(cancelled).ok());
  EXPECT_EQ(Try(ClaimIn(cancelled, "late")), kGroupOver);
  EXPECT_EQ(Try(ClaimIn(cancelled, "late", "team")), kGroupOver) << "it is not opened again";
  LetPass(kOpenFor);
  EXPECT_EQ(GroupNow(failed).state, GroupState::kForming) << "until a worker looks";
  EXPECT_EQ(Try(ClaimIn(failed, "late")), kGroupOver);
  ExpireGroups();
  EXPECT_EQ(Try(ClaimIn(failed, "late")), kGroupOver);
}

TEST_P(GroupJoinContract, AGroupThatWasSoldInPartIsOver) {
  Offer(PartialOf("tv", 3, 1));
  const Uuid group_id = NewId();
  OpenPaid(group_id, "alice", "partial");
  LetPass(kOpenFor);
  EXPECT_EQ(ExpireGroups().filled, 1);
  EXPECT_EQ(Try(ClaimIn(group_id, "late")), kGroupOver);
}

TEST_P(GroupJoinContract, ThereMustBeSuchAGroup) {
  Sell("radio", 5, 3);
  Offer(OfferOf("tv", 2, "pair"));
  const Uuid group_id = NewId();
  EXPECT_EQ(Try(ClaimIn(group_id, "alice")), kGroupNotFound);
  ExpectNoGroup(group_id);
  Open(group_id, "alice");
  EXPECT_EQ(Try(InOtherSku(ClaimIn(group_id, "bob"), "radio")), kGroupNotFound) << "it is another SKU's";
  EXPECT_EQ(Try(InOtherSku(ClaimIn(group_id, "bob", "team"), "radio")), kGroupNotFound);
  EXPECT_EQ(Try(ClaimIn(group_id, "bob", "pair")), kGroupNotFound) << "it has another offer";
  EXPECT_EQ(Try(ClaimIn(group_id, "bob", "team")), CommitOutcome::kCreated) << "opening it again joins it";
  EXPECT_EQ(GroupNow(group_id).opened_by, "alice");
  EXPECT_THAT(Members(group_id), SizeIs(2));
}

TEST_P(GroupJoinContract, OnlyWhatIsOfferedIsOpened) {
  Sell("radio", 5, 3);
  Offer(OfferOf("tv", 2, "pair"));
  const Uuid group_id = NewId();
  EXPECT_EQ(Try(ClaimIn(group_id, "alice", "other")), kOfferNotFound);
  EXPECT_EQ(Try(InOtherSku(ClaimIn(group_id, "alice", "pair"), "radio")), kOfferNotFound) << "it is another SKU's";
  Open(group_id, "alice");
  ASSERT_TRUE(CloseOffer("tv", "team").ok());
  const Uuid late_id = NewId();
  EXPECT_EQ(Try(ClaimIn(late_id, "bob", "team")), kOfferClosed);
  ExpectNoGroup(late_id);
  EXPECT_EQ(Try(ClaimIn(group_id, "bob")), CommitOutcome::kCreated) << "what forms goes on";
  EXPECT_EQ(Try(ClaimIn(group_id, "carol", "team")), CommitOutcome::kCreated);
}

TEST_P(GroupJoinContract, ABuyerIsInAGroupOnce) {
  Sell("radio", 10, 3, /*per_user_limit=*/5);
  const Uuid group_id = NewId();
  const auto claim = [&](const std::string& user_id, const std::string& offer_id = "") {
    return InOtherSku(ClaimIn(group_id, user_id, offer_id), "radio");
  };
  const Reservation alice = Book(claim("alice", "team"));
  EXPECT_EQ(Try(claim("alice")), kAlreadyInGroup);
  EXPECT_EQ(Try(claim("alice", "team")), kAlreadyInGroup);
  Pay(alice);
  EXPECT_EQ(Try(claim("alice")), kAlreadyInGroup) << "who has paid all the more";
  Book(claim("bob"));
  EXPECT_EQ(Unsold("radio"), 8);
}

TEST_P(GroupJoinContract, WhoHasLeftOrLetItLapseMayJoinAgain) {
  const Uuid group_id = NewId();
  OpenPaid(group_id, "alice");
  const Reservation left = Join(group_id, "bob"), lapsed = Join(group_id, "carol");
  Cancel(left);
  const Reservation back = Join(group_id, "bob");
  EXPECT_EQ(MemberNow(group_id, "bob").reservation_id, back.reservation_id);
  LetPass(kPayWithin);
  EXPECT_EQ(Expire().expired, 2);
  EXPECT_EQ(StateOf(lapsed), ReservationState::kExpired);
  EXPECT_EQ(MemberNow(group_id, "carol").reservation_state, ReservationState::kExpired);
  const Reservation again = Join(group_id, "carol");
  const GroupMember member = MemberNow(group_id, "carol");
  EXPECT_EQ(member.reservation_id, again.reservation_id);
  EXPECT_EQ(member.reservation_state, ReservationState::kPending);
  EXPECT_THAT(Members(group_id), SizeIs(3)) << "the last membership of each";
  EXPECT_EQ(Unsold(), 48);
}

TEST_P(GroupJoinContract, ABuyerHasOneOpenGroupOfAnOffer) {
  Sell("radio", 10, 3, /*per_user_limit=*/5);
  Offer(OfferOf("radio", 2, "pair"));
  const auto claim = [](const Uuid& group_id, const std::string& user_id, const std::string& offer_id) {
    return InOtherSku(ClaimIn(group_id, user_id, offer_id), "radio");
  };
  const Uuid first_id = NewId(), second_id = NewId(), bobs_id = NewId();
  const Reservation first = Book(claim(first_id, "alice", "team"));
  EXPECT_EQ(WhoHasTooMany(claim(second_id, "alice", "team")), "user");
  ExpectNoGroup(second_id);
  EXPECT_EQ(Try(claim(NewId(), "alice", "pair")), CommitOutcome::kCreated) << "another offer";
  EXPECT_EQ(Try(ClaimIn(NewId(), "alice", "team")), CommitOutcome::kCreated) << "another SKU's";
  Book(claim(bobs_id, "bob", "team"));
  EXPECT_EQ(Try(claim(bobs_id, "alice", "")), CommitOutcome::kCreated) << "who has one may join others";
  const Reservation friend_of_alice = Book(claim(first_id, "dave", ""));
  Cancel(first);
  EXPECT_EQ(Try(claim(second_id, "alice", "team")), kTooManyGroups) << "their group still forms";
  Cancel(friend_of_alice);
  EXPECT_EQ(Try(claim(first_id, "carol", "")), kGroupOver) << "nobody was in it any more";
  EXPECT_EQ(Try(claim(second_id, "alice", "team")), CommitOutcome::kCreated);
  ASSERT_TRUE(CancelGroup(second_id).ok());
  EXPECT_EQ(Try(claim(NewId(), "alice", "team")), CommitOutcome::kCreated);
}

// The limit is the SKU's, however it is bought.
TEST_P(GroupJoinContract, TheBuyersLimitCountsAllThatTheyHave) {
  Sell("radio", 20, 3, /*per_user_limit=*/3);
  const Uuid group_id = NewId();
  const auto claim = [&](const std::string& user_id, int32_t quantity) {
    return Of(InOtherSku(ClaimIn(group_id, user_id, "team"), "radio"), quantity);
  };
  EXPECT_EQ(Try(claim("alice", 4)), kQuantityAboveUserLimit);
  ExpectNoGroup(group_id);
  EXPECT_EQ(Try(Claim("radio", "alice", 2)), CommitOutcome::kCreated);
  EXPECT_EQ(Try(claim("alice", 2)), kUserLimitReached);
  const Reservation hold = Book(claim("alice", 1));
  Book(claim("bob", 1));  // or the group would end when she leaves
  EXPECT_EQ(Try(Claim("radio", "alice")), kUserLimitReached);
  const auto cart = lifecycle().CommitCart(node_, std::vector{Claim("radio", "alice"), Claim("tv", "alice")});
  ASSERT_TRUE(cart.ok()) << cart.status();
  EXPECT_FALSE(cart->committed);
  EXPECT_EQ(cart->lines[0].refusal, kUserLimitReached);
  Pay(hold);
  EXPECT_EQ(Try(Claim("radio", "alice")), kUserLimitReached) << "a seat counts like a hold";
  Cancel(hold);
  const auto again = lifecycle().CommitCart(node_, std::vector{Claim("radio", "alice"), Claim("tv", "alice")});
  ASSERT_TRUE(again.ok()) << again.status();
  EXPECT_TRUE(again->committed);
  EXPECT_EQ(Try(claim("alice", 1)), kUserLimitReached);
}

TEST_P(GroupJoinContract, AJoinIsRefusedAsAnyClaimIs) {
  const Uuid group_id = NewId(), other_id = NewId();
  Open(group_id, "alice");
  ASSERT_TRUE(stock().SetSkuPaused("tv", true, "a break", std::nullopt, "test").ok());
  const CommitResult paused = Commit(node_, {ClaimIn(group_id, "bob")}).front();
  EXPECT_EQ(Answer(paused), kSalePaused);
  EXPECT_EQ(paused.pause_reason, "a break");
  EXPECT_EQ(Try(ClaimIn(other_id, "bob", "team")), kSalePaused);
  ExpectNoGroup(other_id);
  ASSERT_TRUE(stock().SetSkuPaused("tv", false, "", std::nullopt, "test").ok());
  EXPECT_EQ(Outcome(Register(), ClaimIn(group_id, "bob")), CommitOutcome::kNotHeld);
  Move("tv", {{node_, -49}});
  EXPECT_EQ(Try(ClaimIn(group_id, "bob")), CommitOutcome::kShort);
  EXPECT_EQ(Try(ClaimIn(other_id, "bob", "team")), CommitOutcome::kShort);
  ExpectNoGroup(other_id);
  ASSERT_TRUE(stock().CloseSku("tv", "test").ok());
  EXPECT_EQ(Try(ClaimIn(group_id, "bob")), kSaleClosed);
  EXPECT_THAT(Members(group_id), SizeIs(1));
}

TEST_P(GroupJoinContract, ABatchMayHaveBoth) {
  Sell("radio", 10, 2);
  const Uuid group_id = NewId();
  Open(group_id, "alice");
  for (const LockMode mode : {LockMode::kSkipLocked, LockMode::kNoWait, LockMode::kWaitBriefly, LockMode::kWait}) {
    const std::string number = absl::StrCat(static_cast<int>(mode));
    const Reservation old = Book(Claim("tv", absl::StrCat("old-", number)));
    ReservationClaim again = Claim("tv", old.user_id);
    again.reservation_id = old.reservation_id;
    const std::string opens = absl::StrCat("opens-", number);
    const std::vector<ReservationClaim> claims = {Claim("tv", absl::StrCat("alone-", number)),
                                                  ClaimIn(group_id, absl::StrCat("joins-", number)),
                                                  ClaimIn(NewId(), "nobody"),
                                                  again,
                                                  ClaimIn(NewId(), opens, "team"),
                                                  Claim("sofa", "carol"),
                                                  InOtherSku(ClaimIn(NewId(), opens, "team"), "radio")};
    EXPECT_THAT(Outcomes(node_, claims, mode),
                ElementsAre(CommitOutcome::kCreated, CommitOutcome::kCreated, kGroupNotFound, CommitOutcome::kReplayed,
                            CommitOutcome::kCreated, kSkuNotFound, CommitOutcome::kCreated));
  }
  EXPECT_THAT(Members(group_id), SizeIs(5));
  for (const Reservation& hold : Listed({ReservationState::kPending})) {
    const bool alone = hold.user_id.starts_with("alone") || hold.user_id.starts_with("old");
    EXPECT_EQ(hold.amount_minor, alone ? 1999 : kPrice) << hold.user_id;
  }
}

// What depends on an earlier claim of the batch is tried again when that is decided.
TEST_P(GroupJoinContract, OfABuyersClaimsInABatchTheFirstCounts) {
  Sell("radio", 10, 3, /*per_user_limit=*/5);
  const Uuid group_id = NewId(), first_id = NewId(), second_id = NewId();
  const auto claim = [](const Uuid& id, const std::string& user_id, const std::string& offer_id = "") {
    return InOtherSku(ClaimIn(id, user_id, offer_id), "radio");
  };
  Book(claim(group_id, "alice", "team"));
  const std::vector<ReservationClaim> claims = {claim(group_id, "bob"), claim(group_id, "bob"),
                                                claim(first_id, "carol", "team"), claim(second_id, "carol", "team")};
  EXPECT_THAT(Outcomes(node_, claims), ElementsAre(CommitOutcome::kCreated, CommitOutcome::kDepends,
                                                   CommitOutcome::kCreated, CommitOutcome::kDepends));
  EXPECT_THAT(Outcomes(node_, claims),
              ElementsAre(CommitOutcome::kReplayed, kAlreadyInGroup, CommitOutcome::kReplayed, kTooManyGroups));
  EXPECT_EQ(GroupNow(first_id).opened_by, "carol");
  ExpectNoGroup(second_id);
  EXPECT_EQ(Unsold("radio"), 7);
}

TEST_P(GroupJoinContract, AClaimIsNotRefusedForOneOfItsBatchThatIsRefused) {
  Sell("radio", 10, 3, /*per_user_limit=*/5);
  const Uuid group_id = NewId(), other_id = NewId();
  const auto claim = [](const Uuid& id, const std::string& user_id, const std::string& offer_id, int32_t quantity = 1) {
    return Of(InOtherSku(ClaimIn(id, user_id, offer_id), "radio"), quantity);
  };
  const std::vector<ReservationClaim> claims = {claim(group_id, "alice", "team", 6), claim(group_id, "alice", "team"),
                                                claim(other_id, "alice", "team"), claim(group_id, "bob", "")};
  for (const LockMode mode : {LockMode::kSkipLocked, LockMode::kNoWait, LockMode::kWaitBriefly, LockMode::kWait}) {
    EXPECT_THAT(Outcomes(node_, claims, mode), ElementsAre(kQuantityAboveUserLimit, CommitOutcome::kDepends,
                                                           CommitOutcome::kDepends, CommitOutcome::kDepends));
  }
  EXPECT_EQ(Try(claims[1]), CommitOutcome::kCreated);
  EXPECT_EQ(Try(claims[2]), kTooManyGroups);
  EXPECT_EQ(Try(claims[3]), CommitOutcome::kCreated);
  EXPECT_THAT(Members(group_id), SizeIs(2));
  EXPECT_EQ(Unsold("radio"), 8);
}

// Or each of them would need a batch of its own.
TEST_P(GroupJoinContract, WhatABuyerIsRefusedHoldsForTheirClaimsThatDependOnIt) {
  Sell("radio", 10, 3, /*per_user_limit=*/2);
  const Uuid group_id = NewId();
  const auto claim = [](const Uuid& id, const std::string& user_id, const std::string& offer_id = "team") {
    return InOtherSku(ClaimIn(id, user_id, offer_id), "radio");
  };
  Book(Claim("radio", "alice", 2));
  const std::vector<ReservationClaim> claims = {claim(group_id, "alice"), claim(group_id, "alice"),
                                                Of(claim(group_id, "alice"), 2), claim(NewId(), "alice"),
                                                claim(group_id, "bob", "")};
  for (const LockMode mode : {LockMode::kSkipLocked, LockMode::kNoWait, LockMode::kWaitBriefly, LockMode::kWait}) {
    EXPECT_THAT(Outcomes(node_, claims, mode), ElementsAre(kUserLimitReached, kUserLimitReached, kUserLimitReached,
                                                           kUserLimitReached, CommitOutcome::kDepends))
        << "nobody else is told so";
  }
  const std::vector<ReservationClaim> both = {claim(group_id, "carol"), claim(group_id, "carol")};
  ASSERT_TRUE(stock().SetSkuPaused("radio", true, "a break", std::nullopt, "test").ok());
  for (const CommitResult& paused : Commit(node_, both)) {
    EXPECT_EQ(Answer(paused), kSalePaused);
    EXPECT_EQ(paused.pause_reason, "a break");
  }
  ASSERT_TRUE(stock().SetSkuPaused("radio", false, "", std::nullopt, "test").ok());
  Move("radio", {{node_, -8}});
  for (const CommitResult& sold_out : Commit(node_, both)) {
    EXPECT_EQ(Answer(sold_out), CommitOutcome::kShort);
    EXPECT_GT(sold_out.slice_version, 0);
  }
  ExpectNoGroup(group_id);
}

TEST_P(GroupJoinContract, WhoHasOpenedAGroupMayJoinOneThatTheBatchOpens) {
  Sell("radio", 10, 3, /*per_user_limit=*/5);
  const auto claim = [](const Uuid& id, const std::string& user_id, int32_t quantity = 1) {
    return Of(InOtherSku(ClaimIn(id, user_id, "team"), "radio"), quantity);
  };
  Book(claim(NewId(), "bob"));
  const Uuid opened_id = NewId(), refused_id = NewId();
  const std::vector<ReservationClaim> opened = {claim(opened_id, "alice"), claim(opened_id, "bob")};
  EXPECT_THAT(Outcomes(node_, opened), ElementsAre(CommitOutcome::kCreated, CommitOutcome::kDepends));
  EXPECT_EQ(Try(opened[1]), CommitOutcome::kCreated);
  const std::vector<ReservationClaim> refused = {claim(refused_id, "carol", 6), claim(refused_id, "bob")};
  EXPECT_THAT(Outcomes(node_, refused), ElementsAre(kQuantityAboveUserLimit, CommitOutcome::kDepends));
  EXPECT_EQ(WhoHasTooMany(refused[1]), "user");
}

TEST_P(GroupJoinContract, FriendsMayOpenTheirGroupTogether) {
  Offer(OfferOf("tv", 2, "pair"));
  const Uuid group_id = NewId();
  const std::vector<ReservationClaim> claims = {ClaimIn(group_id, "alice", "team"), ClaimIn(group_id, "bob", "team"),
                                                ClaimIn(group_id, "carol", "pair"), ClaimIn(group_id, "dave")};
  EXPECT_THAT(Outcomes(node_, claims), ElementsAre(CommitOutcome::kCreated, CommitOutcome::kCreated,
                                                   CommitOutcome::kDepends, CommitOutcome::kDepends));
  EXPECT_EQ(GroupNow(group_id).opened_by, "alice") << "the first of the batch";
  EXPECT_EQ(GroupNow(group_id).offer_id, "team");
  EXPECT_EQ(Try(claims[2]), kGroupNotFound);
  EXPECT_EQ(Try(claims[3]), CommitOutcome::kCreated);
  EXPECT_THAT(Members(group_id), SizeIs(3));
}

TEST_P(GroupJoinContract, IdsOfABatchAreDistinct) {
  const ReservationClaim claim = ClaimIn(NewId(), "alice", "team");
  EXPECT_TRUE(absl::IsInvalidArgument(
      reservations().CommitReservations(node_, LockMode::kWait, std::vector{claim, claim}).status()));
  EXPECT_EQ(Unsold(), 50);
}

TEST_P(GroupJoinContract, SoManyGroupsOfASkuForm) {
  constexpr int kGroups = kMostFormingGroups;
  constexpr int kBatch = 1'000;
  Sell("radio", kGroups + 10, 2, /*per_user_limit=*/2);
  Uuid last_id;
  for (int first = 0; first < kGroups; first += kBatch) {
    std::vector<ReservationClaim> claims;
    for (int i = first; i < first + kBatch; ++i) {
      last_id = NewId();
      claims.push_back(InOtherSku(ClaimIn(last_id, absl::StrCat("u", i), "team"), "radio"));
    }
    const std::vector<Answer> answers = Outcomes(node_, claims);
    EXPECT_EQ(std::count(answers.begin(), answers.end(), CommitOutcome::kCreated), kBatch);
  }
  EXPECT_EQ(groups().CountGroups()->forming, kGroups);
  const ReservationClaim one_more = InOtherSku(ClaimIn(NewId(), "alice", "team"), "radio");
  EXPECT_EQ(WhoHasTooMany(one_more), "sku");
  EXPECT_EQ(Try(InOtherSku(ClaimIn(last_id, "alice"), "radio")), CommitOutcome::kCreated) << "these can be joined";
  EXPECT_EQ(Try(ClaimIn(NewId(), "alice", "team")), CommitOutcome::kCreated) << "another SKU's";
  ASSERT_TRUE(CancelGroup(last_id).ok());
  EXPECT_EQ(Try(one_more), CommitOutcome::kCreated);
}

}  // namespace
}  // namespace tranche::storage
