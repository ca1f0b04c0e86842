// tranchectl reservation against a fake service: what it sends, prints and returns.

#include <gmock/gmock.h>
#include <grpcpp/grpcpp.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <functional>
#include <map>
#include <memory>
#include <nlohmann/json.hpp>
#include <sstream>
#include <string>
#include <vector>

#include "absl/strings/str_cat.h"
#include "absl/time/clock.h"
#include "tests/integration/fake_front_node.h"
#include "tests/support/tranchectl_runner.h"
#include "tranche/v1/admin_service.grpc.pb.h"
#include "tranche/v1/reservation_service.grpc.pb.h"

namespace tranche::ctl {
namespace {

using ::testing::HasSubstr;
using ::testing::Not;

constexpr char kId[] = "01890a5d-ac96-774b-bcce-b302099a8057";

// Answers as it is told, and remembers what it was asked.
class FakePreviews final : public tranche::v1::AdminService::Service {
 public:
  grpc::Status PreviewReservationChange(grpc::ServerContext*,
                                        const tranche::v1::PreviewReservationChangeRequest* request,
                                        tranche::v1::PreviewReservationChangeResponse* response) override {
    asked.push_back(*request);
    *response = answer;
    return error.empty() ? grpc::Status::OK : ToGrpc(ErrorDetails(grpc::StatusCode::FAILED_PRECONDITION, error));
  }
  grpc::Status ChangeReservation(grpc::ServerContext* context, const tranche::v1::ChangeReservationRequest* request,
                                 tranche::v1::ChangeReservationResponse* response) override {
    const auto reason = context->client_metadata().find("tranche-reason");
    reasons.push_back(
        reason == context->client_metadata().end() ? "" : std::string(reason->second.data(), reason->second.size()));
    return change(*request, response);
  }
  grpc::Status LookUpPayments(grpc::ServerContext*, const tranche::v1::LookUpPaymentsRequest*,
                              tranche::v1::LookUpPaymentsResponse* response) override {
    *response = payments;
    return grpc::Status::OK;
  }
  grpc::Status GetSku(grpc::ServerContext*, const tranche::v1::GetSkuRequest* request,
                      tranche::v1::GetSkuResponse*) override {
    if (request->sku_id() == "tv") return grpc::Status::OK;
    return ToGrpc(ErrorDetails(grpc::StatusCode::NOT_FOUND, "SKU_NOT_FOUND"));
  }

