// Pausing, changing and reopening a sale, and the settings of a shard, on the fake and on PostgreSQL.
#include "tests/contract/lifecycle_fixture.h"

namespace tranche::storage {
namespace {

using testing::Claim;
using ::testing::ElementsAre;
using ::testing::Pair;

class ChangingSaleContract : public LifecycleContractTest {
 protected:
  using enum Refusal;

  Sku Pause(const std::string& sku_id, const std::string& reason = "a break") {
    const auto sku = stock().SetSkuPaused(sku_id, true, reason, std::nullopt, "test");
    EXPECT_TRUE(sku.ok()) << sku.status();
    return sku.value_or(Sku{});
  }
  Sku Resume(const std::string& sku_id) {
    const auto sku = stock().SetSkuPaused(sku_id, false, "", std::nullopt, "test");
    EXPECT_TRUE(sku.ok()) << sku.status();
    return sku.value_or(Sku{});
  }
  Sku Get(const std::string& sku_id) {
    const auto sku = stock().GetSku(sku_id);
    EXPECT_TRUE(sku.ok()) << sku.status();
    return sku.value_or(Sku{});
  }
  Sku Update(const Sku& sku) {
    const auto updated = stock().UpdateSku(sku, "test");
    EXPECT_TRUE(updated.ok()) << updated.status();
    return updated.value_or(Sku{});
  }
  // Of the SKU, the newest first.
  std::vector<std::string> Actions(const std::string& sku_id) {
    std::vector<std::string> actions;
    const auto entries = stock().ListAudit({.sku_id = sku_id}, 0, 100);
    EXPECT_TRUE(entries.ok()) << entries.status();
    for (const AuditEntry& entry : *entries) actions.push_back(entry.action);
    return actions;
  }
};
INSTANTIATE_TEST_SUITE_P(Both, ChangingSaleContract, BothLedgers(), LedgerName);

TEST_P(ChangingSaleContract, APausedSaleSellsNothingAndSaysWhy) {
  Create(SkuOf("tv", 10));
  const IncarnationId node = HolderOf("tv", 6);
  const ReservationClaim early = Claim("tv", "alice");
  EXPECT_EQ(Outcome(node, early), CommitOutcome::kCreated);
  const Sku paused = Pause("tv");
  EXPECT_TRUE(paused.paused);
  EXPECT_EQ(paused.pause_reason, "a break");
  EXPECT_EQ(paused.quota_version, 3);
  EXPECT_EQ(paused.terms_version, 2);
  for (const LockMode mode : {LockMode::kWait, LockMode::kSkipLocked, LockMode::kNoWait}) {
    const CommitResult refused = Commit(node, {Claim("tv", "bob")}, mode).front();
    EXPECT_EQ(refused.refusal, kSalePaused);
    EXPECT_EQ(refused.pause_reason, "a break");
  }
  EXPECT_EQ(Outcome(node, early), CommitOutcome::kReplayed) << "who repeats gets the first answer";
  EXPECT_THAT(Remaining("tv"), ElementsAre(Pair(kPool, 4), Pair(node, 5)));
  EXPECT_EQ(Pause("tv").quota_version, 3) << "nothing changed";
  EXPECT_EQ(Pause("tv", "").pause_reason, "");
  const Sku resumed = Resume("tv");
  EXPECT_FALSE(resumed.paused);
  EXPECT_EQ(resumed.terms_version, 4);
  EXPECT_EQ(Outcome(node, Claim("tv", "bob")), CommitOutcome::kCreated);
  EXPECT_THAT(Actions("tv"), ElementsAre("resume_sku", "pause_sku", "pause_sku", "move_units", "create_sku"));
  const int64_t version = stock().GetSku("tv")->terms_version;
  Pause("tv", "another break");
  EXPECT_TRUE(absl::IsAborted(stock().SetSkuPaused("tv", false, "", version, "test").status())) << "that is another's";
  EXPECT_TRUE(stock().GetSku("tv")->paused);
  EXPECT_TRUE(stock().SetSkuPaused("tv", true, "another break", version, "test").ok()) << "it is so already";
  EXPECT_FALSE(stock().SetSkuPaused("tv", false, "", version + 1, "test")->paused);
  EXPECT_TRUE(absl::IsNotFound(stock().SetSkuPaused("none", true, "", std::nullopt, "test").status()));
  EXPECT_EQ(stock().SetSkuPaused("tv", true, std::string(201, 'x'), std::nullopt, "test").status().code(),
            absl::StatusCode::kInvalidArgument);
}

TEST_P(ChangingSaleContract, ACartWithAPausedSkuIsNotCommitted) {
  Create(SkuOf("tv", 5));
  Create(SkuOf("radio", 5));
  const IncarnationId node = HolderOf("tv", 5);
  Move("radio", {{node, 5}});
  Pause("radio");
  const auto cart = lifecycle().CommitCart(node, LockMode::kWait, {Claim("tv", "alice"), Claim("radio", "alice")});
  ASSERT_TRUE(cart.ok()) << cart.status();
  EXPECT_FALSE(cart->committed);
  EXPECT_EQ(cart->lines[1].refusal, kSalePaused);
  EXPECT_EQ(cart->lines[1].pause_reason, "a break");
  EXPECT_EQ(Remaining("tv")[node], 5);
}

TEST_P(ChangingSaleContract, WhatIsReservedGoesOnWhileTheSaleIsPaused) {
  Create(SkuOf("tv", 10));
  const IncarnationId node = HolderOf("tv", 5);
  const Reservation paid = Hold(node, "tv", "alice"), given_up = Hold(node, "tv", "bob"),
                    longer = Hold(node, "tv", "carol");
  Pause("tv");
  EXPECT_EQ(Confirm(PaymentOf(paid)).outcome, ChangeOutcome::kDone);
  EXPECT_EQ(Cancel(given_up).outcome, ChangeOutcome::kDone);
  EXPECT_EQ(Extend(longer, 1, absl::Minutes(1)).outcome, ChangeOutcome::kDone);
  EXPECT_THAT(*stock().ListPooledSkus("", 9), ElementsAre("tv")) << "its pool is handed out";
  const PoolRequest request{"tv", node, 1};
  const auto take = stock().TakeFromPool(request);
  ASSERT_TRUE(take.ok()) << take.status();
  EXPECT_GE(take->taken, 1);
  EXPECT_TRUE(take->sku.paused) << "so that nobody announces that it is not";
  EXPECT_EQ(take->sku.pause_reason, "a break");
  EXPECT_TRUE(stock().ReadQuotas({"tv"})->front().sku.paused);
}

TEST_P(ChangingSaleContract, ALatePaymentIsNoWayAroundAPause) {
  Create(SkuOf("tv", 10));
  const Reservation lapsed = Expired(HolderOf("tv", 5), "tv", "alice");
  Pause("tv");
  EXPECT_EQ(ConfirmLate(PaymentOf(lapsed)).outcome, ChangeOutcome::kPaidUnfulfilled);
}

TEST_P(ChangingSaleContract, ASkuMayBeCreatedPaused) {
  Sku sku = SkuOf("tv", 10);
  sku.paused = true;
  sku.pause_reason = "soon";
  sku.opens_at = absl::Now() + absl::Hours(1);
  Create(sku);
  EXPECT_TRUE(Get("tv").paused);
  EXPECT_EQ(Get("tv").pause_reason, "soon");
  EXPECT_EQ(Get("tv").terms_version, 1);
  const IncarnationId node = HolderOf("tv", 10);
  EXPECT_EQ(Outcome(node, Claim("tv", "alice")), kSalePaused) << "it will not open just by time";
  Resume("tv");
  EXPECT_EQ(Outcome(node, Claim("tv", "alice")), kSaleNotOpen);
}

TEST_P(ChangingSaleContract, ClosingCountsMoreThanAPauseAndReopeningUndoesIt) {
  Create(SkuOf("tv", 10));
  const IncarnationId node = HolderOf("tv", 6);
  Pause("tv");
  ASSERT_TRUE(stock().CloseSku("tv", "test").ok());
  EXPECT_EQ(Outcome(node, Claim("tv", "alice")), kSaleClosed);
  EXPECT_THAT(*stock().ListPooledSkus("", 9), ElementsAre());
  const auto reopened = stock().ReopenSku("tv", "test");
  ASSERT_TRUE(reopened.ok()) << reopened.status();
  EXPECT_FALSE(reopened->closed);
  EXPECT_TRUE(reopened->paused);
  EXPECT_EQ(stock().ReopenSku("tv", "test")->terms_version, reopened->terms_version) << "nothing changed";
  Resume("tv");
  EXPECT_EQ(Outcome(node, Claim("tv", "alice")), CommitOutcome::kCreated);
  EXPECT_THAT(Remaining("tv"), ElementsAre(Pair(kPool, 4), Pair(node, 5))) << "closing has moved nothing";
  EXPECT_THAT(*stock().ListPooledSkus("", 9), ElementsAre("tv"));
  EXPECT_TRUE(absl::IsNotFound(stock().ReopenSku("none", "test").status()));
}

TEST_P(ChangingSaleContract, NewTermsAreThoseOfLaterClaims) {
  Create(SkuOf("tv", 10, /*per_user_limit=*/2));
  const IncarnationId node = HolderOf("tv", 10);
  const Reservation early = Hold(node, "tv", "alice", 2);
  Sku sku = Get("tv");
  sku.title = "Another title";
  sku.price_minor = 500;
  sku.hold = absl::Minutes(1);
  sku.max_extensions = 0;
  sku.max_hold = absl::Hours(1);
  sku.closes_at = absl::Now() + absl::Hours(5);
  const Sku updated = Update(sku);
  EXPECT_EQ(updated.title, "Another title");
  EXPECT_EQ(updated.price_minor, 500);
  EXPECT_EQ(updated.max_hold, absl::Hours(1));
  EXPECT_EQ(updated.terms_version, 2);
  EXPECT_EQ(updated.quota_version, sku.quota_version + 1) << "nodes hear of it";
  const Reservation later = Hold(node, "tv", "bob", 2);
  EXPECT_EQ(later.amount_minor, 1000);
  EXPECT_EQ(later.expires_at - later.created_at, absl::Minutes(1));
  ExpectSame(Read(early.reservation_id), early);
  EXPECT_EQ(early.amount_minor, 3998);
  EXPECT_EQ(Confirm(PaymentOf(early)).outcome, ChangeOutcome::kDone) << "as it was reserved";
  EXPECT_EQ(Extend(later, 1, absl::Minutes(1)).refusal, kTooManyExtensions);
}

TEST_P(ChangingSaleContract, ThePathOfClaimsIsAPartOfTheTerms) {
  Create(SkuOf("tv", 10));
  Sku queued = SkuOf("radio", 10);
  queued.claim_path = ClaimPath::kQueue;
  Create(queued);
  EXPECT_EQ(Get("radio").claim_path, ClaimPath::kQueue);
  Sku sku = Get("tv");
  EXPECT_EQ(sku.claim_path, ClaimPath::kDirect);
  sku.claim_path = ClaimPath::kAuto;
  const Sku updated = Update(sku);
  EXPECT_EQ(updated.claim_path, ClaimPath::kAuto);
  EXPECT_EQ(updated.terms_version, 2);
  EXPECT_EQ(updated.quota_version, sku.quota_version + 1) << "nodes hear of it";
  EXPECT_EQ(Update(sku).terms_version, 2) << "it is so already";
  const auto listed = *stock().ListSkus("", 9);
  ASSERT_EQ(listed.size(), 2u);
  EXPECT_EQ(listed[0].claim_path, ClaimPath::kQueue);
  EXPECT_EQ(listed[1].claim_path, ClaimPath::kAuto);
  const auto quotas = *stock().ReadQuotas({"tv"});
  ASSERT_EQ(quotas.size(), 1u);
  EXPECT_EQ(quotas[0].sku.claim_path, ClaimPath::kAuto);
  const auto take = stock().TakeFromPool({"tv", Register(), 1});
  ASSERT_TRUE(take.ok()) << take.status();
  EXPECT_EQ(take->sku.claim_path, ClaimPath::kAuto);
  const auto audit = *stock().ListAudit({}, 0, 9);
  EXPECT_THAT(audit,
              ::testing::Contains(::testing::AllOf(::testing::Field(&AuditEntry::before, R"({"claim_path": "DIRECT"})"),
                                                   ::testing::Field(&AuditEntry::after, R"({"claim_path": "AUTO"})"))));
  EXPECT_THAT(audit, ::testing::Contains(::testing::Field(
                         &AuditEntry::after,
                         R"({"stock": 10, "presplit": true, "claim_path": "QUEUE", "price_minor": 1999})")));
}

TEST_P(ChangingSaleContract, AnUpdateIsOptimisticAndMayBeRepeated) {
  Create(SkuOf("tv", 10));
  Sku mine = Get("tv"), theirs = mine;
  theirs.price_minor = 1;
  mine.price_minor = 2;
  Update(theirs);
  EXPECT_TRUE(absl::IsAborted(stock().UpdateSku(mine, "test").status()));
  EXPECT_EQ(Get("tv").price_minor, 1);
  EXPECT_EQ(Update(theirs).terms_version, 2) << "it is so already, whatever the version";
  Pause("tv");
  EXPECT_TRUE(absl::IsAborted(stock().UpdateSku(mine, "test").status())) << "a pause is a change of the terms, too";
  mine.terms_version = 3;
  EXPECT_EQ(Update(mine).price_minor, 2);
  EXPECT_TRUE(Get("tv").paused);
  mine.sku_id = "none";
  EXPECT_TRUE(absl::IsNotFound(stock().UpdateSku(mine, "test").status()));
}

TEST_P(ChangingSaleContract, WhatCannotBeCreatedCannotBeSet) {
  Create(SkuOf("tv", 10));
  const auto refused = [&](auto change) {
    Sku sku = Get("tv");
    change(sku);
    return stock().UpdateSku(sku, "test").status().code();
  };
  EXPECT_EQ(refused([](Sku& sku) { sku.price_minor = -1; }), absl::StatusCode::kInvalidArgument);
  EXPECT_EQ(refused([](Sku& sku) { sku.per_user_limit = 0; }), absl::StatusCode::kInvalidArgument);
  EXPECT_EQ(refused([](Sku& sku) { sku.max_hold = absl::Seconds(1); }), absl::StatusCode::kInvalidArgument);
  EXPECT_EQ(refused([](Sku& sku) { sku.opens_at = sku.closes_at = absl::FromUnixSeconds(2'000'000'000); }),
            absl::StatusCode::kInvalidArgument);
  EXPECT_EQ(Get("tv").terms_version, 1);
}

// The unique index keeps a limit of 1 only while no buyer has reservations from a higher one.
TEST_P(ChangingSaleContract, ALowerLimitTakesNothingAndGivesNothing) {
  Create(SkuOf("tv", 10, /*per_user_limit=*/3));
  const IncarnationId node = HolderOf("tv", 10);
  const Reservation first = Hold(node, "tv", "alice"), second = Hold(node, "tv", "alice");
  Sku sku = Get("tv");
  sku.per_user_limit = 1;
  Update(sku);
  ExpectConserved();
  EXPECT_EQ(Outcome(node, Claim("tv", "alice")), kUserLimitReached);
  EXPECT_EQ(Cancel(first).outcome, ChangeOutcome::kDone);
  EXPECT_EQ(Outcome(node, Claim("tv", "alice")), kUserLimitReached);
  EXPECT_EQ(Cancel(second).outcome, ChangeOutcome::kDone);
  EXPECT_EQ(Outcome(node, Claim("tv", "alice")), CommitOutcome::kCreated);
  EXPECT_EQ(Outcome(node, Claim("tv", "alice")), kUserLimitReached);
}

TEST_P(ChangingSaleContract, AClusterIsFrozenOnce) {
  EXPECT_FALSE(stock().ReadClusterSettings()->frozen);
  EXPECT_FALSE(stock().ReadClusterSettings()->changed_at.has_value());
  ASSERT_TRUE(stock().SetClusterFrozen(true, "alice").ok());
  ASSERT_TRUE(stock().SetClusterFrozen(true, "bob").ok());
  const auto settings = stock().ReadClusterSettings();
  ASSERT_TRUE(settings.ok()) << settings.status();
  EXPECT_TRUE(settings->frozen);
  EXPECT_EQ(settings->changed_by, "alice");
  EXPECT_TRUE(settings->changed_at.has_value());
  ASSERT_TRUE(stock().SetClusterFrozen(false, "bob").ok());
  EXPECT_FALSE(stock().ReadClusterSettings()->frozen);
  EXPECT_THAT(Actions(""), ElementsAre("thaw_cluster", "freeze_cluster"));
}

TEST_P(ChangingSaleContract, ConsumersOfClaimQueuesAreToldToRestOnce) {
  EXPECT_FALSE(stock().ReadClusterSettings()->claims_paused);
  ASSERT_TRUE(stock().SetClaimsPaused(false, "alice").ok());
  ASSERT_TRUE(stock().SetClaimsPaused(true, "alice").ok());
  ASSERT_TRUE(stock().SetClaimsPaused(true, "bob").ok());
  const auto paused = stock().ReadClusterSettings();
  ASSERT_TRUE(paused.ok()) << paused.status();
  EXPECT_TRUE(paused->claims_paused);
  EXPECT_FALSE(paused->frozen);
  EXPECT_FALSE(paused->changed_at.has_value()) << "that is of the freeze";
  ASSERT_TRUE(stock().SetClusterFrozen(true, "carol").ok());
  EXPECT_TRUE(stock().ReadClusterSettings()->claims_paused);
  ASSERT_TRUE(stock().SetClaimsPaused(false, "bob").ok());
  EXPECT_FALSE(stock().ReadClusterSettings()->claims_paused);
  EXPECT_THAT(Actions(""), ElementsAre("resume_claim_queues", "freeze_cluster", "pause_claim_queues"));
}

}  // namespace
}  // namespace tranche::storage
