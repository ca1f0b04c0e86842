// The groups of several shards as one ledger.
#include "storage/shards/routing_group_ledger.h"

#include <cstdint>
#include <map>
#include <memory>
#include <set>
#include <string>
#include <utility>
#include <vector>

#include "absl/strings/str_cat.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "storage/ledger/ledger_error.h"
#include "tests/unit/storage/east_shard.h"

namespace tranche::storage {
namespace {

using ::testing::ElementsAre;
using ::testing::IsEmpty;
using Place = SkuWhereabouts::Place;

// The groups of one shard, as a test sets them.
class GroupsOfShard : public GroupLedger {
 public:
  absl::StatusOr<GroupOffer> CreateGroupOffer(const GroupOffer& offer, bool preview, const Actor& actor) override {
    if (!skus.contains(offer.sku_id)) return NoSku();
    if (full) return absl::ResourceExhaustedError("as many offers as it may have");
    noted = absl::StrCat(actor.name, " offers ", offer.offer_id, preview ? " perhaps" : "");
    if (!preview) offers.push_back(offer);
    return offer;
  }
  absl::StatusOr<GroupOffer> CloseGroupOffer(const std::string& sku_id, const std::string& offer_id, bool preview,
                                             const Actor& actor) override {
    if (!skus.contains(sku_id)) return NoSku();
    for (const GroupOffer& offer : offers) {
      if (offer.sku_id != sku_id || offer.offer_id != offer_id) continue;
      noted = absl::StrCat(actor.name, " closes ", offer_id, preview ? " perhaps" : "");
      return offer;
    }
    return absl::FailedPreconditionError("no such offer");
  }
  absl::StatusOr<std::vector<GroupOffer>> ListGroupOffers(const std::string& sku_id) override {
    if (!sku_id.empty() && !skus.contains(sku_id)) return NoSku();
    std::vector<GroupOffer> listed;
    for (const GroupOffer& offer : offers) {
      if (sku_id.empty() || offer.sku_id == sku_id) listed.push_back(offer);
    }
    return listed;
  }
  absl::StatusOr<Group> CancelGroup(const Uuid& group_id, const std::string& sku_id, const std::string& reason,
                                    bool preview, const Actor& actor) override {
    ++asked;
    if (leaving) return SkuMovingError("the SKU is leaving");
    const auto found = groups.find(group_id);
    if (found == groups.end() || !Means(sku_id, found->second)) return absl::NotFoundError("no such group");
    noted = absl::StrCat(actor.name, " cancels: ", reason, preview ? " perhaps" : "");
    return found->second;
  }
  absl::StatusOr<GroupWithMembers> GetGroup(const Uuid& group_id, const GroupLookup& lookup) override {
    ++asked;
    const auto found = groups.find(group_id);
    if (found == groups.end() || !Means(lookup.sku_id, found->second)) return absl::NotFoundError("no such group");
    return GroupWithMembers{.group = found->second, .members = {}};
  }
  absl::StatusOr<GroupPage> ListGroups(const GroupFilter& filter, const GroupCursor& after, int limit) override {
    if (!skus.contains(filter.sku_id)) return NoSku();
    noted = absl::StrCat("lists ", limit, " after ", after.group_id.ToString());
    GroupPage page;
    for (const auto& [id, group] : groups) {
      if (group.sku_id == filter.sku_id) page.groups.push_back(group);
    }
    return page;
  }
  absl::StatusOr<GroupCounts> CountGroups() override { return counts; }
  absl::StatusOr<ExpiredGroups> ExpireGroups(int) override { return ExpiredGroups(); }
  absl::StatusOr<int64_t> RetireGroups(absl::Duration, int) override { return 0; }

  std::set<std::string> skus;
  std::vector<GroupOffer> offers;
  std::map<Uuid, Group> groups;
  GroupCounts counts;
  bool full = false;     // of offers
  bool leaving = false;  // all its SKUs are
  std::string noted;     // its last call
  int asked = 0;         // for one group