  std::function<grpc::Status(const tranche::v1::ChangeReservationRequest&, tranche::v1::ChangeReservationResponse*)>
      change;
  std::vector<std::string> reasons;
  std::vector<tranche::v1::PreviewReservationChangeRequest> asked;
  tranche::v1::PreviewReservationChangeResponse answer;
  std::string error;
  tranche::v1::LookUpPaymentsResponse payments;
};

// Knows one reservation.
class FakeReservations final : public tranche::v1::ReservationService::Service {
 public:
  FakeReservations() {
    one.set_reservation_id(kId);
    one.set_sku_id("tv");
    one.set_user_id("alice");
    one.set_quantity(1);
    one.set_state(tranche::v1::RESERVATION_STATE_PENDING);
    one.set_amount_minor(49900);
    one.set_currency("EUR");
    one.mutable_expire_time()->set_seconds(1'800'000'000);
    one.mutable_remaining_hold()->set_seconds(600);
    one.set_extensions(1);
    one.set_revision(2);
    previews.change = [this](const auto& request, auto* response) { return Change(request, response); };
    grpc::ServerBuilder builder;
    int port = 0;
    builder.AddListeningPort("127.0.0.1:0", grpc::InsecureServerCredentials(), &port);
    builder.RegisterService(this);
    builder.RegisterService(&previews);
    server_ = builder.BuildAndStart();
    address = absl::StrCat("127.0.0.1:", port);
  }
  ~FakeReservations() override { server_->Shutdown(std::chrono::system_clock::now()); }

  grpc::Status GetReservation(grpc::ServerContext*, const tranche::v1::GetReservationRequest* request,
                              tranche::v1::GetReservationResponse* response) override {
    got.push_back(*request);
    if (request->reservation_id() != kId) {
      return ToGrpc(ErrorDetails(grpc::StatusCode::NOT_FOUND, "RESERVATION_NOT_FOUND"));
    }
    *response->mutable_reservation() = one;
    return grpc::Status::OK;
  }
  grpc::Status CreateReservations(grpc::ServerContext*, const tranche::v1::CreateReservationsRequest* request,
                                  tranche::v1::CreateReservationsResponse* response) override {
    created.push_back(*request);
    if (refuse_creates > 0) {
      --refuse_creates;
      return ToGrpc(ErrorDetails(grpc::StatusCode::UNAVAILABLE, "EXHAUSTED_HERE"));
    }
    if (request->accept_queued()) {
      *response->mutable_queued() = Queued(5);
      return grpc::Status::OK;
    }
    for (const auto& line : request->lines()) {
      tranche::v1::Reservation* reservation = response->add_reservations();
      *reservation = one;
      reservation->set_reservation_id(line.reservation_id());
      reservation->set_sku_id(line.sku_id());
    }
    return grpc::Status::OK;
  }
  // Tells what it was given, one after the other; the last one again and again.
  grpc::Status GetClaim(grpc::ServerContext*, const tranche::v1::GetClaimRequest* request,
                        tranche::v1::GetClaimResponse* response) override {
    tickets.push_back(request->ticket());
    *response = claims.at(std::min(tickets.size(), claims.size()) - 1);
    return grpc::Status::OK;
  }
  static tranche::v1::QueuedClaim Queued(int64_t ahead) {
    tranche::v1::QueuedClaim queued;
    queued.set_ticket("a-ticket");
    queued.set_ahead(ahead);
    queued.mutable_poll_after()->set_nanos(1'000'000);
    queued.mutable_decide_time()->set_seconds(absl::ToUnixSeconds(absl::Now() + absl::Minutes(1)));
    return queued;
  }
  static tranche::v1::GetClaimResponse StillQueued(int64_t ahead) {
    tranche::v1::GetClaimResponse response;
    *response.mutable_queued() = Queued(ahead);
    return response;
  }
  tranche::v1::GetClaimResponse Sold() const {
    tranche::v1::GetClaimResponse response;
    *response.mutable_cart_created()->add_reservations() = one;
    return response;
  }
  grpc::Status ConfirmReservation(grpc::ServerContext*, const tranche::v1::ConfirmReservationRequest* request,
                                  tranche::v1::ConfirmReservationResponse* response) override {
    confirmed.push_back(*request);
    if (request->amount_minor() != one.amount_minor()) {
      return ToGrpc(ErrorDetails(grpc::StatusCode::FAILED_PRECONDITION, "PAYMENT_MISMATCH"));
    }
    response->set_outcome(outcome);
    *response->mutable_reservation() = one;
    if (outcome == tranche::v1::CONFIRM_OUTCOME_CONFIRMED) {
      response->mutable_reservation()->set_state(tranche::v1::RESERVATION_STATE_CONFIRMED);
      response->mutable_reservation()->set_payment_reference(request->payment_reference());
    } else if (outcome == tranche::v1::CONFIRM_OUTCOME_REBOOKED) {
      response->mutable_rebooked()->set_reservation_id("another");
      response->mutable_rebooked()->set_rebooked_from(kId);
    }
    return grpc::Status::OK;
  }
  grpc::Status CancelReservation(grpc::ServerContext*, const tranche::v1::CancelReservationRequest* request,
                                 tranche::v1::CancelReservationResponse* response) override {
    cancelled.push_back(*request);
    *response->mutable_reservation() = one;
    response->mutable_reservation()->set_state(tranche::v1::RESERVATION_STATE_CANCELLED);
    response->mutable_reservation()->set_cancel_reason(request->reason());
    return grpc::Status::OK;
  }
  grpc::Status ExtendReservation(grpc::ServerContext*, const tranche::v1::ExtendReservationRequest* request,
                                 tranche::v1::ExtendReservationResponse* response) override {
    extended.push_back(*request);
    *response->mutable_reservation() = one;
    response->mutable_reservation()->set_extensions(request->extension());
    return grpc::Status::OK;
  }
  grpc::Status Change(const tranche::v1::ChangeReservationRequest& request,
                      tranche::v1::ChangeReservationResponse* response) {
    if (request.has_create()) return CreateReservations(nullptr, &request.create(), response->mutable_create());
    if (request.has_confirm()) return ConfirmReservation(nullptr, &request.confirm(), response->mutable_confirm());
    if (request.has_cancel()) return CancelReservation(nullptr, &request.cancel(), response->mutable_cancel());
    return ExtendReservation(nullptr, &request.extend(), response->mutable_extend());
  }
  // Five, two to a page.
  grpc::Status ListReservations(grpc::ServerContext*, const tranche::v1::ListReservationsRequest* request,
                                tranche::v1::ListReservationsResponse* response) override {
    listed.push_back(*request);
    if (!request->sku_id().empty() && request->sku_id() != "tv") return grpc::Status::OK;
    int next = request->page_token().empty() ? 0 : std::stoi(request->page_token());
    for (int i = 0; i < std::min(2, request->page_size()) && next < 5; ++i, ++next) {
      *response->add_reservations() = one;
      response->mutable_reservations(i)->set_user_id(absl::StrCat("user-", next));
    }
    if (next < 5) response->set_next_page_token(absl::StrCat(next));
    return grpc::Status::OK;
  }
  grpc::Status WatchReservation(grpc::ServerContext*, const tranche::v1::WatchReservationRequest* request,
                                grpc::ServerWriter<tranche::v1::WatchReservationResponse>* writer) override {
    if (request->reservation_id() != kId) {
      return ToGrpc(ErrorDetails(grpc::StatusCode::NOT_FOUND, "RESERVATION_NOT_FOUND"));
    }
    if (++watches == 1 && breaks_off) {
      tranche::v1::WatchReservationResponse first;
      *first.mutable_reservation() = one;
      writer->Write(first);
      return {grpc::StatusCode::UNAVAILABLE, "gone"};
    }
    tranche::v1::WatchReservationResponse response;
    *response.mutable_reservation() = one;
    writer->Write(response);
    writer->Write(response);  // as nodes do when nothing happens
    response.mutable_reservation()->set_state(tranche::v1::RESERVATION_STATE_EXPIRED);
    response.mutable_reservation()->set_revision(one.revision() + 1);
    writer->Write(response);
    return grpc::Status::OK;
  }

  std::string address;
  FakePreviews previews;
  tranche::v1::Reservation one;
  tranche::v1::ConfirmOutcome outcome = tranche::v1::CONFIRM_OUTCOME_CONFIRMED;
  int refuse_creates = 0;
  int watches = 0;
  bool breaks_off = false;  // the first watch, after one state
  std::vector<tranche::v1::GetReservationRequest> got;
  std::vector<tranche::v1::CreateReservationsRequest> created;
  std::vector<std::string> tickets;
  std::vector<tranche::v1::GetClaimResponse> claims;
  std::vector<tranche::v1::ConfirmReservationRequest> confirmed;
  std::vector<tranche::v1::CancelReservationRequest> cancelled;
  std::vector<tranche::v1::ExtendReservationRequest> extended;
  std::vector<tranche::v1::ListReservationsRequest> listed;

 private:
  std::unique_ptr<grpc::Server> server_;
};

class TranchectlReservationTest : public ::testing::Test, protected testing::TranchectlRunner {
 protected:
  int Ctl(std::vector<std::string> arguments) { return CtlAt(node_.address, std::move(arguments)); }
  int CtlAt(const std::string& endpoints, std::vector<std::string> arguments) {
    arguments.insert(arguments.begin(), "reservation");
    return RunCtlAt(endpoints, std::move(arguments));
  }

