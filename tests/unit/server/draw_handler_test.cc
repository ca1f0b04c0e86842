#include "server/handlers/draw_handler.h"

#include <gmock/gmock.h>

#include <algorithm>
#include <cstddef>
#include <deque>
#include <memory>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "absl/strings/str_cat.h"
#include "server/proto_time.h"
#include "storage/ledger/ledger_error.h"
#include "tests/unit/server/error_matchers.h"

namespace tranche::server {
namespace {

using ::testing::ElementsAre;
using Entry = v1::GetDrawEntryResponse;

constexpr char kEntryId[] = "01890a5d-ac96-474b-bcce-b302099a8057";
constexpr char kReservationId[] = "01890a5d-ac96-474b-bcce-b302099a8058";

class DrawHandlerTest : public ::testing::Test {
 protected:
  DrawHandlerTest() {
    draw_.key = {"tv", 3};
    draw_.state = storage::DrawState::kDrawn;
    draw_.winners = 10;
    draw_.quantity = 2;
    draw_.seed_commitment = std::string(32, 'c');
    draw_.entries = 500;
    draw_.merkle_root = std::string(32, 'm');
    draw_.seed = std::string(16, 's');
    draw_.cutoff = std::string(32, 'r');
    draw_.pending = 4;
    draw_.confirmed = 3;
    draw_.lapsed = 2;
    draw_.created_at = clock_.Now();
    draw_.closed_at = clock_.Now() + absl::Minutes(1);
    draw_.seeded_at = clock_.Now() + absl::Minutes(2);
  }

  ProvenEntry Found() const {
    ProvenEntry found;
    found.entry.draw = draw_;
    found.entry.entry_id = *storage::Uuid::Parse(kEntryId);
    found.rank = std::string(32, 'k');
    found.leaf_index = 17;
    found.audit_path = {std::string(32, 'a'), std::string(32, 'b')};
    return found;
  }
  static storage::DrawAward Award(storage::AwardOutcome outcome) {
    storage::DrawAward award;
    award.place = 1;
    award.outcome = outcome;
    if (outcome != storage::AwardOutcome::kPassedOver) award.reservation_id = *storage::Uuid::Parse(kReservationId);
    return award;
  }

  absl::StatusOr<v1::GetDrawResponse> GetDraw(const std::string& sku_id = "tv", int64_t number = 0) {
    v1::GetDrawRequest request;
    request.set_sku_id(sku_id);
    request.set_draw_number(number);
    absl::StatusOr<v1::GetDrawResponse> result = absl::InternalError("not answered");
    handler_.GetDraw(request, absl::InfiniteFuture(),
                     [&](absl::StatusOr<v1::GetDrawResponse> response) { result = std::move(response); });
    return result;
  }
  absl::StatusOr<Entry> GetEntry(const std::string& user_id = "alice", int64_t number = 0) {
    v1::GetDrawEntryRequest request;
    request.set_sku_id("tv");
    request.set_draw_number(number);
    request.set_user_id(user_id);
    absl::StatusOr<Entry> result = absl::InternalError("not answered");
    handler_.GetEntry(request, absl::InfiniteFuture(),
                      [&](absl::StatusOr<Entry> response) { result = std::move(response); });
    return result;
  }

