// Whether a SKU is on exactly one shard: what is broken is found, and what only moves is never taken for broken.
#include "storage/shards/sku_places.h"

#include <algorithm>
#include <random>
#include <string>
#include <utility>
#include <vector>

#include "gmock/gmock.h"
#include "gtest/gtest.h"

namespace tranche::storage {
namespace {

using Place = SkuWhereabouts::Place;

SkuWhereabouts At(Place place, std::string other_shard, int64_t version) {
  SkuWhereabouts where;
  where.place = place;
  where.other_shard = std::move(other_shard);
  where.version = version;
  return where;
}
SkuWhereabouts Here(int64_t version) { return At(Place::kHere, "", version); }
SkuWhereabouts LeavingFor(const std::string& shard, int64_t version) { return At(Place::kLeaving, shard, version); }
SkuWhereabouts GoneTo(const std::string& shard, int64_t version) { return At(Place::kGone, shard, version); }
SkuWhereabouts ComingFrom(const std::string& shard, int64_t version) { return At(Place::kArriving, shard, version); }

const SkuWhereabouts kUnknown{};

SkuPlaces Places(SkuWhereabouts home, SkuWhereabouts cold, SkuWhereabouts hot) {
  return {{"home", std::move(home)}, {"cold", std::move(cold)}, {"hot", std::move(hot)}};
}

// One look after the other; the last one repeats.
class Looks {
 public:
  explicit Looks(std::vector<SkuPlaces> looks) : looks_(std::move(looks)) {}
  SkuPlaces First() { return *Next(); }
  absl::StatusOr<SkuPlaces> Next() { return looks_[std::min(next_++, looks_.size() - 1)]; }
  size_t count() const { return next_; }

 private:
  const std::vector<SkuPlaces> looks_;
  size_t next_ = 0;
};

std::string Several(Looks looks) {
  const SkuPlaces first = looks.First();
  return OnSeveralShards(first, [&] { return looks.Next(); }).value();
}
std::string None(Looks looks) {
  const SkuPlaces first = looks.First();
  return OnNoShard(first, [&] { return looks.Next(); }).value();
}

TEST(SkuPlacesTest, AnOlderCopyThatCameBackIsASecondOne) {
  EXPECT_EQ(Several(Looks({Places(Here(5), kUnknown, Here(9))})), "home and hot");
  EXPECT_EQ(Several(Looks({Places(kUnknown, Here(9), Here(9))})), "cold and hot");
  EXPECT_EQ(Several(Looks({Places(Here(1), Here(2), Here(3))})), "home and cold and hot");
  EXPECT_EQ(None(Looks({Places(Here(5), kUnknown, Here(9))})), "");
}

TEST(SkuPlacesTest, TwoCopiesThatOutbidEachOtherAreProvenByALaterLook) {
  const auto at = [](int64_t home, int64_t hot) { return Places(Here(home), kUnknown, Here(hot)); };
  EXPECT_EQ(Several(Looks({at(1, 2), at(3, 4), at(5, 6), at(7, 7)})), "home and hot");
  EXPECT_EQ(Several(Looks({at(1, 2), at(3, 4), at(5, 6), at(7, 8), at(9, 10)})), "") << "as if it moved there and back";
}

TEST(SkuPlacesTest, WhatAFinishedMoveLeavesBehindIsNoSecondCopy) {
  Looks looks({Places(LeavingFor("hot", 5), kUnknown, Here(6))});
  EXPECT_EQ(OnSeveralShards(looks.First(), [&] { return looks.Next(); }).value(), "");
  EXPECT_EQ(looks.count(), 1u) << "nothing to look at again";
}

TEST(SkuPlacesTest, ACopyFromWithinAnEarlierMoveIsASecondOne) {
  EXPECT_EQ(Several(Looks({Places(LeavingFor("hot", 5), Here(9), GoneTo("cold", 6))})), "home and cold");
}

TEST(SkuPlacesTest, WhatAShardHasForgottenIsOnNone) {
  EXPECT_EQ(None(Looks({Places(GoneTo("hot", 5), kUnknown, kUnknown)})),
            "home says it has gone to hot, cold does not know it, hot does not know it");
  EXPECT_EQ(None(Looks({Places(GoneTo("hot", 5), kUnknown, GoneTo("home", 3))})),
            "home says it has gone to hot, cold does not know it, hot says it has gone to home");
  EXPECT_NE(None(Looks({Places(kUnknown, kUnknown, ComingFrom("home", 3))})), "");
  EXPECT_NE(None(Looks({Places(LeavingFor("hot", 5), kUnknown, kUnknown)})), "") << "it was arriving there";
  EXPECT_EQ(Several(Looks({Places(GoneTo("hot", 5), kUnknown, kUnknown)})), "");
}

TEST(SkuPlacesTest, AMoveThatIsTakenBackIsInOrder) {
  EXPECT_EQ(None(Looks({Places(LeavingFor("hot", 5), kUnknown, GoneTo("home", 5))})), "");
}

TEST(SkuPlacesTest, AnIdThatIsOnlyReservedIsNotMissed) {
  SkuWhereabouts reserved = GoneTo("hot", 1);
  reserved.only_reserved = true;
  EXPECT_EQ(None(Looks({Places(reserved, kUnknown, kUnknown)})), "");
  EXPECT_EQ(None(Looks({Places(reserved, kUnknown, Here(1))})), "");
  EXPECT_NE(None(Looks({Places(reserved, GoneTo("hot", 4), kUnknown)})), "") << "cold has had it";
}

TEST(SkuPlacesTest, WhatMayBeOnAShardThatWasNotAskedIsNotMissed) {
  EXPECT_EQ(None(Looks({Places(GoneTo("new", 5), kUnknown, kUnknown)})), "");
  EXPECT_EQ(None(Looks({Places(LeavingFor("new", 5), kUnknown, kUnknown)})), "");
}

TEST(SkuPlacesTest, AShardThatDoesNotAnswerLeavesItOpen) {
  const auto silent = []() -> absl::StatusOr<SkuPlaces> { return absl::UnavailableError("silent"); };
  EXPECT_TRUE(absl::IsUnavailable(OnSeveralShards(Places(Here(1), kUnknown, Here(2)), silent).status()));
  EXPECT_TRUE(absl::IsUnavailable(OnNoShard(Places(GoneTo("hot", 1), kUnknown, kUnknown), silent).status()));
}

// A SKU that moves to and fro by the steps of storage/shards/sku_move.h, with some moves taken back.
class WanderingSku {
 public:
  explicit WanderingSku(unsigned seed) : random_(seed) {}

