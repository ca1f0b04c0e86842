#include "server/handlers/enter_draw_handler.h"

#include <gmock/gmock.h>

#include <memory>
#include <optional>
#include <string>
#include <utility>

#include "server/admission/purchase_token.h"
#include "storage/ledger/ledger_error.h"
#include "tests/support/stub_books.h"
#include "tests/unit/server/door_fixture.h"
#include "tests/unit/server/error_matchers.h"

namespace tranche::server {
namespace {

constexpr char kEntered[] = "01890a5d-ac96-474b-bcce-b302099a8057";

// A handler whose pipeline answers as told and remembers what it was asked.
class EnterDrawHandlerTest : public ::testing::Test {
 protected:
  EnterDrawHandlerTest() {
    v1::FrontPolicy policy;
    policy.mutable_draw();
    door_.Set("tv", policy);
    answer_.draw_number = 3;
    answer_.entry_id = *storage::Uuid::Parse(kEntered);
    handler_.StartServing();
  }

  class Books : public tranche::testing::StubBooks {
   public:
    explicit Books(EnterDrawHandlerTest* test) : test_(test) {}

    void EnterDraw(const std::string& shard, storage::DrawEntryClaim claim, absl::Time deadline,
                   storage::EntryDone done) override {
      EXPECT_EQ(shard, "") << "nothing is known of the SKU";
      test_->claim_ = std::move(claim);
      test_->deadline_ = deadline;
      ++test_->calls_;
      if (!test_->error_.ok()) return done(test_->error_);
      done(test_->answer_);
    }

   private:
    EnterDrawHandlerTest* const test_;
  };

  using Answer = std::optional<absl::StatusOr<v1::EnterDrawResponse>>;

  static v1::EnterDrawRequest Request(const std::string& user = "alice") {
    v1::EnterDrawRequest request;
    request.set_sku_id("tv");
    request.set_user_id(user);
    return request;
  }
  // The answer appears there.
  std::shared_ptr<Answer> Begin(const v1::EnterDrawRequest& request, const std::string& address = "") {
    auto answer = std::make_shared<Answer>();
    handler_.Enter(request, clock_.Now() + absl::Seconds(2), address,
                   [answer](absl::StatusOr<v1::EnterDrawResponse> response) {
                     EXPECT_FALSE(answer->has_value()) << "answered twice";
                     *answer = std::move(response);
                   });
    return answer;
  }
  absl::StatusOr<v1::EnterDrawResponse> Enter(const v1::EnterDrawRequest& request) {
    return Begin(request)->value_or(absl::InternalError("not answered"));
  }
  // One try an hour, or a wait of two seconds at most.
  void LimitTries(absl::Duration per, absl::Duration max_wait = absl::ZeroDuration()) {
    v1::FrontPolicy policy = LimitByUser(1, per, max_wait);
    policy.mutable_draw();
    door_.Set("tv", policy);
  }

