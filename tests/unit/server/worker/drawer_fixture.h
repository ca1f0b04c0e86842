// Draws in a ledger whose calls can be refused and whose answers can be lost.
#pragma once

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <cstdint>
#include <functional>
#include <map>
#include <optional>
#include <set>
#include <string>
#include <utility>
#include <vector>

#include "absl/strings/str_cat.h"
#include "server/admission/draw_rank.h"
#include "server/admission/lottery.h"
#include "server/admission/merkle_tree.h"
#include "server/worker/drawer.h"
#include "storage/fake/fake_draw_ledger.h"
#include "storage/fake/fake_ledger.h"

namespace tranche::server {

inline constexpr char kSeed[] = "sixteen bytes and more";

// Passes calls on, as the test allows.
class TroubledDraws : public storage::DrawLedger {
 public:
  explicit TroubledDraws(storage::DrawLedger* inner) : inner_(inner) {}

  absl::StatusOr<storage::Draw> CreateDraw(const storage::NewDraw& draw, bool preview,
                                           const storage::Actor& actor) override {
    return inner_->CreateDraw(draw, preview, actor);
  }
  absl::StatusOr<storage::Draw> ChangeDraw(const storage::DrawKey& key, storage::DrawStep step, const std::string& seed,
                                           bool preview, const storage::Actor& actor) override {
    return inner_->ChangeDraw(key, step, seed, preview, actor);
  }
  absl::StatusOr<std::vector<storage::Draw>> ListDraws(const std::string& sku_id) override {
    return inner_->ListDraws(sku_id);
  }
  absl::StatusOr<std::vector<storage::DrawAward>> ListDrawAwards(const storage::DrawKey& key, int64_t after,
                                                                 int limit) override {
    return inner_->ListDrawAwards(key, after, limit);
  }
  absl::StatusOr<std::vector<storage::DrawEntryResult>> EnterDraws(
      storage::LockMode mode, absl::Span<const storage::DrawEntryClaim> claims) override {
    return inner_->EnterDraws(mode, claims);
  }
  absl::StatusOr<storage::DrawEntry> FindDrawEntry(const storage::DrawKey& key, const std::string& user_id) override {
    return inner_->FindDrawEntry(key, user_id);
  }

  absl::StatusOr<storage::Draw> GetDraw(const storage::DrawKey& key) override {
    return Through("GetDraw", key, [&] { return inner_->GetDraw(key); });
  }
  absl::StatusOr<std::vector<storage::Uuid>> ListDrawEntries(const storage::DrawKey& key,
                                                             const std::optional<storage::Uuid>& after,
                                                             int limit) override {
    limits.push_back(limit);
    return Through("ListDrawEntries", key, [&] { return inner_->ListDrawEntries(key, after, limit); });
  }
  absl::StatusOr<std::vector<storage::DrawChunk>> ReadDrawChunks(const storage::DrawKey& key) override {
    return Through("ReadDrawChunks", key, [&] { return inner_->ReadDrawChunks(key); });
  }
  absl::StatusOr<std::vector<storage::Draw>> ListDrawWork() override {
    return Through("ListDrawWork", {}, [&] { return inner_->ListDrawWork(); });
  }
  absl::Status AddDrawChunks(const storage::DrawKey& key, absl::Span<const storage::DrawChunk> chunks) override {
    return Through("AddDrawChunks", key, [&] { return inner_->AddDrawChunks(key, chunks); });
  }
  absl::Status SealDraw(const storage::DrawKey& key, int64_t entries, const std::string& merkle_root) override {
    return Through("SealDraw", key, [&] { return inner_->SealDraw(key, entries, merkle_root); });
  }
  absl::StatusOr<storage::RankProgress> RankDraw(const storage::DrawKey& key, const storage::HmacBlocks& blocks,
                                                 int limit) override {
    if (others_rank) {
      ++calls["RankDraw"];
      return storage::RankProgress{};
    }
    return Through("RankDraw", key, [&] { return inner_->RankDraw(key, blocks, limit); });
  }
  absl::StatusOr<storage::AwardProgress> AwardDraw(const storage::DrawKey& key, int limit) override {
    return Through("AwardDraw", key, [&] { return inner_->AwardDraw(key, limit); });
  }
  absl::StatusOr<int64_t> PurgeDraws(int limit) override {
    return Through("PurgeDraws", {}, [&]() -> absl::StatusOr<int64_t> {
      if (removed_rows == 0) return inner_->PurgeDraws(limit);
      const int64_t deleted = std::min<int64_t>(limit, removed_rows);
      removed_rows -= deleted;
      return deleted;
    });
  }

