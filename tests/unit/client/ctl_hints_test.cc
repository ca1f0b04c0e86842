#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <map>
#include <string>

#include "client/ctl/hints.h"
#include "client/internal/status_translation.h"

namespace tranche::ctl {
namespace {

using ::testing::AllOf;
using ::testing::HasSubstr;
using ::testing::Not;

// What is advised when the cluster has refused a change for this reason.
std::string Hint(const std::string& reason, const std::map<std::string, std::string>& metadata = {}) {
  absl::Status status = absl::FailedPreconditionError("refused");
  internal::SetReason(status, reason);
  for (const auto& [key, value] : metadata) internal::SetMetadata(status, key, value);
  return NextStepFor(status, /*changed_nothing=*/true);
}

TEST(HintsTest, OfAShardFitWhatItIsAbout) {
  EXPECT_THAT(Hint("SHARD_STATE", {{"shard", "hot"}, {"sku_id", "tv"}}), HasSubstr("sku show"));
  EXPECT_THAT(Hint("SHARD_STATE", {{"shard", "hot"}}), HasSubstr("shard list"));
  for (const auto& metadata : {std::map<std::string, std::string>{}, {{"sku_id", "tv"}}}) {
    EXPECT_THAT(Hint("SHARD_STATE", metadata), Not(HasSubstr("--abort"))) << "it may be what was typed";
  }
}

// A hint that is not true sends the reader on the wrong way.
TEST(HintsTest, ClaimNothingThatMayBeFalse) {
  EXPECT_THAT(Hint("EXTENSION_OUT_OF_ORDER", {{"extensions", "0"}}),
              AllOf(HasSubstr("--extension"), Not(HasSubstr("somebody"))))
      << "it may have been typed";
  for (const char* reason : {"STOCK_CHANGED", "QUOTA_VERSION_CHANGED"}) {
    EXPECT_THAT(Hint(reason), AllOf(HasSubstr("preview again"), HasSubstr("--expect-"), Not(HasSubstr("somebody"))));
  }
  EXPECT_THAT(Hint("RESERVATION_NOT_FOUND"), HasSubstr("retired"));
  EXPECT_THAT(Hint("OUTBOX_MESSAGE_NOT_FOUND"), HasSubstr("mistyped"));
  EXPECT_THAT(Hint("RESERVATION_STATE", {{"state", "CONFIRMED"}}), HasSubstr("only a PENDING one"));
  EXPECT_THAT(Hint("RESERVATION_STATE", {{"state", "PENDING"}}), Not(HasSubstr("only a PENDING one")));
  EXPECT_THAT(Hint("SALE_CLOSED"), Not(HasSubstr("closed SKU"))) << "its window may be over";
  EXPECT_THAT(Hint("LEDGER_UNAVAILABLE"), HasSubstr("what it waits for")) << "a single row may be locked";
  EXPECT_THAT(Hint("LEDGER_UNAVAILABLE", {{"shard", "hot"}}), HasSubstr("credentials")) << "as `shard add` finds it";
  EXPECT_EQ(Hint("COMMIT_UNKNOWN"), "try again") << "a read";
}

TEST(HintsTest, AfterALostAnswerNameTheLookThatWaitsForTheStandby) {
  absl::Status unknown = absl::UnavailableError("lost");
  EXPECT_THAT(NextStepFor(unknown, /*changed_nothing=*/false), HasSubstr("reservation get --after-lost-answer"));
  internal::SetReason(unknown, "COMMIT_UNKNOWN");
  EXPECT_THAT(NextStepFor(unknown, /*changed_nothing=*/false), HasSubstr("reservation get --after-lost-answer"));
}

TEST(HintsTest, SpeakOfAmountsAsTheToolDoes) {
  EXPECT_EQ(Hint("PAYMENT_MISMATCH", {{"amount_minor", "49900"}, {"currency", "EUR"}}), "it costs 499.00 EUR");
  EXPECT_EQ(Hint("PAYMENT_MISMATCH", {{"amount_minor", "500"}, {"currency", "JPY"}}), "it costs 500 JPY");
  EXPECT_THAT(Hint("PAYMENT_MISMATCH"), HasSubstr("reservation get"));
  EXPECT_EQ(Hint("INSUFFICIENT_UNITS", {{"available", "3"}}), "ask for at most 3");
  EXPECT_THAT(Hint("INSUFFICIENT_UNITS", {{"available", "0"}}), HasSubstr("quota show"));
}

TEST(HintsTest, NameTheArgumentInsteadOfTheField) {
  EXPECT_EQ(Hint("FIELD_INVALID", {{"field", "sku.slots_per_slice"}}), "correct --slots");
  EXPECT_EQ(Hint("FIELD_INVALID", {{"field", "to"}}), "correct --to");
  EXPECT_EQ(Hint("FIELD_INVALID", {{"field", "key.revision"}}), "correct MESSAGE");
  EXPECT_EQ(Hint("QUANTITY_INVALID", {{"field", "lines[2].quantity"}}), "correct LINE");
  EXPECT_EQ(Hint("RESERVATION_ID_MALFORMED", {{"field", "reservation_id"}}), "correct ID");
  EXPECT_EQ(Hint("FIELD_INVALID", {{"field", "name"}}), "") << "the message says it";
  EXPECT_EQ(Hint("FIELD_INVALID"), "");
}

TEST(HintsTest, OfAReasonThatThisVersionDoesNotKnowAreEmpty) { EXPECT_EQ(Hint("FROM_THE_FUTURE"), ""); }

}  // namespace
}  // namespace tranche::ctl
