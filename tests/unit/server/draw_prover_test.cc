#include "server/handlers/draw_prover.h"

#include <gmock/gmock.h>

#include <algorithm>
#include <optional>
#include <set>
#include <string>
#include <vector>

#include "absl/strings/str_cat.h"
#include "server/admission/draw_rank.h"
#include "server/admission/merkle_tree.h"
#include "storage/ledger/ledger_error.h"
#include "tests/unit/server/draw_fixture.h"

namespace tranche::server {
namespace {

using ::testing::IsEmpty;

// Counts what is read, and may tell another list than the one that was sealed.
class CountingDraws : public storage::FakeDrawLedger {
 public:
  using FakeDrawLedger::FakeDrawLedger;

  absl::StatusOr<std::vector<storage::DrawChunk>> ReadDrawChunks(const storage::DrawKey& key) override {
    ++list_reads;
    absl::StatusOr<std::vector<storage::DrawChunk>> chunks = FakeDrawLedger::ReadDrawChunks(key);
    if (chunks.ok() && loses_a_chunk) chunks->pop_back();
    return chunks;
  }
  absl::StatusOr<std::vector<storage::Uuid>> ListDrawEntries(const storage::DrawKey& key,
                                                             const std::optional<storage::Uuid>& after,
                                                             int limit) override {
    absl::StatusOr<std::vector<storage::Uuid>> ids = FakeDrawLedger::ListDrawEntries(key, after, limit);
    if (ids.ok() && loses_entries) ids->clear();
    if (ids.ok() && alters_the_last) ids->back().bytes[0] ^= 1;
    return ids;
  }

  int list_reads = 0;
  bool loses_a_chunk = false;
  bool loses_entries = false;
  bool alters_the_last = false;
};

class DrawProverTest : public ::testing::Test {
 protected:
  DrawProverTest() {
    for (const char* sku_id : {"tv", "radio"}) {
      storage::Sku sku;
      sku.sku_id = sku_id;
      sku.title = sku_id;
      sku.price_minor = 100;
      sku.currency = "EUR";
      sku.stock = 10;
      sku.presplit = false;
      EXPECT_TRUE(books_.CreateSku(sku, "tester").ok());
    }
  }

  absl::StatusOr<ProvenEntry> Find(const storage::DrawKey& key, const std::string& user_id) {
    return prover_.Find(draws_.ledger(), key, user_id);
  }