  // Refuses a call before it does anything, or loses its answer: by method and SKU.
  using Fault = std::function<absl::Status(const std::string& method, const std::string& sku_id)>;
  Fault refuses;
  Fault loses;
  int64_t removed_rows = 0;
  bool others_rank = false;  // another worker is always at it
  std::map<std::string, int> calls;
  std::vector<int> limits;  // of pages of entries

 private:
  template <typename Call>
  auto Through(const std::string& method, const storage::DrawKey& key, Call&& call) -> decltype(call()) {
    ++calls[method];
    if (refuses != nullptr) {
      if (absl::Status refused = refuses(method, key.sku_id); !refused.ok()) return refused;
    }
    auto answer = call();
    if (loses != nullptr) {
      if (absl::Status lost = loses(method, key.sku_id); !lost.ok()) return lost;
    }
    return answer;
  }

  storage::DrawLedger* const inner_;
};

inline double HalfTheWait() { return 0.5; }

class DrawerTest : public ::testing::Test {
 protected:
  void CreateSku(const std::string& sku_id, int64_t stock) {
    storage::Sku sku;
    sku.sku_id = sku_id;
    sku.title = sku_id;
    sku.price_minor = 100;
    sku.currency = "EUR";
    sku.stock = stock;
    sku.presplit = false;
    ASSERT_TRUE(ledger_.CreateSku(sku, "test").ok());
  }
  // A draw of one unit for each winner that so many have entered, and that is closed.
  void CloseDraw(const std::string& sku_id, int entries, int winners) {
    CreateSku(sku_id, winners);
    const auto draw = fake_.CreateDraw({.sku_id = sku_id, .winners = winners, .seed_commitment = Commitment(kSeed)},
                                       /*preview=*/false, "test");
    ASSERT_TRUE(draw.ok()) << draw.status();
    for (int first = 0; first < entries; first += storage::kMaxBatch) {
      std::vector<storage::DrawEntryClaim> claims;
      for (int i = first; i < std::min(first + storage::kMaxBatch, entries); ++i) {
        claims.push_back({.sku_id = sku_id, .user_id = absl::StrCat("user-", i)});
      }
      const auto entered = fake_.EnterDraws(storage::LockMode::kWait, claims);
      ASSERT_TRUE(entered.ok()) << entered.status();
    }
    Take(sku_id, storage::DrawStep::kClose);
  }
  void Take(const std::string& sku_id, storage::DrawStep step) {
    const auto changed =
        fake_.ChangeDraw({sku_id, 1}, step, step == storage::DrawStep::kSeed ? kSeed : "", false, "test");
    ASSERT_TRUE(changed.ok()) << changed.status();
  }

  // Each does a step when its wait is over.
  void RunFor(absl::Duration time, const std::vector<Drawer*>& drawers) {
    const absl::Time until = clock_.Now() + time;
    std::vector<absl::Time> due(drawers.size(), clock_.Now());
    while (true) {
      const size_t next = static_cast<size_t>(std::min_element(due.begin(), due.end()) - due.begin());
      if (due[next] > until) break;
      if (due[next] > clock_.Now()) clock_.AdvanceBy(due[next] - clock_.Now());
      const absl::Duration wait = drawers[next]->Step();
      due[next] = clock_.Now() + wait;
    }
    clock_.AdvanceBy(until - clock_.Now());
  }
  void RunFor(absl::Duration time) { RunFor(time, {&drawer_}); }
  // From now on each call of the method takes so long, by the clock.
  void LetTake(const std::string& method, absl::Duration time) {
    draws_.loses = [this, method, time](const std::string& called, const std::string&) {
      if (called == method) clock_.AdvanceBy(time);
      return absl::OkStatus();
    };
  }

