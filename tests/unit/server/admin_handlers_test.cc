#include <gtest/gtest.h>

#include <string>
#include <vector>

#include "server/handlers/field_checks.h"
#include "server/handlers/node_directory.h"
#include "server/handlers/quota_preview.h"
#include "server/proto_time.h"
#include "tests/unit/server/admin_fixture.h"

namespace tranche::server {
namespace {

constexpr int64_t kFarFuture = 4'000'000'000;  // seconds of the Unix epoch

TEST_F(AdminHandlersTest, CreateSkuFillsInDefaultsAndAnnounces) {
  v1::GetSkuRequest request;
  request.set_sku_id("tv");
  const auto response = sku_.Get(request);
  ASSERT_TRUE(response.ok());
  EXPECT_EQ(response->sku().per_user_limit(), 1);
  EXPECT_EQ(response->sku().slots_per_slice(), 1);
  EXPECT_EQ(response->sku().hold().seconds(), 900);
  EXPECT_EQ(response->sku().max_extensions(), 3);
  EXPECT_FALSE(response->sku().has_max_hold());
  EXPECT_EQ(response->sku().unsold(), 100);
  EXPECT_EQ(response->sku().reserved(), 0);
  EXPECT_FALSE(response->sku().has_open_time());
  EXPECT_TRUE(sessions_.session->Get(quota::SkuPath("tv"), quota::Watch::kNo).ok());
}

TEST_F(AdminHandlersTest, CreateSkuKeepsTheBoundsOfExtensions) {
  v1::CreateSkuRequest request;
  *request.mutable_sku() = Tv();
  request.mutable_sku()->set_sku_id("flat");
  request.mutable_sku()->mutable_hold()->set_seconds(60);
  request.mutable_sku()->set_max_extensions(0);
  request.mutable_sku()->mutable_max_hold()->set_seconds(60);
  const auto created = sku_.Create(request, kActor);
  ASSERT_TRUE(created.ok()) << created.status();
  EXPECT_TRUE(created->sku().has_max_extensions());
  EXPECT_EQ(created->sku().max_extensions(), 0) << "none is not the default";
  EXPECT_EQ(created->sku().max_hold().seconds(), 60);
}

TEST_F(AdminHandlersTest, CreateSkuChecksEveryField) {
  struct Case {
    const char* field;
    void (*spoil)(v1::Sku&);
  };
  const Case cases[] = {
      {"sku.title", [](auto& s) { s.set_title(std::string(257, 'x')); }},
      {"sku.price_minor", [](auto& s) { s.set_price_minor(-1); }},
      {"sku.price_minor", [](auto& s) { s.clear_price_minor(); }},
      {"sku.currency", [](auto& s) { s.set_currency("eur"); }},
      {"sku.currency", [](auto& s) { s.clear_currency(); }},
      {"sku.currency", [](auto& s) { s.set_currency("EUX"); }},
      {"sku.stock", [](auto& s) { s.set_stock(-1); }},
      {"sku.stock", [](auto& s) { s.set_stock(kMaxStock + 1); }},
      {"sku.per_user_limit", [](auto& s) { s.set_per_user_limit(1001); }},
      {"sku.slots_per_slice", [](auto& s) { s.set_slots_per_slice(-1); }},
      {"sku.hold", [](auto& s) { s.mutable_hold()->set_seconds(0); }},
      {"sku.hold", [](auto& s) { s.mutable_hold()->set_nanos(1); }},
      {"sku.max_extensions", [](auto& s) { s.set_max_extensions(-1); }},
      {"sku.max_extensions", [](auto& s) { s.set_max_extensions(101); }},
      {"sku.max_hold", [](auto& s) { s.mutable_max_hold()->set_seconds(s.hold().seconds() - 1); }},
      {"sku.max_hold", [](auto& s) { s.mutable_max_hold()->set_seconds(30 * 24 * 3600 + 1); }},
      {"sku.open_time", [](auto& s) { s.mutable_open_time()->set_nanos(-1); }},
      {"sku.close_time",
       [](auto& s) {
         s.mutable_open_time()->set_seconds(kFarFuture);
         s.mutable_close_time()->set_seconds(kFarFuture);
       }},
  };
  for (const Case& bad : cases) {
    v1::CreateSkuRequest request;
    *request.mutable_sku() = Tv();
    request.mutable_sku()->set_sku_id("phone");
    bad.spoil(*request.mutable_sku());
    const absl::Status error = sku_.Create(request, kActor).status();
    EXPECT_EQ(ReasonOf(error), "FIELD_INVALID") << bad.field;
    EXPECT_EQ(MetadataOf(error, "field"), bad.field);
  }
  v1::CreateSkuRequest again;
  *again.mutable_sku() = Tv();
  EXPECT_EQ(ReasonOf(sku_.Create(again, kActor).status()), "SKU_ALREADY_EXISTS");
  again.mutable_sku()->set_sku_id("");
  EXPECT_EQ(ReasonOf(sku_.Create(again, kActor).status()), "SKU_ID_REQUIRED");
}

TEST_F(AdminHandlersTest, ASaleThatWouldBeOverIsNotCreated) {
  v1::CreateSkuRequest request;
  *request.mutable_sku() = Tv();
  request.mutable_sku()->set_sku_id("late");
  *request.mutable_sku()->mutable_close_time() = ToTimestamp(clock_.Now());
  const absl::Status error = sku_.Create(request, kActor).status();
  EXPECT_EQ(MetadataOf(error, "field"), "sku.close_time");
  EXPECT_TRUE(absl::IsNotFound(ledger_.GetSku("late").status()));
  *request.mutable_sku()->mutable_close_time() = ToTimestamp(clock_.Now() + absl::Seconds(1));
  EXPECT_TRUE(sku_.Create(request, kActor).ok());
}

TEST_F(AdminHandlersTest, GivingAwayForNothingMustBeSaid) {
  v1::CreateSkuRequest request;
  *request.mutable_sku() = Tv();
  request.mutable_sku()->set_sku_id("gift");
  request.mutable_sku()->set_price_minor(0);
  const auto created = sku_.Create(request, kActor);
  ASSERT_TRUE(created.ok()) << created.status();
  EXPECT_TRUE(created->sku().has_price_minor());
}

TEST_F(AdminHandlersTest, TheStateSaysWhetherABuyerCanGetAUnit) {
  const auto state = [this] {
    v1::GetSkuRequest request;
    request.set_sku_id("show");
    return sku_.Get(request)->sku().state();
  };
  v1::CreateSkuRequest request;
  *request.mutable_sku() = Tv();
  request.mutable_sku()->set_sku_id("show");
  *request.mutable_sku()->mutable_open_time() = ToTimestamp(clock_.Now() + absl::Hours(1));
  *request.mutable_sku()->mutable_close_time() = ToTimestamp(clock_.Now() + absl::Hours(2));
  ASSERT_TRUE(sku_.Create(request, kActor).ok());
  EXPECT_EQ(state(), v1::SKU_STATE_NOT_YET);
  clock_.AdvanceBy(absl::Hours(1));
  EXPECT_EQ(state(), v1::SKU_STATE_OPEN);
  v1::ReduceStockRequest reduce;
  reduce.set_sku_id("show");
  reduce.set_units(1000);
  const auto reduced = stock_.Reduce(reduce, kActor);
  EXPECT_EQ(reduced->before().state(), v1::SKU_STATE_OPEN);
  EXPECT_EQ(reduced->sku().state(), v1::SKU_STATE_SOLD_OUT);
  EXPECT_EQ(state(), v1::SKU_STATE_SOLD_OUT);
  clock_.AdvanceBy(absl::Hours(1));
  EXPECT_EQ(state(), v1::SKU_STATE_ENDED) << "more stock would not help";
  v1::CloseSkuRequest close;
  close.set_sku_id("show");
  ASSERT_TRUE(sku_.Close(close, kActor).ok());
  EXPECT_EQ(state(), v1::SKU_STATE_CLOSED) << "another closing time would not help";
}

TEST_F(AdminHandlersTest, ListSkusPagesWithoutLossOrRepetition) {
  for (const char* id : {"phone", "clothes", "lamp", "zebra"}) {
    v1::CreateSkuRequest request;
    *request.mutable_sku() = Tv();
    request.mutable_sku()->set_sku_id(id);
    ASSERT_TRUE(sku_.Create(request, kActor).ok());
  }
  std::vector<std::string> seen;
  v1::ListSkusRequest request;
  request.set_page_size(2);
  do {
    const auto page = sku_.List(request);
    ASSERT_TRUE(page.ok());
    EXPECT_LE(page->skus_size(), 2);
    for (const v1::Sku& sku : page->skus()) seen.push_back(sku.sku_id());
    request.set_page_token(page->next_page_token());
  } while (!request.page_token().empty());
  EXPECT_EQ(seen, (std::vector<std::string>{"clothes", "lamp", "phone", "tv", "zebra"}));

  request.set_page_size(-1);
  EXPECT_EQ(ReasonOf(sku_.List(request).status()), "FIELD_INVALID");
}

TEST_F(AdminHandlersTest, StockPreviewsEqualWhatHappens) {
  v1::AddStockRequest add;
  add.set_sku_id("tv");
  add.set_units(7);
  add.set_preview(true);
  const auto add_preview = stock_.Add(add, kActor);
  ASSERT_TRUE(add_preview.ok());
  EXPECT_EQ(ledger_.GetSku("tv")->stock, 100) << "a preview changes nothing";
  add.set_preview(false);
  const auto added = stock_.Add(add, kActor);
  ASSERT_TRUE(added.ok());
  EXPECT_EQ(added->sku().stock(), 107);
  EXPECT_EQ(added->DebugString(), add_preview->DebugString());

  v1::ReduceStockRequest reduce;
  reduce.set_sku_id("tv");
  reduce.set_units(1000);
  reduce.set_preview(true);
  const auto reduce_preview = stock_.Reduce(reduce, kActor);
  ASSERT_TRUE(reduce_preview.ok());
  EXPECT_EQ(ledger_.GetSku("tv")->stock, 107) << "a preview changes nothing";
  reduce.set_preview(false);
  const auto reduced = stock_.Reduce(reduce, kActor);
  ASSERT_TRUE(reduced.ok());
  EXPECT_EQ(reduced->units_taken(), 107);
  EXPECT_EQ(reduced->DebugString(), reduce_preview->DebugString());
}

TEST_F(AdminHandlersTest, StockRefusesWhatCannotBeMeant) {
  v1::AddStockRequest add;
  add.set_sku_id("tv");
  EXPECT_EQ(ReasonOf(stock_.Add(add, kActor).status()), "FIELD_INVALID");
  add.set_units(kMaxStock);
  EXPECT_EQ(ReasonOf(stock_.Add(add, kActor).status()), "FIELD_INVALID") << "above the limit in sum";
  add.set_sku_id("radio");
  EXPECT_EQ(ReasonOf(stock_.Add(add, kActor).status()), "SKU_NOT_FOUND");
  v1::ReduceStockRequest reduce;
  reduce.set_sku_id("tv");
  reduce.set_units(-5);
  EXPECT_EQ(ReasonOf(stock_.Reduce(reduce, kActor).status()), "FIELD_INVALID");
}

TEST_F(AdminHandlersTest, ReducingStockAnnouncesTheSlicesItTookFrom) {
  ASSERT_TRUE(quota_.Set(SetRequest("a", 100, false), kActor).ok());
  v1::ReduceStockRequest reduce;
  reduce.set_sku_id("tv");
  reduce.set_units(30);
  ASSERT_TRUE(stock_.Reduce(reduce, kActor).ok());
  const v1::Slice slice = SliceIn(Quota(), a_);
  EXPECT_EQ(slice.remaining(), 70);
  EXPECT_EQ(slice.announced_version(), slice.version());
}

TEST_F(AdminHandlersTest, CloseSkuPreviewsAndCloses) {
  v1::CloseSkuRequest request;
  request.set_sku_id("tv");
  request.set_preview(true);
  EXPECT_EQ(sku_.Close(request, kActor)->sku().state(), v1::SKU_STATE_CLOSED);
  EXPECT_FALSE(ledger_.GetSku("tv")->closed);
  request.set_preview(false);
  EXPECT_EQ(sku_.Close(request, kActor)->sku().state(), v1::SKU_STATE_CLOSED);
  EXPECT_TRUE(ledger_.GetSku("tv")->closed);
}

TEST_F(AdminHandlersTest, SetQuotaTakesFromThePoolAndGivesToTheOthers) {
  const auto preview = quota_.Set(SetRequest("a", 40, true), kActor);
  ASSERT_TRUE(preview.ok());
  EXPECT_EQ(SliceIn(Quota(), a_).remaining(), 0) << "a preview changes nothing";
  const auto set = quota_.Set(SetRequest("a", 40, false), kActor);
  ASSERT_TRUE(set.ok());
  EXPECT_EQ(WithoutAnnouncements(set->after()), WithoutAnnouncements(preview->after()));
  EXPECT_EQ(SliceIn(set->after(), a_).remaining(), 40);
  EXPECT_EQ(SliceIn(set->after(), a_).node_name(), "a");
  EXPECT_EQ(SliceIn(set->after(), a_).announced_version(), SliceIn(set->after(), a_).version());
  EXPECT_EQ(SliceIn(set->after(), storage::kPool).remaining(), 60);

  const auto back = quota_.Set(SetRequest(std::to_string(a_), 15, false), kActor);
  ASSERT_TRUE(back.ok());
  EXPECT_EQ(SliceIn(back->after(), a_).remaining(), 15);
  EXPECT_EQ(SliceIn(back->after(), storage::kPool).remaining(), 60) << "not into the pool: the balancer would undo it";
  EXPECT_EQ(SliceIn(back->after(), b_).remaining(), 25);
}

TEST_F(AdminHandlersTest, SetQuotaRefuses) {
  const absl::Status too_many = quota_.Set(SetRequest("a", 101, false), kActor).status();
  EXPECT_EQ(ReasonOf(too_many), "INSUFFICIENT_UNITS");
  EXPECT_EQ(MetadataOf(too_many, "available"), "100");
  EXPECT_EQ(ReasonOf(quota_.Set(SetRequest("a", -1, false), kActor).status()), "FIELD_INVALID");
  EXPECT_EQ(ReasonOf(quota_.Set(SetRequest("", 1, false), kActor).status()), "FIELD_INVALID");
  EXPECT_EQ(ReasonOf(quota_.Set(SetRequest("c", 1, false), kActor).status()), "NODE_NOT_FOUND");
  v1::SetQuotaRequest stale = SetRequest("a", 1, false);
  stale.set_expected_quota_version(99);
  const absl::Status changed = quota_.Set(stale, kActor).status();
  EXPECT_EQ(ReasonOf(changed), "QUOTA_VERSION_CHANGED");
  EXPECT_EQ(MetadataOf(changed, "quota_version"), std::to_string(Quota().quota_version()));
}

TEST_F(AdminHandlersTest, RebalanceSharesEquallyAmongThoseThatStay) {
  ASSERT_TRUE(quota_.Set(SetRequest("a", 90, false), kActor).ok());
  v1::RebalanceQuotaRequest request;
  request.set_sku_id("tv");
  request.set_preview(true);
  const auto preview = quota_.Rebalance(request, kActor);
  ASSERT_TRUE(preview.ok());
  request.set_preview(false);
  const auto done = quota_.Rebalance(request, kActor);
  ASSERT_TRUE(done.ok());
  EXPECT_EQ(WithoutAnnouncements(done->after()), WithoutAnnouncements(preview->after()));
  EXPECT_EQ(SliceIn(done->after(), a_).remaining(), 50);
  EXPECT_EQ(SliceIn(done->after(), b_).remaining(), 50);

  v1::DrainNodeRequest drain;
  drain.set_node("a");
  ASSERT_TRUE(node_.Drain(drain, kActor).ok());
  const auto without = quota_.Rebalance(request, kActor);
  ASSERT_TRUE(without.ok());
  EXPECT_EQ(SliceIn(without->after(), a_).remaining(), 0);
  EXPECT_EQ(SliceIn(without->after(), b_).remaining(), 100);
}

TEST(QuotaPreviewTest, WithdrawsFirstAndNeverMoreThanThereIs) {
  storage::QuotaSnapshot before;
  before.quota_version = 7;
  before.slices = {{.holder = 0, .allotted = 5, .remaining = 5, .version = 7},
                   {.holder = 3, .allotted = 20, .remaining = 10, .version = 6}};
  const storage::QuotaSnapshot after = QuotaAfter(before, std::vector<storage::QuotaDelta>{{2, 30}, {3, -25}});
  EXPECT_EQ(after.quota_version, 8);
  EXPECT_EQ(SliceOf(after, 3).remaining, 0);
  EXPECT_EQ(SliceOf(after, 3).allotted, 10) << "what is spent stays allotted";
  EXPECT_EQ(SliceOf(after, 2).remaining, 15) << "all that the pool then has";
  EXPECT_EQ(SliceOf(after, 0).remaining, 0);
}

TEST_F(AdminHandlersTest, WithoutCoordinationOnlyWhatNeedsItFails) {
  sessions_.session = nullptr;
  EXPECT_EQ(ReasonOf(node_.List({}).status()), "COORDINATION_UNAVAILABLE");
  EXPECT_EQ(ReasonOf(quota_.Set(SetRequest("a", 1, false), kActor).status()), "COORDINATION_UNAVAILABLE");
  EXPECT_EQ(ReasonOf(coordination_.Dump({}).status()), "COORDINATION_UNAVAILABLE");
  EXPECT_EQ(SliceIn(Quota(), storage::kPool).remaining(), 100);
  v1::AddStockRequest add;
  add.set_sku_id("tv");
  add.set_units(1);
  EXPECT_EQ(stock_.Add(add, kActor)->sku().stock(), 101) << "announcing is left to the balancer";
}

TEST_F(AdminHandlersTest, WithoutLedgerCallsSayThatNothingChanged) {
  ledger_.FailNext(1);
  v1::GetSkuRequest request;
  request.set_sku_id("tv");
  const absl::Status error = sku_.Get(request).status();
  EXPECT_EQ(ReasonOf(error), "LEDGER_UNAVAILABLE");
  EXPECT_GT(RetryDelay(error), absl::ZeroDuration());
}

TEST_F(AdminHandlersTest, VerifyChecksThatTheSkuExists) {
  v1::VerifyLedgerRequest request;
  const auto all = verify_.Verify(request);
  ASSERT_TRUE(all.ok());
  EXPECT_EQ(all->skus_checked(), 1);
  EXPECT_EQ(all->violations_size(), 0);
  request.set_sku_id("radio");
  EXPECT_EQ(ReasonOf(verify_.Verify(request).status()), "SKU_NOT_FOUND");
  request.set_sku_id("/");
  EXPECT_EQ(ReasonOf(verify_.Verify(request).status()), "SKU_ID_MALFORMED");
}

TEST_F(AdminHandlersTest, VerifyGoesThroughTheLedgerPageByPage) {
  v1::VerifyLedgerRequest request;
  request.set_page_size(1);
  const auto only = verify_.Verify(request);
  ASSERT_TRUE(only.ok()) << only.status();
  EXPECT_EQ(only->skus_checked(), 1);
  EXPECT_EQ(only->next_page_token(), "");
  v1::CreateSkuRequest another;
  *another.mutable_sku() = Tv();
  another.mutable_sku()->set_sku_id("b");
  ASSERT_TRUE(sku_.Create(another, kActor).ok());
  const auto first = verify_.Verify(request);
  ASSERT_TRUE(first.ok()) << first.status();
  EXPECT_EQ(first->skus_left(), 1);
  request.set_page_token(first->next_page_token());
  const auto second = verify_.Verify(request);
  ASSERT_TRUE(second.ok()) << second.status();
  EXPECT_EQ(second->skus_checked(), 1);
  EXPECT_EQ(second->next_page_token(), "");
}

TEST_F(AdminHandlersTest, VerifyRefusesPagesThatMakeNoSense) {
  v1::VerifyLedgerRequest request;
  request.set_page_size(-1);
  EXPECT_EQ(ReasonOf(verify_.Verify(request).status()), "FIELD_INVALID");
  request.set_page_size(1);
  request.set_sku_id("tv");
  EXPECT_EQ(ReasonOf(verify_.Verify(request).status()), "FIELD_INVALID");
  request.clear_sku_id();
  request.set_page_token("nonsense");
  EXPECT_EQ(ReasonOf(verify_.Verify(request).status()), "FIELD_INVALID");
  request.clear_page_size();
  EXPECT_EQ(ReasonOf(verify_.Verify(request).status()), "FIELD_INVALID");
}

TEST_F(AdminHandlersTest, DumpPagesThroughTheWholeTree) {
  ASSERT_TRUE(quota_.Set(SetRequest("a", 40, false), kActor).ok());
  const auto whole = coordination_.Dump({});
  ASSERT_TRUE(whole.ok());
  EXPECT_EQ(whole->next_page_token(), "");
  std::vector<std::string> expected;
  for (const auto& znode : whole->znodes()) expected.push_back(znode.path());
  EXPECT_GE(expected.size(), 11u) << "6 fixed, 2 nodes, 2 slice folders, a slice";

  for (const int page_size : {1, 2, 3, 5}) {
    std::vector<std::string> seen;
    v1::DumpCoordinationRequest request;
    request.set_page_size(page_size);
    do {
      const auto page = coordination_.Dump(request);
      ASSERT_TRUE(page.ok());
      ASSERT_LE(page->znodes_size(), page_size);
      for (const auto& znode : page->znodes()) seen.push_back(znode.path());
      request.set_page_token(page->next_page_token());
    } while (!request.page_token().empty());
    EXPECT_EQ(seen, expected) << "pages of " << page_size;
  }
}

TEST_F(AdminHandlersTest, DumpShowsPayloadsAsJson) {
  ASSERT_TRUE(quota_.Set(SetRequest("a", 40, false), kActor).ok());
  v1::DumpCoordinationRequest request;
  request.set_path(quota::SlicesPath(a_));
  const auto dump = coordination_.Dump(request);
  ASSERT_TRUE(dump.ok());
  ASSERT_EQ(dump->znodes_size(), 2);
  EXPECT_EQ(dump->znodes(1).path(), quota::SlicePath(a_, "tv"));
  EXPECT_EQ(dump->znodes(1).payload(), R"({"allotted":"40","version":"2"})");
  EXPECT_FALSE(dump->znodes(1).ephemeral());
  request.set_path("slices");
  EXPECT_EQ(ReasonOf(coordination_.Dump(request).status()), "FIELD_INVALID");
  EXPECT_EQ(RenderPayload("/balancer/leader", "balancer-1"), "balancer-1");
  EXPECT_EQ(RenderPayload("/balancer/shard-east", "balancer-1"), "balancer-1");
  EXPECT_EQ(RenderPayload("/balancer/leader", "\n"), "Cg==") << "what would disturb a terminal is not shown as text";
  EXPECT_EQ(RenderPayload("/balancer/x", "x"), "eA==") << "not ours: base64";
  EXPECT_EQ(RenderPayload("/nodes/1", "\xff"), "/w==") << "no message: base64";
  internal::v1::RoomBoards boards;
  boards.add_rooms()->set_sku_id("tv");
  EXPECT_EQ(RenderPayload("/rooms", boards.SerializeAsString()), R"({"rooms":[{"sku_id":"tv"}]})");
  internal::v1::RoomReport report;
  report.set_reported_at_us(7);
  EXPECT_EQ(RenderPayload("/rooms/1", report.SerializeAsString()), R"({"reported_at_us":"7"})");
}

}  // namespace
}  // namespace tranche::server
