#include "quota/sale/waiting_room.h"

#include <map>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "gtest/gtest.h"

namespace tranche::quota {
namespace {

using Strings = std::vector<std::string>;

class WaitingRoomTest : public ::testing::Test {
 protected:
  // Wants some units of each of its SKUs at once, and says what became of it.
  class Buyer : public Waiter {
   public:
    Buyer(WaitingRoomTest* test, std::string name, std::map<std::string, int64_t> wants)
        : test_(test), name_(std::move(name)), wants_(std::move(wants)) {}

    bool TryToGo(absl::Time, NewDemand& demand) override {
      for (const auto& [sku_id, units] : wants_) {
        if (test_->closed_) return true;
        if (test_->units_[sku_id] >= units) continue;
        WaitFor(sku_id);
        demand.Note(test_->slices_.FindOrAdd(sku_id), units);
        return false;
      }
      for (const auto& [sku_id, units] : wants_) test_->units_[sku_id] -= units;
      return true;
    }
    void GoOn() override {
      test_->told_.push_back(name_ + " goes on");
      if (!test_->ledger_fails_) return;
      for (const auto& [sku_id, units] : wants_) test_->units_[sku_id] += units;
    }
    void GiveUp() override { test_->told_.push_back(name_ + " gives up"); }
    void SendAway() override { test_->told_.push_back(name_ + " is sent away"); }
    int64_t wanted() const override { return wants_.at(sku_id()); }

   private:
    WaitingRoomTest* const test_;
    const std::string name_;
    const std::map<std::string, int64_t> wants_;
  };

  WaitingRoomTest() {
    slices_.Begin(1);
    slices_.SetListener({.exhausted = [this] { ++exhausted_; }, .incarnation_ended = {}});
  }

  void Enter(const std::string& name, std::map<std::string, int64_t> wants,
             absl::Time deadline = absl::InfiniteFuture()) {
    room_.Enter(std::make_unique<Buyer>(this, name, std::move(wants)), deadline);
  }
  void Come(const std::string& sku_id, int64_t units) {
    units_[sku_id] += units;
    slices_.NoteChanged(sku_id);
  }
  void TimePasses(absl::Duration duration) {
    clock_.AdvanceBy(duration);
    room_.AnswerOverdue();
  }
  // What was said since it was last asked.
  Strings Told() { return std::exchange(told_, {}); }

