// Draws until their ranks are known, on the fake and on PostgreSQL; draw_award_contract_test.cc has their awards.
#include <algorithm>
#include <atomic>
#include <cstdint>
#include <map>
#include <optional>
#include <set>
#include <string>
#include <thread>
#include <vector>

#include "absl/synchronization/mutex.h"
#include "absl/time/clock.h"
#include "storage/ledger/ledger_error.h"
#include "tests/contract/draw_fixture.h"
#include "tests/contract/race.h"

namespace tranche::storage {
namespace {

using ::testing::ElementsAre;
using ::testing::ElementsAreArray;
using ::testing::IsEmpty;
using testing::Retrying;
using testing::RunThreads;
using ::testing::SizeIs;

class DrawContract : public DrawContractTest {
 protected:
  static bool IsStateConflict(const absl::Status& status) { return DrawStateConflictOf(status).has_value(); }
  // Of all that are told of the SKU.
  std::vector<int64_t> Numbers(const std::string& sku_id) {
    std::vector<int64_t> numbers;
    const auto listed = draws().ListDraws(sku_id);
    EXPECT_TRUE(listed.ok()) << listed.status();
    for (const Draw& draw : listed.value_or(std::vector<Draw>())) numbers.push_back(draw.key.number);
    return numbers;
  }
  // Which steps the draw's state refuses.
  std::vector<DrawStep> Refused(const DrawKey& key) {
    std::vector<DrawStep> refused;
    for (const DrawStep step :
         {DrawStep::kClose, DrawStep::kSeed, DrawStep::kFinish, DrawStep::kCancel, DrawStep::kRemove}) {
      const absl::Status status = Change(key, step, kTheSeed, /*preview=*/true).status();
      if (!status.ok()) {
        refused.push_back(step);
        EXPECT_TRUE(IsStateConflict(status)) << status;
      }
    }
    return refused;
  }
};
INSTANTIATE_TEST_SUITE_P(Both, DrawContract, BothLedgers(), LedgerName);

class DrawRaceContract : public DrawContract {};
INSTANTIATE_TEST_SUITE_P(Both, DrawRaceContract, BothLedgers(), LedgerName);

TEST_P(DrawContract, ADrawIsAsItWasAskedFor) {
  CreatePooled("tv", 10, 2);
  CreatePooled("radio", 10);
  const DrawKey key = Begin(Committed("tv", 3, 2));
  EXPECT_EQ(key, (DrawKey{"tv", 1}));
  const DrawKey other =
      Begin({.sku_id = "radio", .winners = kMaxDrawWinners, .public_source = "a value of tomorrow's newspaper"});
  const Draw draw = Get(key);
  EXPECT_EQ(draw.key, key);
  EXPECT_EQ(draw.state, DrawState::kOpen);
  EXPECT_EQ(draw.winners, 3);
  EXPECT_EQ(draw.quantity, 2);
  EXPECT_EQ(draw.seed_commitment, Sha256(kTheSeed));
  EXPECT_EQ(draw.public_source, "");
  EXPECT_EQ(draw.merkle_root, "");
  EXPECT_EQ(draw.seed, "");
  EXPECT_EQ(draw.cutoff, "");
  EXPECT_EQ(draw.entries + draw.pending + draw.confirmed + draw.lapsed, 0);
  EXPECT_LT(absl::AbsDuration(absl::Now() - draw.created_at), absl::Minutes(1));
  EXPECT_FALSE(draw.closed_at.has_value() || draw.seeded_at.has_value() || draw.finished_at.has_value());
  EXPECT_EQ(Get({"tv", 0}).key, key) << "the newest";
  EXPECT_EQ(Get(other).public_source, "a value of tomorrow's newspaper");
  EXPECT_EQ(Get(other).winners, kMaxDrawWinners);
  EXPECT_EQ(Get(other).seed_commitment, "");
}

TEST_P(DrawContract, WhatIsNoDrawIsRefused) {
  CreatePooled("tv", 10);
  const auto code = [this](const NewDraw& asked) { return draws().CreateDraw(asked, false, "alice").status().code(); };
  EXPECT_EQ(code(Committed("sofa", 1)), absl::StatusCode::kNotFound);
  EXPECT_EQ(code(Committed("tv", 0)), absl::StatusCode::kInvalidArgument);
  EXPECT_EQ(code(Committed("tv", kMaxDrawWinners + 1)), absl::StatusCode::kInvalidArgument);
  EXPECT_EQ(code(Committed("tv", 1, 0)), absl::StatusCode::kInvalidArgument);
  EXPECT_EQ(code(Committed("tv", 1, 2)), absl::StatusCode::kInvalidArgument) << "more than a buyer may have";
  NewDraw both = Committed("tv", 1);
  both.public_source = "a newspaper";
  EXPECT_EQ(code(both), absl::StatusCode::kInvalidArgument);
  EXPECT_EQ(code({.sku_id = "tv", .winners = 1}), absl::StatusCode::kInvalidArgument) << "any seed would do";
  NewDraw brief = Committed("tv", 1);
  brief.seed_commitment.pop_back();
  EXPECT_EQ(code(brief), absl::StatusCode::kInvalidArgument);
  EXPECT_THAT(Numbers("tv"), IsEmpty());
  EXPECT_EQ(Begin(Committed("tv", 1)).number, 1) << "no number was used up";
}

TEST_P(DrawContract, ASkuHasOneDrawAtATime) {
  CreatePooled("tv", 10);
  CreatePooled("radio", 10);
  const DrawKey first = Begin(Committed("tv", 1));
  const auto second = draws().CreateDraw(Committed("tv", 2), false, "alice");
  ASSERT_TRUE(IsStateConflict(second.status())) << second.status();
  EXPECT_EQ(second.status().code(), absl::StatusCode::kFailedPrecondition);
  EXPECT_EQ(DrawStateConflictOf(second.status())->number, 1);
  EXPECT_EQ(DrawStateConflictOf(second.status())->state, "OPEN");
  EXPECT_EQ(Begin(Committed("radio", 1)).number, 1) << "each SKU counts for itself";
  Take(first, DrawStep::kCancel);
  EXPECT_EQ(Begin(Committed("tv", 2)).number, 2);
  EXPECT_THAT(Numbers("tv"), ElementsAre(2, 1));
  EXPECT_THAT(Numbers(""), SizeIs(3));
  EXPECT_EQ(Get({"tv", 0}).winners, 2);
  EXPECT_EQ(Get({"tv", 1}).state, DrawState::kCancelled);
}

TEST_P(DrawContract, ACreationWithItsNumberCanBeRepeated) {
  CreatePooled("tv", 10);
  NewDraw asked = Committed("tv", 1);
  asked.expected_number = 2;
  EXPECT_TRUE(IsStateConflict(draws().CreateDraw(asked, false, "alice").status())) << "it would be the first";
  asked.expected_number = 1;
  EXPECT_EQ(Begin(asked).number, 1);
  const size_t audited = AuditEntries();
  EXPECT_EQ(Begin(asked).number, 1) << "the answer was lost";
  EXPECT_EQ(AuditEntries(), audited);
  asked.winners = 2;
  EXPECT_TRUE(IsStateConflict(draws().CreateDraw(asked, false, "alice").status())) << "it is another one";
  EXPECT_THAT(Numbers("tv"), ElementsAre(1));
}

TEST_P(DrawContract, APreviewChangesNothing) {
  CreatePooled("tv", 10);
  const size_t before = AuditEntries();
  const auto seen = draws().CreateDraw(Committed("tv", 3), /*preview=*/true, "alice");
  ASSERT_TRUE(seen.ok()) << seen.status();
  EXPECT_EQ(seen->key, (DrawKey{"tv", 1}));
  EXPECT_EQ(seen->state, DrawState::kOpen);
  EXPECT_THAT(Numbers("tv"), IsEmpty());
  EXPECT_EQ(AuditEntries(), before);

  const DrawKey key = Begin(Committed("tv", 3));
  const size_t audited = AuditEntries();
  const auto closed = Change(key, DrawStep::kClose, "", /*preview=*/true);
  ASSERT_TRUE(closed.ok()) << closed.status();
  EXPECT_EQ(closed->state, DrawState::kClosing);
  EXPECT_TRUE(closed->closed_at.has_value());
  EXPECT_EQ(Change(key, DrawStep::kCancel, "", /*preview=*/true)->state, DrawState::kCancelled);
  EXPECT_EQ(Get(key).state, DrawState::kOpen);
  Seal(key);
  EXPECT_EQ(Change(key, DrawStep::kSeed, kTheSeed, /*preview=*/true)->seed, kTheSeed);
  EXPECT_EQ(Get(key).seed, "") << "a preview tells nobody the seed";
  Take(key, DrawStep::kCancel);
  EXPECT_TRUE(Change(key, DrawStep::kRemove, "", /*preview=*/true).ok());
  EXPECT_EQ(Get(key).state, DrawState::kCancelled);
  EXPECT_EQ(AuditEntries(), audited + 2) << "closed and cancelled";
}

TEST_P(DrawContract, EachStateHasItsSteps) {
  using enum DrawStep;
  CreatePooled("tv", 10);
  const DrawKey key = Begin(Committed("tv", 1));
  EnterMany("tv", 3);
  EXPECT_THAT(Refused(key), ElementsAre(kSeed, kFinish, kRemove)) << "open";
  Take(key, kClose);
  EXPECT_EQ(Get(key).state, DrawState::kClosing);
  EXPECT_THAT(Refused(key), ElementsAre(kSeed, kFinish, kRemove)) << "closing";
  ASSERT_TRUE(draws().AddDrawChunks(key, ChunksOf(Listed(key))).ok());
  ASSERT_TRUE(draws().SealDraw(key, 3, Root()).ok());
  EXPECT_EQ(Get(key).state, DrawState::kClosed);
  EXPECT_THAT(Refused(key), ElementsAre(kFinish, kRemove)) << "closed";
  Take(key, kSeed, kTheSeed);
  EXPECT_EQ(Get(key).state, DrawState::kSeeded);
  EXPECT_THAT(Refused(key), ElementsAre(kFinish, kRemove)) << "seeded";
  ASSERT_TRUE(draws().RankDraw(key, Blocks(), 10).ok());
  EXPECT_EQ(Get(key).state, DrawState::kDrawn);
  EXPECT_THAT(Refused(key), ElementsAre(kCancel, kRemove)) << "drawn";
  Take(key, kFinish);
  EXPECT_EQ(Get(key).state, DrawState::kFinished);
  EXPECT_THAT(Refused(key), ElementsAre(kCancel)) << "finished";

  const DrawKey cancelled = Begin(Committed("tv", 1));
  Take(cancelled, kCancel);
  EXPECT_THAT(Refused(cancelled), ElementsAre(kClose, kSeed, kFinish)) << "cancelled";
}

TEST_P(DrawContract, AStepThatWasTakenChangesAndAuditsNothing) {
  CreatePooled("tv", 10);
  const DrawKey key = Begin(Committed("tv", 1));
  const auto twice = [&](DrawStep step, const std::string& seed = "") {
    Take(key, step, seed);
    const Draw once = Get(key);
    const size_t audited = AuditEntries();
    Take(key, step, seed);
    EXPECT_EQ(Get(key).state, once.state);
    EXPECT_EQ(Get(key).finished_at, once.finished_at);
    EXPECT_EQ(AuditEntries(), audited);
  };
  const size_t audited = AuditEntries();
  twice(DrawStep::kClose);
  EXPECT_EQ(AuditEntries(), audited + 1);
  ASSERT_TRUE(draws().SealDraw(key, 0, Root()).ok());
  Take(key, DrawStep::kClose);
  EXPECT_EQ(Get(key).state, DrawState::kClosed);
  twice(DrawStep::kSeed, kTheSeed);
  ASSERT_TRUE(draws().RankDraw(key, Blocks(), 10).ok());
  Take(key, DrawStep::kSeed, kTheSeed);
  EXPECT_EQ(Get(key).state, DrawState::kDrawn);
  twice(DrawStep::kFinish);
  EXPECT_EQ(AuditEntries(), audited + 3);
  const DrawKey other = Begin(Committed("tv", 1));
  Take(other, DrawStep::kCancel);
  Take(other, DrawStep::kCancel);
  EXPECT_EQ(AuditEntries(), audited + 5);
}

TEST_P(DrawContract, OnlyTheSeedThatItIsCommittedToIsTaken) {
  CreatePooled("tv", 10);
  const DrawKey key = Begin(Committed("tv", 1));
  Seal(key);
  const auto other = Change(key, DrawStep::kSeed, "another seed, as long");
  EXPECT_TRUE(IsSeedMismatch(other.status())) << other.status();
  EXPECT_EQ(other.status().code(), absl::StatusCode::kFailedPrecondition);
  EXPECT_TRUE(absl::IsInvalidArgument(Change(key, DrawStep::kSeed, std::string(15, 'x')).status()));
  EXPECT_TRUE(absl::IsInvalidArgument(Change(key, DrawStep::kSeed, std::string(65, 'x')).status()));
  EXPECT_EQ(Get(key).state, DrawState::kClosed);
  Take(key, DrawStep::kSeed, kTheSeed);
  EXPECT_EQ(Get(key).seed, kTheSeed);
  EXPECT_TRUE(Get(key).seeded_at.has_value());
  EXPECT_EQ(Change(key, DrawStep::kSeed, "another seed, as long").status().code(),
            absl::StatusCode::kFailedPrecondition);
  EXPECT_EQ(Get(key).seed, kTheSeed);
}

TEST_P(DrawContract, APublicSourceMaySayAnything) {
  CreatePooled("tv", 10);
  const DrawKey key = Begin({.sku_id = "tv", .winners = 1, .public_source = "a newspaper"});
  Seal(key);
  const std::string seed("\0\xff a value with any bytes", 25);
  Take(key, DrawStep::kSeed, seed);
  EXPECT_EQ(Get(key).seed, seed);
  EXPECT_EQ(Change(key, DrawStep::kSeed, "another seed, as long").status().code(),
            absl::StatusCode::kFailedPrecondition)
      << "there is one already";
  EXPECT_EQ(Get(key).seed, seed);
}

TEST_P(DrawContract, ABuyerHasOneEntry) {
  CreatePooled("tv", 10);
  CreatePooled("radio", 10);
  Begin(Committed("tv", 1));
  Begin(Committed("radio", 1));
  const DrawEntryResult first = Enter("tv", "alice");
  EXPECT_EQ(first.refusal, Refusal::kNone);
  EXPECT_EQ(first.draw_number, 1);
  EXPECT_FALSE(first.replayed);
  EXPECT_FALSE(first.entry_id.is_nil());
  const std::vector<DrawEntryResult> batch =
      Enter({{"tv", "bob"}, {"radio", "alice"}, {"tv", "alice"}, {"tv", "Alice"}});
  EXPECT_EQ(batch[2].entry_id, first.entry_id);
  EXPECT_TRUE(batch[2].replayed);
  std::set<Uuid> ids;
  for (const DrawEntryResult& result : batch) {
    EXPECT_EQ(result.refusal, Refusal::kNone);
    ids.insert(result.entry_id);
  }
  EXPECT_THAT(ids, SizeIs(4)) << "in the order of the claims, and each has its own";
  EXPECT_FALSE(batch[0].replayed || batch[1].replayed || batch[3].replayed);
  const auto found = draws().FindDrawEntry({"tv", 1}, "bob");
  ASSERT_TRUE(found.ok()) << found.status();
  EXPECT_EQ(found->entry_id, batch[0].entry_id);
  EXPECT_EQ(found->draw.key, (DrawKey{"tv", 1}));
  EXPECT_FALSE(found->award.has_value());
  EXPECT_EQ(draws().FindDrawEntry({"tv", 0}, "bob")->entry_id, batch[0].entry_id);
  const auto stranger = draws().FindDrawEntry({"radio", 1}, "bob");
  EXPECT_TRUE(IsNoDrawEntry(stranger.status())) << stranger.status();
  EXPECT_EQ(draws().ListDraws("tv")->front().entries, 3) << "exact, though it is open";
}

// Whoever sees some ids must not be able to tell which come next, or whose they are.
TEST_P(DrawContract, EntryIdsAreRandom) {
  CreatePooled("tv", 10);
  Begin(Committed("tv", 1));
  std::set<uint8_t> first_bytes;
  for (const auto& [id, _] : EnterMany("tv", 200)) {
    first_bytes.insert(id.bytes[0]);
    EXPECT_EQ(id.bytes[6] >> 4, 4) << id.ToString();
  }
  EXPECT_GT(first_bytes.size(), 50u);
}

TEST_P(DrawContract, EntriesAreTakenOnlyByAnOpenDraw) {
  CreatePooled("tv", 10);
  CreatePooled("radio", 10);
  const DrawKey key = Begin(Committed("tv", 1));
  const std::vector<DrawEntryResult> mixed = Enter({{"sofa", "alice"}, {"radio", "alice"}, {"tv", "alice"}});
  EXPECT_EQ(mixed[0].refusal, Refusal::kSkuNotFound);
  EXPECT_EQ(mixed[1].refusal, Refusal::kDrawNotOpen);
  EXPECT_FALSE(mixed[1].state.has_value()) << "there is none";
  EXPECT_EQ(mixed[2].refusal, Refusal::kNone);
  Take(key, DrawStep::kClose);
  const DrawEntryResult late = Enter("tv", "bob");
  EXPECT_EQ(late.refusal, Refusal::kDrawNotOpen);
  EXPECT_EQ(late.state, DrawState::kClosing);
  const DrawEntryResult again = Enter("tv", "alice");
  EXPECT_EQ(again.refusal, Refusal::kNone) << "the answer was lost";
  EXPECT_TRUE(again.replayed);
  EXPECT_EQ(again.entry_id, mixed[2].entry_id);
  Take(key, DrawStep::kCancel);
  EXPECT_EQ(Enter("tv", "bob").state, DrawState::kCancelled);
  EXPECT_EQ(draws().ListDraws("tv")->front().entries, 1);
  Begin(Committed("tv", 1));
  const DrawEntryResult next = Enter("tv", "alice");
  EXPECT_EQ(next.draw_number, 2);
  EXPECT_FALSE(next.replayed) << "it is another draw";
  EXPECT_NE(next.entry_id, mixed[2].entry_id);
}

TEST_P(DrawContract, WhatIsNotLockedNeedsNoWait) {
  CreatePooled("tv", 10);
  Begin(Committed("tv", 1));
  for (const LockMode mode : {LockMode::kNoWait, LockMode::kWaitBriefly, LockMode::kWait}) {
    const DrawEntryClaim claim{.sku_id = "tv", .user_id = absl::StrCat("u", static_cast<int>(mode))};
    const auto results = draws().EnterDraws(mode, {&claim, 1});
    ASSERT_TRUE(results.ok()) << results.status();
    EXPECT_EQ(results->front().refusal, Refusal::kNone);
    EXPECT_FALSE(results->front().busy || results->front().replayed);
    EXPECT_FALSE(results->front().entry_id.is_nil());
  }
  EXPECT_EQ(draws().ListDraws("tv")->front().entries, 3);
}

// Its entries were never a list that somebody could have checked.
TEST_P(DrawContract, ADrawThatWasCalledOffWhileItWasOpenHasNoList) {
  CreatePooled("tv", 10);
  const DrawKey key = Begin(Committed("tv", 1));
  EnterMany("tv", 3);
  Take(key, DrawStep::kCancel);
  EXPECT_TRUE(IsStateConflict(draws().ListDrawEntries(key, std::nullopt, 10).status()));
  const DrawKey closed = Begin(Committed("tv", 1));
  EnterMany("tv", 3);
  Take(closed, DrawStep::kClose);
  Take(closed, DrawStep::kCancel);
  EXPECT_THAT(Listed(closed), SizeIs(3));
}

// What one batch has: the most claims, and ids of buyers as long as they may be and with any characters.
TEST_P(DrawContract, ABatchMayBeLarge) {
  CreatePooled("tv", 10);
  Begin(Committed("tv", 1));
  std::vector<DrawEntryClaim> batch;
  for (int i = 0; i < kMaxBatch; ++i) {
    std::string user = absl::StrCat(i, " {\"a\", 'b'}, \\ NULL ");
    user.resize(128, 'x');
    batch.push_back({.sku_id = "tv", .user_id = user});
  }
  const std::vector<DrawEntryResult> results = Enter(batch);
  std::set<Uuid> ids;
  for (const DrawEntryResult& result : results) ids.insert(result.entry_id);
  EXPECT_THAT(ids, SizeIs(kMaxBatch));
  const auto found = draws().FindDrawEntry({"tv", 1}, batch[700].user_id);
  ASSERT_TRUE(found.ok()) << found.status();
  EXPECT_EQ(found->entry_id, results[700].entry_id);
}

TEST_P(DrawRaceContract, TheSameBuyerManyTimesAtOnceHasOneEntry) {
  CreatePooled("tv", 10);
  Begin(Committed("tv", 1));
  absl::Mutex mutex;
  std::map<std::string, std::set<Uuid>> ids;
  int fresh = 0;
  RunThreads(6, [&](int thread) {
    for (int round = 0; round < 10; ++round) {
      std::vector<DrawEntryClaim> batch;
      // In different orders, so that batches meet crosswise.
      for (int i = 0; i < 20; ++i) {
        batch.push_back({.sku_id = "tv", .user_id = absl::StrCat("u", thread % 2 == 0 ? i : 19 - i)});
      }
      const auto results = Retrying([&] { return draws().EnterDraws(LockMode::kWait, batch); });
      ASSERT_TRUE(results.ok()) << results.status();
      absl::MutexLock lock(&mutex);
      for (size_t i = 0; i < batch.size(); ++i) {
        EXPECT_EQ((*results)[i].refusal, Refusal::kNone);
        ids[batch[i].user_id].insert((*results)[i].entry_id);
        fresh += (*results)[i].replayed ? 0 : 1;
      }
    }
  });
  EXPECT_THAT(ids, SizeIs(20));
  for (const auto& [buyer, of_buyer] : ids) EXPECT_THAT(of_buyer, SizeIs(1)) << buyer;
  EXPECT_EQ(fresh, 20);
  EXPECT_EQ(draws().ListDraws("tv")->front().entries, 20);
}

// Whoever was told that they are in is in the list that is sealed, and nobody else is.
TEST_P(DrawRaceContract, EntriesThatMeetTheCloseAreInTheListOrRefused) {
  CreatePooled("tv", 10);
  const DrawKey key = Begin(Committed("tv", 1));
  absl::Mutex mutex;
  std::set<Uuid> acknowledged;
  std::atomic<int> batches{0}, ended{0};
  std::vector<Uuid> listed;
  RunThreads(5, [&](int thread) {
    if (thread == 4) {
      while (batches < 8 && ended < 4) std::this_thread::yield();
      const auto closed = Retrying([&] { return Change(key, DrawStep::kClose); });
      ASSERT_TRUE(closed.ok()) << closed.status();
      // From here on it must not grow.
      listed = Listed(key);
      return;
    }
    bool open = true;
    for (int round = 0; open && round < 2'000; ++round) {
      std::vector<DrawEntryClaim> batch;
      for (int i = 0; i < 10; ++i) {
        batch.push_back({.sku_id = "tv", .user_id = absl::StrCat("u", thread, "-", round, "-", i)});
      }
      const auto results = Retrying([&] { return draws().EnterDraws(LockMode::kWait, batch); });
      ++batches;
      EXPECT_TRUE(results.ok()) << results.status();
      if (!results.ok()) break;
      absl::MutexLock lock(&mutex);
      for (const DrawEntryResult& result : *results) {
        open = open && result.refusal == Refusal::kNone;
        if (result.refusal == Refusal::kNone) acknowledged.insert(result.entry_id);
      }
    }
    ++ended;
  });
  EXPECT_GE(acknowledged.size(), 10u);
  EXPECT_THAT(listed, ElementsAreArray(acknowledged));
  EXPECT_EQ(Listed(key), listed);
  EXPECT_EQ(draws().ListDraws("tv")->front().entries, static_cast<int64_t>(acknowledged.size()));
}

TEST_P(DrawContract, TheListIsInTheOrderOfItsBytes) {
  CreatePooled("tv", 10);
  const DrawKey key = Begin(Committed("tv", 1));
  const auto entries = EnterMany("tv", 25);
  const auto early = draws().ListDrawEntries(key, std::nullopt, 10);
  EXPECT_TRUE(IsStateConflict(early.status())) << "it still grows: " << early.status();
  Take(key, DrawStep::kClose);
  std::vector<Uuid> expected;
  for (const auto& [id, _] : entries) expected.push_back(id);
  EXPECT_EQ(Listed(key), expected);
  EXPECT_EQ(Listed(key, 7), expected);
  EXPECT_EQ(Listed(key, 25), expected);
  EXPECT_THAT(*draws().ListDrawEntries(key, expected[3], 2), ElementsAre(expected[4], expected[5]));
  EXPECT_THAT(*draws().ListDrawEntries(key, expected.back(), 2), IsEmpty());
}

TEST_P(DrawContract, ChunksAreKeptAsTheyWereFirst) {
  CreatePooled("tv", 10);
  const DrawKey key = Begin(Committed("tv", 1));
  EnterMany("tv", 2 * kDrawChunkEntries + 5);
  Take(key, DrawStep::kClose);
  const std::vector<DrawChunk> chunks = ChunksOf(Listed(key));
  ASSERT_THAT(chunks, SizeIs(3));
  EXPECT_THAT(*draws().ReadDrawChunks(key), IsEmpty());
  ASSERT_TRUE(draws().AddDrawChunks(key, std::vector{chunks[1], chunks[0]}).ok());
  EXPECT_THAT(*draws().ReadDrawChunks(key), ElementsAre(chunks[0], chunks[1]));
  std::vector<DrawChunk> others = chunks;
  others[0].hash = Sha256("another");
  ASSERT_TRUE(draws().AddDrawChunks(key, others).ok()) << "another worker does the same";
  EXPECT_THAT(*draws().ReadDrawChunks(key), ElementsAreArray(chunks));
}

TEST_P(DrawContract, OnlyTheWholeListIsSealed) {
  CreatePooled("tv", 10);
  const DrawKey key = Begin(Committed("tv", 1));
  const int64_t entries = kDrawChunkEntries + 1;
  EnterMany("tv", static_cast<int>(entries));
  const auto code = [&](int64_t count) { return draws().SealDraw(key, count, Root()).code(); };
  EXPECT_EQ(code(entries), absl::StatusCode::kFailedPrecondition) << "it is open";
  Take(key, DrawStep::kClose);
  EXPECT_EQ(code(entries), absl::StatusCode::kFailedPrecondition) << "there is no chunk";
  const std::vector<DrawChunk> chunks = ChunksOf(Listed(key));
  ASSERT_TRUE(draws().AddDrawChunks(key, std::vector{chunks[0]}).ok());
  EXPECT_EQ(code(entries), absl::StatusCode::kFailedPrecondition) << "the second chunk is missing";
  EXPECT_EQ(code(kDrawChunkEntries), absl::StatusCode::kFailedPrecondition) << "an entry is missing";
  ASSERT_TRUE(draws().AddDrawChunks(key, std::vector{chunks[1]}).ok());
  EXPECT_EQ(code(entries - 1), absl::StatusCode::kFailedPrecondition);
  EXPECT_EQ(code(entries + 1), absl::StatusCode::kFailedPrecondition);
  EXPECT_EQ(Get(key).state, DrawState::kClosing);
  EXPECT_EQ(Get(key).merkle_root, "");
  ASSERT_TRUE(draws().SealDraw(key, entries, Root()).ok());
  EXPECT_EQ(Get(key).state, DrawState::kClosed);
  EXPECT_EQ(Get(key).entries, entries);
  EXPECT_EQ(Get(key).merkle_root, Root());
  EXPECT_TRUE(draws().SealDraw(key, entries, Root()).ok()) << "the answer was lost";
  EXPECT_EQ(draws().SealDraw(key, entries, Sha256("another root")).code(), absl::StatusCode::kFailedPrecondition);
  EXPECT_EQ(Get(key).merkle_root, Root());
}

TEST_P(DrawContract, WorkersAreToldWhatWaitsForThem) {
  CreatePooled("tv", 10);
  CreatePooled("radio", 10);
  const DrawKey key = Begin(Committed("tv", 1));
  const DrawKey other = Begin(Committed("radio", 1));
  EnterMany("tv", 3);
  const auto work = [this] {
    std::vector<std::string> keys;
    const auto listed = draws().ListDrawWork();
    EXPECT_TRUE(listed.ok()) << listed.status();
    for (const Draw& draw : listed.value_or(std::vector<Draw>())) keys.push_back(draw.key.sku_id);
    std::sort(keys.begin(), keys.end());
    return keys;
  };
  EXPECT_THAT(work(), IsEmpty());
  Take(key, DrawStep::kClose);
  Take(other, DrawStep::kClose);
  EXPECT_THAT(work(), ElementsAre("radio", "tv"));
  ASSERT_TRUE(draws().SealDraw(other, 0, Root()).ok());
  EXPECT_THAT(work(), ElementsAre("tv")) << "the other one waits for its operator";
  Take(other, DrawStep::kSeed, kTheSeed);
  EXPECT_THAT(work(), ElementsAre("radio", "tv"));
  Take(other, DrawStep::kCancel);
  Take(key, DrawStep::kCancel);
  EXPECT_THAT(work(), IsEmpty());
}

TEST_P(DrawContract, WithoutASeedNobodyHasARank) {
  CreatePooled("tv", 10);
  const DrawKey key = Begin(Committed("tv", 1));
  EnterMany("tv", 3);
  EXPECT_TRUE(IsStateConflict(draws().RankDraw(key, Blocks(), 10).status()));
  Seal(key);
  EXPECT_TRUE(IsStateConflict(draws().RankDraw(key, Blocks(), 10).status()));
  EXPECT_TRUE(IsStateConflict(draws().AwardDraw(key, 10).status()));
}

TEST_P(DrawContract, RanksAreComputedInPages) {
  CreatePooled("tv", 10);
  const DrawKey key = Begin(Committed("tv", 1));
  EnterMany("tv", 10);
  Seal(key);
  Take(key, DrawStep::kSeed, kTheSeed);
  std::vector<int64_t> ranked;
  bool drawn = false;
  while (!drawn && ranked.size() < 10) {
    const auto progress = draws().RankDraw(key, Blocks(), 4);
    ASSERT_TRUE(progress.ok()) << progress.status();
    ranked.push_back(progress->ranked);
    drawn = progress->drawn;
    EXPECT_EQ(Get(key).state, drawn ? DrawState::kDrawn : DrawState::kSeeded);
    if (!drawn) {
      EXPECT_TRUE(IsStateConflict(draws().AwardDraw(key, 10).status())) << "a lower rank may be to come";
    }
  }
  EXPECT_THAT(ranked, ElementsAre(4, 4, 2));
  const auto again = draws().RankDraw(key, Blocks(), 4);
  ASSERT_TRUE(again.ok()) << again.status();
  EXPECT_TRUE(again->drawn) << "the answer was lost";
  EXPECT_EQ(again->ranked, 0);
}

TEST_P(DrawRaceContract, WorkersSideBySideRankEachEntryOnce) {
  CreatePooled("tv", 200);
  const DrawKey key = Begin(Committed("tv", 200));
  const auto entries = EnterMany("tv", 120);
  Seal(key);
  Take(key, DrawStep::kSeed, kTheSeed);
  std::atomic<int64_t> ranked{0};
  RunThreads(3, [&](int) {
    for (int calls = 0; calls < 1'000; ++calls) {
      const auto progress = Retrying([&] { return draws().RankDraw(key, Blocks(), 7); });
      ASSERT_TRUE(progress.ok()) << progress.status();
      ranked += progress->ranked;
      if (progress->drawn) return;
    }
    ADD_FAILURE() << "it does not end";
  });
  EXPECT_EQ(ranked, 120);
  EXPECT_EQ(Award(key, 200).awarded, 120);
  EXPECT_THAT(Buyers(Awards(key)), ElementsAreArray(InOrder(entries)));
}

TEST_P(DrawContract, ARemovedDrawIsNotThere) {
  CreatePooled("tv", 10);
  const DrawKey key = Begin(Committed("tv", 2));
  EnterMany("tv", 30);
  RankAll(key);
  EXPECT_EQ(Award(key).awarded, 2);
  Take(key, DrawStep::kFinish);
  EXPECT_EQ(*draws().PurgeDraws(1'000), 0) << "nothing is removed yet";
  const auto removed = Change(key, DrawStep::kRemove);
  ASSERT_TRUE(removed.ok()) << removed.status();
  EXPECT_EQ(removed->state, DrawState::kFinished) << "as it was";
  EXPECT_EQ(removed->winners, 2);
  EXPECT_TRUE(IsNoDraw(draws().GetDraw(key).status()));
  EXPECT_TRUE(IsNoDraw(draws().GetDraw({"tv", 0}).status()));
  EXPECT_TRUE(IsNoDraw(draws().ListDrawEntries(key, std::nullopt, 10).status()));
  const size_t audited = AuditEntries();
  EXPECT_TRUE(Change(key, DrawStep::kRemove).ok()) << "the answer was lost";
  EXPECT_EQ(AuditEntries(), audited);
  EXPECT_THAT(Numbers("tv"), IsEmpty());
  EXPECT_EQ(Enter("tv", "u1").refusal, Refusal::kDrawNotOpen);

  // Its rows go by and by, whatever comes meanwhile, and only its own.
  const DrawKey next = Begin(Committed("tv", 1));
  EXPECT_EQ(next.number, 2) << "numbers are not used again";
  EnterMany("tv", 5);
  int64_t purged = 0;
  for (int calls = 0; calls < 1'000; ++calls) {
    const auto some = draws().PurgeDraws(7);
    ASSERT_TRUE(some.ok()) << some.status();
    EXPECT_LE(*some, 7);
    purged += *some;
    if (*some == 0) break;
  }
  EXPECT_GE(purged, 30 + 30 + 2) << "entries, ranks and awards";
  EXPECT_EQ(*draws().PurgeDraws(7), 0);
  EXPECT_EQ(draws().ListDraws("tv")->front().entries, 5);
  EXPECT_TRUE(IsNoDraw(draws().GetDraw(key).status()));
  EXPECT_EQ(Get(next).state, DrawState::kOpen);
}

TEST_P(DrawContract, WhatIsNotThereIsSaidToBe) {
  CreatePooled("tv", 10);
  const auto all = [this](const DrawKey& key) {
    return std::vector<absl::Status>{draws().GetDraw(key).status(),
                                     draws().FindDrawEntry(key, "alice").status(),
                                     Change(key, DrawStep::kClose).status(),
                                     draws().ListDrawAwards(key, 0, 10).status(),
                                     draws().ListDrawEntries(key, std::nullopt, 10).status(),
                                     draws().ReadDrawChunks(key).status(),
                                     draws().AddDrawChunks(key, ChunksOf(std::vector<Uuid>(1))),
                                     draws().SealDraw(key, 0, Root()),
                                     draws().RankDraw(key, Blocks(), 10).status(),
                                     draws().AwardDraw(key, 10).status()};
  };
  for (const absl::Status& status : all({"sofa", 1})) EXPECT_TRUE(absl::IsNotFound(status)) << status;
  for (const absl::Status& status : all({"tv", 1})) EXPECT_TRUE(IsNoDraw(status)) << status;
  EXPECT_TRUE(absl::IsNotFound(draws().ListDraws("sofa").status()));
  EXPECT_THAT(Numbers("tv"), IsEmpty());
  Begin(Committed("tv", 1));
  for (const absl::Status& status : all({"tv", 2})) EXPECT_TRUE(IsNoDraw(status)) << status;
}

}  // namespace
}  // namespace tranche::storage
