#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <map>
#include <optional>
#include <string>
#include <vector>

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

TEST(HintsTest, SayHowToBeLetIn) {
  EXPECT_THAT(Hint("CALLER_UNKNOWN", {{"method", "AddStock"}, {"roles", "operator,admin"}}), HasSubstr("--token-file"));
  EXPECT_THAT(Hint("ROLE_MISSING", {{"method", "AddStock"}, {"roles", "operator,admin"}}), HasSubstr("operator,admin"));
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
  EXPECT_EQ(Hint("FIELD_INVALID", {{"field", "buyer_address"}}), "correct --buyer-address");
  EXPECT_EQ(Hint("FIELD_INVALID", {{"field", "lines[0].purchase_token"}}), "correct --purchase-token");
  EXPECT_EQ(Hint("FIELD_INVALID", {{"field", "key.revision"}}), "correct MESSAGE");
  EXPECT_EQ(Hint("QUANTITY_INVALID", {{"field", "lines[2].quantity"}}), "correct LINE");
  EXPECT_EQ(Hint("RESERVATION_ID_MALFORMED", {{"field", "reservation_id"}}), "correct ID");
  EXPECT_EQ(Hint("FIELD_INVALID", {{"field", "name"}}), "") << "the message says it";
  EXPECT_EQ(Hint("FIELD_INVALID"), "");
}

tranche::v1::GetStatusResponse StateWith(const std::vector<std::string>& codes) {
  tranche::v1::GetStatusResponse state;
  for (const std::string& code : codes) {
    tranche::v1::Problem* problem = state.add_problems();
    problem->set_code(code);
    problem->set_text(code + " text.");
    problem->set_next_step(code + " step");
  }
  return state;
}

tranche::v1::Sku Tv() {
  tranche::v1::Sku sku;
  sku.set_sku_id("tv");
  sku.set_shard("hot");
  sku.set_overdue(3);
  return sku;
}

absl::Status RefusalFor(const std::string& reason) {
  absl::Status status = absl::FailedPreconditionError("refused");
  internal::SetReason(status, reason);
  return status;
}

std::optional<Cause> CauseOfReason(const std::string& reason, const std::vector<std::string>& codes) {
  return CauseOf(RefusalFor(reason), Tv(), StateWith(codes));
}

// The same problems, of that shard.
tranche::v1::GetStatusResponse StateOf(const std::string& shard, const std::vector<std::string>& codes) {
  tranche::v1::GetStatusResponse state = StateWith(codes);
  for (tranche::v1::Problem& problem : *state.mutable_problems()) problem.set_subject(shard);
  return state;
}

TEST(HintsTest, BlameNoOtherShardAndNoOtherSku) {
  const absl::Status sold_out = RefusalFor("SOLD_OUT"), exhausted = RefusalFor("EXHAUSTED_HERE");
  EXPECT_TRUE(CauseOf(sold_out, Tv(), StateOf("hot", {"HOLDS_OVERDUE"})).has_value());
  EXPECT_FALSE(CauseOf(sold_out, Tv(), StateOf("home", {"HOLDS_OVERDUE"})).has_value());
  EXPECT_TRUE(CauseOf(exhausted, Tv(), StateOf("hot", {"NO_LEADER"})).has_value());
  EXPECT_FALSE(CauseOf(exhausted, Tv(), StateOf("home", {"NO_LEADER"})).has_value());
  tranche::v1::Sku sku = Tv();
  sku.set_overdue(0);
  EXPECT_FALSE(CauseOf(sold_out, sku, StateOf("hot", {"HOLDS_OVERDUE"})).has_value()) << "another SKU's holds";
  sku.clear_overdue();
  EXPECT_TRUE(CauseOf(sold_out, sku, StateOf("hot", {"HOLDS_OVERDUE"})).has_value()) << "too many to count";
  tranche::v1::Quota quota;
  quota.set_sku_id("tv");
  EXPECT_TRUE(CausesOf(quota, Tv(), StateOf("home", {"NO_LEADER", "HOLDS_OVERDUE"})).empty());
  EXPECT_EQ(CausesOf(quota, Tv(), StateOf("hot", {"NO_LEADER", "HOLDS_OVERDUE"})).size(), 2U);
}