 private:
  static bool Means(const std::string& sku_id, const Group& group) { return sku_id.empty() || group.sku_id == sku_id; }
  static absl::Status NoSku() { return absl::NotFoundError("no such SKU"); }
};

class PlacesOfShard : public WhereaboutsLedger {
 public:
  absl::StatusOr<SkuWhereabouts> Where(const std::string&) override { return where; }
  absl::StatusOr<std::vector<ListedWhereabouts>> ListWhereabouts(const std::string&, int) override {
    return absl::UnimplementedError("");
  }

  SkuWhereabouts where = {.place = Place::kHere, .other_shard = "", .token = ""};  // of every SKU
};

struct GroupShard : SilenceableShard {
  GroupShard(std::string shard, Clock* clock) : SilenceableShard(std::move(shard), clock) {
    groups = &its;
    whereabouts = &places;
  }

  GroupsOfShard its;
  PlacesOfShard places;
};

Uuid GroupId(uint8_t number) {
  Uuid id;
  id.bytes[15] = number;
  return id;
}

Group GroupOf(const std::string& sku_id, uint8_t number) {
  Group group;
  group.group_id = GroupId(number);
  group.sku_id = sku_id;
  group.offer_id = "pair";
  return group;
}

GroupOffer Offer(const std::string& sku_id, const std::string& offer_id) {
  GroupOffer offer;
  offer.sku_id = sku_id;
  offer.offer_id = offer_id;
  return offer;
}

class RoutingGroupLedgerTest : public ::testing::Test {
 protected:
  RoutingGroupLedgerTest() {
    EXPECT_TRUE(set_.Refresh().ok());
    home_->its.skus = {"tv"};
    east_->its.skus = {"radio"};
    home_->its.groups[GroupId(1)] = GroupOf("tv", 1);
    east_->its.groups[GroupId(2)] = GroupOf("radio", 2);
  }
  ~RoutingGroupLedgerTest() override { set_.StopMirrors(); }

  // "radio" has moved from home to east, and home does not know it yet.
  void MoveRadio() {
    home_->its.skus.insert("radio");
    home_->its.groups[GroupId(2)] = GroupOf("radio", 2);
    home_->its.offers = {Offer("radio", "pair")};
    home_->its.leaving = true;
    home_->places.where = {.place = Place::kLeaving, .other_shard = "east", .token = ""};
    east_->its.groups[GroupId(2)].revision = 7;
    east_->its.offers = {Offer("radio", "pair"), Offer("radio", "trio")};
  }
  static std::vector<std::string> Names(const absl::StatusOr<std::vector<GroupOffer>>& offers) {
    EXPECT_TRUE(offers.ok()) << offers.status();
    std::vector<std::string> names;
    for (const GroupOffer& offer : offers.value_or(std::vector<GroupOffer>())) {
      names.push_back(absl::StrCat(offer.sku_id, " ", offer.offer_id));
    }
    return names;
  }