  storage::FakeClock clock_;
  storage::Draw draw_;
  absl::Status draw_error_;
  absl::StatusOr<ProvenEntry> entry_ = absl::InternalError("the test does not expect this call");
  std::vector<storage::DrawKey> draws_read_;
  std::vector<std::pair<storage::DrawKey, std::string>> entries_read_;
  DrawHandler handler_{
      [this](const storage::DrawKey& key, DrawHandler::DrawCache::ReadDone done) {
        draws_read_.push_back(key);
        if (!draw_error_.ok()) return done(draw_error_);
        done(draw_);
      },
      [this](const storage::DrawKey& key, const std::string& user_id, absl::Time, DrawHandler::EntryReads::Done done) {
        entries_read_.emplace_back(key, user_id);
        done(entry_);
      },
      &clock_};
};

TEST_F(DrawHandlerTest, ADrawIsToldAsItIs) {
  const auto answer = GetDraw();
  ASSERT_TRUE(answer.ok()) << answer.status();
  const v1::Draw& draw = answer->draw();
  EXPECT_EQ(draw.sku_id(), "tv");
  EXPECT_EQ(draw.number(), 3);
  EXPECT_EQ(draw.state(), v1::Draw::STATE_DRAWN);
  EXPECT_EQ(draw.winners(), 10);
  EXPECT_EQ(draw.quantity(), 2);
  EXPECT_EQ(draw.seed_commitment(), draw_.seed_commitment);
  EXPECT_EQ(draw.entries(), 500);
  EXPECT_EQ(draw.merkle_root(), draw_.merkle_root);
  EXPECT_EQ(draw.seed(), draw_.seed);
  EXPECT_EQ(draw.cutoff(), draw_.cutoff);
  EXPECT_EQ(draw.pending(), 4);
  EXPECT_EQ(draw.confirmed(), 3);
  EXPECT_EQ(draw.lapsed(), 2);
  EXPECT_EQ(FromTimestamp(draw.create_time()), draw_.created_at);
  EXPECT_EQ(FromTimestamp(draw.close_time()), draw_.closed_at);
  EXPECT_EQ(FromTimestamp(draw.seed_time()), draw_.seeded_at);
  EXPECT_FALSE(draw.has_finish_time());
}

TEST_F(DrawHandlerTest, TheLedgerIsReadOnceASecondForEachDraw) {
  for (int i = 0; i < 5; ++i) EXPECT_TRUE(GetDraw().ok());
  EXPECT_THAT(draws_read_, ElementsAre(storage::DrawKey{"tv", 0}));
  EXPECT_TRUE(GetDraw("tv", 2).ok());
  EXPECT_TRUE(GetDraw("radio").ok());
  EXPECT_THAT(draws_read_,
              ElementsAre(storage::DrawKey{"tv", 0}, storage::DrawKey{"tv", 2}, storage::DrawKey{"radio", 0}));
  clock_.AdvanceBy(absl::Seconds(1));
  EXPECT_TRUE(GetDraw().ok());
  EXPECT_EQ(draws_read_.size(), 4u);
}

TEST_F(DrawHandlerTest, ADrawThatIsRemovedIsNotToldAnyMore) {
  EXPECT_TRUE(GetDraw().ok());
  clock_.AdvanceBy(absl::Seconds(1));
  draw_error_ = storage::NoDrawError();
  const absl::Status error = GetDraw().status();
  EXPECT_EQ(ReasonOf(error), "DRAW_NOT_FOUND");
  EXPECT_EQ(MetadataOf(error, "sku_id"), "tv");
  draw_error_ = absl::NotFoundError("no such SKU");
  EXPECT_EQ(ReasonOf(GetDraw("desk").status()), "DRAW_NOT_FOUND");
  draw_error_ = absl::UnavailableError("down");
  EXPECT_EQ(ReasonOf(GetDraw("radio").status()), "LEDGER_UNAVAILABLE");
}

TEST_F(DrawHandlerTest, AnEntryIsToldWithItsProof) {
  entry_ = Found();
  const auto answer = GetEntry("user/with/slashes", 3);
  ASSERT_TRUE(answer.ok()) << answer.status();
  EXPECT_EQ(answer->entry_id(), kEntryId);
  EXPECT_EQ(answer->rank(), std::string(32, 'k'));
  EXPECT_EQ(answer->leaf_index(), 17);
  EXPECT_THAT(answer->audit_path(), ElementsAre(std::string(32, 'a'), std::string(32, 'b')));
  EXPECT_EQ(answer->draw().number(), 3);
  EXPECT_THAT(entries_read_, ElementsAre(std::make_pair(storage::DrawKey{"tv", 3}, std::string("user/with/slashes"))));
}

TEST_F(DrawHandlerTest, WhatBecameOfAnEntryIsTold) {
  struct Case {
    storage::DrawState state;
    std::optional<storage::AwardOutcome> award;
    Entry::Outcome told;
    bool has_reservation;
  };
  using storage::AwardOutcome;
  using storage::DrawState;
  const Case cases[] = {
      {DrawState::kOpen, std::nullopt, Entry::OUTCOME_WAITING, false},
      {DrawState::kSeeded, std::nullopt, Entry::OUTCOME_WAITING, false},
      {DrawState::kDrawn, std::nullopt, Entry::OUTCOME_WAITING, false},
      {DrawState::kDrawn, AwardOutcome::kPending, Entry::OUTCOME_PENDING, true},
      {DrawState::kDrawn, AwardOutcome::kPassedOver, Entry::OUTCOME_PASSED_OVER, false},
      {DrawState::kFinished, AwardOutcome::kConfirmed, Entry::OUTCOME_CONFIRMED, true},
      {DrawState::kFinished, AwardOutcome::kLapsed, Entry::OUTCOME_LAPSED, true},
      {DrawState::kFinished, std::nullopt, Entry::OUTCOME_NOT_DRAWN, false},
      {DrawState::kCancelled, std::nullopt, Entry::OUTCOME_NOT_DRAWN, false},
  };
  for (const Case& one : cases) {
    ProvenEntry found = Found();
    found.entry.draw.state = one.state;
    if (one.award.has_value()) found.entry.award = Award(*one.award);
    entry_ = found;
    const auto answer = GetEntry();
    ASSERT_TRUE(answer.ok()) << answer.status();
    EXPECT_EQ(answer->outcome(), one.told) << answer->DebugString();
    EXPECT_EQ(answer->reservation_id(), one.has_reservation ? kReservationId : "") << answer->DebugString();
  }
}

TEST_F(DrawHandlerTest, WhoHasJustEnteredFindsTheirEntry) {
  entry_ = storage::NoDrawEntryError();
  const absl::Status error = GetEntry().status();
  EXPECT_EQ(ReasonOf(error), "DRAW_ENTRY_NOT_FOUND");
  EXPECT_EQ(MetadataOf(error, "sku_id"), "tv");
  EXPECT_EQ(MetadataOf(error, "draw_number"), "3") << "of the newest one";
  entry_ = Found();
  EXPECT_TRUE(GetEntry().ok());
  entry_ = storage::NoDrawEntryError();
  EXPECT_EQ(MetadataOf(GetEntry("alice", 2).status(), "draw_number"), "2");
}

TEST_F(DrawHandlerTest, WithoutADrawThereIsNoEntry) {
  entry_ = storage::NoDrawError();
  EXPECT_EQ(ReasonOf(GetEntry().status()), "DRAW_NOT_FOUND");
  entry_ = absl::NotFoundError("no such SKU");
  EXPECT_EQ(ReasonOf(GetEntry().status()), "DRAW_NOT_FOUND");
  entry_ = Found();
  EXPECT_TRUE(GetEntry().ok());
  entry_ = absl::UnavailableError("down");
  EXPECT_EQ(ReasonOf(GetEntry().status()), "LEDGER_UNAVAILABLE") << "an entry that was read before is not told again";
  entry_ = absl::DataLossError("not as sealed");
  EXPECT_EQ(ReasonOf(GetEntry().status()), "INTERNAL");
}

// Entries whose reads end when the test says so.
class DrawEntryReadsTest : public DrawHandlerTest {
 protected:
  // Where the answer will be: "", until there is one; "OK" or the error's reason.
  std::shared_ptr<std::string> Ask(const std::string& user_id, absl::Time deadline = absl::InfiniteFuture()) {
    v1::GetDrawEntryRequest request;
    request.set_sku_id("tv");
    request.set_user_id(user_id);
    auto told = std::make_shared<std::string>();
    slow_.GetEntry(request, deadline, [told](const absl::StatusOr<Entry>& response) {
      EXPECT_EQ(*told, "") << "answered twice";
      *told = response.ok() ? "OK" : ReasonOf(response.status());
    });
    return told;
  }
  // The read that began first ends.
  void Answer(absl::StatusOr<ProvenEntry> found) {
    ASSERT_FALSE(reads_.empty());
    DrawHandler::EntryReads::Done done = std::move(reads_.front().done);
    reads_.pop_front();
    done(std::move(found));
  }

