// Batched moves, freeze, drain and the audit log, on the fake and on PostgreSQL.
#include "absl/strings/str_cat.h"
#include "absl/time/clock.h"
#include "tests/contract/ledger_fixture.h"

namespace tranche::storage {
namespace {

using testing::Claim;
using testing::ClaimsOf;
using ::testing::ElementsAre;
using ::testing::IsEmpty;
using ::testing::Pair;

class QuotaLedgerContract : public LedgerContractTest {
 protected:
  std::vector<absl::StatusOr<SkuQuota>> MoveBatch(const std::vector<QuotaMove>& moves) {
    auto results = stock().MoveUnitsBatch(moves, "alice");
    EXPECT_TRUE(results.ok()) << results.status();
    if (!results.ok() || results->size() != moves.size()) {
      ADD_FAILURE() << "not one result per move";
      return std::vector<absl::StatusOr<SkuQuota>>(moves.size());
    }
    return *std::move(results);
  }

  static std::map<IncarnationId, int64_t> RemainingIn(const QuotaSnapshot& quota) {
    std::map<IncarnationId, int64_t> remaining;
    for (const HeldSlice& slice : quota.slices) remaining[slice.holder] = slice.remaining;
    return remaining;
  }

  // "actor action sku incarnation before after" of each entry.
  std::vector<std::string> Audit(const std::string& sku_id = "", int64_t before = 0, int limit = 1000) {
    std::vector<std::string> lines;
    const auto entries = stock().ListAudit({.sku_id = sku_id}, before, limit);
    EXPECT_TRUE(entries.ok()) << entries.status();
    if (!entries.ok()) return lines;
    for (const AuditEntry& entry : *entries) {
      EXPECT_LT(absl::AbsDuration(entry.at - absl::Now()), absl::Minutes(1));
      lines.push_back(absl::StrCat(entry.actor, " ", entry.action, " ", entry.sku_id, " ", entry.incarnation, " ",
                                   entry.before, " ", entry.after));
    }
    return lines;
  }

