#include "server/handlers/group_read_handler.h"

#include <gmock/gmock.h>

#include <string>
#include <utility>
#include <vector>

#include "absl/strings/str_cat.h"
#include "server/handlers/field_checks.h"
#include "server/handlers/group_reads.h"
#include "server/proto_time.h"
#include "storage/ledger/ledger_error.h"
#include "tests/unit/server/error_matchers.h"
#include "tests/unit/server/group_fixture.h"

namespace tranche::server {
namespace {

using storage::GroupState;
using ::testing::ElementsAre;
using ::testing::IsEmpty;

class GroupReadHandlerTest : public ::testing::Test {
 protected:
  GroupReadHandlerTest() {
    found_.group = FormingGroup(1, clock_.Now());
    found_.members = {MemberOf("alice", 1, clock_.Now()), MemberOf("bob", 0, clock_.Now())};
  }

  static v1::GetGroupRequest Asking(const std::string& user_id = "", bool with_members = false) {
    v1::GetGroupRequest request;
    request.set_group_id(GroupIdOf(1).ToString());
    request.set_user_id(user_id);
    request.set_with_members(with_members);
    return request;
  }
  absl::StatusOr<v1::GetGroupResponse> Get(const v1::GetGroupRequest& request,
                                           absl::Time deadline = absl::InfiniteFuture()) {
    absl::StatusOr<v1::GetGroupResponse> result = absl::InternalError("not answered");
    handler_.Get(request, deadline,
                 [&](absl::StatusOr<v1::GetGroupResponse> response) { result = std::move(response); });
    return result;
  }
  static v1::ListGroupsRequest Listing(const std::string& token = "") {
    v1::ListGroupsRequest request;
    request.set_sku_id("tv");
    request.set_page_token(token);
    return request;
  }
  absl::StatusOr<v1::ListGroupsResponse> List(const v1::ListGroupsRequest& request) {
    absl::StatusOr<v1::ListGroupsResponse> result = absl::InternalError("not answered");
    handler_.List(request, absl::InfiniteFuture(),
                  [&](absl::StatusOr<v1::ListGroupsResponse> response) { result = std::move(response); });
    return result;
  }
  absl::StatusOr<v1::ListGroupOffersResponse> ListOffers(const std::string& sku_id) {
    v1::ListGroupOffersRequest request;
    request.set_sku_id(sku_id);
    absl::StatusOr<v1::ListGroupOffersResponse> result = absl::InternalError("not answered");
    handler_.ListOffers(request, absl::InfiniteFuture(),
                        [&](absl::StatusOr<v1::ListGroupOffersResponse> response) { result = std::move(response); });
    return result;
  }
  static std::vector<std::string> UsersOf(const v1::GetGroupResponse& response) {
    std::vector<std::string> users;
    for (const v1::GroupMember& member : response.members()) users.push_back(member.user_id());
    return users;
  }

  // As a ledger does.
  storage::GroupWithMembers Found(const storage::GroupLookup& lookup) const {
    using Members = storage::GroupLookup::Members;
    storage::GroupWithMembers found{.group = found_.group, .members = {}};
    for (const storage::GroupMember& member : found_.members) {
      const bool is_one = lookup.members == Members::kOne && member.user_id == lookup.user_id;
      if (is_one || lookup.members == Members::kAll) found.members.push_back(member);
    }
    return found;
  }

  struct PageRead {
    storage::GroupFilter filter;
    storage::GroupCursor after;
    int limit = 0;
  };

