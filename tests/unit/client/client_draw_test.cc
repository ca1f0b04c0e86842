// Entering a draw, which may be repeated, and what the client tells of an entry.

#include <gtest/gtest.h>

#include <memory>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "absl/strings/str_cat.h"
#include "client/internal/connection.h"
#include "tests/unit/client/connection_fixture.h"
#include "tests/unit/client/scripted_stub.h"
#include "tranche/error.h"

namespace tranche::internal {
namespace {

using absl::StatusCode;

constexpr char kEntryId[] = "0f0e0d0c-0b0a-4908-8706-050403020100";

class ClientDrawTest : public ConnectionFixture {
 protected:
  absl::StatusOr<EnteredDraw> Enter() {
    return Run(&Connection::EnterDraw,
               EnterDraw{.sku = "tv", .user = "alice", .purchase_token = "a-token", .buyer_address = "203.0.113.7"});
  }
  absl::StatusOr<DrawEntry> Look(int64_t draw_number = 0) {
    return Run(&Connection::GetDrawEntry, GetDrawEntry{.sku = "tv", .user = "alice", .draw_number = draw_number});
  }
  static tranche::v1::EnterDrawResponse Entered(bool replayed) {
    tranche::v1::EnterDrawResponse response;
    response.set_draw_number(3);
    response.set_entry_id(kEntryId);
    response.set_replayed(replayed);
    return response;
  }
};

TEST_F(ClientDrawTest, ABuyerEntersWithTheirTokenAndAddress) {
  Open(1);
  script_.enter_draw.answers = {Entered(/*replayed=*/false)};
  const auto entered = Enter();
  ASSERT_TRUE(entered.ok()) << entered.status();
  EXPECT_EQ(entered->draw_number, 3);
  EXPECT_EQ(entered->entry_id, kEntryId);
  EXPECT_FALSE(entered->replayed);
  ASSERT_EQ(script_.enter_draw.requests.size(), 1u);
  EXPECT_EQ(script_.enter_draw.requests[0].sku_id(), "tv");
  EXPECT_EQ(script_.enter_draw.requests[0].user_id(), "alice");
  EXPECT_EQ(script_.enter_draw.requests[0].purchase_token(), "a-token");
  EXPECT_EQ(script_.enter_draw.requests[0].buyer_address(), "203.0.113.7");
}

TEST_F(ClientDrawTest, ALostAnswerIsAskedForAtAnotherNode) {
  Open(2);
  script_.enter_draw.answers = {ConnectionLost(), Entered(/*replayed=*/true)};
  const auto entered = Enter();
  ASSERT_TRUE(entered.ok()) << entered.status();
  EXPECT_TRUE(entered->replayed) << "the first try had made the entry";
  ASSERT_EQ(script_.enter_draw.nodes.size(), 2u);
  EXPECT_NE(script_.enter_draw.nodes[0], script_.enter_draw.nodes[1]);
  EXPECT_EQ(script_.enter_draw.requests[1].purchase_token(), "a-token");
}

TEST_F(ClientDrawTest, AnUnknownCommitIsTriedAgain) {
  Open(1);
  script_.enter_draw.answers = {NodeError(StatusCode::kUnavailable, "COMMIT_UNKNOWN", absl::Milliseconds(50)),
                                Entered(/*replayed=*/false)};
  EXPECT_TRUE(Enter().ok());
  EXPECT_EQ(script_.enter_draw.requests.size(), 2u);
}

TEST_F(ClientDrawTest, ACommitThatStaysUnknownIsToldAsSuch) {
  options_.retry.max_attempts = 2;
  Open(1);
  const absl::Status unknown = NodeError(StatusCode::kUnavailable, "COMMIT_UNKNOWN");
  script_.enter_draw.answers = {unknown, unknown};
  EXPECT_TRUE(IsOutcomeUnknown(Enter().status()));
}

TEST_F(ClientDrawTest, WhatIsRefusedIsAskedOfNoOtherNode) {
  Open(3);
  for (const auto& [code, reason] : {std::pair{StatusCode::kFailedPrecondition, "DRAW_NOT_OPEN"},
                                     std::pair{StatusCode::kFailedPrecondition, "DRAW_FULL"},
                                     std::pair{StatusCode::kFailedPrecondition, "PURCHASE_TOKEN_REQUIRED"},
                                     std::pair{StatusCode::kResourceExhausted, "RATE_LIMITED"}}) {
    script_.enter_draw.answers = {NodeError(code, reason)};
    script_.enter_draw.requests.clear();
    EXPECT_EQ(ReasonNameOf(Enter().status()), reason);
    EXPECT_EQ(script_.enter_draw.requests.size(), 1u) << reason;
  }
  EXPECT_TRUE(scheduler_->waits().empty());
}

TEST_F(ClientDrawTest, AWinnersEntryIsToldWithItsProof) {
  Open(1);
  tranche::v1::GetDrawEntryResponse response;
  response.set_entry_id(kEntryId);
  response.set_outcome(tranche::v1::GetDrawEntryResponse::OUTCOME_PENDING);
  response.set_reservation_id("a reservation");
  response.set_rank("a rank");
  response.set_leaf_index(5);
  response.add_audit_path("below");
  response.add_audit_path("above");
  tranche::v1::Draw* draw = response.mutable_draw();
  draw->set_sku_id("tv");
  draw->set_number(3);
  draw->set_state(tranche::v1::Draw::STATE_DRAWN);
  draw->set_winners(20);
  draw->set_quantity(2);
  draw->set_seed_commitment("a hash");
  draw->set_entries(200);
  draw->set_merkle_root("a root");
  draw->set_seed("a seed");
  draw->set_cutoff("a cutoff");
  draw->set_pending(7);
  draw->set_confirmed(13);
  draw->set_lapsed(4);
  draw->mutable_create_time()->set_seconds(1'800'000'000);
  draw->mutable_close_time()->set_seconds(1'800'000'100);
  draw->mutable_seed_time()->set_nanos(500'000'000);
  script_.get_draw_entry.answers = {response};
  const auto entry = Look(/*draw_number=*/3);
  ASSERT_TRUE(entry.ok()) << entry.status();
  EXPECT_EQ(entry->entry_id, kEntryId);
  EXPECT_EQ(entry->outcome, DrawOutcome::kPending);
  EXPECT_EQ(entry->reservation_id, "a reservation");
  EXPECT_EQ(entry->rank, "a rank");
  EXPECT_EQ(entry->leaf_index, 5);
  EXPECT_EQ(entry->audit_path, (std::vector<std::string>{"below", "above"}));
  EXPECT_EQ(entry->draw.sku_id, "tv");
  EXPECT_EQ(entry->draw.number, 3);
  EXPECT_EQ(entry->draw.state, DrawState::kDrawn);
  EXPECT_EQ(entry->draw.winners, 20);
  EXPECT_EQ(entry->draw.quantity, 2);
  EXPECT_EQ(entry->draw.seed_commitment, "a hash");
  EXPECT_EQ(entry->draw.public_source, "");
  EXPECT_EQ(entry->draw.entries, 200);
  EXPECT_EQ(entry->draw.merkle_root, "a root");
  EXPECT_EQ(entry->draw.seed, "a seed");
  EXPECT_EQ(entry->draw.cutoff, "a cutoff");
  EXPECT_EQ(entry->draw.pending, 7);
  EXPECT_EQ(entry->draw.confirmed, 13);
  EXPECT_EQ(entry->draw.lapsed, 4);
  EXPECT_EQ(entry->draw.create_time, absl::FromUnixSeconds(1'800'000'000));
  EXPECT_EQ(entry->draw.close_time, absl::FromUnixSeconds(1'800'000'100));
  EXPECT_EQ(entry->draw.seed_time, absl::UnixEpoch() + absl::Milliseconds(500));
  EXPECT_EQ(entry->draw.finish_time, absl::InfiniteFuture());
  ASSERT_EQ(script_.get_draw_entry.requests.size(), 1u);
  EXPECT_EQ(script_.get_draw_entry.requests[0].sku_id(), "tv");
  EXPECT_EQ(script_.get_draw_entry.requests[0].user_id(), "alice");
  EXPECT_EQ(script_.get_draw_entry.requests[0].draw_number(), 3);
}

TEST_F(ClientDrawTest, WhoHasNotEnteredIsToldSoAtOnce) {
  Open(2);
  script_.get_draw_entry.answers = {NodeError(StatusCode::kNotFound, "DRAW_ENTRY_NOT_FOUND")};
  EXPECT_EQ(ReasonOf(Look().status()), Reason::kDrawEntryNotFound);
  EXPECT_EQ(script_.get_draw_entry.requests.size(), 1u);
}

// They are those of the API.
TEST(DrawNames, AreTheApis) {
  const auto* states = tranche::v1::Draw::State_descriptor();
  for (int i = 0; i < states->value_count(); ++i) {
    const auto state = static_cast<DrawState>(states->value(i)->number());
    EXPECT_EQ(absl::StrCat("STATE_", DrawStateName(state)), states->value(i)->name());
  }
  const auto* outcomes = tranche::v1::GetDrawEntryResponse::Outcome_descriptor();
  for (int i = 0; i < outcomes->value_count(); ++i) {
    const auto outcome = static_cast<DrawOutcome>(outcomes->value(i)->number());
    EXPECT_EQ(absl::StrCat("OUTCOME_", DrawOutcomeName(outcome)), outcomes->value(i)->name());
  }
}

}  // namespace
}  // namespace tranche::internal