  storage::Draw Get(const std::string& sku_id) { return fake_.GetDraw({sku_id, 1}).value(); }
  std::vector<storage::Uuid> EntriesOf(const std::string& sku_id) {
    std::vector<storage::Uuid> entries;
    while (true) {
      const std::optional<storage::Uuid> after = entries.empty() ? std::nullopt : std::optional(entries.back());
      const auto page = fake_.ListDrawEntries({sku_id, 1}, after, 1000).value();
      if (page.empty()) return entries;
      entries.insert(entries.end(), page.begin(), page.end());
    }
  }
  std::vector<storage::DrawAward> Awards(const std::string& sku_id) {
    return fake_.ListDrawAwards({sku_id, 1}, 0, 1000).value();
  }
  // The entries in the order of their ranks.
  std::vector<storage::Uuid> Ranked(const std::string& sku_id) {
    const std::string key = DrawRankKey(Get(sku_id));
    std::vector<std::pair<std::string, storage::Uuid>> ranked;
    for (const storage::Uuid& entry : EntriesOf(sku_id)) ranked.emplace_back(DrawRank(key, entry), entry);
    std::sort(ranked.begin(), ranked.end());
    std::vector<storage::Uuid> entries;
    for (const auto& [rank, entry] : ranked) entries.push_back(entry);
    return entries;
  }
  void Pay(const storage::DrawAward& award) {
    const storage::Payment payment{award.reservation_id.value(), absl::StrCat("pay-", award.place), 100, "EUR"};
    const auto paid = ledger_.ConfirmReservations(std::vector<storage::Payment>{payment});
    ASSERT_TRUE(paid.ok()) << paid.status();
    ASSERT_EQ(ledger_.FindReservation(*award.reservation_id)->state, storage::ReservationState::kConfirmed);
  }
  void GiveUp(const storage::DrawAward& award) {
    const storage::Cancellation cancellation{award.reservation_id.value(), "changed their mind"};
    ASSERT_TRUE(ledger_.CancelReservations(std::vector<storage::Cancellation>{cancellation}).ok());
  }

  void ExpectSealed(const std::string& sku_id, int entries) {
    const storage::Draw draw = Get(sku_id);
    ASSERT_EQ(draw.state, storage::DrawState::kClosed);
    EXPECT_EQ(draw.entries, entries);
    std::vector<std::string> leaves;
    for (const storage::Uuid& entry : EntriesOf(sku_id)) leaves.push_back(LeafHash(entry));
    EXPECT_THAT(leaves, ::testing::SizeIs(static_cast<size_t>(entries)));
    EXPECT_EQ(draw.merkle_root, MerkleRoot(leaves));
  }
  // The first so many by rank have the places, and nobody else has one.
  void ExpectPlaces(const std::string& sku_id, size_t places) {
    const std::vector<storage::Uuid> ranked = Ranked(sku_id);
    const std::vector<storage::DrawAward> awards = Awards(sku_id);
    ASSERT_THAT(awards, ::testing::SizeIs(places));
    std::set<storage::Uuid> reservations;
    for (size_t i = 0; i < places; ++i) {
      EXPECT_EQ(awards[i].place, static_cast<int64_t>(i + 1));
      EXPECT_EQ(awards[i].entry_id, ranked[i]) << "place " << i + 1;
      reservations.insert(awards[i].reservation_id.value());
    }
    EXPECT_THAT(reservations, ::testing::SizeIs(places));
  }
  double WaitsFor() { return absl::ToDoubleSeconds(clock_.Now() - drawer_.counts().waits_since.Get()); }
  bool Waits() { return drawer_.counts().waits_since.Get() != absl::InfinitePast(); }

  static constexpr DrawerOptions kSmallPieces = {.chunks = 1, .ranks = 700, .awards = 2};

  storage::FakeClock clock_;
  storage::FakeLedger ledger_{&clock_};
  storage::FakeDrawLedger fake_{&ledger_, &clock_};
  TroubledDraws draws_{&fake_};
  Drawer drawer_{&draws_, &clock_, HalfTheWait, kSmallPieces};
};

}  // namespace tranche::server