  storage::FakeClock clock_;
  storage::GroupWithMembers found_;
  absl::Status error_;  // of all reads
  storage::GroupPage page_;
  std::vector<storage::GroupOffer> offers_;
  int group_reads_ = 0;
  storage::GroupLookup lookup_;  // of the last one
  std::vector<PageRead> page_reads_;
  bool pages_hang_ = false;
  std::vector<GroupReadHandler::ReadDone<storage::GroupPage>> hanging_;
  int offer_reads_ = 0;
  GroupReadHandler handler_{{.group =
                                 [this](const storage::Uuid& id, const storage::GroupLookup& lookup, absl::Time,
                                        GroupReadHandler::ReadDone<storage::GroupWithMembers> done) {
                                   ++group_reads_;
                                   lookup_ = lookup;
                                   if (!error_.ok()) return done(error_);
                                   if (!(id == found_.group.group_id))
                                     return done(absl::NotFoundError("no such group"));
                                   if (!lookup.sku_id.empty() && lookup.sku_id != "tv")
                                     return done(absl::NotFoundError("another SKU's"));
                                   done(Found(lookup));
                                 },
                             .page =
                                 [this](const storage::GroupFilter& filter, const storage::GroupCursor& after,
                                        int limit, GroupReadHandler::ReadDone<storage::GroupPage> done) {
                                   page_reads_.push_back({filter, after, limit});
                                   if (pages_hang_) return hanging_.push_back(std::move(done));
                                   if (!error_.ok()) return done(error_);
                                   done(page_);
                                 },
                             .offers =
                                 [this](const std::string&, GroupReadHandler::ReadDone<GroupReadHandler::Offers> done) {
                                   ++offer_reads_;
                                   if (!error_.ok()) return done(error_);
                                   done(offers_);
                                 }},
                            &clock_};
};

TEST_F(GroupReadHandlerTest, AGroupIsToldAsItIs) {
  clock_.AdvanceBy(absl::Minutes(10));
  const auto answer = Get(Asking());
  ASSERT_TRUE(answer.ok()) << answer.status();
  const v1::Group& group = answer->group();
  EXPECT_EQ(group.group_id(), GroupIdOf(1).ToString());
  EXPECT_EQ(group.sku_id(), "tv");
  EXPECT_EQ(group.offer_id(), "three");
  EXPECT_EQ(group.seats(), 3);
  EXPECT_EQ(group.seats_taken(), 1);
  EXPECT_EQ(group.price_minor(), 39900);
  EXPECT_EQ(group.currency(), "EUR");
  EXPECT_EQ(group.state(), v1::GROUP_STATE_FORMING);
  EXPECT_EQ(FromTimestamp(group.create_time()), found_.group.created_at);
  EXPECT_EQ(FromTimestamp(group.deadline_time()), found_.group.deadline_at);
  EXPECT_EQ(FromDuration(group.remaining()), absl::Minutes(50));
  EXPECT_FALSE(group.has_finish_time());
  EXPECT_EQ(group.revision(), 1);
  EXPECT_THAT(UsersOf(*answer), IsEmpty()) << "who the members are is not for everybody";
}

TEST_F(GroupReadHandlerTest, AGroupThatIsOverTellsHow) {
  found_.group.state = GroupState::kFilled;
  found_.group.partial = true;
  found_.group.finished_at = clock_.Now() + absl::Hours(1);
  const v1::Group filled = Get(Asking("alice"))->group();
  EXPECT_EQ(filled.state(), v1::GROUP_STATE_FILLED);
  EXPECT_TRUE(filled.partial());
  EXPECT_EQ(FromTimestamp(filled.finish_time()), found_.group.finished_at);
  EXPECT_FALSE(filled.has_remaining());
  found_.group.state = GroupState::kCancelled;
  found_.group.reason = "a wrong price";
  EXPECT_EQ(Get(Asking("alice"))->group().state(), v1::GROUP_STATE_CANCELLED);
  EXPECT_EQ(Get(Asking("alice"))->group().cancel_reason(), "a wrong price");
  found_.group.state = GroupState::kFailed;
  EXPECT_EQ(Get(Asking("alice"))->group().state(), v1::GROUP_STATE_FAILED);
}

TEST_F(GroupReadHandlerTest, OfMembersThoseAreToldThatAreAskedFor) {
  EXPECT_THAT(UsersOf(*Get(Asking("bob"))), ElementsAre("bob"));
  EXPECT_THAT(UsersOf(*Get(Asking("carol"))), IsEmpty());
  EXPECT_THAT(UsersOf(*Get(Asking("bob", /*with_members=*/true))), ElementsAre("alice", "bob"));
  const auto alone = Get(Asking("alice"));
  const v1::GroupMember& alice = alone->members(0);
  EXPECT_EQ(alice.reservation_id(), GroupIdOf(1001).ToString());
  EXPECT_EQ(alice.quantity(), 2);
  EXPECT_EQ(alice.reservation_state(), v1::RESERVATION_STATE_PENDING);
  EXPECT_EQ(FromTimestamp(alice.join_time()), clock_.Now());
  EXPECT_EQ(alice.seat(), 1);
  EXPECT_EQ(FromTimestamp(alice.pay_time()), clock_.Now());
  found_.members[1].reservation_state.reset();
  const auto retired = Get(Asking("bob"));
  EXPECT_EQ(retired->members(0).reservation_state(), v1::RESERVATION_STATE_UNSPECIFIED);
  EXPECT_FALSE(retired->members(0).has_pay_time());
}

TEST_F(GroupReadHandlerTest, WhatEverybodySeesIsSharedForAMomentAndMembersAreReadEachTime) {
  for (int i = 0; i < 5; ++i) EXPECT_TRUE(Get(Asking()).ok());
  v1::GetGroupRequest shouted = Asking();
  shouted.set_group_id("01890A5D-AC96-774B-8000-000000000001");
  EXPECT_TRUE(Get(shouted).ok());
  EXPECT_EQ(group_reads_, 1);
  found_.group.seats_taken = 2;
  EXPECT_EQ(Get(Asking())->group().seats_taken(), 1);
  EXPECT_EQ(Get(Asking("bob"))->group().seats_taken(), 2) << "who has just paid sees it";
  EXPECT_EQ(Get(Asking("", /*with_members=*/true))->group().seats_taken(), 2);
  EXPECT_EQ(group_reads_, 3);
  clock_.AdvanceBy(absl::Milliseconds(249));
  EXPECT_EQ(Get(Asking())->group().seats_taken(), 1);
  clock_.AdvanceBy(absl::Milliseconds(1));
  EXPECT_EQ(Get(Asking())->group().seats_taken(), 2);
  error_ = absl::UnavailableError("down");
  clock_.AdvanceBy(absl::Seconds(59));
  EXPECT_EQ(Get(Asking())->group().seats_taken(), 2) << "better old than none";
}

TEST_F(GroupReadHandlerTest, NoMoreMembersAreReadThanAreTold) {
  using Members = storage::GroupLookup::Members;
  EXPECT_TRUE(Get(Asking()).ok());
  EXPECT_EQ(lookup_.members, Members::kNone);
  EXPECT_TRUE(Get(Asking("bob")).ok());
  EXPECT_EQ(lookup_.members, Members::kOne);
  EXPECT_EQ(lookup_.user_id, "bob");
  EXPECT_TRUE(Get(Asking("bob", /*with_members=*/true)).ok());
  EXPECT_EQ(lookup_.members, Members::kAll);
}

// Two shards may have a group of one id.
TEST_F(GroupReadHandlerTest, AGroupOfAnotherSkuIsNotFound) {
  for (const char* user : {"", "alice"}) {
    v1::GetGroupRequest request = Asking(user);
    EXPECT_TRUE(Get(request).ok());
    EXPECT_EQ(lookup_.sku_id, "");
    request.set_sku_id("radio");
    EXPECT_EQ(ReasonOf(Get(request).status()), "GROUP_NOT_FOUND") << "what is known of the other one is not told";
    EXPECT_EQ(lookup_.sku_id, "radio");
    request.set_sku_id("tv");
    EXPECT_TRUE(Get(request).ok());
    EXPECT_EQ(lookup_.sku_id, "tv");
  }
}

TEST_F(GroupReadHandlerTest, WhatIsNotThereIsNotFound) {
  v1::GetGroupRequest other = Asking();
  other.set_group_id(GroupIdOf(2).ToString());
  for (const char* user : {"", "alice"}) {
    other.set_user_id(user);
    const absl::Status error = Get(other).status();
    EXPECT_EQ(ReasonOf(error), "GROUP_NOT_FOUND");
    EXPECT_EQ(error.code(), absl::StatusCode::kNotFound);
    EXPECT_EQ(MetadataOf(error, "group_id"), GroupIdOf(2).ToString());
    EXPECT_NE(error.message().find("ListGroups"), absl::string_view::npos) << error;
  }
  error_ = absl::UnavailableError("down");
  EXPECT_EQ(ReasonOf(Get(Asking()).status()), "LEDGER_UNAVAILABLE");
  EXPECT_EQ(ReasonOf(Get(Asking("alice")).status()), "LEDGER_UNAVAILABLE");
  EXPECT_EQ(ReasonOf(Get(Asking("alice"), clock_.Now()).status()), "DEADLINE_PASSED");
}

TEST_F(GroupReadHandlerTest, AListIsReadAsItIsAskedFor) {
  page_.groups = {FormingGroup(1, clock_.Now()), FormingGroup(2, clock_.Now())};
  v1::ListGroupsRequest request = Listing();
  request.set_offer_id("three");
  request.add_states(v1::GROUP_STATE_FAILED);
  request.add_states(v1::GROUP_STATE_FORMING);
  request.add_states(v1::GROUP_STATE_FAILED);
  request.set_page_size(5000);
  const auto answer = List(request);
  ASSERT_TRUE(answer.ok()) << answer.status();
  ASSERT_EQ(answer->groups_size(), 2);
  EXPECT_EQ(answer->groups(1).group_id(), GroupIdOf(2).ToString());
  EXPECT_EQ(answer->next_page_token(), "");
  ASSERT_EQ(page_reads_.size(), 1u);
  EXPECT_EQ(page_reads_[0].filter.sku_id, "tv");
  EXPECT_EQ(page_reads_[0].filter.offer_id, "three");
  EXPECT_THAT(page_reads_[0].filter.states, ElementsAre(GroupState::kForming, GroupState::kFailed));
  EXPECT_EQ(page_reads_[0].limit, 1000);
  EXPECT_TRUE(List(request).ok());
  EXPECT_EQ(page_reads_.size(), 1u) << "everybody looks at the same page";
  EXPECT_TRUE(List(Listing()).ok());
  EXPECT_THAT(page_reads_[1].filter.states, ElementsAre(GroupState::kForming)) << "those that one may join";
  EXPECT_EQ(page_reads_[1].limit, 100);
}

TEST_F(GroupReadHandlerTest, RequestsThatMeanOnePageShareOneRead) {
  page_.groups = {FormingGroup(1, clock_.Now())};
  page_.next = storage::GroupCursor{clock_.Now(), GroupIdOf(1)};
  const std::string token = List(Listing())->next_page_token();
  v1::ListGroupsRequest named = Listing(), sized = Listing();
  named.add_states(v1::GROUP_STATE_FORMING);
  named.add_states(v1::GROUP_STATE_FORMING);
  sized.set_page_size(100);
  EXPECT_TRUE(List(named).ok());
  EXPECT_TRUE(List(sized).ok());
  EXPECT_EQ(page_reads_.size(), 1u);
  sized.set_page_size(5000);
  EXPECT_TRUE(List(sized).ok());
  sized.set_page_size(1000);
  EXPECT_TRUE(List(sized).ok());
  EXPECT_EQ(page_reads_.size(), 2u);
  sized.set_page_token(token);
  EXPECT_TRUE(List(sized).ok());
  EXPECT_EQ(page_reads_.size(), 3u) << "another page";
  EXPECT_EQ(page_reads_.back().after.group_id, GroupIdOf(1));
  EXPECT_EQ(page_reads_.back().limit, 1000);
}

TEST_F(GroupReadHandlerTest, NotManyWaitForPages) {
  pages_hang_ = true;
  size_t waiting = 0;
  for (size_t i = 0; i < GroupReadHandler::kMostWaitForPages; ++i) {
    ++waiting;
    handler_.List(Listing(), absl::InfiniteFuture(), [&](const absl::StatusOr<v1::ListGroupsResponse>& response) {
      if (response.ok()) --waiting;
    });
  }
  EXPECT_EQ(ReasonOf(List(Listing()).status()), "OVERLOADED");
  EXPECT_EQ(waiting, GroupReadHandler::kMostWaitForPages);
  ASSERT_EQ(hanging_.size(), 1u);
  hanging_[0](storage::GroupPage{});
  EXPECT_EQ(waiting, 0u);
}

TEST_F(GroupReadHandlerTest, ATokenGoesOnWhereItsListWasAndNowhereElse) {
  page_.groups = {FormingGroup(1, clock_.Now())};
  page_.next = storage::GroupCursor{clock_.Now() + absl::Microseconds(7), GroupIdOf(1)};
  const std::string token = List(Listing())->next_page_token();
  ASSERT_NE(token, "");
  page_.next.reset();
  EXPECT_EQ(List(Listing(token))->next_page_token(), "");
  EXPECT_EQ(page_reads_.back().after.deadline_at, clock_.Now() + absl::Microseconds(7));
  EXPECT_EQ(page_reads_.back().after.group_id, GroupIdOf(1));
  const size_t before = page_reads_.size();
  v1::ListGroupsRequest others[] = {Listing(token), Listing(token), Listing(token), Listing("t1:x"),
                                    Listing(EncodePageToken("tv//0/17"))};
  others[0].set_sku_id("radio");
  others[1].set_offer_id("three");
  others[2].add_states(v1::GROUP_STATE_FILLED);
  for (const v1::ListGroupsRequest& other : others) {
    const absl::Status error = List(other).status();
    EXPECT_EQ(ReasonOf(error), "FIELD_INVALID") << other.DebugString();
    EXPECT_EQ(MetadataOf(error, "field"), "page_token");
  }
  EXPECT_EQ(page_reads_.size(), before);
}

TEST_F(GroupReadHandlerTest, OffersAreTold) {
  storage::GroupOffer offer{.sku_id = "tv",
                            .offer_id = "three",
                            .seats = 3,
                            .price_minor = 39900,
                            .currency = "EUR",
                            .open_for = absl::Hours(24),
                            .pay_within = absl::Minutes(15),
                            .on_timeout = storage::OnGroupTimeout::kPartial,
                            .min_members = 2,
                            .created_at = clock_.Now()};
  offers_ = {offer, offer};
  offers_[1].on_timeout = storage::OnGroupTimeout::kRefund;
  offers_[1].closed_at = clock_.Now() + absl::Hours(1);
  const auto answer = ListOffers("tv");
  ASSERT_TRUE(answer.ok()) << answer.status();
  ASSERT_EQ(answer->offers_size(), 2);
  const v1::GroupOffer& told = answer->offers(0);
  EXPECT_EQ(told.sku_id(), "tv");
  EXPECT_EQ(told.offer_id(), "three");
  EXPECT_EQ(told.seats(), 3);
  EXPECT_EQ(told.price_minor(), 39900);
  EXPECT_EQ(told.currency(), "EUR");
  EXPECT_EQ(FromDuration(told.open_for()), absl::Hours(24));
  EXPECT_EQ(FromDuration(told.pay_within()), absl::Minutes(15));
  EXPECT_EQ(told.on_timeout(), v1::GROUP_TIMEOUT_PARTIAL);
  EXPECT_EQ(told.min_members(), 2);
  EXPECT_EQ(FromTimestamp(told.create_time()), clock_.Now());
  EXPECT_FALSE(told.has_close_time());
  EXPECT_EQ(answer->offers(1).on_timeout(), v1::GROUP_TIMEOUT_REFUND);
  EXPECT_TRUE(answer->offers(1).has_close_time());
  EXPECT_TRUE(ListOffers("tv").ok());
  EXPECT_EQ(offer_reads_, 1);
}

TEST_F(GroupReadHandlerTest, ASkuThatDoesNotExistHasNoGroupsAndNoOffers) {
  error_ = absl::NotFoundError("no such SKU");
  EXPECT_EQ(List(Listing())->groups_size(), 0);
  EXPECT_EQ(ListOffers("tv")->offers_size(), 0);
  error_ = absl::UnavailableError("down");
  v1::ListGroupsRequest other = Listing();
  other.set_sku_id("radio");
  EXPECT_EQ(ReasonOf(List(other).status()), "LEDGER_UNAVAILABLE");
  EXPECT_EQ(MetadataOf(List(other).status(), "sku_id"), "radio");
  EXPECT_EQ(ReasonOf(ListOffers("radio").status()), "LEDGER_UNAVAILABLE");
}

TEST_F(GroupReadHandlerTest, EveryBadFieldIsNamed) {
  v1::GetGroupRequest nothing;
  EXPECT_EQ(MetadataOf(Get(nothing).status(), "field"), "group_id");
  EXPECT_EQ(ReasonOf(Get(Asking("a\nb")).status()), "USER_ID_MALFORMED");
  v1::GetGroupRequest elsewhere = Asking();
  elsewhere.set_sku_id("a/b");
  EXPECT_EQ(ReasonOf(Get(elsewhere).status()), "SKU_ID_MALFORMED");
  EXPECT_EQ(ReasonOf(List({}).status()), "SKU_ID_REQUIRED");
  v1::ListGroupsRequest listing = Listing();
  listing.set_offer_id("a/b");
  EXPECT_EQ(MetadataOf(List(listing).status(), "field"), "offer_id");
  listing = Listing();
  listing.add_states(v1::GROUP_STATE_UNSPECIFIED);
  EXPECT_EQ(MetadataOf(List(listing).status(), "field"), "states");
  listing = Listing();
  listing.set_page_size(-1);
  EXPECT_EQ(MetadataOf(List(listing).status(), "field"), "page_size");
  EXPECT_EQ(ReasonOf(ListOffers("").status()), "SKU_ID_REQUIRED");
  EXPECT_EQ(group_reads_ + offer_reads_, 0);
  EXPECT_THAT(page_reads_, IsEmpty());
}

// Of those who watch.
class WatchedGroupsTest : public ::testing::Test {
 protected:
  WatchedGroupsTest() {
    for (const int number : {1, 2, 3}) groups_.Put(FormingGroup(number, absl::UnixEpoch()));
  }