  FakeReservations node_;
};

TEST_F(TranchectlReservationTest, GetShowsOne) {
  ASSERT_EQ(Ctl({"get", kId}), 0) << err_;
  EXPECT_THAT(out_, HasSubstr("499.00 EUR"));
  EXPECT_THAT(out_, HasSubstr("10m"));
  ASSERT_EQ(Ctl({"get", kId, "-o", "json"}), 0);
  EXPECT_EQ(nlohmann::json::parse(out_)["user_id"], "alice");
  EXPECT_EQ(Ctl({"get", "x"}), 2);
  EXPECT_THAT(err_, HasSubstr("RESERVATION_NOT_FOUND"));
  EXPECT_EQ(Ctl({"get"}), 1);
}

// What a failover would lose is not shown as done; but support can read while the standby is away.
TEST_F(TranchectlReservationTest, GetAfterALostAnswerAsksForWhatTheStandbyHas) {
  ASSERT_EQ(Ctl({"get", kId}), 0) << err_;
  ASSERT_EQ(node_.got.size(), 1u);
  EXPECT_FALSE(node_.got[0].after_lost_answer());
  ASSERT_EQ(Ctl({"get", kId, "--after-lost-answer"}), 0) << err_;
  ASSERT_EQ(node_.got.size(), 2u);
  EXPECT_TRUE(node_.got[1].after_lost_answer());
  EXPECT_EQ(node_.got[1].reservation_id(), kId);
  EXPECT_THAT(out_, HasSubstr("499.00 EUR"));
}

TEST_F(TranchectlReservationTest, CreateSendsACart) {
  ASSERT_EQ(Ctl({"create", "--user", "alice", "tv", "cable=2"}), 0) << err_;
  ASSERT_EQ(node_.created.size(), 1u);
  const auto& cart = node_.created[0];
  EXPECT_EQ(cart.user_id(), "alice");
  ASSERT_EQ(cart.lines_size(), 2);
  EXPECT_EQ(cart.lines(0).sku_id(), "tv");
  EXPECT_EQ(cart.lines(0).quantity(), 1);
  EXPECT_EQ(cart.lines(1).quantity(), 2);
  EXPECT_NE(cart.lines(0).reservation_id(), cart.lines(1).reservation_id());
  EXPECT_THAT(out_, HasSubstr(cart.lines(0).reservation_id()));
  ASSERT_EQ(Ctl({"create", "--user", "alice", "tv", "-o", "json"}), 0);
  EXPECT_EQ(nlohmann::json::parse(out_)["reservations"].size(), 1u);

  EXPECT_EQ(Ctl({"create", "--user", "alice", "tv=x"}), 1);
  EXPECT_EQ(Ctl({"create", "--user", "alice", "tv=0"}), 1);
  EXPECT_EQ(Ctl({"create", "tv"}), 1) << "for whom?";
  EXPECT_EQ(node_.created.size(), 2u);
}

TEST_F(TranchectlReservationTest, CreateWaitsForTheDecisionOfAQueuedClaim) {
  node_.claims = {FakeReservations::StillQueued(5), FakeReservations::StillQueued(2), node_.Sold()};
  ASSERT_EQ(Ctl({"create", "--user", "alice", "--accept-queued", "tv"}), 0) << err_;
  EXPECT_TRUE(node_.created.at(0).accept_queued());
  EXPECT_THAT(out_, HasSubstr(kId));
  EXPECT_THAT(err_, HasSubstr("claim --wait 'a-ticket'"));
  EXPECT_THAT(err_, ::testing::ContainsRegex("About 5 before it.\nAbout 2 before it.\n"));
  EXPECT_THAT(node_.tickets, ::testing::ElementsAre("a-ticket", "a-ticket", "a-ticket"));
  node_.claims = {node_.Sold()};
  ASSERT_EQ(Ctl({"create", "--user", "alice", "--accept-queued", "tv", "-o", "json"}), 0) << err_;
  EXPECT_EQ(nlohmann::json::parse(out_)["reservations"][0]["reservation_id"], kId) << "only data goes to stdout";
}

TEST_F(TranchectlReservationTest, CreateEndsWithoutADecisionInTime) {
  node_.claims = {FakeReservations::StillQueued(5)};
  EXPECT_EQ(RunCtlAt(node_.address,
                     {"--timeout", "500ms", "reservation", "create", "--user", "alice", "--accept-queued", "tv"}),
            2);
  EXPECT_THAT(err_, HasSubstr("not decided yet"));
  EXPECT_EQ(out_, "");
}

TEST_F(TranchectlReservationTest, ATicketTellsWhatBecameOfAClaim) {
  node_.claims = {FakeReservations::StillQueued(5)};
  ASSERT_EQ(Ctl({"claim", "a-ticket"}), 0) << err_;
  EXPECT_THAT(out_, ::testing::ContainsRegex("state +QUEUED"));
  EXPECT_THAT(out_, ::testing::ContainsRegex("ahead, about +5"));
  EXPECT_EQ(node_.tickets.size(), 1u) << "it does not wait";
  ASSERT_EQ(Ctl({"claim", "a-ticket", "-o", "json"}), 0) << err_;
  EXPECT_EQ(nlohmann::json::parse(out_)["queued"]["ahead"], "5");
  node_.tickets.clear();
  node_.claims.push_back(node_.Sold());
  ASSERT_EQ(Ctl({"claim", "--wait", "a-ticket"}), 0) << err_;
  EXPECT_THAT(out_, HasSubstr(kId));
  node_.claims.resize(1);
  *node_.claims[0].mutable_refused() = ErrorDetails(grpc::StatusCode::RESOURCE_EXHAUSTED, "SOLD_OUT");
  EXPECT_EQ(Ctl({"claim", "a-ticket"}), 2);
  EXPECT_THAT(err_, HasSubstr("SOLD_OUT"));
  EXPECT_EQ(Ctl({"claim"}), 1) << "of what?";
}

TEST_F(TranchectlReservationTest, AChangeSaysWhy) {
  ASSERT_EQ(
      RunCtlAt(node_.address, {"reservation", "extend", kId, "--by", "5m", "--yes", "--reason", "asked by phone"}), 0)
      << err_;
  ASSERT_EQ(Ctl({"cancel", kId, "--reason", "buyer called", "--yes"}), 0) << err_;
  ASSERT_EQ(RunCtlAt(node_.address, {"--reason", "fraud", "reservation", "cancel", kId, "--reason", "sorry", "--yes"}),
            0)
      << err_;
  ASSERT_EQ(Ctl({"extend", kId, "--by", "5m", "--yes"}), 0) << err_;
  EXPECT_THAT(node_.previews.reasons, ::testing::ElementsAre("asked by phone", "buyer called", "fraud", ""));
  EXPECT_EQ(node_.cancelled.back().reason(), "sorry") << "what stays with the reservation";
  EXPECT_EQ(Ctl({"extend", kId, "--by", "5m", "--yes", "--reason", std::string(201, 'x')}), 1);
  EXPECT_THAT(err_, HasSubstr("200"));
}

TEST_F(TranchectlReservationTest, CreateTriesTheNextNodeWhenOneHasNoUnits) {
  FakeReservations other;
  node_.refuse_creates = 1;
  ASSERT_EQ(CtlAt(absl::StrCat(node_.address, ",", other.address), {"create", "--user", "alice", "tv"}), 0) << err_;
  ASSERT_EQ(other.created.size(), 1u);
  EXPECT_EQ(other.created[0].lines(0).reservation_id(), node_.created[0].lines(0).reservation_id());
}

TEST_F(TranchectlReservationTest, ConfirmPreviewsAndActsWithYes) {
  *node_.previews.answer.mutable_reservation() = node_.one;
  node_.previews.answer.mutable_reservation()->set_state(tranche::v1::RESERVATION_STATE_CONFIRMED);
  node_.previews.answer.set_outcome(tranche::v1::CONFIRM_OUTCOME_CONFIRMED);
  ASSERT_EQ(Ctl({"confirm", kId, "--payment", "pay-1", "--amount", "499.00"}), 0) << err_;
  EXPECT_THAT(out_, HasSubstr("PENDING -> CONFIRMED"));
  EXPECT_THAT(err_, HasSubstr("--yes"));
  EXPECT_TRUE(node_.confirmed.empty());
  ASSERT_EQ(node_.previews.asked.size(), 1u);
  EXPECT_EQ(node_.previews.asked[0].confirm().payment_reference(), "pay-1");
  EXPECT_EQ(node_.previews.asked[0].confirm().amount_minor(), 49900);

  ASSERT_EQ(Ctl({"confirm", kId, "--payment", "pay-1", "--amount", "499.00", "--yes"}), 0) << err_;
  ASSERT_EQ(node_.confirmed.size(), 1u);
  EXPECT_EQ(node_.confirmed[0].amount_minor(), 49900);
  EXPECT_EQ(node_.confirmed[0].currency(), "EUR");
  EXPECT_EQ(node_.confirmed[0].sku_id(), "tv");
  EXPECT_EQ(err_, "");
  EXPECT_THAT(out_, HasSubstr("PENDING -> CONFIRMED"));

  EXPECT_EQ(Ctl({"confirm", kId, "--payment", "pay-1", "--amount", "5.00", "--yes"}), 2);
  EXPECT_EQ(node_.confirmed[1].amount_minor(), 500);
  EXPECT_THAT(err_, HasSubstr("PAYMENT_MISMATCH"));
  EXPECT_EQ(Ctl({"confirm", kId, "--payment", "pay-1", "--amount", "5.001", "--yes"}), 1);
  EXPECT_EQ(Ctl({"confirm", kId, "--amount", "499.00", "--yes"}), 1) << "paid by what?";
  EXPECT_EQ(Ctl({"confirm", kId, "--payment", "pay-1", "--yes"}), 1) << "paid how much?";
  EXPECT_EQ(node_.confirmed.size(), 2u);
}

TEST_F(TranchectlReservationTest, ConfirmSaysWhatBecameOfALatePayment) {
  node_.one.set_state(tranche::v1::RESERVATION_STATE_EXPIRED);

  node_.outcome = tranche::v1::CONFIRM_OUTCOME_REBOOKED;
  ASSERT_EQ(Ctl({"confirm", kId, "--payment", "pay-1", "--amount", "499.00", "--yes", "-o", "json"}), 0);
  EXPECT_EQ(nlohmann::json::parse(out_)["outcome"], "REBOOKED");
  EXPECT_EQ(nlohmann::json::parse(out_)["rebooked"]["reservation_id"], "another");
  EXPECT_THAT(err_, HasSubstr("another unit was booked"));

  node_.outcome = tranche::v1::CONFIRM_OUTCOME_PAID_UNFULFILLED;
  ASSERT_EQ(Ctl({"confirm", kId, "--payment", "pay-1", "--amount", "499.00", "--yes"}), 0);
  EXPECT_THAT(err_, HasSubstr("refund"));
}

TEST_F(TranchectlReservationTest, ConfirmSaysThatAGroupIsNotFullYet) {
  *node_.previews.answer.mutable_reservation() = node_.one;
  node_.previews.answer.set_outcome(tranche::v1::CONFIRM_OUTCOME_GROUP_WAITING);
  ASSERT_EQ(Ctl({"confirm", kId, "--payment", "pay-1", "--amount", "499.00"}), 0) << err_;
  EXPECT_THAT(err_, HasSubstr("would take a seat"));
  EXPECT_TRUE(node_.confirmed.empty());

  node_.outcome = tranche::v1::CONFIRM_OUTCOME_GROUP_WAITING;
  ASSERT_EQ(Ctl({"confirm", kId, "--payment", "pay-1", "--amount", "499.00", "--yes"}), 0) << err_;
  EXPECT_THAT(err_, HasSubstr("group is not full yet"));
  EXPECT_THAT(out_, HasSubstr("PENDING"));
  ASSERT_EQ(Ctl({"confirm", kId, "--payment", "pay-1", "--amount", "499.00", "--yes", "-o", "json"}), 0) << err_;
  EXPECT_EQ(nlohmann::json::parse(out_)["outcome"], "GROUP_WAITING");
}

TEST_F(TranchectlReservationTest, ConfirmSaysThatAGroupHadNoSeat) {
  *node_.previews.answer.mutable_reservation() = node_.one;
  node_.previews.answer.mutable_reservation()->set_state(tranche::v1::RESERVATION_STATE_CANCELLED);
  node_.previews.answer.mutable_reservation()->set_cancel_reason("GROUP_FULL");
  node_.previews.answer.set_outcome(tranche::v1::CONFIRM_OUTCOME_PAID_UNFULFILLED);
  node_.previews.answer.set_refund_requested(true);
  ASSERT_EQ(Ctl({"confirm", kId, "--payment", "pay-1", "--amount", "499.00"}), 0) << err_;
  EXPECT_THAT(err_, HasSubstr("Its group has no seat any more: the payment would be recorded"));

  node_.one.set_state(tranche::v1::RESERVATION_STATE_CANCELLED);
  node_.one.set_cancel_reason("GROUP_OVER");
  node_.outcome = tranche::v1::CONFIRM_OUTCOME_PAID_UNFULFILLED;
  ASSERT_EQ(Ctl({"confirm", kId, "--payment", "pay-1", "--amount", "499.00", "--yes"}), 0) << err_;
  EXPECT_THAT(err_, HasSubstr("Its group had no seat any more: the payment is recorded"));
}

TEST_F(TranchectlReservationTest, ConfirmPreviewsWhatWouldBecomeOfALatePayment) {
  const auto preview = [this](std::vector<std::string> more = {}) {
    std::vector<std::string> arguments = {"confirm", kId, "--payment", "pay-1", "--amount", "499.00"};
    arguments.insert(arguments.end(), more.begin(), more.end());
    EXPECT_EQ(Ctl(arguments), 0) << err_;
    EXPECT_TRUE(node_.confirmed.empty());
  };
  node_.one.set_state(tranche::v1::RESERVATION_STATE_EXPIRED);
  *node_.previews.answer.mutable_reservation() = node_.one;
  node_.previews.answer.set_outcome(tranche::v1::CONFIRM_OUTCOME_REBOOKED);
  node_.previews.answer.mutable_rebooked()->set_rebooked_from(kId);
  preview();
  EXPECT_THAT(err_, HasSubstr("other units would be booked"));
  preview({"-o", "json"});
  EXPECT_EQ(nlohmann::json::parse(out_)["outcome"], "REBOOKED");

  node_.previews.answer.clear_rebooked();
  node_.previews.answer.set_outcome(tranche::v1::CONFIRM_OUTCOME_PAID_UNFULFILLED);
  node_.previews.answer.set_refund_requested(true);
  preview();
  EXPECT_THAT(err_, HasSubstr("It is EXPIRED, and nothing is left for its buyer: the payment would be recorded"));

  node_.one.set_state(tranche::v1::RESERVATION_STATE_CANCELLED);
  node_.previews.answer.clear_outcome();
  preview();
  EXPECT_THAT(err_, HasSubstr("It is CANCELLED: the payment would be recorded, and a refund asked for."));

  node_.previews.answer.set_replayed(true);
  preview();
  EXPECT_THAT(err_, HasSubstr("nothing would change"));
  EXPECT_THAT(err_, Not(HasSubstr("--yes")));
}

TEST_F(TranchectlReservationTest, APreviewOfWhatIsRefusedFailsLikeTheChange) {
  node_.previews.error = "PAYMENT_MISMATCH";
  EXPECT_EQ(Ctl({"confirm", kId, "--payment", "pay-1", "--amount", "9.99"}), 2);
  EXPECT_THAT(err_, HasSubstr("PAYMENT_MISMATCH"));
  EXPECT_EQ(out_, "");
  node_.previews.error = "HOLD_TOO_LONG";
  EXPECT_EQ(Ctl({"extend", kId, "--by", "10h"}), 2);
  EXPECT_THAT(err_, HasSubstr("HOLD_TOO_LONG"));
  node_.previews.error = "RESERVATION_STATE";
  EXPECT_EQ(Ctl({"cancel", kId}), 2);
  EXPECT_THAT(err_, Not(HasSubstr("--yes")));
}

TEST_F(TranchectlReservationTest, GetShowsPaymentsThatCameTooLate) {
  ASSERT_EQ(Ctl({"get", kId}), 0) << err_;
  EXPECT_THAT(out_, Not(HasSubstr("LATE PAYMENT")));
  tranche::v1::PaymentEntry* entry = node_.previews.payments.add_entries();
  tranche::v1::LatePayment* late = entry->add_late_payments();
  late->set_payment_reference("pay-7");
  late->set_amount_minor(49900);
  late->set_currency("EUR");
  ASSERT_EQ(Ctl({"get", kId}), 0) << err_;
  EXPECT_THAT(out_, ::testing::ContainsRegex("pay-7 +499.00 EUR .*refund requested"));
  late->mutable_refund_time()->set_seconds(1'800'000'000);
  ASSERT_EQ(Ctl({"get", kId}), 0) << err_;
  EXPECT_THAT(out_, HasSubstr("refunded at 2027-01-15"));
  ASSERT_EQ(Ctl({"get", kId, "-o", "json"}), 0) << err_;
  EXPECT_EQ(nlohmann::json::parse(out_)["late_payments"][0]["payment_reference"], "pay-7");
  EXPECT_EQ(nlohmann::json::parse(out_)["reservation_id"], kId);
}

TEST_F(TranchectlReservationTest, AListOfAnUnknownSkuIsNotJustEmpty) {
  EXPECT_EQ(Ctl({"list", "--sku", "nope"}), 2);
  EXPECT_THAT(err_, HasSubstr("SKU_NOT_FOUND"));
}

TEST_F(TranchectlReservationTest, CancelPreviewsAndActsWithYes) {
  *node_.previews.answer.mutable_reservation() = node_.one;
  node_.previews.answer.mutable_reservation()->set_state(tranche::v1::RESERVATION_STATE_CANCELLED);
  ASSERT_EQ(Ctl({"cancel", kId, "--reason", "buyer called"}), 0);
  EXPECT_THAT(out_, HasSubstr("PENDING -> CANCELLED"));
  EXPECT_TRUE(node_.cancelled.empty());
  ASSERT_EQ(Ctl({"cancel", kId, "--reason", "buyer called", "--yes", "-o", "json"}), 0);
  ASSERT_EQ(node_.cancelled.size(), 1u);
  EXPECT_EQ(node_.cancelled[0].reason(), "buyer called");
  const auto change = nlohmann::json::parse(out_);
  EXPECT_EQ(change["preview"], false);
  EXPECT_EQ(change["after"]["state"], "RESERVATION_STATE_CANCELLED");
  EXPECT_EQ(Ctl({"cancel", "x", "--yes"}), 2);
}

TEST_F(TranchectlReservationTest, ExtendNamesTheExtensionThatWasPreviewed) {
  *node_.previews.answer.mutable_reservation() = node_.one;
  node_.previews.answer.mutable_reservation()->set_extensions(2);
  ASSERT_EQ(Ctl({"extend", kId, "--by", "10m"}), 0);
  EXPECT_THAT(out_, HasSubstr("1 -> 2"));
  EXPECT_THAT(err_, HasSubstr("--yes --extension 2"));
  EXPECT_TRUE(node_.extended.empty());
  ASSERT_EQ(Ctl({"extend", kId, "--by", "10m", "--yes"}), 0);
  EXPECT_EQ(node_.extended[0].extension(), 2);
  EXPECT_EQ(node_.extended[0].extend_by().seconds(), 600);
  ASSERT_EQ(Ctl({"extend", kId, "--by", "10m", "--extension", "5", "--yes"}), 0);
  EXPECT_EQ(node_.extended[1].extension(), 5);
  EXPECT_EQ(Ctl({"extend", kId, "--by", "1ms", "--yes"}), 1);
  EXPECT_EQ(Ctl({"extend", kId, "--by", "x", "--yes"}), 1);
  EXPECT_EQ(node_.extended.size(), 2u);
}

TEST_F(TranchectlReservationTest, ListReadsEveryPageUpToItsLimit) {
  ASSERT_EQ(Ctl({"list", "--user", "alice", "--state", "pending,Expired"}), 0) << err_;
  EXPECT_EQ(node_.listed.size(), 3u);
  EXPECT_EQ(node_.listed[0].user_id(), "alice");
  ASSERT_EQ(node_.listed[0].states_size(), 2);
  EXPECT_EQ(node_.listed[0].states(1), tranche::v1::RESERVATION_STATE_EXPIRED);
  EXPECT_THAT(out_, HasSubstr("user-4"));
  EXPECT_EQ(err_, "");

  ASSERT_EQ(Ctl({"list", "--sku", "tv", "--limit", "3", "-o", "json"}), 0);
  EXPECT_EQ(nlohmann::json::parse(out_)["reservations"].size(), 3u);
  EXPECT_THAT(err_, HasSubstr("There may be more"));

  EXPECT_EQ(Ctl({"list"}), 1) << "of whom?";
  EXPECT_EQ(Ctl({"list", "--sku", "tv", "--state", "PAID"}), 1);
}

TEST_F(TranchectlReservationTest, AWatchThatBreaksOffIsBegunAgain) {
  node_.breaks_off = true;
  ASSERT_EQ(Ctl({"watch", kId, "-o", "json"}), 0) << err_;
  EXPECT_EQ(std::count(out_.begin(), out_.end(), '\n'), 2) << "no state is told twice: " << out_;
  EXPECT_THAT(out_, HasSubstr("EXPIRED"));
  EXPECT_THAT(err_, HasSubstr("STALE"));
  EXPECT_EQ(node_.watches, 2);
}

TEST_F(TranchectlReservationTest, WatchPrintsEachStateUntilTheLast) {
  ASSERT_EQ(Ctl({"watch", kId, "-o", "json"}), 0) << err_;
  std::istringstream lines(out_);
  std::vector<std::string> states;
  for (std::string line; std::getline(lines, line);) states.push_back(nlohmann::json::parse(line)["state"]);
  EXPECT_EQ(states, (std::vector<std::string>{"RESERVATION_STATE_PENDING", "RESERVATION_STATE_EXPIRED"}));
  ASSERT_EQ(Ctl({"watch", kId}), 0);
  EXPECT_THAT(out_, HasSubstr("EXPIRED"));
  EXPECT_EQ(Ctl({"watch", "x"}), 2);
}

TEST_F(TranchectlReservationTest, HelpHasExamples) {
  for (const char* verb : {"create", "get", "list", "watch", "confirm", "cancel", "extend"}) {
    EXPECT_EQ(Ctl({verb, "--help"}), 0);
    EXPECT_THAT(out_, HasSubstr(absl::StrCat("tranchectl reservation ", verb))) << verb;
  }
}

}  // namespace
}  // namespace tranche::ctl