  // One shard after the other, with some steps of moves in between.
  SkuPlaces Look() {
    SkuPlaces look;
    for (size_t i = 0; i < places_.size(); ++i) {
      for (unsigned steps = Draw(4); steps > 0; --steps) Step();
      look.push_back(places_[i]);
    }
    return look;
  }
  int arrivals() const { return arrivals_; }

 private:
  enum class Stage { kStaying, kCopying, kPaused, kUndoing, kDecided };

  unsigned Draw(unsigned below) { return std::uniform_int_distribution<unsigned>(0, below - 1)(random_); }
  SkuWhereabouts& source() { return places_[source_].where; }
  SkuWhereabouts& target() { return places_[target_].where; }

  void Step() {
    const bool takes_back = Draw(4) == 0;
    switch (stage_) {
      case Stage::kStaying:
        if (Draw(2) == 0) {
          ++source().version;
          return;
        }
        target_ = (source_ + 1 + Draw(2)) % places_.size();
        target() = ComingFrom(places_[source_].shard, source().version);
        stage_ = Stage::kCopying;
        return;
      case Stage::kCopying:
        if (takes_back) {
          target() = GoneTo(places_[source_].shard, target().version);
        } else {
          source() = LeavingFor(places_[target_].shard, source().version + Draw(3));
        }
        stage_ = takes_back ? Stage::kStaying : Stage::kPaused;
        return;
      case Stage::kPaused:
        target() = takes_back ? GoneTo(places_[source_].shard, target().version) : Here(source().version + 1);
        stage_ = takes_back ? Stage::kUndoing : Stage::kDecided;
        return;
      case Stage::kUndoing:
        source() = Here(source().version + 1);
        stage_ = Stage::kStaying;
        return;
      case Stage::kDecided:
        source() = GoneTo(places_[target_].shard, source().version);
        source_ = target_;
        ++arrivals_;
        stage_ = Stage::kStaying;
        return;
    }
  }

  std::mt19937 random_;
  SkuPlaces places_ = Places(Here(1), kUnknown, kUnknown);
  size_t source_ = 0, target_ = 0;
  Stage stage_ = Stage::kStaying;
  int arrivals_ = 0;
};

TEST(SkuPlacesTest, ASkuThatMovesWhileTheShardsAreAskedIsInOrder) {
  int looked_wrong = 0;
  for (unsigned seed = 1; seed <= 200; ++seed) {
    WanderingSku sku(seed);
    for (int i = 0; i < 100; ++i) {
      const auto look_again = [&] {
        ++looked_wrong;
        return absl::StatusOr<SkuPlaces>(sku.Look());
      };
      ASSERT_EQ(OnSeveralShards(sku.Look(), look_again).value(), "") << "seed " << seed;
      ASSERT_EQ(OnNoShard(sku.Look(), look_again).value(), "") << "seed " << seed;
    }
    ASSERT_GT(sku.arrivals(), 20) << "seed " << seed;
  }
  EXPECT_GT(looked_wrong, 100) << "one look would often have been wrong";
}

}  // namespace
}  // namespace tranche::storage
