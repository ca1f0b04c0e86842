// Pausing, changing and reopening a SKU, and freezing the cluster, as operators ask for it.
#include "server/handlers/sku_change_handler.h"

#include <functional>
#include <optional>
#include <utility>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "server/handlers/claim_path_warnings.h"
#include "server/handlers/sku_messages.h"
#include "server/proto_time.h"
#include "tests/unit/server/admin_fixture.h"

namespace tranche::server {
namespace {

class SkuChangeHandlerTest : public AdminHandlersTest {
 protected:
  static v1::SetSkuPausedRequest PauseRequest(bool paused, const std::string& reason = "") {
    v1::SetSkuPausedRequest request;
    request.set_sku_id("tv");
    request.set_paused(paused);
    request.set_reason(reason);
    return request;
  }
  static v1::UpdateSkuRequest PriceRequest(int64_t price) {
    v1::UpdateSkuRequest request;
    request.set_sku_id("tv");
    request.set_price_minor(price);
    return request;
  }
  internal::v1::SkuAnnouncement Announced() {
    internal::v1::SkuAnnouncement announcement;
    const auto znode = sessions_.session->Get(quota::SkuPath("tv"), quota::Watch::kNo);
    EXPECT_TRUE(znode.ok() && announcement.ParseFromString(znode->data));
    return announcement;
  }
  std::string FieldOf(const v1::UpdateSkuRequest& request) {
    const auto updated = change_.Update(request, kActor);
    EXPECT_EQ(updated.status().code(), absl::StatusCode::kInvalidArgument);
    return MetadataOf(updated.status(), "field");
  }
};

TEST_F(SkuChangeHandlerTest, APausePreviewsAndIsAnnounced) {
  v1::SetSkuPausedRequest request = PauseRequest(true, "a break");
  request.set_preview(true);
  const auto preview = change_.SetPaused(request, kActor);
  ASSERT_TRUE(preview.ok()) << preview.status();
  EXPECT_EQ(preview->before().state(), v1::SKU_STATE_OPEN);
  EXPECT_FALSE(ledger_.GetSku("tv")->paused);
  request.set_preview(false);
  const auto paused = change_.SetPaused(request, kActor);
  ASSERT_TRUE(paused.ok()) << paused.status();
  EXPECT_EQ(paused->sku().DebugString(), preview->sku().DebugString());
  EXPECT_EQ(paused->sku().state(), v1::SKU_STATE_PAUSED);
  EXPECT_EQ(paused->sku().pause_reason(), "a break");
  EXPECT_EQ(Announced().state(), internal::v1::SkuAnnouncement::STATE_PAUSED);
  EXPECT_EQ(Announced().pause_reason(), "a break");
  const auto resumed = change_.SetPaused(PauseRequest(false), kActor);
  ASSERT_TRUE(resumed.ok()) << resumed.status();
  EXPECT_EQ(resumed->sku().state(), v1::SKU_STATE_OPEN);
  EXPECT_EQ(Announced().state(), internal::v1::SkuAnnouncement::STATE_OPEN);
}

TEST_F(SkuChangeHandlerTest, AChangeThatZookeeperDoesNotHearOfIsMadeWithAWarning) {
  const auto session = std::exchange(sessions_.session, nullptr);
  v1::SetSkuPausedRequest pause = PauseRequest(true);
  pause.set_preview(true);
  EXPECT_EQ(change_.SetPaused(pause, kActor)->warnings_size(), 0) << "nothing is announced";
  const auto paused = change_.SetPaused(PauseRequest(true), kActor);
  ASSERT_TRUE(paused.ok()) << paused.status();
  EXPECT_TRUE(ledger_.GetSku("tv")->paused);
  ASSERT_EQ(paused->warnings_size(), 1);
  EXPECT_EQ(paused->warnings(0), kNotAnnounced);
  EXPECT_EQ(change_.Update(PriceRequest(500), kActor)->warnings_size(), 1);
  v1::CloseSkuRequest close;
  close.set_sku_id("tv");
  EXPECT_EQ(sku_.Close(close, kActor)->warnings_size(), 1);
  v1::ReopenSkuRequest reopen;
  reopen.set_sku_id("tv");
  EXPECT_EQ(change_.Reopen(reopen, kActor)->warnings_size(), 1);
  v1::AddStockRequest add;
  add.set_sku_id("tv");
  add.set_units(5);
  EXPECT_EQ(stock_.Add(add, kActor)->warnings_size(), 1);
  v1::ReduceStockRequest reduce;
  reduce.set_sku_id("tv");
  reduce.set_units(5);
  EXPECT_EQ(stock_.Reduce(reduce, kActor)->warnings_size(), 1);
  v1::CreateSkuRequest create;
  *create.mutable_sku() = Tv();
  create.mutable_sku()->set_sku_id("radio");
  EXPECT_EQ(sku_.Create(create, kActor)->warnings_size(), 1);
  sessions_.session = session;
  EXPECT_EQ(change_.SetPaused(PauseRequest(false), kActor)->warnings_size(), 0);
}

TEST_F(SkuChangeHandlerTest, WhoHasSeenOtherTermsUndoesNoPause) {
  ASSERT_TRUE(change_.SetPaused(PauseRequest(true, "maintenance"), kActor).ok());
  v1::SetSkuPausedRequest resume = PauseRequest(false);
  resume.set_expected_terms_version(ledger_.GetSku("tv")->terms_version);
  ASSERT_TRUE(ledger_.SetSkuPaused("tv", true, "wrong price", std::nullopt, "bob").ok());
  const auto refused = change_.SetPaused(resume, kActor);
  EXPECT_EQ(ReasonOf(refused.status()), "TERMS_CHANGED");
  EXPECT_EQ(MetadataOf(refused.status(), "terms_version"), "3");
  EXPECT_EQ(MetadataOf(refused.status(), "changed_by"), "bob");
  EXPECT_EQ(ledger_.GetSku("tv")->pause_reason, "wrong price");
  resume.set_preview(true);
  EXPECT_EQ(ReasonOf(change_.SetPaused(resume, kActor).status()), "TERMS_CHANGED");
  resume.set_preview(false);
  resume.set_expected_terms_version(3);
  ASSERT_TRUE(change_.SetPaused(resume, kActor).ok());
  EXPECT_FALSE(ledger_.GetSku("tv")->paused);
  EXPECT_TRUE(change_.SetPaused(resume, kActor).ok()) << "it is so already";
}

TEST_F(SkuChangeHandlerTest, AReasonIsShortPlainTextOfAPause) {
  EXPECT_EQ(MetadataOf(change_.SetPaused(PauseRequest(false, "why"), kActor).status(), "field"), "reason");
  EXPECT_EQ(MetadataOf(change_.SetPaused(PauseRequest(true, "two\nlines"), kActor).status(), "field"), "reason");
  EXPECT_EQ(MetadataOf(change_.SetPaused(PauseRequest(true, std::string(201, 'x')), kActor).status(), "field"),
            "reason");
  std::string umlauts;
  for (int i = 0; i < 200; ++i) umlauts += "ä";
  EXPECT_TRUE(change_.SetPaused(PauseRequest(true, umlauts), kActor).ok()) << "characters, not bytes";
  v1::CreateSkuRequest create;
  *create.mutable_sku() = Tv();
  create.mutable_sku()->set_sku_id("other");
  create.mutable_sku()->set_pause_reason("soon");
  EXPECT_EQ(MetadataOf(sku_.Create(create, kActor).status(), "field"), "sku.pause_reason");
  create.mutable_sku()->set_paused(true);
  const auto created = sku_.Create(create, kActor);
  ASSERT_TRUE(created.ok()) << created.status();
  EXPECT_EQ(created->sku().state(), v1::SKU_STATE_PAUSED);
}

TEST_F(SkuChangeHandlerTest, WhatIsAbsentStaysAsItIs) {
  const auto before = ledger_.GetSku("tv");
  v1::UpdateSkuRequest request = PriceRequest(500);
  request.mutable_hold()->set_seconds(60);
  *request.mutable_close_time() = ToTimestamp(clock_.Now() + absl::Hours(1));
  request.set_preview(true);
  const auto preview = change_.Update(request, kActor);
  ASSERT_TRUE(preview.ok()) << preview.status();
  EXPECT_EQ(ledger_.GetSku("tv")->terms_version, 1);
  request.set_preview(false);
  const auto updated = change_.Update(request, kActor);
  ASSERT_TRUE(updated.ok()) << updated.status();
  EXPECT_EQ(updated->sku().DebugString(), preview->sku().DebugString());
  EXPECT_EQ(updated->sku().terms_version(), 2);
  EXPECT_EQ(updated->before().price_minor(), 19900);
  const storage::Sku after = *ledger_.GetSku("tv");
  EXPECT_EQ(after.price_minor, 500);
  EXPECT_EQ(after.hold, absl::Minutes(1));
  EXPECT_EQ(after.title, before->title);
  EXPECT_EQ(after.per_user_limit, before->per_user_limit);
  EXPECT_EQ(Announced().version(), after.quota_version);
  v1::UpdateSkuRequest clear;
  clear.set_sku_id("tv");
  clear.set_clear_close_time(true);
  ASSERT_TRUE(change_.Update(clear, kActor).ok());
  EXPECT_EQ(ledger_.GetSku("tv")->closes_at, absl::InfiniteFuture());
}

TEST_F(SkuChangeHandlerTest, AClaimPathIsATermOfTheSale) {
  v1::UpdateSkuRequest request;
  request.set_sku_id("tv");
  request.set_claim_path(v1::CLAIM_PATH_AUTO);
  const auto updated = change_.Update(request, kActor);
  ASSERT_TRUE(updated.ok()) << updated.status();
  EXPECT_EQ(updated->before().claim_path(), v1::CLAIM_PATH_DIRECT);
  EXPECT_EQ(updated->sku().claim_path(), v1::CLAIM_PATH_AUTO);
  EXPECT_EQ(updated->sku().terms_version(), updated->before().terms_version() + 1);
  EXPECT_EQ(ledger_.GetSku("tv")->claim_path, storage::ClaimPath::kAuto);
  EXPECT_EQ(change_.Update(PriceRequest(500), kActor)->sku().claim_path(), v1::CLAIM_PATH_AUTO) << "absent: as it is";
  request.set_claim_path(static_cast<v1::ClaimPath>(9));
  EXPECT_EQ(FieldOf(request), "claim_path");

  v1::CreateSkuRequest create;
  *create.mutable_sku() = Tv();
  create.mutable_sku()->set_sku_id("radio");
  create.mutable_sku()->set_claim_path(v1::CLAIM_PATH_QUEUE);
  EXPECT_EQ(sku_.Create(create, kActor)->sku().claim_path(), v1::CLAIM_PATH_QUEUE);
}

TEST_F(SkuChangeHandlerTest, AClaimPathThatThisNodeCannotTakeIsWarnedOf) {
  const auto warnings = [&](const CountConsumers& consumers, v1::ClaimPath path, bool preview = true) {
    SkuChangeHandler handler(&ledger_, &announcer_, &clock_, consumers);
    v1::UpdateSkuRequest request;
    request.set_sku_id("tv");
    request.set_claim_path(path);
    request.set_preview(preview);
    const auto updated = handler.Update(request, kActor);
    EXPECT_TRUE(updated.ok()) << updated.status();
    return updated->warnings_size() == 0 ? "" : updated->warnings(0);
  };
  EXPECT_EQ(warnings(nullptr, v1::CLAIM_PATH_QUEUE), kQueuesNothing);
  EXPECT_EQ(warnings(nullptr, v1::CLAIM_PATH_AUTO), kQueuesNothing);
  EXPECT_EQ(warnings(nullptr, v1::CLAIM_PATH_DIRECT), "");
  EXPECT_EQ(warnings(nullptr, v1::CLAIM_PATH_UNSPECIFIED), "");
  const CountConsumers two = [](const storage::Sku& sku) {
    EXPECT_EQ(sku.sku_id, "tv");
    return int64_t{2};
  };
  const CountConsumers none = [](const storage::Sku&) { return int64_t{0}; };
  const CountConsumers silent = [](const storage::Sku&) { return absl::UnavailableError("no answer in time"); };
  EXPECT_EQ(warnings(two, v1::CLAIM_PATH_QUEUE), "");
  EXPECT_EQ(warnings(none, v1::CLAIM_PATH_QUEUE), kNobodyTakes);
  EXPECT_EQ(warnings(none, v1::CLAIM_PATH_DIRECT), "");
  EXPECT_EQ(warnings(silent, v1::CLAIM_PATH_AUTO), kBrokerSilent);
  EXPECT_EQ(warnings(none, v1::CLAIM_PATH_QUEUE, /*preview=*/false), "") << "a change waits for no broker";
}

TEST_F(SkuChangeHandlerTest, ATimeThatTheLedgerCannotKeepIsCutBeforeItIsCompared) {
  v1::UpdateSkuRequest request;
  request.set_sku_id("tv");
  *request.mutable_open_time() = ToTimestamp(clock_.Now() + absl::Hours(1) + absl::Nanoseconds(123'456'789));
  *request.mutable_close_time() = ToTimestamp(clock_.Now() + absl::Hours(2) + absl::Nanoseconds(123'456'789));
  ASSERT_TRUE(change_.Update(request, kActor).ok());
  const storage::Sku after = *ledger_.GetSku("tv");
  EXPECT_EQ(after.opens_at, absl::FromUnixMicros(absl::ToUnixMicros(after.opens_at)));
  EXPECT_EQ(after.closes_at, absl::FromUnixMicros(absl::ToUnixMicros(after.closes_at)));
  v1::CreateSkuRequest create;
  *create.mutable_sku() = Tv();
  create.mutable_sku()->set_sku_id("other");
  *create.mutable_sku()->mutable_open_time() = request.open_time();
  ASSERT_TRUE(sku_.Create(create, kActor).ok());
  EXPECT_EQ(ledger_.GetSku("other")->opens_at, after.opens_at);
}

TEST_F(SkuChangeHandlerTest, WhatMayBeAbsentThenStaysAsItIs) {
  v1::UpdateSkuRequest request = PriceRequest(1);
  request.mutable_hold()->set_nanos(1);
  const absl::Status refused = change_.Update(request, kActor).status();
  EXPECT_TRUE(absl::StrContains(refused.message(), "or absent to leave it as it is")) << refused;
  v1::CreateSkuRequest create;
  *create.mutable_sku() = Tv();
  create.mutable_sku()->mutable_hold()->set_nanos(1);
  const absl::Status not_created = sku_.Create(create, kActor).status();
  EXPECT_TRUE(absl::StrContains(not_created.message(), "or absent for 15 minutes")) << not_created;
}

TEST_F(SkuChangeHandlerTest, AHoldAboveTheBoundThatIsThereSaysToSendBoth) {
  v1::UpdateSkuRequest request = PriceRequest(1);
  request.mutable_hold()->set_seconds(60);
  request.mutable_max_hold()->set_seconds(120);
  ASSERT_TRUE(change_.Update(request, kActor).ok());
  request.mutable_hold()->set_seconds(300);
  request.clear_max_hold();
  const absl::Status refused = change_.Update(request, kActor).status();
  EXPECT_EQ(MetadataOf(refused, "field"), "max_hold");
  EXPECT_TRUE(absl::StrContains(refused.message(), "send both")) << refused;
  request.mutable_max_hold()->set_seconds(600);
  EXPECT_TRUE(change_.Update(request, kActor).ok());
}

TEST_F(SkuChangeHandlerTest, TheFieldAtFaultIsNamed) {
  EXPECT_EQ(FieldOf(PriceRequest(-1)), "price_minor");
  v1::UpdateSkuRequest request = PriceRequest(1);
  request.set_per_user_limit(0);
  EXPECT_EQ(FieldOf(request), "per_user_limit");
  request = PriceRequest(1);
  request.mutable_max_hold()->set_seconds(60);
  EXPECT_EQ(FieldOf(request), "max_hold") << "shorter than the hold";
  request = PriceRequest(1);
  *request.mutable_close_time() = ToTimestamp(clock_.Now());
  EXPECT_EQ(FieldOf(request), "close_time") << "a close or a pause ends it now";
  request.set_clear_close_time(true);
  EXPECT_EQ(FieldOf(request), "clear_close_time");
  request = PriceRequest(1);
  request.set_title("two\nlines");
  EXPECT_EQ(FieldOf(request), "title");
  EXPECT_EQ(ledger_.GetSku("tv")->price_minor, 19900);
}

TEST_F(SkuChangeHandlerTest, AChangeThatWasBasedOnOtherTermsIsRefused) {
  v1::UpdateSkuRequest request = PriceRequest(500);
  request.set_expected_terms_version(1);
  ledger_.before_next_change = [this] { ASSERT_TRUE(ledger_.SetSkuPaused("tv", true, "", std::nullopt, "bob").ok()); };
  const auto refused = change_.Update(request, kActor);
  EXPECT_EQ(ReasonOf(refused.status()), "TERMS_CHANGED");
  EXPECT_EQ(MetadataOf(refused.status(), "terms_version"), "2");
  EXPECT_EQ(MetadataOf(refused.status(), "changed_by"), "bob");
  EXPECT_EQ(ledger_.GetSku("tv")->price_minor, 19900);
  request.set_preview(true);
  EXPECT_EQ(ReasonOf(change_.Update(request, kActor).status()), "TERMS_CHANGED");
  request = PriceRequest(19900);
  request.set_expected_terms_version(1);
  EXPECT_TRUE(change_.Update(request, kActor).ok()) << "it is so already";
}

TEST_F(SkuChangeHandlerTest, WithoutAnExpectationItIsMadeOverAnotherChange) {
  ledger_.before_next_change = [this] {
    storage::Sku sku = *ledger_.GetSku("tv");
    sku.title = "Another title";
    ASSERT_TRUE(ledger_.FakeLedger::UpdateSku(sku, "bob").ok());
  };
  const auto updated = change_.Update(PriceRequest(500), kActor);
  ASSERT_TRUE(updated.ok()) << updated.status();
  EXPECT_EQ(updated->sku().title(), "Another title");
  EXPECT_EQ(updated->sku().price_minor(), 500);
  EXPECT_EQ(updated->sku().terms_version(), 3);
}

TEST_F(SkuChangeHandlerTest, AfterManyLostRacesTheVersionIsThatOfNow) {
  int64_t price = 100;
  const std::function<void()> meddle = [&] {
    storage::Sku sku = *ledger_.GetSku("tv");
    sku.price_minor = ++price;
    ASSERT_TRUE(ledger_.FakeLedger::UpdateSku(sku, "bob").ok());
    ledger_.before_next_change = meddle;
  };
  ledger_.before_next_change = meddle;
  const auto refused = change_.Update(PriceRequest(500), kActor);
  EXPECT_EQ(ReasonOf(refused.status()), "TERMS_CHANGED");
  EXPECT_EQ(MetadataOf(refused.status(), "terms_version"), absl::StrCat(ledger_.GetSku("tv")->terms_version));
}

TEST_F(SkuChangeHandlerTest, AClosedSaleIsReopenedWithinItsWindow) {
  v1::UpdateSkuRequest update;
  update.set_sku_id("tv");
  *update.mutable_close_time() = ToTimestamp(clock_.Now() + absl::Hours(1));
  ASSERT_TRUE(change_.Update(update, kActor).ok());
  v1::CloseSkuRequest close;
  close.set_sku_id("tv");
  ASSERT_TRUE(sku_.Close(close, kActor).ok());
  v1::ReopenSkuRequest request;
  request.set_sku_id("tv");
  request.set_preview(true);
  const auto preview = change_.Reopen(request, kActor);
  ASSERT_TRUE(preview.ok()) << preview.status();
  EXPECT_EQ(preview->sku().state(), v1::SKU_STATE_OPEN);
  EXPECT_TRUE(ledger_.GetSku("tv")->closed);
  clock_.AdvanceBy(absl::Hours(1));
  request.set_preview(false);
  EXPECT_EQ(ReasonOf(change_.Reopen(request, kActor).status()), "SALE_CLOSED") << "it would be over";
  *update.mutable_close_time() = ToTimestamp(clock_.Now() + absl::Hours(1));
  ASSERT_TRUE(change_.Update(update, kActor).ok());
  const auto reopened = change_.Reopen(request, kActor);
  ASSERT_TRUE(reopened.ok()) << reopened.status();
  EXPECT_EQ(reopened->before().state(), v1::SKU_STATE_CLOSED);
  EXPECT_EQ(reopened->sku().state(), v1::SKU_STATE_OPEN);
  EXPECT_EQ(Announced().state(), internal::v1::SkuAnnouncement::STATE_OPEN);
}

TEST_F(SkuChangeHandlerTest, OfThoseThatAreUnknownNothingIsChanged) {
  v1::UpdateSkuRequest update = PriceRequest(1);
  update.set_sku_id("none");
  EXPECT_EQ(ReasonOf(change_.Update(update, kActor).status()), "SKU_NOT_FOUND");
  v1::SetSkuPausedRequest pause = PauseRequest(true);
  pause.set_sku_id("none");
  EXPECT_EQ(ReasonOf(change_.SetPaused(pause, kActor).status()), "SKU_NOT_FOUND");
}

TEST_F(SkuChangeHandlerTest, AClusterIsFrozenShardByShard) {
  storage::FakeLedger east(&clock_);
  std::vector<ClusterHandler::ShardOfCluster> shards = {{"home", &ledger_}, {"east", &east}, {"west", nullptr}};
  ClusterHandler cluster([&] { return shards; });
  v1::SetClusterFrozenRequest request;
  request.set_frozen(true);
  request.set_preview(true);
  ASSERT_TRUE(cluster.SetFrozen(request, kActor).ok());
  EXPECT_FALSE(ledger_.ReadClusterSettings()->frozen);
  request.set_preview(false);
  const auto frozen = cluster.SetFrozen(request, kActor);
  ASSERT_TRUE(frozen.ok()) << frozen.status();
  ASSERT_EQ(frozen->shards_size(), 3);
  EXPECT_FALSE(frozen->before(1).frozen());
  EXPECT_TRUE(frozen->shards(1).frozen());
  EXPECT_EQ(frozen->shards(1).changed_by(), kActor);
  EXPECT_FALSE(frozen->shards(2).answers()) << "and the others are changed nevertheless";
  EXPECT_TRUE(east.ReadClusterSettings()->frozen);
  EXPECT_TRUE(cluster.Get({})->shards(0).frozen());
  shards = {{"west", nullptr}};
  EXPECT_EQ(ReasonOf(cluster.SetFrozen(request, kActor).status()), "LEDGER_UNAVAILABLE");
}

// Answers so many reads of its settings.
class ForgetfulLedger : public storage::FakeLedger {
 public:
  ForgetfulLedger(storage::Clock* clock, int reads) : FakeLedger(clock), reads_left_(reads) {}
  absl::StatusOr<storage::ClusterSettings> ReadClusterSettings() override {
    if (reads_left_-- <= 0) return absl::UnavailableError("not now");
    return FakeLedger::ReadClusterSettings();
  }

 private:
  int reads_left_;
};

TEST_F(SkuChangeHandlerTest, AFreezeThatCannotBeReadBackIsNotDenied) {
  ForgetfulLedger ledger(&clock_, /*reads=*/1);
  ClusterHandler cluster([&] { return std::vector<ClusterHandler::ShardOfCluster>{{"home", &ledger}}; });
  v1::SetClusterFrozenRequest request;
  request.set_frozen(true);
  const auto frozen = cluster.SetFrozen(request, kActor);
  ASSERT_TRUE(frozen.ok()) << frozen.status();
  EXPECT_TRUE(frozen->shards(0).answers());
  EXPECT_TRUE(frozen->shards(0).frozen());
  EXPECT_EQ(frozen->shards(0).changed_by(), kActor);
  EXPECT_TRUE(ledger.FakeLedger::ReadClusterSettings()->frozen);
}

}  // namespace
}  // namespace tranche::server
