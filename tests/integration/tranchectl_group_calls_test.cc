// What tranchectl group sends, and what it makes of the answers, at a node that is made up.
#include <gmock/gmock.h>
#include <grpcpp/grpcpp.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <chrono>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "absl/strings/str_cat.h"
#include "absl/synchronization/mutex.h"
#include "tests/integration/fake_front_node.h"
#include "tests/support/tranchectl_runner.h"
#include "tranche/v1/admin_service.grpc.pb.h"
#include "tranche/v1/group_service.grpc.pb.h"

namespace tranche::ctl {
namespace {

using ::testing::AllOf;
using ::testing::ContainsRegex;
using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::IsEmpty;
using ::testing::Not;

constexpr char kTheGroup[] = "01890a5d-ac96-774b-bcce-b302099a8057";

// A node with the SKU "tv", one offer of it, and three groups that form, one of which is known by its id.
class GroupNode final : public v1::AdminService::Service {
 public:
  GroupNode() : groups_(this) {
    grpc::ServerBuilder builder;
    int port = 0;
    builder.AddListeningPort("127.0.0.1:0", grpc::InsecureServerCredentials(), &port);
    builder.RegisterService(this);
    builder.RegisterService(&groups_);
    server_ = builder.BuildAndStart();
    address_ = absl::StrCat("127.0.0.1:", port);
    offer.set_sku_id("tv");
    offer.set_offer_id("trio");
    offer.set_seats(3);
    offer.set_price_minor(39'900);
    offer.set_currency("EUR");
    offer.set_on_timeout(v1::GROUP_TIMEOUT_REFUND);
    group.set_group_id(kTheGroup);
    group.set_sku_id("tv");
    group.set_offer_id("trio");
    group.set_seats(3);
    group.set_seats_taken(2);
    group.set_currency("EUR");
    group.set_state(v1::GROUP_STATE_FORMING);
    group.mutable_remaining()->set_seconds(60);
  }
  ~GroupNode() override { server_->Shutdown(std::chrono::system_clock::now()); }
  const std::string& address() const { return address_; }

  grpc::Status GetSku(grpc::ServerContext*, const v1::GetSkuRequest* request, v1::GetSkuResponse* response) override {
    if (request->sku_id() != "tv") return ToGrpc(ErrorDetails(grpc::StatusCode::NOT_FOUND, "SKU_NOT_FOUND"));
    response->mutable_sku()->set_sku_id("tv");
    response->mutable_sku()->set_price_minor(49'900);
    response->mutable_sku()->set_currency("EUR");
    return grpc::Status::OK;
  }
  grpc::Status CreateGroupOffer(grpc::ServerContext*, const v1::CreateGroupOfferRequest* request,
                                v1::CreateGroupOfferResponse* response) override {
    absl::MutexLock lock(&mutex_);
    created_.push_back(*request);
    if (!refusal.empty()) return ToGrpc(ErrorDetails(grpc::StatusCode::ALREADY_EXISTS, refusal));
    *response->mutable_offer() = request->offer();
    response->mutable_offer()->set_currency("EUR");
    return grpc::Status::OK;
  }
  grpc::Status CloseGroupOffer(grpc::ServerContext*, const v1::CloseGroupOfferRequest* request,
                               v1::CloseGroupOfferResponse* response) override {
    absl::MutexLock lock(&mutex_);
    closed_.push_back(*request);
    if (request->offer_id() != offer.offer_id()) {
      return ToGrpc(ErrorDetails(grpc::StatusCode::NOT_FOUND, "OFFER_NOT_FOUND"));
    }
    *response->mutable_offer() = offer;
    response->mutable_offer()->mutable_close_time()->set_seconds(1'800'000'000);
    return grpc::Status::OK;
  }
  grpc::Status CancelGroup(grpc::ServerContext* context, const v1::CancelGroupRequest* request,
                           v1::CancelGroupResponse* response) override {
    absl::MutexLock lock(&mutex_);
    cancelled_.push_back(*request);
    const auto why = context->client_metadata().find("tranche-reason");
    reason_ = why == context->client_metadata().end() ? "" : std::string(why->second.data(), why->second.size());
    if (!refusal.empty()) return ToGrpc(ErrorDetails(grpc::StatusCode::FAILED_PRECONDITION, refusal));
    *response->mutable_group() = group;
    response->mutable_group()->set_state(v1::GROUP_STATE_CANCELLED);
    response->mutable_group()->clear_remaining();
    response->mutable_group()->set_cancel_reason(request->reason());
    return grpc::Status::OK;
  }

  std::vector<v1::CreateGroupOfferRequest> created() {
    absl::MutexLock lock(&mutex_);
    return created_;
  }
  std::vector<v1::CloseGroupOfferRequest> closed() {
    absl::MutexLock lock(&mutex_);
    return closed_;
  }
  std::vector<v1::CancelGroupRequest> cancelled() {
    absl::MutexLock lock(&mutex_);
    return cancelled_;
  }
  std::vector<v1::ListGroupsRequest> listed() {
    absl::MutexLock lock(&mutex_);
    return listed_;
  }
  std::string reason() {
    absl::MutexLock lock(&mutex_);
    return reason_;
  }

  // Set them before the calls.
  v1::GroupOffer offer;
  v1::Group group;
  std::string refusal;  // of the next changes
  int forming = 3;

 private:
  class Groups final : public v1::GroupService::Service {
   public:
    explicit Groups(GroupNode* node) : node_(node) {}
    grpc::Status GetGroup(grpc::ServerContext*, const v1::GetGroupRequest* request,
                          v1::GetGroupResponse* response) override {
      absl::MutexLock lock(&node_->mutex_);
      if (request->group_id() != kTheGroup || (!request->sku_id().empty() && request->sku_id() != "tv")) {
        return ToGrpc(ErrorDetails(grpc::StatusCode::NOT_FOUND, "GROUP_NOT_FOUND"));
      }
      *response->mutable_group() = node_->group;
      if (!request->with_members()) return grpc::Status::OK;
      v1::GroupMember& member = *response->add_members();
      member.set_user_id("alice");
      member.set_seat(1);
      member.set_reservation_state(v1::RESERVATION_STATE_PENDING);
      return grpc::Status::OK;
    }
    // One to a page.
    grpc::Status ListGroups(grpc::ServerContext*, const v1::ListGroupsRequest* request,
                            v1::ListGroupsResponse* response) override {
      absl::MutexLock lock(&node_->mutex_);
      node_->listed_.push_back(*request);
      const int at = request->page_token().empty() ? 0 : std::stoi(request->page_token());
      if (request->sku_id() != "tv" || at >= node_->forming) return grpc::Status::OK;
      *response->add_groups() = node_->group;
      if (at + 1 < node_->forming) response->set_next_page_token(absl::StrCat(at + 1));
      return grpc::Status::OK;
    }
    grpc::Status ListGroupOffers(grpc::ServerContext*, const v1::ListGroupOffersRequest* request,
                                 v1::ListGroupOffersResponse* response) override {
      absl::MutexLock lock(&node_->mutex_);
      if (request->sku_id() == "tv") *response->add_offers() = node_->offer;
      return grpc::Status::OK;
    }

   private:
    GroupNode* const node_;
  };

  absl::Mutex mutex_;
  std::vector<v1::CreateGroupOfferRequest> created_;
  std::vector<v1::CloseGroupOfferRequest> closed_;
  std::vector<v1::CancelGroupRequest> cancelled_;
  std::vector<v1::ListGroupsRequest> listed_;
  std::string reason_;
  Groups groups_;
  std::unique_ptr<grpc::Server> server_;
  std::string address_;
};

class TranchectlGroupCallsTest : public ::testing::Test, protected testing::TranchectlRunner {
 protected:
  int Run(std::vector<std::string> arguments) {
    arguments.insert(arguments.begin(), "group");
    return RunCtlAt(node_.address(), std::move(arguments));
  }
  int Create(std::vector<std::string> more) {
    std::vector<std::string> arguments = {"offer", "create", "tv", "pair", "--seats", "2", "--open-for", "24h"};
    arguments.insert(arguments.end(), more.begin(), more.end());
    return Run(arguments);
  }

  GroupNode node_;
};

TEST_F(TranchectlGroupCallsTest, AnOfferIsPreviewedAndMadeWithYes) {
  ASSERT_EQ(Create({"--price", "399.00"}), 0) << err_;
  EXPECT_THAT(out_, AllOf(ContainsRegex("offer +pair"), ContainsRegex("price +399.00 EUR"),
                          ContainsRegex("pay within +15m"), ContainsRegex("at the deadline +refund")));
  EXPECT_THAT(err_, AllOf(HasSubstr("never changes"), HasSubstr("--yes"), Not(HasSubstr("warning"))));
  ASSERT_EQ(Create({"--price", "399.00", "--pay-within", "5m", "--yes"}), 0) << err_;
  EXPECT_THAT(err_, IsEmpty());
  const auto created = node_.created();
  ASSERT_EQ(created.size(), 2u);
  EXPECT_TRUE(created[0].preview());
  EXPECT_FALSE(created[1].preview());
  const v1::GroupOffer& offer = created[1].offer();
  EXPECT_EQ(offer.sku_id(), "tv");
  EXPECT_EQ(offer.offer_id(), "pair");
  EXPECT_EQ(offer.seats(), 2);
  EXPECT_EQ(offer.price_minor(), 39'900);
  EXPECT_EQ(offer.open_for().seconds(), 86'400);
  EXPECT_EQ(offer.pay_within().seconds(), 300);
  EXPECT_EQ(offer.on_timeout(), v1::GROUP_TIMEOUT_REFUND);
  EXPECT_EQ(offer.min_members(), 0);
  EXPECT_EQ(offer.currency(), "") << "the SKU's";
}

TEST_F(TranchectlGroupCallsTest, APartialOfferSaysFromHowManyOn) {
  ASSERT_EQ(Create({"--price", "1", "--on-timeout", "PARTIAL", "--min-members", "1", "--yes"}), 0) << err_;
  ASSERT_EQ(node_.created().size(), 1u);
  EXPECT_EQ(node_.created()[0].offer().on_timeout(), v1::GROUP_TIMEOUT_PARTIAL);
  EXPECT_EQ(node_.created()[0].offer().min_members(), 1);
  EXPECT_EQ(Create({"--price", "1", "--on-timeout", "partial", "--yes"}), 1);
  EXPECT_THAT(err_, HasSubstr("needs --min-members"));
  EXPECT_EQ(Create({"--price", "1", "--min-members", "2", "--yes"}), 1);
  EXPECT_THAT(err_, HasSubstr("--on-timeout partial"));
  EXPECT_EQ(Create({"--price", "1.234", "--yes"}), 1);
  EXPECT_THAT(err_, HasSubstr("--price: "));
  EXPECT_EQ(Create({"--price", "1", "--pay-within", "soon", "--yes"}), 1);
  EXPECT_THAT(err_, HasSubstr("--pay-within: "));
  EXPECT_EQ(node_.created().size(), 1u);
}

TEST_F(TranchectlGroupCallsTest, APriceThatIsNotLowerIsNoticed) {
  ASSERT_EQ(Create({"--price", "499.00"}), 0) << err_;
  EXPECT_THAT(err_, HasSubstr("warning: alone, a unit costs 499.00 EUR"));
}

TEST_F(TranchectlGroupCallsTest, AnOfferThatIsThereStaysAsItIs) {
  const std::vector<std::string> again = {"offer", "create",  "tv",     "trio",       "--seats",
                                          "3",     "--price", "399.00", "--open-for", "24h"};
  ASSERT_EQ(Run(again), 0) << err_;
  EXPECT_THAT(err_, HasSubstr("nothing would change"));
  node_.refusal = "OFFER_EXISTS";
  EXPECT_EQ(Run(again), 2);
  EXPECT_THAT(err_, AllOf(HasSubstr("OFFER_EXISTS"), HasSubstr("next: "), HasSubstr("group offer list")));
}

TEST_F(TranchectlGroupCallsTest, OffersAreListed) {
  ASSERT_EQ(Run({"offer", "list", "tv"}), 0) << err_;
  EXPECT_THAT(out_, ContainsRegex("trio +3 +399.00 EUR"));
  EXPECT_EQ(Run({"offer", "list", "vt"}), 2);
  EXPECT_THAT(err_, HasSubstr("SKU_NOT_FOUND")) << "a mistyped one has no offers either";
  EXPECT_EQ(JsonAt(node_.address(), {"group", "offer", "list", "tv"})["offers"][0]["offer_id"], "trio");
}

TEST_F(TranchectlGroupCallsTest, AnOfferIsClosedForGood) {
  ASSERT_EQ(Run({"offer", "close", "tv", "trio"}), 0) << err_;
  EXPECT_THAT(out_, ContainsRegex("closed +- -> 2027"));
  EXPECT_THAT(err_, AllOf(HasSubstr("for good"), HasSubstr("--yes")));
  ASSERT_EQ(Run({"offer", "close", "tv", "trio", "--yes"}), 0) << err_;
  ASSERT_EQ(node_.closed().size(), 2u);
  EXPECT_TRUE(node_.closed()[0].preview());
  EXPECT_FALSE(node_.closed()[1].preview());
  EXPECT_EQ(node_.closed()[1].sku_id(), "tv");
  EXPECT_EQ(Run({"offer", "close", "tv", "club", "--yes"}), 2);
  EXPECT_THAT(err_, AllOf(HasSubstr("OFFER_NOT_FOUND"), HasSubstr("group offer list")));
}

TEST_F(TranchectlGroupCallsTest, AllPagesOfGroupsAreListed) {
  ASSERT_EQ(Run({"list", "tv"}), 0) << err_;
  EXPECT_EQ(std::count(out_.begin(), out_.end(), '\n'), 4) << out_;
  EXPECT_THAT(err_, IsEmpty());
  ASSERT_EQ(node_.listed().size(), 3u);
  EXPECT_THAT(node_.listed()[0].states(), IsEmpty());
  EXPECT_EQ(node_.listed()[0].page_size(), 1000);

  ASSERT_EQ(Run({"list", "tv", "--limit", "2", "--offer", "trio", "--state", "failed,CANCELLED"}), 0) << err_;
  EXPECT_THAT(err_, HasSubstr("--limit shows more"));
  EXPECT_EQ(node_.listed().back().offer_id(), "trio");
  EXPECT_THAT(node_.listed().back().states(), ElementsAre(v1::GROUP_STATE_FAILED, v1::GROUP_STATE_CANCELLED));
  EXPECT_EQ(node_.listed().back().page_size(), 1);
}

TEST_F(TranchectlGroupCallsTest, ASkuWithoutGroupsIsToldFromAMistypedOne) {
  node_.forming = 0;
  ASSERT_EQ(Run({"list", "tv"}), 0) << err_;
  EXPECT_THAT(err_, HasSubstr("--state shows those that are over"));
  ASSERT_EQ(Run({"list", "tv", "--state", "FAILED"}), 0) << err_;
  EXPECT_THAT(err_, HasSubstr("no such group"));
  EXPECT_EQ(Run({"list", "vt"}), 2);
  EXPECT_THAT(err_, HasSubstr("SKU_NOT_FOUND"));
}

TEST_F(TranchectlGroupCallsTest, AGroupIsShownWithItsMembers) {
  ASSERT_EQ(Run({"show", kTheGroup}), 0) << err_;
  EXPECT_THAT(out_, AllOf(ContainsRegex("seats taken +2 of 3"), ContainsRegex("time left +1m"),
                          ContainsRegex("1 +alice +0 +PENDING")));
  EXPECT_EQ(Run({"show", kTheGroup, "--sku", "tv"}), 0) << err_;
  EXPECT_EQ(Run({"show", kTheGroup, "--sku", "radio"}), 2);
  EXPECT_THAT(err_, HasSubstr("GROUP_NOT_FOUND"));
  EXPECT_EQ(Run({"show", "x"}), 2);
  EXPECT_THAT(err_, AllOf(HasSubstr("GROUP_NOT_FOUND"), HasSubstr("next: ")));
}

TEST_F(TranchectlGroupCallsTest, AGroupIsCancelledWithYesAndAReason) {
  ASSERT_EQ(Run({"cancel", kTheGroup}), 0) << err_;
  EXPECT_THAT(out_, HasSubstr("FORMING -> CANCELLED"));
  EXPECT_THAT(err_, AllOf(HasSubstr("2 payments are refunded"), HasSubstr("--yes")));
  ASSERT_EQ(Run({"cancel", kTheGroup, "--sku", "tv", "--reason", "not delivered", "--yes"}), 0) << err_;
  const auto cancelled = node_.cancelled();
  ASSERT_EQ(cancelled.size(), 2u);
  EXPECT_TRUE(cancelled[0].preview());
  EXPECT_FALSE(cancelled[1].preview());
  EXPECT_EQ(cancelled[1].group_id(), kTheGroup);
  EXPECT_EQ(cancelled[0].sku_id(), "");
  EXPECT_EQ(cancelled[1].sku_id(), "tv");
  EXPECT_EQ(cancelled[1].reason(), "not delivered");
  EXPECT_EQ(node_.reason(), "not delivered") << "in the audit log, too";

  node_.refusal = "GROUP_OVER";
  EXPECT_EQ(Run({"cancel", kTheGroup, "--yes"}), 2);
  EXPECT_THAT(err_, AllOf(HasSubstr("GROUP_OVER"), HasSubstr("group show")));
  EXPECT_EQ(Run({"cancel", "x", "--yes"}), 2);
  EXPECT_THAT(err_, HasSubstr("GROUP_NOT_FOUND"));
}

TEST_F(TranchectlGroupCallsTest, AllGroupsOfAnOfferThatFormAreCancelledTogether) {
  const std::vector<std::string> preview = {"cancel", "--sku", "tv", "--offer", "trio", "--reason", "wrong price"};
  std::vector<std::string> apply = preview;
  apply.push_back("--yes");
  ASSERT_EQ(Run(preview), 0) << err_;
  EXPECT_EQ(std::count(out_.begin(), out_.end(), '\n'), 4) << out_;
  EXPECT_THAT(
      err_, AllOf(HasSubstr("3 groups would be cancelled"), HasSubstr("6 payments are refunded"), HasSubstr("--yes")));
  EXPECT_THAT(node_.cancelled(), IsEmpty()) << "the list says it";
  EXPECT_EQ(node_.listed()[0].offer_id(), "trio");
  EXPECT_THAT(node_.listed()[0].states(), IsEmpty()) << "those that form";

  ASSERT_EQ(Run(apply), 0) << err_;
  EXPECT_THAT(out_, HasSubstr("CANCELLED"));
  EXPECT_THAT(err_, AllOf(HasSubstr("3 groups cancelled: 6 payments are refunded"), Not(HasSubstr("--yes")),
                          Not(HasSubstr("not all"))));
  ASSERT_EQ(node_.cancelled().size(), 3u);
  EXPECT_EQ(node_.cancelled()[2].group_id(), kTheGroup);
  EXPECT_EQ(node_.cancelled()[2].sku_id(), "tv");
  EXPECT_EQ(node_.cancelled()[2].reason(), "wrong price");
  EXPECT_FALSE(node_.cancelled()[2].preview());
  EXPECT_EQ(node_.reason(), "wrong price") << "in the audit log, too";

  std::vector<std::string> as_json = {"group"};
  as_json.insert(as_json.end(), apply.begin(), apply.end());
  const auto json = JsonAt(node_.address(), as_json);
  EXPECT_EQ(json["preview"], false);
  EXPECT_EQ(json["groups"].size(), 3u);
  EXPECT_EQ(json["groups"][0]["state"], "GROUP_STATE_CANCELLED");
  EXPECT_EQ(json["failed"].size(), 0u);
}

TEST_F(TranchectlGroupCallsTest, GroupsThatHaveEndedMeanwhileAreNoFailure) {
  node_.refusal = "GROUP_OVER";
  EXPECT_EQ(Run({"cancel", "--sku", "tv", "--offer", "trio", "--yes"}), 0);
  EXPECT_THAT(err_, HasSubstr("3 groups had ended before"));
}

TEST_F(TranchectlGroupCallsTest, TheLedgersSilenceEndsTheCancellationOfMany) {
  node_.refusal = "LEDGER_UNAVAILABLE";
  node_.forming = 30;
  EXPECT_EQ(Run({"cancel", "--sku", "tv", "--offer", "trio", "--yes"}), 2);
  EXPECT_THAT(err_, AllOf(HasSubstr(absl::StrCat("not cancelled: ", kTheGroup, ": LEDGER_UNAVAILABLE")),
                          HasSubstr("run it again")));
  EXPECT_EQ(node_.cancelled().size(), 20u) << "the others would fail as well";
}

TEST_F(TranchectlGroupCallsTest, ACancellationSaysWhatItIsAbout) {
  node_.forming = 0;
  EXPECT_EQ(Run({"cancel", "--sku", "tv", "--offer", "trio"}), 0);
  EXPECT_THAT(err_, HasSubstr("nothing to cancel"));
  EXPECT_EQ(Run({"cancel", "--sku", "vt", "--offer", "trio"}), 2);
  EXPECT_THAT(err_, HasSubstr("SKU_NOT_FOUND"));
  for (const std::vector<std::string>& words :
       {std::vector<std::string>{"cancel", "--offer", "trio"}, std::vector<std::string>{"cancel", "--sku", "tv"},
        std::vector<std::string>{"cancel", kTheGroup, "--sku", "tv", "--offer", "trio"}}) {
    EXPECT_EQ(Run(words), 1);
    EXPECT_THAT(err_, HasSubstr("name a group, or --sku and --offer"));
  }
  EXPECT_THAT(node_.cancelled(), IsEmpty());
}

}  // namespace
}  // namespace tranche::ctl