  storage::FakeClock clock_;
  storage::FakeLedger books_{&clock_};
  DrawsOf<CountingDraws> draws_{&books_, &clock_};
  DrawProver prover_;
};

TEST_F(DrawProverTest, EveryEntryIsProvenInAListOfSeveralChunks) {
  constexpr int kBuyers = storage::kDrawChunkEntries * 2 + 3;
  const storage::DrawKey key = draws_.Open();
  draws_.Enter(key, kBuyers);
  draws_.Seal(key);
  std::set<int64_t> places;
  for (int i = 1; i <= kBuyers; i += 50) {
    const auto found = Find(key, absl::StrCat("u", i));
    ASSERT_TRUE(found.ok()) << found.status();
    const storage::Draw& draw = found->entry.draw;
    EXPECT_EQ(draw.entries, kBuyers);
    EXPECT_TRUE(PathLeadsTo(found->entry.entry_id, found->leaf_index, kBuyers, found->audit_path, draw.merkle_root));
    EXPECT_EQ(found->rank, "") << "there is no seed yet";
    places.insert(found->leaf_index);
  }
  EXPECT_EQ(places.size(), static_cast<size_t>((kBuyers + 49) / 50)) << "each has a place of its own";
  EXPECT_GE(*places.rbegin(), storage::kDrawChunkEntries) << "not all in the first chunk";
  EXPECT_EQ(draws_.ledger().list_reads, 1) << "a sealed list does not change";
}

TEST_F(DrawProverTest, BeforeTheListIsSealedThereIsNoProof) {
  const storage::DrawKey key = draws_.Open();
  draws_.Enter(key, 3);
  for (int i = 0; i < 2; ++i) {
    const auto found = Find({"tv", 0}, "u2");
    ASSERT_TRUE(found.ok()) << found.status();
    EXPECT_EQ(found->entry.draw.key, key);
    EXPECT_THAT(found->audit_path, IsEmpty());
    EXPECT_EQ(found->leaf_index, 0);
    EXPECT_EQ(found->rank, "");
    draws_.Take(key, storage::DrawStep::kClose);
  }
  EXPECT_EQ(draws_.ledger().list_reads, 0);
}

TEST_F(DrawProverTest, WithTheSeedComesTheRankByWhichTheLedgerAwards) {
  const storage::DrawKey key = draws_.Open("tv", /*winners=*/1);
  draws_.Enter(key, 20);
  draws_.Seal(key);
  draws_.Rank(key);
  ASSERT_TRUE(draws_.ledger().AwardDraw(key, 10).ok());
  const auto awards = draws_.ledger().ListDrawAwards(key, 0, 10);
  ASSERT_EQ(awards->size(), 1u);
  std::string lowest(32, '\xff');
  std::string winner;
  for (int i = 1; i <= 20; ++i) {
    const std::string user = absl::StrCat("u", i);
    const auto found = Find(key, user);
    ASSERT_TRUE(found.ok()) << found.status();
    EXPECT_EQ(found->rank, DrawRank(DrawRankKey(found->entry.draw), found->entry.entry_id));
    if (found->rank < lowest) winner = user;
    lowest = std::min(lowest, found->rank);
  }
  EXPECT_EQ(winner, awards->front().user_id);
  EXPECT_EQ(lowest, awards->front().rank);
}

TEST_F(DrawProverTest, ASingleEntryIsItsOwnRoot) {
  const storage::DrawKey key = draws_.Open();
  draws_.Enter(key, 1);
  draws_.Seal(key);
  const auto found = Find(key, "u1");
  ASSERT_TRUE(found.ok()) << found.status();
  EXPECT_THAT(found->audit_path, IsEmpty());
  EXPECT_TRUE(PathLeadsTo(found->entry.entry_id, 0, 1, {}, found->entry.draw.merkle_root));
}

TEST_F(DrawProverTest, ListsAreKeptOfAFewDraws) {
  std::vector<storage::DrawKey> keys;
  for (size_t i = 0; i <= DrawProver::kMostLists; ++i) {
    keys.push_back(draws_.Open());
    draws_.Enter(keys.back(), 2);
    draws_.Seal(keys.back());
    ASSERT_TRUE(Find(keys.back(), "u1").ok());
    draws_.Take(keys.back(), storage::DrawStep::kCancel);
  }
  const int reads = draws_.ledger().list_reads;
  EXPECT_EQ(reads, static_cast<int>(keys.size()));
  ASSERT_TRUE(Find(keys.back(), "u2").ok());
  EXPECT_EQ(draws_.ledger().list_reads, reads);
  ASSERT_TRUE(Find(keys.front(), "u2").ok());
  EXPECT_EQ(draws_.ledger().list_reads, reads + 1) << "the oldest was forgotten";
}

TEST_F(DrawProverTest, AListThatIsNotTheSealedOneProvesNothing) {
  const storage::DrawKey key = draws_.Open();
  draws_.Enter(key, storage::kDrawChunkEntries + 1);
  draws_.Seal(key);
  draws_.ledger().loses_a_chunk = true;
  EXPECT_TRUE(absl::IsDataLoss(Find(key, "u1").status()));
  draws_.ledger().loses_a_chunk = false;
  EXPECT_TRUE(Find(key, "u1").ok()) << "it was not kept";
  draws_.ledger().loses_entries = true;
  EXPECT_TRUE(absl::IsDataLoss(Find(key, "u1").status()));
  draws_.ledger().loses_entries = false;
  draws_.ledger().alters_the_last = true;
  for (int i = 1; i <= 3; ++i) {
    EXPECT_TRUE(absl::IsDataLoss(Find(key, absl::StrCat("u", i)).status())) << "one beside it is another";
  }
}

TEST_F(DrawProverTest, WhatIsNotThereIsToldApart) {
  EXPECT_TRUE(absl::IsNotFound(Find({"desk", 0}, "u1").status()));
  EXPECT_TRUE(storage::IsNoDraw(Find({"tv", 0}, "u1").status()));
  const storage::DrawKey key = draws_.Open();
  EXPECT_TRUE(storage::IsNoDrawEntry(Find(key, "u1").status()));
  EXPECT_TRUE(storage::IsNoDraw(Find({"tv", 2}, "u1").status()));
}

}  // namespace
}  // namespace tranche::server
