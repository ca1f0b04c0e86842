#include "server/handlers/draw_admin_handler.h"

#include <gmock/gmock.h>

#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "absl/strings/str_cat.h"
#include "server/admission/front_policy.h"
#include "server/handlers/field_checks.h"
#include "storage/fake/fake_front_ledger.h"
#include "storage/ledger/ledger_error.h"
#include "tests/unit/server/admin_fixture.h"
#include "tests/unit/server/draw_fixture.h"

namespace tranche::server {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::IsEmpty;
using ::testing::UnorderedElementsAre;

// A ledger that loses its next answer, and knows which seeds it was given.
class LossyDraws : public storage::FakeDrawLedger {
 public:
  using FakeDrawLedger::FakeDrawLedger;

  absl::StatusOr<storage::Draw> CreateDraw(const storage::NewDraw& draw, bool preview,
                                           const storage::Actor& actor) override {
    absl::StatusOr<storage::Draw> created = FakeDrawLedger::CreateDraw(draw, preview, actor);
    if (std::exchange(loses_next, false)) return storage::UnknownCommitError("lost");
    return created;
  }

  absl::StatusOr<storage::Draw> ChangeDraw(const storage::DrawKey& key, storage::DrawStep step, const std::string& seed,
                                           bool preview, const storage::Actor& actor) override {
    if (!seed.empty()) seeds_given.push_back(seed);
    return FakeDrawLedger::ChangeDraw(key, step, seed, preview, actor);
  }

  bool loses_next = false;
  std::vector<std::string> seeds_given;
};

// The SKU "ps5": 10 units, which wait in the pool, two for a buyer at most. Its policy has a draw and a token.
class DrawAdminHandlerTest : public AdminHandlersTest {
 protected:
  void SetUp() override {
    AdminHandlersTest::SetUp();
    v1::CreateSkuRequest request;
    *request.mutable_sku() = Tv();
    request.mutable_sku()->set_sku_id("ps5");
    request.mutable_sku()->set_stock(10);
    request.mutable_sku()->set_per_user_limit(2);
    request.mutable_sku()->set_on_demand(true);
    ASSERT_TRUE(sku_.Create(request, kActor).ok());
    v1::FrontPolicy policy;
    policy.mutable_draw();
    policy.mutable_purchase_token();
    SetPolicy("ps5", policy);
  }

  void SetPolicy(const std::string& sku_id, const v1::FrontPolicy& policy) {
    StoreDocument(sku_id, ToDocument(policy));
  }
  void StoreDocument(const std::string& sku_id, const std::string& document) {
    storage::FrontPolicyChange change;
    change.sku_id = sku_id;
    change.document = document;
    ASSERT_TRUE(front_.SetFrontPolicy(change, /*preview=*/false, kActor).ok());
  }

  static v1::CreateDrawRequest NewDraw(int winners = 3) {
    v1::CreateDrawRequest request;
    request.set_sku_id("ps5");
    request.set_winners(winners);
    request.set_seed_commitment(Sha256(kDrawSeed));
    return request;
  }
  v1::CreateDrawResponse MustCreate(const v1::CreateDrawRequest& request) {
    const auto response = handler_.Create(request, kActor);
    EXPECT_TRUE(response.ok()) << response.status();
    return response.value_or(v1::CreateDrawResponse());
  }
  static v1::ChangeDrawRequest Step(v1::ChangeDrawRequest::Step step, int64_t number = 1) {
    v1::ChangeDrawRequest request;
    request.set_sku_id("ps5");
    request.set_draw_number(number);
    request.set_step(step);
    if (step == v1::ChangeDrawRequest::STEP_SEED) request.set_seed(kDrawSeed);
    return request;
  }
  v1::Draw MustChange(const v1::ChangeDrawRequest& request) {
    const auto response = handler_.Change(request, kActor);
    EXPECT_TRUE(response.ok()) << response.status();
    return response.ok() ? response->draw() : v1::Draw();
  }
  std::vector<v1::Draw> Draws(const std::string& sku_id = "") {
    v1::ListDrawsRequest request;
    request.set_sku_id(sku_id);
    const auto response = handler_.List(request);
    EXPECT_TRUE(response.ok()) << response.status();
    if (!response.ok()) return {};
    return {response->draws().begin(), response->draws().end()};
  }
  // The ids of all pages, one after the other.
  std::string ListedIds(int page_size) {
    std::string ids;
    v1::ListDrawEntriesRequest request;
    request.set_sku_id("ps5");
    request.set_page_size(page_size);
    do {
      const auto page = handler_.ListEntries(request);
      EXPECT_TRUE(page.ok()) << page.status();
      if (!page.ok()) break;
      ids += page->entry_ids();
      request.set_page_token(page->next_page_token());
    } while (!request.page_token().empty());
    return ids;
  }