TEST(HintsTest, SoldOutMayBeHoldsThatNobodyExpires) {
  EXPECT_FALSE(CauseOfReason("SOLD_OUT", {}).has_value());
  EXPECT_FALSE(CauseOfReason("SOLD_OUT", {"NO_WORKER", "NO_BALANCER"}).has_value()) << "no hold is overdue";
  const auto cause = CauseOfReason("SOLD_OUT", {"NO_WORKER", "HOLDS_OVERDUE"});
  ASSERT_TRUE(cause.has_value());
  EXPECT_EQ(cause->text, "HOLDS_OVERDUE text. NO_WORKER text.");
  EXPECT_EQ(cause->next_step, "NO_WORKER step") << "the root";
  EXPECT_EQ(CauseOfReason("SOLD_OUT", {"HOLDS_OVERDUE"})->next_step, "HOLDS_OVERDUE step");
}

TEST(HintsTest, ExhaustedHereMayBeThatNobodyMovesUnits) {
  EXPECT_FALSE(CauseOfReason("EXHAUSTED_HERE", {"NO_WORKER"}).has_value());
  EXPECT_EQ(CauseOfReason("EXHAUSTED_HERE", {"ZOOKEEPER_SILENT", "NO_BALANCER"})->text, "NO_BALANCER text.");
  absl::Status other = absl::FailedPreconditionError("refused");
  internal::SetReason(other, "SKU_NOT_FOUND");
  EXPECT_FALSE(MayHaveACause(other));
}

TEST(HintsTest, AQuotaThatLooksStuck) {
  tranche::v1::Quota quota;
  quota.set_sku_id("tv");
  tranche::v1::Slice* pool = quota.add_slices();
  tranche::v1::Slice* node = quota.add_slices();
  node->set_incarnation(3);
  node->set_remaining(5);
  node->set_version(2);
  node->set_announced_version(2);
  EXPECT_FALSE(LooksStuck(quota));
  node->set_announced_version(1);
  EXPECT_TRUE(LooksStuck(quota)) << "it has not heard of a move";
  node->set_announced_version(2);
  pool->set_remaining(1);
  EXPECT_TRUE(LooksStuck(quota));
  quota.set_on_demand(true);
  EXPECT_FALSE(LooksStuck(quota)) << "they wait for a buyer";
  EXPECT_TRUE(CausesOf(quota, Tv(), StateWith({"NO_WORKER", "HOLDS_OVERDUE"})).empty()) << "units are there";
  pool->set_remaining(0);
  node->set_remaining(0);
  EXPECT_TRUE(LooksStuck(quota)) << "nothing is left";
  const auto causes = CausesOf(quota, Tv(), StateWith({"NO_WORKER", "HOLDS_OVERDUE", "NO_LEADER"}));
  ASSERT_EQ(causes.size(), 2U);
  EXPECT_EQ(causes[0].next_step, "NO_LEADER step");
  EXPECT_EQ(causes[1].next_step, "NO_WORKER step");
}

TEST(HintsTest, WhoIsNotKnownOrNotAllowedLearnsWhatToGiveOrAskFor) {
  EXPECT_THAT(NextStepFor(absl::UnauthenticatedError("who?"), /*changed_nothing=*/true),
              AllOf(HasSubstr("--token-file"), HasSubstr("--tls-certificate")));
  absl::Status denied = absl::PermissionDeniedError("no role");
  EXPECT_THAT(NextStepFor(denied, /*changed_nothing=*/false), HasSubstr("--access-file"));
  internal::SetReason(denied, "FROM_THE_FUTURE");
  EXPECT_THAT(NextStepFor(denied, /*changed_nothing=*/false), HasSubstr("--access-file"));
}

TEST(HintsTest, OfAReasonThatThisVersionDoesNotKnowAreEmpty) { EXPECT_EQ(Hint("FROM_THE_FUTURE"), ""); }

}  // namespace
}  // namespace tranche::ctl