  storage::FakeClock clock_;
  SliceTable slices_;
  std::map<std::string, int64_t> units_;
  bool closed_ = false;
  bool ledger_fails_ = false;  // units are given back at once
  Strings told_;
  int exhausted_ = 0;
  WaitingRoom room_{&slices_, &clock_, {.exhausted_wait = absl::Seconds(1), .max_waiting = 3}};
};

TEST_F(WaitingRoomTest, TheyLeaveInTheOrderOfTheirComing) {
  for (const char* name : {"a", "b", "c"}) Enter(name, {{"tv", 1}});
  EXPECT_EQ(room_.waiting("tv"), 3u);
  EXPECT_EQ(exhausted_, 1) << "two more who want the same are no news";
  Come("tv", 2);
  EXPECT_EQ(Told(), (Strings{"a goes on", "b goes on"}));
  EXPECT_EQ(room_.waiting("tv"), 1u);
  Enter("d", {{"tv", 1}});
  Come("tv", 2);
  EXPECT_EQ(Told(), (Strings{"c goes on", "d goes on"}));
  EXPECT_EQ(room_.waiting("tv"), 0u);
  Come("tv", 1);
  EXPECT_TRUE(Told().empty());
}

TEST_F(WaitingRoomTest, WhoAsksForMuchHoldsUpNobodyAndKeepsItsPlace) {
  Enter("much", {{"tv", 5}});
  Enter("little", {{"tv", 1}});
  Enter("much too", {{"tv", 5}});
  Come("tv", 4);
  EXPECT_EQ(Told(), (Strings{"little goes on"}));
  Come("tv", 7);
  EXPECT_EQ(Told(), (Strings{"much goes on", "much too goes on"}));
}

TEST_F(WaitingRoomTest, WhoMustWaitForAnotherSkuGoesToThatLineAndKeepsItsPlace) {
  Enter("both", {{"radio", 1}, {"tv", 1}});
  Enter("late", {{"tv", 1}});
  EXPECT_EQ(room_.waiting("radio"), 1u);
  Come("radio", 1);
  EXPECT_EQ(room_.waiting("radio"), 0u);
  EXPECT_EQ(room_.waiting("tv"), 2u);
  EXPECT_EQ(exhausted_, 2) << "for each SKU";
  Come("tv", 1);
  EXPECT_EQ(Told(), (Strings{"both goes on"}));
  Come("radio", 1);
  EXPECT_TRUE(Told().empty()) << "nobody waits for it any more";
  Come("tv", 1);
  EXPECT_EQ(Told(), (Strings{"late goes on"}));
}

TEST_F(WaitingRoomTest, WhoseUnitsCameBeforeItDoesNotWait) {
  units_["tv"] = 1;
  Enter("a", {{"tv", 1}});
  EXPECT_EQ(Told(), (Strings{"a goes on"}));
  EXPECT_EQ(exhausted_, 0);
}

TEST_F(WaitingRoomTest, WhoCanGetNothingAnyMoreLeaves) {
  Enter("a", {{"tv", 1}});
  closed_ = true;
  Come("tv", 0);
  EXPECT_EQ(Told(), (Strings{"a goes on"}));
  Enter("b", {{"tv", 1}});
  EXPECT_EQ(Told(), (Strings{"b goes on"}));
}

TEST_F(WaitingRoomTest, ItIsBoundedOverAllSkus) {
  Enter("a", {{"tv", 1}});
  Enter("b", {{"radio", 1}});
  Enter("c", {{"radio", 1}, {"tv", 1}});
  Enter("d", {{"tv", 1}});
  EXPECT_EQ(Told(), (Strings{"d gives up"}));
  units_["book"] = 1;
  Enter("e", {{"book", 1}});
  EXPECT_EQ(Told(), (Strings{"e goes on"})) << "it need not wait";
  Come("radio", 1);
  EXPECT_EQ(Told(), (Strings{"b goes on"}));
  Enter("f", {{"tv", 1}});
  EXPECT_TRUE(Told().empty()) << "there is a place again";
}

TEST_F(WaitingRoomTest, WhoseTimeHasComeLeavesWhateverItWaitsFor) {
  Enter("a", {{"tv", 1}});
  Enter("b", {{"radio", 1}});
  Enter("hasty", {{"tv", 1}}, clock_.Now() + absl::Milliseconds(300));
  TimePasses(absl::Milliseconds(299));
  EXPECT_TRUE(Told().empty());
  TimePasses(absl::Milliseconds(1));
  EXPECT_EQ(Told(), (Strings{"hasty gives up"}));
  units_["radio"] = 1;  // came back, and woke nobody
  TimePasses(absl::Milliseconds(700));
  EXPECT_EQ(Told(), (Strings{"b goes on", "a gives up"}));
  Enter("late", {{"tv", 1}}, clock_.Now());
  EXPECT_EQ(Told(), (Strings{"late gives up"})) << "no time to wait";
}

TEST_F(WaitingRoomTest, WhoGivesUpHasTriedAfterTheOneBeforeGaveItsUnitsBack) {
  Enter("a", {{"tv", 1}});
  Enter("b", {{"tv", 1}});
  units_["tv"] = 1;
  ledger_fails_ = true;
  TimePasses(absl::Seconds(1));
  EXPECT_EQ(Told(), (Strings{"a goes on", "b goes on"}));
}

TEST_F(WaitingRoomTest, AClosedRoomSendsEverybodyAway) {
  Enter("a", {{"tv", 1}});
  Enter("b", {{"radio", 1}});
  room_.SetOpen(false);
  EXPECT_EQ(Told(), (Strings{"b is sent away", "a is sent away"}));
  units_["tv"] = 1;
  Enter("c", {{"tv", 1}});
  EXPECT_EQ(Told(), (Strings{"c is sent away"}));
  room_.SetOpen(true);
  Enter("d", {{"tv", 1}});
  EXPECT_EQ(Told(), (Strings{"d goes on"}));
}

}  // namespace
}  // namespace tranche::quota
