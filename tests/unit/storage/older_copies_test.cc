// Which of several copies of a SKU counts: an older one is given up, and what is not known stays as it is.
#include "storage/shards/older_copies.h"

#include <functional>
#include <map>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "absl/time/time.h"
#include "gtest/gtest.h"
#include "storage/clock.h"
#include "storage/ledger/ledger_error.h"

namespace tranche::storage {
namespace {

using Place = SkuWhereabouts::Place;
using Verdict = CopyCheck::Verdict;

SkuWhereabouts Stays(Place place, int64_t moves, const std::string& other_shard = "") {
  SkuWhereabouts where;
  where.place = place;
  where.other_shard = other_shard;
  where.moves = moves;
  return where;
}

// A shard that knows where SKUs are, and can give up a copy.
class CopyLedger final : public SkuMoveLedger {
 public:
  absl::StatusOr<SkuWhereabouts> Where(const std::string& sku_id) override {
    ++asked;
    if (!answers) return absl::UnavailableError("silent");
    const auto found = known.find(sku_id);
    const SkuWhereabouts answer = found == known.end() ? SkuWhereabouts() : found->second;
    if (clock != nullptr) clock->AdvanceBy(takes);
    if (const std::function<void()> hook = std::exchange(after_answer, nullptr)) hook();
    return answer;
  }
  absl::StatusOr<bool> GiveUpOlderCopy(const std::string& sku_id, const std::string& shard, int64_t moves,
                                       const Actor&) override {
    if (!give_up.ok()) return give_up;
    SkuWhereabouts& here = known[sku_id];
    const bool leaves = here.place == Place::kLeaving && here.other_shard != shard;
    if (here.moves >= moves || (here.place != Place::kHere && !leaves)) return false;
    here.place = Place::kGone;
    here.other_shard = shard;
    return true;
  }

  absl::StatusOr<std::vector<ListedWhereabouts>> ListWhereabouts(const std::string&, int) override { return No(); }
  absl::StatusOr<PreparedLeave> PrepareLeave(const std::string&, const std::string&) override { return No(); }
  absl::StatusOr<std::string> Snapshot() override { return No(); }
  absl::Status BeginLeave(const std::string&, const std::string&, const std::string&, const Actor&) override {
    return No();
  }
  absl::StatusOr<SkuPage> ExportPage(const std::string&, SkuPart, const std::string&, const PageCursor&, int) override {
    return No();
  }
  absl::StatusOr<ExportedSku> ExportSku(const std::string&, const std::string&) override { return No(); }
  absl::StatusOr<bool> CancelLeave(const std::string&, const std::string&, const Actor&) override { return No(); }
  absl::Status FinishLeave(const std::string&, const std::string&, const std::string&, const Actor&) override {
    return No();
  }
  absl::Status BeginArrival(const std::string&, const std::string&, const std::string&) override { return No(); }
  absl::Status ImportPage(const std::string&, const std::string&, SkuPart, const std::string&) override { return No(); }
  absl::Status FinishArrival(const ExportedSku&, const std::string&, const Actor&) override { return No(); }
  absl::StatusOr<bool> CancelArrival(const std::string&) override { return No(); }
  absl::StatusOr<int64_t> Purge(const std::string&, int) override { return No(); }
  absl::Status NoteWhereabouts(const std::string&, const std::string&) override { return No(); }

  std::map<std::string, SkuWhereabouts> known;
  absl::Status give_up;  // what the next tries to give a copy up meet
  bool answers = true;
  std::function<void()> after_answer;  // if set, runs once, after the next answer
  int asked = 0;
  FakeClock* clock = nullptr;  // which goes on by `takes` with each answer
  absl::Duration takes;

 private:
  static absl::Status No() { return absl::UnimplementedError("nobody moves it"); }
};

// Home judges its copy of "tv"; there are two other shards.
class OlderCopiesTest : public ::testing::Test {
 protected:
  Verdict Judge(const std::string& announced_at) {
    copies_.BeginPass();
    return JudgeAgain(announced_at);
  }
  Verdict JudgeAgain(const std::string& announced_at) {
    const auto verdict = copies_.Judge("tv", announced_at);
    EXPECT_TRUE(verdict.ok()) << verdict.status();
    return verdict.value_or(Verdict::kOpen);
  }
  void Set(SkuWhereabouts home, SkuWhereabouts cold, SkuWhereabouts hot) {
    home_.known["tv"] = std::move(home);
    cold_->known["tv"] = std::move(cold);
    hot_->known["tv"] = std::move(hot);
  }
  // Home sells it.
  bool Sells() { return home_.known["tv"].place == Place::kHere; }