  std::string LastAudit() {
    const std::vector<std::string> lines = Audit("", 0, 1);
    return lines.empty() ? "" : lines.front();
  }
};
INSTANTIATE_TEST_SUITE_P(Both, QuotaLedgerContract, BothLedgers(), LedgerName);

TEST_P(QuotaLedgerContract, ReadsManyQuotasAtOnce) {
  Create(SkuOf("b", 10, 1, 3));
  Create(SkuOf("a", 5));
  Sku tail = SkuOf("tail", 1);
  tail.presplit = false;
  Create(tail);
  const IncarnationId node = HolderOf("b", 7);
  Commit(node, {Claim("b", "alice")});
  const auto quotas = stock().ReadQuotas({"tail", "b", "none", "a", "b"});
  ASSERT_TRUE(quotas.ok()) << quotas.status();
  ASSERT_EQ(quotas->size(), 3u) << "those that exist, each once";
  EXPECT_EQ((*quotas)[0].sku.sku_id, "a");
  EXPECT_EQ((*quotas)[2].sku.sku_id, "tail");
  EXPECT_TRUE((*quotas)[0].sku.presplit);
  EXPECT_FALSE((*quotas)[2].sku.presplit);
  const SkuQuota& b = (*quotas)[1];
  EXPECT_EQ(b.sku.title, "A thing");
  EXPECT_EQ(b.sku.unsold, 9);
  EXPECT_TRUE(b.sku.holds_may_lapse);
  EXPECT_EQ(b.sku.quota_version, 2);
  EXPECT_EQ(b.quota.sku_id, "b");
  EXPECT_EQ(b.quota.quota_version, 2);
  ASSERT_EQ(b.quota.slices.size(), 2u);
  EXPECT_EQ(b.quota.slices[0].holder, kPool);
  EXPECT_EQ(b.quota.slices[1].holder, node);
  EXPECT_EQ(b.quota.slices[1].allotted, 7);
  EXPECT_EQ(b.quota.slices[1].remaining, 6);
  EXPECT_EQ(b.quota.slices[1].version, 2);
  EXPECT_THAT(*stock().ReadQuotas({}), IsEmpty());
}

TEST_P(QuotaLedgerContract, BatchMovesOrRefusesEachSkuByItself) {
  Create(SkuOf("b", 100, 1, 3));
  Create(SkuOf("a", 10));
  Create(SkuOf("c", 5));
  const IncarnationId x = Register();
  const IncarnationId y = Register();
  const auto results =
      MoveBatch({{"b", {{x, 60}, {y, 30}}, 1}, {"none", {}, {}}, {"a", {{y, 4}}, {}}, {"c", {{x, 1}}, 7}});
  ASSERT_TRUE(results[0].ok()) << results[0].status();
  EXPECT_EQ(results[0]->sku.unsold, 100);
  EXPECT_EQ(results[0]->quota.quota_version, 2);
  EXPECT_THAT(RemainingIn(results[0]->quota), ElementsAre(Pair(kPool, 10), Pair(x, 60), Pair(y, 30)));
  EXPECT_EQ(results[1].status().code(), absl::StatusCode::kNotFound);
  ASSERT_TRUE(results[2].ok()) << results[2].status();
  EXPECT_THAT(RemainingIn(results[2]->quota), ElementsAre(Pair(kPool, 6), Pair(y, 4)));
  EXPECT_EQ(results[3].status().code(), absl::StatusCode::kAborted);
  EXPECT_THAT(Remaining("c"), ElementsAre(Pair(kPool, 5)));
  EXPECT_EQ(stock().GetSku("c")->quota_version, 1);
}

TEST_P(QuotaLedgerContract, BatchIsRefusedAsAWholeForMalformedMoves) {
  Create(SkuOf("a", 10));
  Create(SkuOf("b", 10));
  const IncarnationId x = Register();
  const std::vector<std::vector<QuotaMove>> malformed = {{{"a", {{x, 1}}, {}}, {"b", {{x, 1}, {x, 1}}, {}}},
                                                         {{"a", {{x, 1}}, {}}, {"b", {{kPool, 1}}, {}}},
                                                         {{"a", {{x, 1}}, {}}, {"a", {{x, 1}}, {}}}};
  for (const std::vector<QuotaMove>& moves : malformed) {
    EXPECT_EQ(stock().MoveUnitsBatch(moves, "test").status().code(), absl::StatusCode::kInvalidArgument);
  }
  EXPECT_EQ(stock().GetSku("a")->quota_version, 1);
  EXPECT_THAT(*stock().MoveUnitsBatch({}, "test"), IsEmpty());
}

TEST_P(QuotaLedgerContract, BatchTakesAsManySkusAsItMay) {
  const IncarnationId node = Register();
  std::vector<QuotaMove> moves;
  for (int i = 0; i < kMaxQuotaBatch; ++i) {
    const std::string sku_id = absl::StrCat("sku-", i);
    Create(SkuOf(sku_id, 3));
    moves.push_back({sku_id, {{node, 2}}, 1});
  }
  for (const auto& result : MoveBatch(moves)) {
    ASSERT_TRUE(result.ok()) << result.status();
    EXPECT_THAT(RemainingIn(result->quota), ElementsAre(Pair(kPool, 1), Pair(node, 2)));
  }
  EXPECT_EQ(stock().ListSlices(node)->size(), static_cast<size_t>(kMaxQuotaBatch));
}

TEST_P(QuotaLedgerContract, NewSlicesAreNumberedByHolder) {
  // This shows how reduce_stock breaks a tie: by slot number.
  Create(SkuOf("tv", 10));
  const IncarnationId x = Register();
  const IncarnationId y = Register();
  Move("tv", {{y, 5}, {x, 5}});
  ASSERT_EQ(stock().ReduceStock("tv", 1, std::nullopt, "test")->units_taken, 1);
  EXPECT_THAT(Remaining("tv"), ElementsAre(Pair(kPool, 0), Pair(x, 4), Pair(y, 5)));
}

TEST_P(QuotaLedgerContract, FrozenSkuMovesOnlyByHand) {
  Create(SkuOf("tv", 10));
  EXPECT_FALSE(stock().GetSku("tv")->quota_frozen);
  const Sku frozen = *stock().SetQuotaFrozen("tv", true, "alice");
  EXPECT_TRUE(frozen.quota_frozen);
  EXPECT_EQ(frozen.quota_version, 2) << "a move that was planned before is refused";
  EXPECT_EQ(LastAudit(), "alice freeze_quota tv 0 {\"quota_frozen\": false} {\"quota_frozen\": true}");
  EXPECT_THAT(*stock().ListPooledSkus("", 9), IsEmpty());
  EXPECT_EQ(stock().SetQuotaFrozen("tv", true, "bob")->quota_version, 2);
  const IncarnationId node = HolderOf("tv", 4);
  EXPECT_THAT(Remaining("tv"), ElementsAre(Pair(kPool, 6), Pair(node, 4)));
  const Sku thawed = *stock().SetQuotaFrozen("tv", false, "carol");
  EXPECT_FALSE(thawed.quota_frozen);
  EXPECT_EQ(LastAudit(), "carol thaw_quota tv 0 {\"quota_frozen\": true} {\"quota_frozen\": false}");
  EXPECT_EQ(Audit().size(), 4u) << "bob's changed nothing";
  EXPECT_THAT(*stock().ListPooledSkus("", 9), ElementsAre("tv"));
  EXPECT_EQ(stock().SetQuotaFrozen("none", true, "alice").status().code(), absl::StatusCode::kNotFound);
}

TEST_P(QuotaLedgerContract, AVersionIsRaisedAboveWhatWasAnnouncedAndNothingMoves) {
  Create(SkuOf("tv", 10));
  const IncarnationId a = HolderOf("tv", 4), b = HolderOf("tv", 3);
  Commit(a, {Claim("tv", "alice")});
  const Sku raised = *stock().RaiseVersion("tv", 1000, "repair");
  EXPECT_EQ(raised.quota_version, 1001);
  EXPECT_EQ(raised.unsold, 9);
  EXPECT_EQ(LastAudit(), "repair raise_version tv 0 {\"quota_version\": 3} {\"quota_version\": 1001}");
  EXPECT_THAT(Remaining("tv"), ElementsAre(Pair(kPool, 3), Pair(a, 3), Pair(b, 3)));
  const QuotaSnapshot quota = *stock().ReadQuota("tv");
  for (const HeldSlice& slice : quota.slices) EXPECT_EQ(slice.version, 1001) << slice.holder;
  EXPECT_EQ(quota.slices[1].allotted, 4) << "what is spent is not forgotten";

  EXPECT_EQ(stock().RaiseVersion("tv", 5, "repair")->quota_version, 1002)
      << "a slice's announcement may be below the SKU's version and yet above the slice's";
  EXPECT_TRUE(absl::IsAborted(stock().MoveUnits("tv", {{{a, 1}}}, 1001, "test").status())) << "planned before";
  Move("tv", {{a, 1}});
  EXPECT_EQ(Commit(a, {Claim("tv", "bob")}).front().outcome, CommitOutcome::kCreated);
}

TEST_P(QuotaLedgerContract, ARaisedVersionLeavesRoomForLaterOnes) {
  Create(SkuOf("tv", 10));
  EXPECT_TRUE(absl::IsInvalidArgument(stock().RaiseVersion("tv", kMostRaisedVersion + 1, "repair").status()));
  EXPECT_EQ(stock().GetSku("tv")->quota_version, 1);
  EXPECT_EQ(stock().RaiseVersion("tv", kMostRaisedVersion, "repair")->quota_version, kMostRaisedVersion + 1);
  HolderOf("tv", 4);
  EXPECT_EQ(stock().GetSku("tv")->quota_version, kMostRaisedVersion + 2);
  EXPECT_EQ(stock().RaiseVersion("tv", kMostRaisedVersion + 99, "repair")->quota_version, kMostRaisedVersion + 100)
      << "by a small step";
  EXPECT_TRUE(absl::IsInvalidArgument(stock().RaiseVersion("tv", 2 * kMostRaisedVersion, "repair").status()));
  EXPECT_TRUE(absl::IsNotFound(stock().RaiseVersion("none", 5, "repair").status()));
}

TEST_P(QuotaLedgerContract, AHistoryGoesOnFromMarkToMark) {
  const LedgerMark first = *stock().Mark(std::nullopt), second = *stock().Mark(first);
  EXPECT_TRUE(GoesOn(first, second));
  EXPECT_FALSE(GoesOn(second, first)) << "an older state of the same ledger";
  EXPECT_FALSE(GoesOn(first, first)) << "nothing was counted in between";
  EXPECT_FALSE(GoesOn(LedgerMark{}, first));
}

// However often one looks: the count of an older state must not catch up with the mark that is remembered.
TEST_P(QuotaLedgerContract, ALookAtAHistoryThatBrokeOffChangesNothing) {
  const LedgerMark mark = *stock().Mark(std::nullopt);
  const LedgerMark ahead{.line = mark.line, .count = mark.count + 1};
  for (int looks = 0; looks < 3; ++looks) {
    const LedgerMark now = *stock().Mark(ahead);
    EXPECT_EQ(now.line, mark.line);
    EXPECT_EQ(now.count, mark.count);
    EXPECT_EQ(stock().Mark(LedgerMark{.line = "another", .count = 0})->count, mark.count);
  }
  EXPECT_EQ(stock().Mark(mark)->count, mark.count + 1);
}

TEST_P(QuotaLedgerContract, NoMarkOfAnEarlierHistoryIsGoneOnFrom) {
  const LedgerMark before = *stock().Mark(std::nullopt);
  ASSERT_TRUE(stock().BeginHistory(0, "balancer").ok());
  const LedgerMark begun = *stock().Mark(before);
  EXPECT_EQ(begun.line, before.line);
  EXPECT_FALSE(GoesOn(before, begun));
  EXPECT_FALSE(GoesOn(begun, {.line = before.line, .count = before.count + 1000000}));
  EXPECT_TRUE(GoesOn(begun, *stock().Mark(begun)));
}

TEST_P(QuotaLedgerContract, ANewHistoryNumbersItsIncarnationsAboveTheEarlierOnes) {
  const IncarnationId before = Register();
  const IncarnationId first = *stock().BeginHistory(before + 5000, "balancer");
  EXPECT_GT(first, before + 5000);
  EXPECT_EQ(Register(), first);
  const IncarnationId again = *stock().BeginHistory(0, "balancer");
  EXPECT_GT(again, first);
  EXPECT_EQ(Register(), again);
  EXPECT_TRUE(absl::IsInvalidArgument(stock().BeginHistory(kMostBelievedIncarnation + 1, "balancer").status()));
  EXPECT_THAT(LastAudit(), ::testing::StartsWith("balancer begin_history"));
}

TEST_P(QuotaLedgerContract, ANodeTakesALotFromThePool) {
  Create(SkuOf("tv", 100, /*per_user_limit=*/4, /*slots=*/3));
  const IncarnationId a = Register();
  const IncarnationId b = Register();
  ASSERT_TRUE(stock().ReclaimIncarnation(Register()).ok());
  const auto first = stock().TakeFromPool({"tv", a, 1});
  ASSERT_TRUE(first.ok()) << first.status();
  EXPECT_FALSE(first->ended);
  EXPECT_EQ(first->taken, 25) << "the pool by twice the live ones";
  EXPECT_EQ(first->slice.holder, a);
  EXPECT_EQ(first->slice.allotted, 25);
  EXPECT_EQ(first->slice.remaining, 25);
  EXPECT_EQ(first->slice.version, 2);
  EXPECT_EQ(first->sku.title, "A thing");
  EXPECT_EQ(first->sku.unsold, 100);
  EXPECT_EQ(first->sku.quota_version, 2);
  EXPECT_EQ(stock().TakeFromPool({"tv", b, 60})->taken, 60) << "what it wants, if that is more";
  EXPECT_THAT(Remaining("tv"), ElementsAre(Pair(kPool, 15), Pair(a, 25), Pair(b, 60)));
  EXPECT_THAT(LastAudit(), ::testing::StartsWith("test create_sku")) << "nobody has asked for these moves";

  Commit(a, ClaimsOf("tv", "u", 5));
  const auto more = stock().TakeFromPool({"tv", a, 15});
  EXPECT_EQ(more->taken, 15);
  EXPECT_EQ(more->slice.allotted, 40);
  EXPECT_EQ(more->slice.remaining, 35);
  EXPECT_TRUE(more->sku.holds_may_lapse);
  EXPECT_EQ(more->sku.unsold, 95);
}

TEST_P(QuotaLedgerContract, APoolGivesWhatIsWantedOrNothing) {
  Create(SkuOf("tv", 10));
  const IncarnationId node = Register();
  const auto vain = stock().TakeFromPool({"tv", node, 11});
  ASSERT_TRUE(vain.ok()) << vain.status();
  EXPECT_EQ(vain->taken, 0);
  EXPECT_EQ(vain->slice.version, 0) << "it has no slice";
  EXPECT_EQ(vain->sku.unsold, 10);
  EXPECT_EQ(vain->sku.quota_version, 1) << "nothing changed";
  EXPECT_TRUE(absl::IsNotFound(stock().TakeFromPool({"none", node, 1}).status()));

  const auto stranger = stock().TakeFromPool({"tv", node + 1, 1});
  EXPECT_EQ(stranger->taken, 0);
  EXPECT_FALSE(stranger->ended) << "a shard may hear of it a moment later";
  const IncarnationId ended = Register();
  ASSERT_TRUE(stock().ReclaimIncarnation(ended).ok());
  const auto late = stock().TakeFromPool({"tv", ended, 1});
  EXPECT_TRUE(late->ended);
  EXPECT_EQ(late->taken, 0);
  ASSERT_TRUE(stock().SetDraining(node, true, "test").ok());
  EXPECT_EQ(stock().TakeFromPool({"tv", node, 1})->taken, 0) << "it drains";
  EXPECT_FALSE(stock().TakeFromPool({"tv", node, 1})->ended);
  ASSERT_TRUE(stock().SetDraining(node, false, "test").ok());
  ASSERT_TRUE(stock().SetQuotaFrozen("tv", true, "test").ok());
  EXPECT_EQ(stock().TakeFromPool({"tv", node, 1})->taken, 0) << "it is frozen";
  ASSERT_TRUE(stock().SetQuotaFrozen("tv", false, "test").ok());
  EXPECT_EQ(stock().TakeFromPool({"tv", node, 1})->taken, 5);
  ASSERT_TRUE(stock().CloseSku("tv", "test").ok());
  EXPECT_EQ(stock().TakeFromPool({"tv", node, 1})->taken, 0) << "it is closed";
  EXPECT_THAT(Remaining("tv"), ElementsAre(Pair(kPool, 5), Pair(node, 5)));
}

TEST_P(QuotaLedgerContract, WaitingPoolsAreListedAsTheyChange) {
  const auto listed = [this] { return !stock().ListPooledSkus("", 9)->empty(); };
  Sku tail = SkuOf("tail", 10);
  tail.presplit = false;
  Create(tail);
  EXPECT_FALSE(listed()) << "it waits for demand";
  Create(SkuOf("tv", 0));
  EXPECT_FALSE(listed());
  ASSERT_TRUE(stock().AddStock("tv", 5, std::nullopt, "test").ok());
  EXPECT_TRUE(listed());
  const IncarnationId node = HolderOf("tv", 5);
  EXPECT_FALSE(listed());
  Move("tv", {{node, -2}});
  EXPECT_TRUE(listed());
  ASSERT_TRUE(stock().ReduceStock("tv", 2, std::nullopt, "test").ok());
  EXPECT_FALSE(listed());
  Commit(node, {Claim("tv", "alice")});
  EXPECT_FALSE(listed()) << "a sale is not the pool's matter";
  ASSERT_TRUE(stock().ReclaimIncarnation(node).ok());
  EXPECT_TRUE(listed());
  ASSERT_TRUE(stock().CloseSku("tv", "test").ok());
  EXPECT_FALSE(listed());
}

TEST_P(QuotaLedgerContract, DrainingIsNotedAndAudited) {
  const IncarnationId node = Register("front-1");
  EXPECT_FALSE(stock().ListLiveIncarnations()->front().draining);
  const Incarnation draining = *stock().SetDraining(node, true, "alice");
  EXPECT_EQ(draining.id, node);
  EXPECT_EQ(draining.node_name, "front-1");
  EXPECT_TRUE(draining.draining);
  EXPECT_TRUE(stock().ListLiveIncarnations()->front().draining);
  EXPECT_TRUE(stock().SetDraining(node, true, "bob")->draining);
  EXPECT_FALSE(stock().SetDraining(node, false, "carol")->draining);
  EXPECT_THAT(
      Audit(),
      ElementsAre(absl::StrCat("carol undrain_incarnation  ", node, " {\"draining\": true} {\"draining\": false}"),
                  absl::StrCat("alice drain_incarnation  ", node, " {\"draining\": false} {\"draining\": true}")));
  EXPECT_EQ(stock().SetDraining(node + 1000, true, "alice").status().code(), absl::StatusCode::kNotFound);
  ASSERT_TRUE(stock().ReclaimIncarnation(node).ok());
  EXPECT_EQ(stock().SetDraining(node, true, "alice").status().code(), absl::StatusCode::kNotFound);
}

TEST_P(QuotaLedgerContract, WhatADrainingNodeIsToldIsAudited) {
  const IncarnationId node = Register("front-1");
  ASSERT_TRUE(stock().SetDraining(node, true, "alice", {.exit = false}).ok());
  ASSERT_TRUE(stock().SetDraining(node, true, "bob", {.exit = false, .told_exit = false}).ok());
  ASSERT_TRUE(stock().SetDraining(node, true, "carol", {.exit = true, .told_exit = false}).ok());
  EXPECT_THAT(Audit(),
              ElementsAre(absl::StrCat("carol drain_incarnation  ", node, " {\"exit\": false, \"draining\": true} ",
                                       "{\"exit\": true, \"draining\": true}"),
                          absl::StrCat("alice drain_incarnation  ", node, " {\"draining\": false} ",
                                       "{\"exit\": false, \"draining\": true}")));
  EXPECT_FALSE(stock().SetDraining(node + 1000, true, "dave", {.exit = true}).ok());
}

TEST_P(QuotaLedgerContract, DrainingSurvivesARestart) {
  const IncarnationId node = *stock().RegisterIncarnation("front-1", "a:1", /*draining=*/true);
  EXPECT_TRUE(stock().ListLiveIncarnations()->front().draining);
  EXPECT_EQ(LastAudit(), absl::StrCat("front-1 register_incarnation  ", node, " {} {\"draining\": true}"));
  Register();
  EXPECT_EQ(Audit().size(), 1u) << "nothing that an operator would have done";
}

TEST_P(QuotaLedgerContract, DrainingIncarnationSellsAndMayBeMovedTo) {
  // The balancer decides whether it should.
  Create(SkuOf("tv", 10));
  const IncarnationId node = HolderOf("tv", 2);
  ASSERT_TRUE(stock().SetDraining(node, true, "alice").ok());
  EXPECT_EQ(Outcome(node, Claim("tv", "alice")), CommitOutcome::kCreated);
  Move("tv", {{node, 3}});
  EXPECT_THAT(Remaining("tv"), ElementsAre(Pair(kPool, 5), Pair(node, 4)));
}

TEST_P(QuotaLedgerContract, EveryChangeIsAudited) {
  Create(SkuOf("tv", 10));
  const IncarnationId node = HolderOf("tv", 4);
  ASSERT_TRUE(stock().AddStock("tv", 5, std::nullopt, "alice").ok());
  ASSERT_TRUE(stock().ReduceStock("tv", 12, std::nullopt, "bob").ok());
  ASSERT_TRUE(stock().ReclaimIncarnation(node).ok());
  ASSERT_TRUE(stock().CloseSku("tv", "carol").ok());
  ASSERT_TRUE(stock().CloseSku("tv", "dave").ok());
  EXPECT_THAT(
      Audit(),
      ElementsAre("carol close_sku tv 0 {\"state\": \"OPEN\"} {\"state\": \"CLOSED\"}",
                  absl::StrCat("reclaim reclaim_incarnation tv ", node, " {\"0\": 0, \"", node, "\": 3} {\"0\": 3}"),
                  "bob reduce_stock tv 0 {\"stock\": 15} {\"asked\": 12, \"stock\": 3}",
                  "alice add_stock tv 0 {\"stock\": 10} {\"stock\": 15}",
                  absl::StrCat("test move_units tv 0 {\"0\": 10} {\"0\": 6, \"", node, "\": 4}"),
                  "test create_sku tv 0 {} {\"stock\": 10, \"presplit\": true, \"price_minor\": 1999}"));
}

TEST_P(QuotaLedgerContract, MovesThatNobodyAskedForAreNotAudited) {
  Create(SkuOf("tv", 10));
  const IncarnationId node = Register();
  ASSERT_TRUE(stock().MoveUnits("tv", {{node, 4}}, std::nullopt, "").ok());
  EXPECT_THAT(Remaining("tv"), ElementsAre(Pair(kPool, 6), Pair(node, 4)));
  EXPECT_EQ(Audit().size(), 1u) << "that the SKU was created";
}

TEST_P(QuotaLedgerContract, AuditIsReadInPages) {
  Create(SkuOf("tv", 1));
  Create(SkuOf("radio", 1));
  for (int i = 1; i <= 5; ++i) ASSERT_TRUE(stock().AddStock("tv", i, std::nullopt, absl::StrCat("u", i)).ok());
  ASSERT_TRUE(stock().AddStock("radio", 1, std::nullopt, "other").ok());
  std::vector<std::string> actors;
  int64_t before = 0;
  while (true) {
    const auto page = stock().ListAudit({.sku_id = "tv"}, before, 2);
    ASSERT_TRUE(page.ok()) << page.status();
    if (page->empty()) break;
    ASSERT_LE(page->size(), 2u);
    for (const AuditEntry& entry : *page) {
      EXPECT_TRUE(before == 0 || entry.id < before);
      EXPECT_EQ(entry.sku_id, "tv");
      before = entry.id;
      actors.push_back(entry.actor);
    }
  }
  EXPECT_THAT(actors, ElementsAre("u5", "u4", "u3", "u2", "u1", "test"));
  EXPECT_THAT(Audit("none"), IsEmpty());
  EXPECT_EQ(Audit().size(), 8u);
}

}  // namespace
}  // namespace tranche::storage