  storage::FakeFrontLedger front_{&clock_, &ledger_};
  DrawsOf<LossyDraws> draws_{&ledger_, &clock_};
  DrawAdminHandler handler_{&draws_.ledger(), &ledger_, &front_, &clock_};
  const storage::DrawKey key_{"ps5", 1};
};

TEST_F(DrawAdminHandlerTest, ADrawIsCreatedListedAndTakenToItsEnd) {
  const v1::CreateDrawResponse created = MustCreate(NewDraw());
  EXPECT_THAT(created.warnings(), IsEmpty());
  EXPECT_EQ(created.draw().number(), 1);
  EXPECT_EQ(created.draw().state(), v1::Draw::STATE_OPEN);
  EXPECT_EQ(created.draw().winners(), 3);
  EXPECT_EQ(created.draw().quantity(), 1);
  EXPECT_EQ(created.draw().seed_commitment(), Sha256(kDrawSeed));
  draws_.Enter(key_, 5);
  ASSERT_EQ(Draws("ps5").size(), 1u);
  EXPECT_EQ(Draws("ps5")[0].entries(), 5) << "exact for operators";
  EXPECT_EQ(Draws().size(), 1u);
  EXPECT_THAT(Draws("tv"), IsEmpty());

  EXPECT_EQ(MustChange(Step(v1::ChangeDrawRequest::STEP_CLOSE)).state(), v1::Draw::STATE_CLOSING);
  EXPECT_EQ(MustChange(Step(v1::ChangeDrawRequest::STEP_CLOSE)).state(), v1::Draw::STATE_CLOSING) << "harmless";
  draws_.Seal(key_);
  EXPECT_EQ(MustChange(Step(v1::ChangeDrawRequest::STEP_SEED)).state(), v1::Draw::STATE_SEEDED);
  draws_.Rank(key_);
  EXPECT_EQ(MustChange(Step(v1::ChangeDrawRequest::STEP_FINISH)).state(), v1::Draw::STATE_FINISHED);
  EXPECT_EQ(MustChange(Step(v1::ChangeDrawRequest::STEP_REMOVE)).state(), v1::Draw::STATE_FINISHED);
  EXPECT_THAT(Draws(), IsEmpty());
  EXPECT_EQ(MustCreate(NewDraw()).draw().number(), 2);
}

TEST_F(DrawAdminHandlerTest, PreviewsChangeNothing) {
  v1::CreateDrawRequest request = NewDraw();
  request.set_preview(true);
  EXPECT_EQ(MustCreate(request).draw().number(), 1);
  EXPECT_THAT(Draws(), IsEmpty());
  MustCreate(NewDraw());
  v1::ChangeDrawRequest close = Step(v1::ChangeDrawRequest::STEP_CLOSE);
  close.set_preview(true);
  EXPECT_EQ(MustChange(close).state(), v1::Draw::STATE_CLOSING);
  EXPECT_EQ(Draws()[0].state(), v1::Draw::STATE_OPEN);
}

TEST_F(DrawAdminHandlerTest, WithoutADrawInItsPolicyASkuIsSoldToWhoeverClaims) {
  v1::CreateDrawRequest request = NewDraw();
  request.set_sku_id("tv");
  const absl::Status none = handler_.Create(request, kActor).status();
  EXPECT_EQ(ReasonOf(none), "DRAW_STATE");
  EXPECT_EQ(MetadataOf(none, "sku_id"), "tv");
  EXPECT_THAT(std::string(none.message()), HasSubstr("tranchectl door set"));
  v1::FrontPolicy lottery;
  lottery.mutable_purchase_token();
  SetPolicy("tv", lottery);
  EXPECT_EQ(ReasonOf(handler_.Create(request, kActor).status()), "DRAW_STATE");
  StoreDocument("tv", R"({"draw":{},"of_tomorrow":{}})");
  const absl::Status unreadable = handler_.Create(request, kActor).status();
  EXPECT_EQ(ReasonOf(unreadable), "DRAW_STATE");
  EXPECT_THAT(std::string(unreadable.message()), HasSubstr("newer version"));
  EXPECT_THAT(Draws(), IsEmpty());
}

TEST_F(DrawAdminHandlerTest, OperatorsAreWarned) {
  v1::FrontPolicy open_to_all;
  open_to_all.mutable_draw();
  SetPolicy("ps5", open_to_all);
  v1::CreateDrawRequest request = NewDraw(/*winners=*/6);
  request.set_quantity(2);
  request.set_preview(true);
  EXPECT_THAT(MustCreate(request).warnings(),
              UnorderedElementsAre(HasSubstr("pool has 10 units, and the winners are to get 12"),
                                   HasSubstr("neither a token nor a limit")));
  request.set_winners(5);
  EXPECT_THAT(MustCreate(request).warnings(), ElementsAre(HasSubstr("neither a token nor a limit")));
  ASSERT_TRUE(ledger_.SetSkuPaused("ps5", true, "", std::nullopt, kActor).ok());
  EXPECT_THAT(MustCreate(request).warnings(),
              UnorderedElementsAre(HasSubstr("paused"), HasSubstr("neither a token nor a limit")));
  ASSERT_TRUE(ledger_.CloseSku("ps5", kActor).ok());
  EXPECT_THAT(MustCreate(request).warnings(),
              UnorderedElementsAre(HasSubstr("paused"), HasSubstr("is over"), HasSubstr("neither")));

  SetPolicy("tv", open_to_all);
  request = NewDraw(/*winners=*/1);
  request.set_sku_id("tv");
  request.set_preview(true);
  EXPECT_THAT(MustCreate(request).warnings(), ::testing::Contains(HasSubstr("split over all nodes")));
}

TEST_F(DrawAdminHandlerTest, ASaleThatIsNotOpenYetIsToldWithItsTime) {
  absl::StatusOr<storage::Sku> sku = ledger_.GetSku("ps5");
  ASSERT_TRUE(sku.ok()) << sku.status();
  sku->opens_at = clock_.Now() + absl::Hours(1);
  ASSERT_TRUE(ledger_.UpdateSku(*sku, kActor).ok());
  EXPECT_THAT(MustCreate(NewDraw()).warnings(), ElementsAre(HasSubstr("not open yet")));
}

TEST_F(DrawAdminHandlerTest, EveryBadFieldOfANewDrawIsNamed) {
  struct Case {
    const char* reason;
    const char* field;
    void (*spoil)(v1::CreateDrawRequest&);
  };
  const Case cases[] = {
      {"SKU_ID_REQUIRED", "sku_id", [](auto& r) { r.clear_sku_id(); }},
      {"SKU_ID_MALFORMED", "sku_id", [](auto& r) { r.set_sku_id("*"); }},
      {"FIELD_INVALID", "winners", [](auto& r) { r.set_winners(0); }},
      {"FIELD_INVALID", "winners", [](auto& r) { r.set_winners(storage::kMaxDrawWinners + 1); }},
      {"FIELD_INVALID", "quantity", [](auto& r) { r.set_quantity(-1); }},
      {"FIELD_INVALID", "quantity", [](auto& r) { r.set_quantity(3); }},
      {"FIELD_INVALID", "seed_commitment", [](auto& r) { r.clear_seed_commitment(); }},
      {"FIELD_INVALID", "seed_commitment", [](auto& r) { r.set_seed_commitment(std::string(31, 'c')); }},
      {"FIELD_INVALID", "seed_commitment", [](auto& r) { r.set_public_source("drand"); }},
      {"FIELD_INVALID", "public_source",
       [](auto& r) {
         r.clear_seed_commitment();
         r.set_public_source(std::string(201, 'd'));
       }},
      {"FIELD_INVALID", "public_source",
       [](auto& r) {
         r.clear_seed_commitment();
         r.set_public_source("two\nlines");
       }},
      {"FIELD_INVALID", "expected_number", [](auto& r) { r.set_expected_number(0); }},
  };
  for (const Case& bad : cases) {
    v1::CreateDrawRequest request = NewDraw();
    bad.spoil(request);
    const absl::Status error = handler_.Create(request, kActor).status();
    EXPECT_EQ(ReasonOf(error), bad.reason) << request.DebugString();
    EXPECT_EQ(MetadataOf(error, "field"), bad.field) << request.DebugString();
  }
  v1::CreateDrawRequest unknown = NewDraw();
  unknown.set_sku_id("desk");
  EXPECT_EQ(ReasonOf(handler_.Create(unknown, kActor).status()), "SKU_NOT_FOUND");
  EXPECT_THAT(Draws(), IsEmpty());
}

TEST_F(DrawAdminHandlerTest, APublicSourceIsTaken) {
  v1::CreateDrawRequest request = NewDraw();
  request.clear_seed_commitment();
  request.set_public_source("drand quicknet, round 12345678");
  const v1::Draw draw = MustCreate(request).draw();
  EXPECT_EQ(draw.public_source(), request.public_source());
  EXPECT_EQ(draw.seed_commitment(), "");
}

TEST_F(DrawAdminHandlerTest, ASkuHasOneDrawAtATime) {
  MustCreate(NewDraw());
  v1::CreateDrawRequest another = NewDraw(/*winners=*/1);
  const absl::Status error = handler_.Create(another, kActor).status();
  EXPECT_EQ(ReasonOf(error), "DRAW_STATE");
  EXPECT_EQ(MetadataOf(error, "draw_number"), "1");
  EXPECT_EQ(MetadataOf(error, "state"), "OPEN");
  EXPECT_THAT(std::string(error.message()), HasSubstr("Draw 1 of this SKU is OPEN. A SKU has one draw at a time"));
}

TEST_F(DrawAdminHandlerTest, OnlyWithANumberACreationMayBeRepeated) {
  draws_.ledger().loses_next = true;
  const absl::Status lost = handler_.Create(NewDraw(), kActor).status();
  EXPECT_EQ(ReasonOf(lost), "COMMIT_UNKNOWN");
  EXPECT_EQ(lost.code(), absl::StatusCode::kUnknown);
  v1::CreateDrawRequest numbered = NewDraw();
  numbered.set_expected_number(1);
  draws_.ledger().loses_next = true;
  EXPECT_EQ(handler_.Create(numbered, kActor).status().code(), absl::StatusCode::kUnavailable);
  EXPECT_EQ(MustCreate(numbered).draw().number(), 1);
  EXPECT_EQ(Draws().size(), 1u);
}

TEST_F(DrawAdminHandlerTest, AStepThatTheStateForbidsIsRefusedWithTheNextOne) {
  MustCreate(NewDraw());
  for (const auto step :
       {v1::ChangeDrawRequest::STEP_SEED, v1::ChangeDrawRequest::STEP_FINISH, v1::ChangeDrawRequest::STEP_REMOVE}) {
    const absl::Status error = handler_.Change(Step(step), kActor).status();
    EXPECT_EQ(ReasonOf(error), "DRAW_STATE") << step;
    EXPECT_EQ(MetadataOf(error, "draw_number"), "1") << step;
    EXPECT_EQ(MetadataOf(error, "state"), "OPEN") << step;
  }
  draws_.Seal(key_);
  v1::ChangeDrawRequest wrong = Step(v1::ChangeDrawRequest::STEP_SEED);
  wrong.set_seed(std::string(20, 'x'));
  const absl::Status mismatch = handler_.Change(wrong, kActor).status();
  EXPECT_EQ(ReasonOf(mismatch), "DRAW_SEED_MISMATCH");
  EXPECT_EQ(MetadataOf(mismatch, "sku_id"), "ps5");
  EXPECT_EQ(MetadataOf(mismatch, "draw_number"), "1");
  EXPECT_EQ(MustChange(Step(v1::ChangeDrawRequest::STEP_CANCEL)).state(), v1::Draw::STATE_CANCELLED);
  EXPECT_EQ(ReasonOf(handler_.Change(Step(v1::ChangeDrawRequest::STEP_CLOSE, 2), kActor).status()), "DRAW_NOT_FOUND");
}

TEST_F(DrawAdminHandlerTest, BeforeTheListIsSealedTheLedgerIsGivenNoSeed) {
  MustCreate(NewDraw());
  draws_.Enter(key_, 5);
  for (const char* state : {"OPEN", "CLOSING"}) {
    for (const bool preview : {true, false}) {
      v1::ChangeDrawRequest seed = Step(v1::ChangeDrawRequest::STEP_SEED);
      seed.set_preview(preview);
      const absl::Status error = handler_.Change(seed, kActor).status();
      EXPECT_EQ(ReasonOf(error), "DRAW_STATE");
      EXPECT_EQ(MetadataOf(error, "state"), state);
      EXPECT_THAT(std::string(error.message()), HasSubstr("once the list of entries is sealed"));
    }
    draws_.Take(key_, storage::DrawStep::kClose);
  }
  EXPECT_THAT(draws_.ledger().seeds_given, IsEmpty());
  draws_.Seal(key_);
  MustChange(Step(v1::ChangeDrawRequest::STEP_SEED));
  EXPECT_THAT(draws_.ledger().seeds_given, ElementsAre(kDrawSeed));
}

TEST_F(DrawAdminHandlerTest, EveryBadFieldOfAChangeIsNamed) {
  struct Case {
    const char* field;
    void (*spoil)(v1::ChangeDrawRequest&);
  };
  const Case cases[] = {
      {"sku_id", [](auto& r) { r.clear_sku_id(); }},
      {"draw_number", [](auto& r) { r.set_draw_number(0); }},
      {"step", [](auto& r) { r.clear_step(); }},
      {"step", [](auto& r) { r.set_step(static_cast<v1::ChangeDrawRequest::Step>(9)); }},
      {"seed", [](auto& r) { r.set_seed(std::string(15, 's')); }},
      {"seed", [](auto& r) { r.set_seed(std::string(65, 's')); }},
      {"seed", [](auto& r) { r.set_step(v1::ChangeDrawRequest::STEP_CLOSE); }},
  };
  for (const Case& bad : cases) {
    v1::ChangeDrawRequest request = Step(v1::ChangeDrawRequest::STEP_SEED);
    bad.spoil(request);
    EXPECT_EQ(MetadataOf(handler_.Change(request, kActor).status(), "field"), bad.field) << request.DebugString();
  }
}

TEST_F(DrawAdminHandlerTest, TheSealedListIsThereInPages) {
  MustCreate(NewDraw());
  draws_.Enter(key_, 7);
  v1::ListDrawEntriesRequest request;
  request.set_sku_id("ps5");
  request.set_draw_number(1);
  const absl::Status open = handler_.ListEntries(request).status();
  EXPECT_EQ(ReasonOf(open), "DRAW_STATE");
  EXPECT_EQ(MetadataOf(open, "state"), "OPEN");
  draws_.Take(key_, storage::DrawStep::kClose);
  EXPECT_EQ(MetadataOf(handler_.ListEntries(request).status(), "state"), "CLOSING") << "not sealed yet";
  draws_.Seal(key_);

  std::string expected;
  for (const storage::Uuid& id : draws_.Entries(key_)) expected.append(id.bytes.begin(), id.bytes.end());
  ASSERT_EQ(expected.size(), 7u * 16);
  for (const int page_size : {1, 3, 7, 8, 0, 20'000}) EXPECT_EQ(ListedIds(page_size), expected) << page_size;
}

TEST_F(DrawAdminHandlerTest, AwardsAreThereInPagesByPlace) {
  MustCreate(NewDraw(/*winners=*/5));
  draws_.Enter(key_, 8);
  draws_.Seal(key_);
  draws_.Rank(key_);
  ASSERT_TRUE(draws_.ledger().AwardDraw(key_, 100).ok());
  std::vector<int64_t> places;
  v1::ListDrawAwardsRequest request;
  request.set_sku_id("ps5");
  request.set_page_size(2);
  do {
    const auto page = handler_.ListAwards(request);
    ASSERT_TRUE(page.ok()) << page.status();
    for (const v1::DrawAward& award : page->awards()) {
      places.push_back(award.place());
      EXPECT_EQ(award.outcome(), v1::GetDrawEntryResponse::OUTCOME_PENDING);
      EXPECT_TRUE(storage::Uuid::Parse(award.entry_id()).has_value());
      EXPECT_TRUE(storage::Uuid::Parse(award.reservation_id()).has_value());
      EXPECT_THAT(award.user_id(), HasSubstr("u"));
      EXPECT_TRUE(award.has_award_time());
    }
    request.set_page_token(page->next_page_token());
  } while (!request.page_token().empty());
  EXPECT_THAT(places, ElementsAre(1, 2, 3, 4, 5));
}

TEST_F(DrawAdminHandlerTest, OnlyOurPageTokensAreTaken) {
  MustCreate(NewDraw());
  draws_.Enter(key_, 3);
  draws_.Seal(key_);
  const std::string id = draws_.Entries(key_)[0].ToString();
  const std::string others[] = {"x",
                                EncodePageToken("ps5"),
                                EncodePageToken("ps5/1/"),
                                EncodePageToken(absl::StrCat("tv/1/", id)),
                                EncodePageToken(absl::StrCat("ps5/2/", id)),
                                EncodePageToken(absl::StrCat("ps5/0/", id)),
                                EncodePageToken("ps5/1/not-an-id"),
                                EncodePageToken(absl::StrCat("ps5/1/", id, "/"))};
  for (const std::string& token : others) {
    v1::ListDrawEntriesRequest entries;
    entries.set_sku_id("ps5");
    entries.set_draw_number(1);
    entries.set_page_token(token);
    EXPECT_EQ(MetadataOf(handler_.ListEntries(entries).status(), "field"), "page_token") << token;
    v1::ListDrawAwardsRequest awards;
    awards.set_sku_id("ps5");
    awards.set_draw_number(1);
    awards.set_page_token(token);
    EXPECT_EQ(MetadataOf(handler_.ListAwards(awards).status(), "field"), "page_token") << token;
  }
}

TEST_F(DrawAdminHandlerTest, GarbageInAListIsNamed) {
  v1::ListDrawEntriesRequest entries;
  EXPECT_EQ(MetadataOf(handler_.ListEntries(entries).status(), "field"), "sku_id");
  entries.set_sku_id("ps5");
  EXPECT_EQ(ReasonOf(handler_.ListEntries(entries).status()), "DRAW_NOT_FOUND");
  entries.set_draw_number(-1);
  EXPECT_EQ(MetadataOf(handler_.ListEntries(entries).status(), "field"), "draw_number");
  entries.set_draw_number(0);
  entries.set_page_size(-1);
  EXPECT_EQ(MetadataOf(handler_.ListEntries(entries).status(), "field"), "page_size");
  v1::ListDrawAwardsRequest awards;
  awards.set_sku_id("desk");
  EXPECT_EQ(ReasonOf(handler_.ListAwards(awards).status()), "SKU_NOT_FOUND");
  awards.set_page_size(-1);
  EXPECT_EQ(MetadataOf(handler_.ListAwards(awards).status(), "field"), "page_size");
  v1::ListDrawsRequest draws;
  draws.set_sku_id("*");
  EXPECT_EQ(ReasonOf(handler_.List(draws).status()), "SKU_ID_MALFORMED");
}

}  // namespace
}  // namespace tranche::server
