// GroupService on a real server and channel.
#include "server/services/group_service.h"

#include <gtest/gtest.h>

#include <filesystem>
#include <fstream>
#include <memory>
#include <string>
#include <utility>

#include "absl/strings/str_cat.h"
#include "absl/time/clock.h"
#include "server/access/access_control.h"
#include "server/handlers/group_reads.h"
#include "storage/base/access_token.h"
#include "tests/support/scratch_dir.h"
#include "tests/support/stub_books.h"
#include "tests/unit/server/group_fixture.h"
#include "tests/unit/server/grpc_fixture.h"
#include "tranche/v1/group_service.grpc.pb.h"

namespace tranche::server {
namespace {

std::string GroupTokenOf(const std::string& name) {
  return absl::StrCat("trt_", name, std::string(43 - name.size(), '.'));
}

class GroupServiceTest : public ::testing::Test {
 protected:
  void SetUp() override {
    claims_.StartServing();
    groups_.Put(FormingGroup(1, absl::Now()));
    Serve(nullptr);
  }

  void Serve(AccessControl* access) {
    server_.reset();
    service_ = MakeGroupService(
        {.join = &joins_, .read = &reads_, .watch = &hub_},
        CallFrame{
            .clock = storage::Clock::Real(), .deadlines = CallDeadlines{}, .open_calls = &calls_, .access = access});
    server_ = std::make_unique<LocalServer>(service_.get());
    stub_ = v1::GroupService::NewStub(server_->channel());
  }
  // From now on by the access file: a storefront, and a service.
  void AskAccess() {
    const auto principal = [](const char* role) {
      return absl::StrCat(R"({"name": ")", role, R"(", "roles": [")", role, R"("], "tokens_sha256": [")",
                          HexOf(DigestOfToken(GroupTokenOf(role))), R"("]})");
    };
    std::ofstream(path_, std::ios::trunc)
        << R"({"principals": [)" << principal("storefront") << "," << principal("service") << "]}";
    std::filesystem::permissions(path_, std::filesystem::perms(0644));  // whatever the umask
    const absl::Status opened = file_.Open();
    ASSERT_TRUE(opened.ok()) << opened;
    Serve(&control_);
  }
  grpc::Status GetAs(const std::string& role, const v1::GetGroupRequest& request) {
    const auto context = Context();
    context->AddMetadata("authorization", absl::StrCat("Bearer ", GroupTokenOf(role)));
    v1::GetGroupResponse response;
    return stub_->GetGroup(context.get(), request, &response);
  }

  static std::unique_ptr<grpc::ClientContext> Context() {
    auto context = std::make_unique<grpc::ClientContext>();
    context->set_deadline(absl::ToChronoTime(absl::Now() + absl::Seconds(60)));
    return context;
  }
  v1::WatchGroupRequest Watching(int number) const {
    v1::WatchGroupRequest request;
    request.set_group_id(GroupIdOf(number).ToString());
    return request;
  }

  tranche::testing::StubBooks books_;
  quota::SliceTable slices_;
  storage::ReservationClaim claim_;
  ReservationHandler claims_{[this](storage::ReservationClaim claim, absl::Time, bool, quota::SaleDone done, auto) {
                               claim_ = claim;
                               quota::Sold sold;
                               sold.reservation.reservation_id = claim.reservation_id;
                               done(std::move(sold));
                             },
                             &books_, storage::Clock::Real()};
  ChangeHandler changes_{&books_, &slices_, storage::Clock::Real()};
  GroupJoinHandler joins_{&claims_, &changes_};
  GroupsOfTest groups_;
  GroupReadHandler reads_{{.group = [this](const storage::Uuid& id, const storage::GroupLookup& lookup, absl::Time,
                                           auto done) { done(groups_.GetGroup(id, lookup)); },
                           .page = [](const auto&, const auto&, int, auto done) { done(storage::GroupPage{}); },
                           .offers = [](const auto&, auto done) { done(GroupReadHandler::Offers{}); }},
                          storage::Clock::Real()};
  GroupWatchHub hub_{[this](absl::Span<const WatchedGroup> watched) { return ReadWatchedGroups(groups_, watched); },
                     storage::Clock::Real(),
                     {.poll_interval = absl::Milliseconds(1)}};
  OpenCalls calls_{storage::Clock::Real(), absl::Seconds(30)};
  const tranche::testing::ScratchDir scratch_{"group-service"};
  const std::filesystem::path path_ = scratch_.path() / "access.json";
  AccessFile file_{path_};
  Denials denials_{nullptr, storage::Clock::Real()};
  AccessControl control_{&file_, &denials_};
  std::unique_ptr<grpc::Service> service_;
  std::unique_ptr<LocalServer> server_;
  std::unique_ptr<v1::GroupService::Stub> stub_;
};

TEST_F(GroupServiceTest, ABuyerOpensAGroupAndAnotherJoins) {
  v1::OpenGroupRequest opening;
  opening.set_group_id(GroupIdOf(2).ToString());
  opening.set_offer_id("three");
  opening.set_reservation_id(GroupIdOf(3).ToString());
  opening.set_sku_id("tv");
  opening.set_user_id("alice");
  opening.set_quantity(1);
  v1::OpenGroupResponse opened;
  ASSERT_TRUE(stub_->OpenGroup(Context().get(), opening, &opened).ok());
  EXPECT_EQ(opened.reservation().reservation_id(), opening.reservation_id());
  EXPECT_EQ(claim_.group->offer_id, "three");
  v1::JoinGroupRequest joining;
  joining.set_group_id(opening.group_id());
  joining.set_reservation_id(GroupIdOf(4).ToString());
  joining.set_sku_id("tv");
  joining.set_user_id("bob");
  joining.set_quantity(1);
  v1::JoinGroupResponse joined;
  ASSERT_TRUE(stub_->JoinGroup(Context().get(), joining, &joined).ok());
  EXPECT_EQ(joined.reservation().reservation_id(), joining.reservation_id());
  EXPECT_EQ(claim_.group->offer_id, "");
}