  CopyLedger home_;
  std::shared_ptr<CopyLedger> cold_ = std::make_shared<CopyLedger>(), hot_ = std::make_shared<CopyLedger>();
  absl::StatusOr<std::vector<OlderCopies::OtherShard>> others_ =
      std::vector<OlderCopies::OtherShard>{{"cold", cold_}, {"hot", hot_}};
  FakeClock clock_;
  OlderCopies copies_{"home", &home_, [this] { return others_; }, &clock_};
};

const SkuWhereabouts kNeverHere{};

TEST_F(OlderCopiesTest, TheCopyWithFewerMovesIsGivenUp) {
  Set(Stays(Place::kHere, 0), kNeverHere, Stays(Place::kHere, 1));
  EXPECT_EQ(Judge("hot"), Verdict::kGivenUp);
  EXPECT_FALSE(Sells());
  EXPECT_EQ(home_.known["tv"].other_shard, "hot");
}

TEST_F(OlderCopiesTest, AShardThatAnswersSlowlyIsAskedAFewTimesInAPass) {
  hot_->clock = &clock_;
  hot_->takes = absl::Milliseconds(100);
  Set(Stays(Place::kHere, 2), kNeverHere, Stays(Place::kGone, 1));
  EXPECT_EQ(Judge("hot"), Verdict::kCounts);
  for (int i = 0; i < 100; ++i) JudgeAgain("hot");
  EXPECT_EQ(JudgeAgain("hot"), Verdict::kOpen);
  EXPECT_LE(hot_->asked, 4);
  hot_->takes = absl::Milliseconds(10);
  EXPECT_EQ(Judge("hot"), Verdict::kCounts) << "in the next pass";
  for (int i = 0; i < 100; ++i) EXPECT_EQ(JudgeAgain("hot"), Verdict::kCounts) << "that is usual";
}

TEST_F(OlderCopiesTest, WhatLeavesForTheShardWithTheNewerCopyIsLeftToTheMover) {
  Set(Stays(Place::kLeaving, 0, "hot"), kNeverHere, Stays(Place::kHere, 1));
  home_.give_up = absl::InternalError("must not be asked: it would lock");
  EXPECT_EQ(Judge("hot"), Verdict::kOpen);
}

TEST_F(OlderCopiesTest, TheCopyWithMoreMovesCounts) {
  Set(Stays(Place::kHere, 2), kNeverHere, Stays(Place::kHere, 1));
  EXPECT_EQ(Judge("hot"), Verdict::kCounts);
  EXPECT_TRUE(Sells());
}

TEST_F(OlderCopiesTest, ItIsGivenUpToTheShardThatTheSkuWentOnTo) {
  Set(Stays(Place::kHere, 0), Stays(Place::kHere, 2), Stays(Place::kGone, 1, "cold"));
  EXPECT_EQ(Judge("hot"), Verdict::kGivenUp);
  EXPECT_EQ(home_.known["tv"].other_shard, "cold");
  // Two older ones: the newest counts.
  Set(Stays(Place::kHere, 0), Stays(Place::kHere, 1), Stays(Place::kHere, 2));
  EXPECT_EQ(Judge("cold"), Verdict::kGivenUp);
  EXPECT_EQ(home_.known["tv"].other_shard, "hot");
  // The newer one is just moving.
  Set(Stays(Place::kHere, 0), Stays(Place::kArriving, 1, "hot"), Stays(Place::kLeaving, 1, "cold"));
  EXPECT_EQ(Judge("hot"), Verdict::kGivenUp);
  EXPECT_EQ(home_.known["tv"].other_shard, "hot");
}

TEST_F(OlderCopiesTest, ACopyThatNoShardHasANewerOneOfCounts) {
  Set(Stays(Place::kHere, 1), kNeverHere, kNeverHere);
  EXPECT_EQ(Judge("hot"), Verdict::kCounts);
  Set(Stays(Place::kHere, 1), kNeverHere, Stays(Place::kGone, 0, "home"));
  EXPECT_EQ(Judge("hot"), Verdict::kCounts) << "a move whose announcement is missing";
  Set(Stays(Place::kHere, 1), kNeverHere, Stays(Place::kLeaving, 0, "home"));
  EXPECT_EQ(Judge("hot"), Verdict::kCounts);
  EXPECT_EQ(Judge("nowhere"), Verdict::kCounts) << "no shard of ours: somebody wrote that";
}

TEST_F(OlderCopiesTest, ANewerCopyThatMovesWhileItIsLookedForIsNotTakenForLost) {
  Set(Stays(Place::kHere, 0), Stays(Place::kArriving, 1, "hot"), Stays(Place::kLeaving, 1, "cold"));
  cold_->after_answer = [&] {
    cold_->known["tv"] = Stays(Place::kHere, 2);
    hot_->known["tv"] = Stays(Place::kGone, 1, "cold");
  };
  EXPECT_EQ(Judge("hot"), Verdict::kOpen);
  EXPECT_TRUE(Sells());
  EXPECT_EQ(Judge("hot"), Verdict::kGivenUp);
  EXPECT_EQ(home_.known["tv"].other_shard, "cold");
}

TEST_F(OlderCopiesTest, AnOlderCopyCountsWhenTheNewerOneIsLost) {
  Set(Stays(Place::kHere, 0), kNeverHere, Stays(Place::kGone, 1, "cold"));
  EXPECT_EQ(Judge("cold"), Verdict::kCounts);
}

TEST_F(OlderCopiesTest, WhatTheMovesDoNotSayStaysOpen) {
  Set(Stays(Place::kHere, 1), kNeverHere, Stays(Place::kHere, 1));
  EXPECT_EQ(Judge("hot"), Verdict::kOpen);
  EXPECT_TRUE(Sells());
}

TEST_F(OlderCopiesTest, AMoveThatEndsIsLeftToItsMover) {
  Set(Stays(Place::kLeaving, 0, "hot"), kNeverHere, Stays(Place::kHere, 1));
  EXPECT_EQ(Judge("hot"), Verdict::kOpen);
  EXPECT_EQ(home_.known["tv"].place, Place::kLeaving);
  Set(Stays(Place::kGone, 0, "hot"), kNeverHere, Stays(Place::kHere, 1));
  EXPECT_EQ(Judge("hot"), Verdict::kOpen) << "it has just gone";
}

TEST_F(OlderCopiesTest, ItIsOpenUntilTheShardThatIsNamedAnswers) {
  Set(Stays(Place::kHere, 0), kNeverHere, Stays(Place::kHere, 1));
  hot_->answers = false;
  EXPECT_EQ(Judge("hot"), Verdict::kOpen);
  const int asked = hot_->asked;
  EXPECT_EQ(JudgeAgain("hot"), Verdict::kOpen);
  EXPECT_EQ(hot_->asked, asked) << "once a pass";
  hot_->answers = true;
  EXPECT_EQ(JudgeAgain("hot"), Verdict::kOpen);
  EXPECT_TRUE(Sells());
  EXPECT_EQ(Judge("hot"), Verdict::kGivenUp);
}

TEST_F(OlderCopiesTest, ASilentShardHoldsUpWhatMayHaveGoneThereAndNothingElse) {
  hot_->answers = false;
  Set(Stays(Place::kHere, 1), kNeverHere, kNeverHere);
  EXPECT_EQ(Judge("cold"), Verdict::kCounts);
  Set(Stays(Place::kHere, 0), Stays(Place::kGone, 1, "hot"), kNeverHere);
  EXPECT_EQ(Judge("cold"), Verdict::kOpen) << "it went on to the one that is silent";
  Set(Stays(Place::kHere, 0), Stays(Place::kHere, 1), kNeverHere);
  EXPECT_EQ(Judge("cold"), Verdict::kGivenUp) << "whatever the silent one has";
}

TEST_F(OlderCopiesTest, ItIsOpenWhileItIsNotKnownWhichShardsThereAre) {
  Set(Stays(Place::kHere, 0), kNeverHere, Stays(Place::kHere, 1));
  const auto known = std::exchange(others_, absl::UnavailableError("home is down"));
  EXPECT_EQ(Judge("hot"), Verdict::kOpen);
  EXPECT_EQ(hot_->asked, 0);
  others_ = known;
  EXPECT_EQ(Judge("hot"), Verdict::kGivenUp);
}

TEST_F(OlderCopiesTest, ALockedCopyIsTriedAgainAndErrorsOfTheOwnShardAreTold) {
  Set(Stays(Place::kHere, 0), kNeverHere, Stays(Place::kHere, 1));
  home_.give_up = BusyError("lock timeout");
  EXPECT_EQ(Judge("hot"), Verdict::kOpen);
  home_.give_up = absl::UnavailableError("down");
  EXPECT_TRUE(absl::IsUnavailable(copies_.Judge("tv", "hot").status()));
  home_.answers = false;
  EXPECT_TRUE(absl::IsUnavailable(copies_.Judge("tv", "hot").status()));
}

}  // namespace
}  // namespace tranche::storage