  GroupsOfTest groups_;
  const std::vector<WatchedGroup> ids_ = {{GroupIdOf(1)}, {GroupIdOf(2)}, {GroupIdOf(3)}, {GroupIdOf(4)}};
};

TEST_F(WatchedGroupsTest, ThoseAreReadThatExist) {
  const auto read = ReadWatchedGroups(groups_, ids_);
  ASSERT_EQ(read.found.size(), 3u);
  EXPECT_EQ(read.found[2].group_id, GroupIdOf(3));
  EXPECT_TRUE(read.rest.ok()) << read.rest;
  EXPECT_FALSE(read.none_answered);
}

TEST_F(WatchedGroupsTest, AShardThatIsSilentHidesNoGroupOfAnother) {
  groups_.FailFor(GroupIdOf(1));
  const auto read = ReadWatchedGroups(groups_, ids_);
  EXPECT_EQ(read.found.size(), 2u);
  EXPECT_FALSE(read.rest.ok());
  EXPECT_FALSE(read.none_answered);
}

TEST_F(WatchedGroupsTest, ThoseOfTheSkuThatIsNamed) {
  storage::Group radio = FormingGroup(1, absl::UnixEpoch());
  radio.sku_id = "radio";
  groups_.Put(radio);
  const std::vector<WatchedGroup> both = {{GroupIdOf(1), "radio"}, {GroupIdOf(1), "tv"}, {GroupIdOf(1), "sofa"}};
  const auto read = ReadWatchedGroups(groups_, both);
  ASSERT_EQ(read.found.size(), 2u);
  EXPECT_EQ(read.found[0].sku_id, "radio");
  EXPECT_EQ(read.found[1].sku_id, "tv");
}

// Also while all is well.
TEST_F(WatchedGroupsTest, AReadEndsWhenItHasTakenLongEnough) {
  const auto read = ReadWatchedGroups(groups_, ids_, absl::ZeroDuration());
  ASSERT_EQ(read.found.size(), 1u);
  EXPECT_EQ(read.left, 3u);
  EXPECT_TRUE(read.rest.ok()) << read.rest;
  EXPECT_THAT(groups_.reads(), ElementsAre(GroupIdOf(1)));
  EXPECT_EQ(ReadWatchedGroups(groups_, ids_, absl::Hours(1)).left, 0u);
}

TEST_F(WatchedGroupsTest, OneCallerCannotWatchAllGroupsOfANode) {
  WatchHubOptions options;
  EXPECT_EQ(OptionsOfGroupWatches(options).max_watches_per_caller, kMaxWatchedGroups / 2);
  EXPECT_EQ(OptionsOfGroupWatches(options).max_watches, options.max_watches);
  options.max_watches_per_caller = 20;
  EXPECT_EQ(OptionsOfGroupWatches(options).max_watches_per_caller, 20u);
}

TEST_F(WatchedGroupsTest, ALedgerThatIsAwayIsAskedOnce) {
  groups_.Fail(storage::NotReachedError("no connection"));
  const auto read = ReadWatchedGroups(groups_, ids_);
  EXPECT_THAT(read.found, IsEmpty());
  EXPECT_FALSE(read.rest.ok());
  EXPECT_TRUE(read.none_answered);
  EXPECT_THAT(groups_.reads(), ElementsAre(GroupIdOf(1)));
}

}  // namespace
}  // namespace tranche::server