TEST_F(GroupServiceTest, GroupsAndOffersAreRead) {
  v1::GetGroupRequest request;
  request.set_group_id(GroupIdOf(1).ToString());
  v1::GetGroupResponse response;
  ASSERT_TRUE(stub_->GetGroup(Context().get(), request, &response).ok());
  EXPECT_EQ(response.group().seats_taken(), 1);
  v1::ListGroupsRequest listing;
  listing.set_sku_id("tv");
  v1::ListGroupsResponse page;
  EXPECT_TRUE(stub_->ListGroups(Context().get(), listing, &page).ok());
  v1::ListGroupOffersRequest offering;
  offering.set_sku_id("tv");
  v1::ListGroupOffersResponse offers;
  EXPECT_TRUE(stub_->ListGroupOffers(Context().get(), offering, &offers).ok());
}

TEST_F(GroupServiceTest, AStorefrontSeesTheMemberWhomItNamesAndNoOthers) {
  AskAccess();
  v1::GetGroupRequest request;
  request.set_group_id(GroupIdOf(1).ToString());
  request.set_user_id("alice");
  EXPECT_TRUE(GetAs("storefront", request).ok());
  request.set_with_members(true);
  EXPECT_TRUE(GetAs("service", request).ok());
  const grpc::Status denied = GetAs("storefront", request);
  EXPECT_EQ(denied.error_code(), grpc::StatusCode::PERMISSION_DENIED);
  EXPECT_EQ(ReasonOnWire(denied), "ROLE_MISSING");
  EXPECT_NE(denied.error_message().find("storefront may not call GetGroup with_members"), std::string::npos)
      << denied.error_message();
  EXPECT_EQ(denials_.counts(), (Denials::Counts{{{"tranche.v1.GroupService", "GetGroup", true}, 1}}));
}

TEST_F(GroupServiceTest, AWatchTellsEveryStateAndEndsWithTheLast) {
  const auto context = Context();
  const auto watch = stub_->WatchGroup(context.get(), Watching(1));
  v1::WatchGroupResponse told;
  ASSERT_TRUE(watch->Read(&told));
  EXPECT_EQ(told.group().state(), v1::GROUP_STATE_FORMING);
  EXPECT_TRUE(told.group().has_remaining());
  storage::Group filled = FormingGroup(1, absl::Now());
  filled.seats_taken = 3;
  filled.state = storage::GroupState::kFilled;
  filled.finished_at = absl::Now();
  filled.revision = 3;
  groups_.Put(filled);
  ASSERT_TRUE(watch->Read(&told));
  EXPECT_EQ(told.group().state(), v1::GROUP_STATE_FILLED);
  EXPECT_EQ(told.group().seats_taken(), 3);
  EXPECT_FALSE(watch->Read(&told));
  EXPECT_TRUE(watch->Finish().ok());
}

TEST_F(GroupServiceTest, AWatchIsOfTheSkuThatItNames) {
  storage::Group radio = FormingGroup(1, absl::Now());
  radio.sku_id = "radio";
  radio.seats_taken = 2;
  groups_.Put(radio);
  for (const auto& [sku_id, seats_taken] : {std::pair("tv", 1), std::pair("radio", 2)}) {
    v1::WatchGroupRequest request = Watching(1);
    request.set_sku_id(sku_id);
    const auto context = Context();
    const auto watch = stub_->WatchGroup(context.get(), request);
    v1::WatchGroupResponse told;
    ASSERT_TRUE(watch->Read(&told));
    EXPECT_EQ(told.group().sku_id(), sku_id);
    EXPECT_EQ(told.group().seats_taken(), seats_taken);
    context->TryCancel();
    EXPECT_EQ(watch->Finish().error_code(), grpc::StatusCode::CANCELLED);
  }
}

TEST_F(GroupServiceTest, AWatchEndsIfThereIsNoSuchGroupOrTheNodeDrains) {
  v1::WatchGroupResponse told;
  const auto of_none = Context();
  const auto none = stub_->WatchGroup(of_none.get(), Watching(7));
  EXPECT_FALSE(none->Read(&told));
  EXPECT_EQ(ReasonOnWire(none->Finish()), "GROUP_NOT_FOUND");
  const auto of_bad = Context();
  const auto bad = stub_->WatchGroup(of_bad.get(), {});
  EXPECT_FALSE(bad->Read(&told));
  EXPECT_EQ(ReasonOnWire(bad->Finish()), "FIELD_INVALID");
  const auto of_draining = Context();
  const auto draining = stub_->WatchGroup(of_draining.get(), Watching(1));
  ASSERT_TRUE(draining->Read(&told));
  hub_.SetAccepting(false);
  EXPECT_FALSE(draining->Read(&told));
  EXPECT_EQ(ReasonOnWire(draining->Finish()), "DRAINING");
}

}  // namespace
}  // namespace tranche::server