  FakeClock clock_;
  GroupShard* east_ = nullptr;
  GroupShard* home_ = new GroupShard(kHomeShard, &clock_);  // owned by the set
  ShardSet set_{std::unique_ptr<ShardBackend>(home_),
                [this](const Shard& shard) {
                  auto made = std::make_unique<GroupShard>(shard.name, &clock_);
                  east_ = made.get();
                  return made;
                },
                [](IncarnationId) {}};
  RoutingGroupLedger groups_{&set_};
};

TEST_F(RoutingGroupLedgerTest, OffersAndGroupsAreWhereTheirSkuIs) {
  ASSERT_TRUE(groups_.CreateGroupOffer(Offer("radio", "pair"), /*preview=*/false, "alice").ok());
  EXPECT_EQ(east_->its.noted, "alice offers pair");
  EXPECT_TRUE(home_->its.offers.empty());
  EXPECT_THAT(Names(groups_.ListGroupOffers("radio")), ElementsAre("radio pair"));
  EXPECT_EQ(groups_.CloseGroupOffer("radio", "pair", /*preview=*/true, "bob")->offer_id, "pair");
  EXPECT_EQ(east_->its.noted, "bob closes pair perhaps");
  EXPECT_EQ(groups_.GetGroup(GroupId(2), {})->group.sku_id, "radio");
  EXPECT_EQ(groups_.GetGroup(GroupId(1), {})->group.sku_id, "tv");
  const auto page = groups_.ListGroups({.sku_id = "radio"}, {.group_id = GroupId(9)}, 5);
  ASSERT_TRUE(page.ok()) << page.status();
  ASSERT_EQ(page->groups.size(), 1u);
  EXPECT_EQ(page->groups[0].group_id, GroupId(2));
  EXPECT_EQ(east_->its.noted, absl::StrCat("lists 5 after ", GroupId(9).ToString()));
  EXPECT_EQ(groups_.CancelGroup(GroupId(2), "", "by mistake", /*preview=*/false, "alice")->group_id, GroupId(2));
  EXPECT_EQ(east_->its.noted, "alice cancels: by mistake");
  EXPECT_EQ(home_->its.noted, "");
}

// A group's id is chosen by its opener, and unique on its shard only.
TEST_F(RoutingGroupLedgerTest, OfTwoGroupsWithOneIdTheSkuSaysWhichIsMeant) {
  east_->its.groups[GroupId(1)] = GroupOf("radio", 1);
  EXPECT_EQ(groups_.GetGroup(GroupId(1), {.sku_id = "tv"})->group.sku_id, "tv");
  EXPECT_EQ(groups_.GetGroup(GroupId(1), {.sku_id = "radio"})->group.sku_id, "radio");
  EXPECT_EQ(groups_.CancelGroup(GroupId(1), "radio", "", false, "alice")->sku_id, "radio");
  EXPECT_EQ(home_->its.noted, "");
  EXPECT_EQ(groups_.CancelGroup(GroupId(1), "tv", "", false, "alice")->sku_id, "tv");
  EXPECT_TRUE(absl::IsNotFound(groups_.GetGroup(GroupId(1), {.sku_id = "sofa"}).status()));
  EXPECT_TRUE(absl::IsNotFound(groups_.CancelGroup(GroupId(1), "sofa", "", false, "alice").status()));
}

TEST_F(RoutingGroupLedgerTest, WithItsSkuAGroupIsLookedForWhereTheOthersAre) {
  east_->its.groups[GroupId(3)] = GroupOf("radio", 3);
  ASSERT_TRUE(groups_.GetGroup(GroupId(2), {.sku_id = "radio"}).ok());
  EXPECT_EQ(home_->its.asked, 1);
  ASSERT_TRUE(groups_.GetGroup(GroupId(3), {.sku_id = "radio"}).ok());
  ASSERT_TRUE(groups_.CancelGroup(GroupId(2), "radio", "", false, "alice").ok());
  EXPECT_EQ(home_->its.asked, 1) << "east has them";
  EXPECT_TRUE(absl::IsNotFound(groups_.GetGroup(GroupId(9), {.sku_id = "radio"}).status()));
  // It moves to home.
  home_->its.groups[GroupId(3)] = GroupOf("radio", 3);
  east_->its.groups.clear();
  EXPECT_TRUE(groups_.GetGroup(GroupId(3), {.sku_id = "radio"}).ok());
  const int asked = east_->its.asked;
  EXPECT_TRUE(groups_.GetGroup(GroupId(3), {.sku_id = "radio"}).ok());
  EXPECT_EQ(east_->its.asked, asked);
}

TEST_F(RoutingGroupLedgerTest, WhatIsNowhereIsToldApart) {
  EXPECT_TRUE(absl::IsNotFound(groups_.GetGroup(GroupId(3), {}).status()));
  EXPECT_TRUE(absl::IsNotFound(groups_.CancelGroup(GroupId(3), "", "", false, "alice").status()));
  EXPECT_TRUE(absl::IsNotFound(groups_.ListGroupOffers("sofa").status()));
  EXPECT_TRUE(absl::IsNotFound(groups_.ListGroups({.sku_id = "sofa"}, {}, 5).status()));
  EXPECT_TRUE(absl::IsNotFound(groups_.CreateGroupOffer(Offer("sofa", "pair"), false, "alice").status()));
  EXPECT_TRUE(absl::IsFailedPrecondition(groups_.CloseGroupOffer("radio", "pair", false, "alice").status()))
      << "its shard has answered";
  EXPECT_THAT(Names(groups_.ListGroupOffers("radio")), IsEmpty());
}

// The shard that has the SKU says so; that another one is silent does not matter.
TEST_F(RoutingGroupLedgerTest, TooManyOffersIsAnAnswer) {
  home_->its.full = true;
  east_->FallSilent();
  EXPECT_TRUE(absl::IsResourceExhausted(groups_.CreateGroupOffer(Offer("tv", "pair"), false, "alice").status()));
  EXPECT_TRUE(absl::IsUnavailable(groups_.CreateGroupOffer(Offer("radio", "pair"), false, "alice").status()));
}

TEST_F(RoutingGroupLedgerTest, OffersOfAllShardsAreListedByName) {
  home_->its.offers = {Offer("tv", "pair"), Offer("bike", "trio")};
  east_->its.offers = {Offer("radio", "pair"), Offer("bike", "trio"), Offer("bike", "pair")};
  EXPECT_THAT(Names(groups_.ListGroupOffers("")), ElementsAre("bike pair", "bike trio", "radio pair", "tv pair"))
      << "one that moves is on two shards";
}

TEST_F(RoutingGroupLedgerTest, CountsAreSums) {
  home_->its.counts = {.forming = 3, .overdue = 1};
  east_->its.counts = {.forming = 4, .overdue = 2};
  const auto counts = groups_.CountGroups();
  ASSERT_TRUE(counts.ok()) << counts.status();
  EXPECT_EQ(counts->forming, 7);
  EXPECT_EQ(counts->overdue, 3);
}

TEST_F(RoutingGroupLedgerTest, AnAnswerIsCompleteOrAnError) {
  home_->its.offers = {Offer("tv", "pair")};
  east_->FallSilent();
  EXPECT_TRUE(absl::IsUnavailable(groups_.ListGroupOffers("").status()));
  EXPECT_TRUE(absl::IsUnavailable(groups_.CountGroups().status()));
  EXPECT_TRUE(absl::IsUnavailable(groups_.GetGroup(GroupId(2), {}).status())) << "it may be there";
  EXPECT_TRUE(groups_.GetGroup(GroupId(1), {}).ok()) << "home has it";
}

TEST_F(RoutingGroupLedgerTest, OfASkuThatHasMovedTheNewShardsAnswerCounts) {
  MoveRadio();
  EXPECT_EQ(groups_.GetGroup(GroupId(2), {})->group.revision, 7);
  EXPECT_EQ(groups_.ListGroups({.sku_id = "radio"}, {}, 5)->groups.at(0).revision, 7);
  EXPECT_THAT(Names(groups_.ListGroupOffers("radio")), ElementsAre("radio pair", "radio trio"));
  EXPECT_EQ(groups_.CancelGroup(GroupId(2), "", "", false, "alice")->revision, 7);
}

TEST_F(RoutingGroupLedgerTest, OfASkuThatIsLeavingItsShardsAnswerCounts) {
  MoveRadio();
  east_->its.skus.clear();
  east_->its.groups.clear();
  EXPECT_EQ(groups_.GetGroup(GroupId(2), {})->group.revision, 1);
  EXPECT_THAT(Names(groups_.ListGroupOffers("radio")), ElementsAre("radio pair"));
  EXPECT_TRUE(IsSkuMoving(groups_.CancelGroup(GroupId(2), "", "", false, "alice").status()));
}

TEST_F(RoutingGroupLedgerTest, WorkGoesToTheShardsThemselves) {
  EXPECT_TRUE(absl::IsUnimplemented(groups_.ExpireGroups(10).status()));
  EXPECT_TRUE(absl::IsUnimplemented(groups_.RetireGroups(absl::Hours(48), 10).status()));
}

}  // namespace
}  // namespace tranche::storage