  storage::FakeClock clock_;
  DoorOfTest door_{&clock_};
  std::optional<quota::Refused> sale_says_;
  storage::DrawEntryResult answer_;
  absl::Status error_;
  storage::DrawEntryClaim claim_;
  absl::Time deadline_;
  int calls_ = 0;
  Books books_{this};
  quota::SliceTable slices_;
  EnterDrawHandler handler_{[this](const std::string& sku_id, quota::EntryChecked done) {
                              EXPECT_EQ(sku_id, "tv");
                              done(sale_says_);
                            },
                            &door_.door(), &books_, &slices_, &clock_};
};

TEST_F(EnterDrawHandlerTest, ABuyerEnters) {
  const auto entered = Enter(Request());
  ASSERT_TRUE(entered.ok()) << entered.status();
  EXPECT_EQ(entered->draw_number(), 3);
  EXPECT_EQ(entered->entry_id(), kEntered);
  EXPECT_FALSE(entered->replayed());
  EXPECT_EQ(claim_.sku_id, "tv");
  EXPECT_EQ(claim_.user_id, "alice");
  EXPECT_EQ(deadline_, clock_.Now() + absl::Seconds(2));
  answer_.replayed = true;
  EXPECT_TRUE(Enter(Request())->replayed());
}

TEST_F(EnterDrawHandlerTest, EveryBadFieldIsNamed) {
  struct Case {
    const char* reason;
    const char* field;
    void (*spoil)(v1::EnterDrawRequest&);
  };
  const Case cases[] = {
      {"SKU_ID_REQUIRED", "sku_id", [](auto& r) { r.clear_sku_id(); }},
      {"SKU_ID_MALFORMED", "sku_id", [](auto& r) { r.set_sku_id("*"); }},
      {"USER_ID_REQUIRED", "user_id", [](auto& r) { r.clear_user_id(); }},
      {"USER_ID_MALFORMED", "user_id", [](auto& r) { r.set_user_id("two\nlines"); }},
      {"FIELD_INVALID", "buyer_address", [](auto& r) { r.set_buyer_address("alice"); }},
      {"FIELD_INVALID", "purchase_token",
       [](auto& r) { r.set_purchase_token(std::string(kMaxPurchaseTokenBytes + 1, 't')); }},
  };
  for (const Case& bad : cases) {
    v1::EnterDrawRequest request = Request();
    bad.spoil(request);
    const absl::Status error = Enter(request).status();
    EXPECT_EQ(ReasonOf(error), bad.reason) << error;
    EXPECT_EQ(MetadataOf(error, "field"), bad.field) << error;
  }
  EXPECT_EQ(calls_, 0);
}

TEST_F(EnterDrawHandlerTest, WhatTheSaleSaysComesFirstButForUnits) {
  LimitTries(absl::Hours(1));
  for (const storage::Refusal refusal :
       {storage::Refusal::kSaleNotOpen, storage::Refusal::kSalePaused, storage::Refusal::kSaleClosed}) {
    sale_says_ = quota::Refused{.refusal = refusal};
    EXPECT_EQ(Enter(Request()).status(), RefusalError(*sale_says_, "tv"));
  }
  EXPECT_EQ(calls_, 0);
  sale_says_ = quota::Refused{.refusal = storage::Refusal::kSoldOut};
  EXPECT_TRUE(Enter(Request()).ok()) << "an entry takes no unit, and no try was used up";
  EXPECT_EQ(ReasonOf(Enter(Request()).status()), "RATE_LIMITED");
}

TEST_F(EnterDrawHandlerTest, WithoutADrawInThePolicyNobodyEnters) {
  door_.Set("tv", v1::FrontPolicy());
  const absl::Status error = Enter(Request()).status();
  EXPECT_EQ(ReasonOf(error), "DRAW_NOT_OPEN");
  EXPECT_EQ(MetadataOf(error, "sku_id"), "tv");
  EXPECT_EQ(MetadataOf(error, "state"), "");
  EXPECT_EQ(calls_, 0);
}

TEST_F(EnterDrawHandlerTest, TheDoorKeepsBuyersOut) {
  v1::FrontPolicy policy;
  policy.mutable_draw();
  policy.mutable_purchase_token();
  door_.Set("tv", policy);
  door_.SetAccess({DenyUser("mallory"), DenyAddress("203.0.113.0/24")});
  EXPECT_EQ(ReasonOf(Enter(Request("mallory")).status()), "DENIED");
  EXPECT_EQ(ReasonOf((*Begin(Request(), "203.0.113.7"))->status()), "DENIED");
  EXPECT_EQ(ReasonOf(Enter(Request()).status()), "PURCHASE_TOKEN_REQUIRED");
  EXPECT_EQ(calls_, 0);
  v1::EnterDrawRequest request = Request();
  request.set_purchase_token(MakePurchaseToken(door_.keys(), "tv", "alice", absl::Minutes(1), clock_.Now()).text);
  EXPECT_TRUE(Enter(request).ok());
  request.set_user_id("bob");
  EXPECT_EQ(ReasonOf(Enter(request).status()), "PURCHASE_TOKEN_INVALID");
  EXPECT_EQ(calls_, 1);
}

TEST_F(EnterDrawHandlerTest, WhatTheLedgerRefusesIsTold) {
  answer_ = {.refusal = storage::Refusal::kDrawNotOpen, .state = storage::DrawState::kClosed};
  absl::Status error = Enter(Request()).status();
  EXPECT_EQ(ReasonOf(error), "DRAW_NOT_OPEN");
  EXPECT_EQ(MetadataOf(error, "state"), "CLOSED");
  EXPECT_EQ(MetadataOf(error, "sku_id"), "tv");
  answer_.state.reset();
  EXPECT_EQ(MetadataOf(Enter(Request()).status(), "state"), "");
  answer_ = {.refusal = storage::Refusal::kDrawFull};
  error = Enter(Request()).status();
  EXPECT_EQ(ReasonOf(error), "DRAW_FULL");
  EXPECT_EQ(MetadataOf(error, "sku_id"), "tv");
  answer_ = {.refusal = storage::Refusal::kSkuNotFound};
  EXPECT_EQ(ReasonOf(Enter(Request()).status()), "SKU_NOT_FOUND");
}

TEST_F(EnterDrawHandlerTest, ALostAnswerMayBeAskedForAgain) {
  error_ = storage::UnknownCommitError("lost");
  const absl::Status lost = Enter(Request()).status();
  EXPECT_EQ(ReasonOf(lost), "COMMIT_UNKNOWN");
  EXPECT_EQ(lost.code(), absl::StatusCode::kUnavailable);
  error_ = absl::UnavailableError("down");
  EXPECT_EQ(ReasonOf(Enter(Request()).status()), "LEDGER_UNAVAILABLE");
  error_ = absl::ResourceExhaustedError("full");
  EXPECT_EQ(ReasonOf(Enter(Request()).status()), "OVERLOADED");
  error_ = absl::DeadlineExceededError("late");
  EXPECT_EQ(ReasonOf(Enter(Request()).status()), "DEADLINE_PASSED");
  error_ = absl::CancelledError("stopping");
  EXPECT_EQ(ReasonOf(Enter(Request()).status()), "DRAINING");
}

TEST_F(EnterDrawHandlerTest, WhoIsTooEarlyEntersWhenTheirTurnComes) {
  LimitTries(absl::Seconds(1), /*max_wait=*/absl::Seconds(2));
  EXPECT_TRUE(Enter(Request()).ok());
  const auto waits = Begin(Request());
  door_.turns().CallDue();
  EXPECT_FALSE(waits->has_value());
  EXPECT_EQ(calls_, 1);
  clock_.AdvanceBy(absl::Seconds(1));
  door_.turns().CallDue();
  ASSERT_TRUE(waits->has_value());
  EXPECT_TRUE((*waits)->ok()) << (*waits)->status();
  EXPECT_EQ(calls_, 2);
  EXPECT_EQ(claim_.user_id, "alice");
}

TEST_F(EnterDrawHandlerTest, WhoWaitsWhenTheNodeEndsIsSentElsewhere) {
  LimitTries(absl::Seconds(1), /*max_wait=*/absl::Seconds(2));
  EXPECT_TRUE(Enter(Request()).ok());
  const auto waits = Begin(Request());
  EXPECT_FALSE(waits->has_value());
  handler_.SetAccepting(false);
  door_.turns().End();
  ASSERT_TRUE(waits->has_value());
  EXPECT_EQ(ReasonOf((*waits)->status()), "DRAINING");
  handler_.SetAccepting(true);
  clock_.AdvanceBy(absl::Seconds(1));
  const auto ended = Begin(Request());
  ASSERT_TRUE(ended->has_value());
  EXPECT_EQ(ReasonOf((*ended)->status()), "DRAINING") << "where nobody can wait any more";
  EXPECT_EQ(calls_, 1);
}

TEST_F(EnterDrawHandlerTest, ANodeThatDrainsOrIsNotReadySendsCallersElsewhere) {
  handler_.SetAccepting(false);
  EXPECT_EQ(ReasonOf(Enter(Request()).status()), "DRAINING");
  EnterDrawHandler starting([](const std::string&, quota::EntryChecked) { FAIL() << "asked before it was ready"; },
                            &door_.door(), &books_, &slices_, &clock_);
  absl::Status error;
  starting.Enter(Request(), clock_.Now() + absl::Seconds(1), "",
                 [&](absl::StatusOr<v1::EnterDrawResponse> response) { error = response.status(); });
  EXPECT_EQ(ReasonOf(error), "EXHAUSTED_HERE");
  EXPECT_EQ(calls_, 0);
}

}  // namespace
}  // namespace tranche::server