  struct EntryRead {
    std::string user_id;
    absl::Time deadline;
    DrawHandler::EntryReads::Done done;
  };
  std::deque<EntryRead> reads_;  // under way, the oldest first
  DrawHandler slow_{
      [](const storage::DrawKey&, DrawHandler::DrawCache::ReadDone) { FAIL() << "nobody asks for a draw"; },
      [this](const storage::DrawKey&, const std::string& user_id, absl::Time deadline,
             DrawHandler::EntryReads::Done done) {
        reads_.push_back({user_id, deadline, std::move(done)});
      },
      &clock_};
};

TEST_F(DrawEntryReadsTest, NobodyIsAnsweredByAReadThatBeganBefore) {
  const auto before = Ask("alice");
  const auto after = Ask("alice");  // who has entered between the two
  Answer(absl::UnavailableError("down"));
  EXPECT_EQ(*before, "LEDGER_UNAVAILABLE");
  EXPECT_EQ(*after, "");
  Answer(Found());
  EXPECT_EQ(*after, "OK");
  clock_.AdvanceBy(-absl::Hours(1));
  const auto later = Ask("alice");
  EXPECT_EQ(*later, "") << "nothing is remembered, also if the clock was set back";
  Answer(Found());
  EXPECT_EQ(*later, "OK");
}

TEST_F(DrawEntryReadsTest, WhoComesWhileTooManyWaitIsToldAtOnce) {
  std::vector<std::shared_ptr<std::string>> told;
  constexpr size_t kReads = DrawHandler::kMostReadsOfEntries;
  for (size_t i = 0; i < kReads + DrawHandler::kMostWaitForEntries; ++i) told.push_back(Ask(absl::StrCat("u", i)));
  EXPECT_EQ(reads_.size(), kReads) << "a few are read at a time";
  EXPECT_EQ(*Ask("alice"), "OVERLOADED");
  for (size_t i = 0; i < told.size(); ++i) {
    EXPECT_EQ(*told[i], "");
    ASSERT_EQ(reads_.size(), std::min(kReads, told.size() - i));
    EXPECT_EQ(reads_.front().user_id, absl::StrCat("u", i)) << "who came first is first";
    Answer(Found());
    EXPECT_EQ(*told[i], "OK");
  }
  EXPECT_TRUE(reads_.empty());
}

TEST_F(DrawEntryReadsTest, WhoseDeadlineHasPassedIsNotReadFor) {
  const absl::Time soon = clock_.Now() + absl::Seconds(1);
  const auto first = Ask("u1");
  for (size_t i = 1; i < DrawHandler::kMostReadsOfEntries; ++i) Ask(absl::StrCat("beside-", i));
  const auto late = Ask("u2", soon);
  const auto patient = Ask("u3", soon + absl::Seconds(2));
  const auto last = Ask("u4", soon);
  clock_.AdvanceBy(absl::Seconds(2));
  Answer(Found());
  EXPECT_EQ(*first, "OK");
  EXPECT_EQ(*late, "DEADLINE_PASSED");
  ASSERT_EQ(reads_.size(), DrawHandler::kMostReadsOfEntries);
  EXPECT_EQ(reads_.back().user_id, "u3");
  EXPECT_EQ(reads_.back().deadline, soon + absl::Seconds(2)) << "it may still have to wait for a thread";
  while (!reads_.empty()) Answer(Found());
  EXPECT_EQ(*patient, "OK");
  EXPECT_EQ(*last, "DEADLINE_PASSED");
  EXPECT_TRUE(reads_.empty());
}

TEST_F(DrawHandlerTest, EveryBadFieldIsNamed) {
  EXPECT_EQ(ReasonOf(GetDraw("*").status()), "SKU_ID_MALFORMED");
  EXPECT_EQ(MetadataOf(GetDraw("tv", -1).status(), "field"), "draw_number");
  EXPECT_EQ(MetadataOf(GetEntry("alice", -1).status(), "field"), "draw_number");
  EXPECT_EQ(ReasonOf(GetEntry("").status()), "USER_ID_REQUIRED");
  EXPECT_TRUE(draws_read_.empty() && entries_read_.empty());
}

}  // namespace
}  // namespace tranche::server
