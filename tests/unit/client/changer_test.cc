#include "client/load/changer.h"

#include <gtest/gtest.h>

#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "absl/strings/str_cat.h"
#include "client/internal/connection.h"
#include "tests/support/scratch_dir.h"
#include "tests/unit/client/scripted_stub.h"

namespace tranche::load {
namespace {

using internal::NodeError;
using internal::Script;

class ChangerTest : public ::testing::Test {
 protected:
  // Nodes "n0", "n1", ... that answer as `script_` says.
  void Open(int nodes,
            std::vector<ChangeKind> kinds = {ChangeKind::kConfirm, ChangeKind::kCancel, ChangeKind::kExtend}) {
    std::vector<Changer::Node> opened;
    for (int node = 0; node < nodes; ++node) opened.push_back({absl::StrCat("n", node), MakeClient(node)});
    changer_ = std::make_unique<Changer>(/*per_second=*/1, std::move(opened), std::move(kinds));
  }

  std::unique_ptr<Client> MakeClient(int node) {
    ClientOptions options;
    options.endpoints = {absl::StrCat("n", node, ":1")};
    options.retry.max_attempts = 1;
    std::vector<std::shared_ptr<internal::Stub>> stubs = {std::make_shared<internal::ScriptedStub>(node, script_)};
    return std::make_unique<Client>(std::make_shared<internal::Connection>(
        options, std::move(stubs), std::make_shared<internal::ManualScheduler>()));
  }

  void Offer(const std::string& id) {
    Reservation reservation;
    reservation.reservation_id = id;
    reservation.sku_id = "tv";
    reservation.amount_minor = 999;
    reservation.currency = "EUR";
    changer_->Offer(std::move(reservation));
  }

  Script script_;
  std::unique_ptr<Changer> changer_;
};

TEST_F(ChangerTest, SendsAFewOfEveryKindInARowToTheNode) {
  Open(2);
  for (int i = 0; i < 10; ++i) Offer(absl::StrCat("id-", i));
  for (int i = 0; i < 9; ++i) EXPECT_TRUE(changer_->SendNext(0));
  EXPECT_TRUE(changer_->SendNext(1));
  EXPECT_EQ(script_.confirm.nodes, (std::vector<int>{0, 0, 0, 1}));
  EXPECT_EQ(script_.cancel.nodes, (std::vector<int>{0, 0, 0}));
  EXPECT_EQ(script_.extend.nodes, (std::vector<int>{0, 0, 0}));
  EXPECT_EQ(script_.confirm.requests[0].payment_reference(), "pay-id-0");
  EXPECT_EQ(script_.confirm.requests[0].amount_minor(), 999);
  EXPECT_EQ(script_.cancel.requests[0].reservation_id(), "id-3");
  EXPECT_EQ(script_.extend.requests[0].extension(), 1);
}

TEST_F(ChangerTest, MakesOnlyTheKindsThatItIsToMake) {
  Open(1, {ChangeKind::kConfirm});
  for (int i = 0; i < 7; ++i) Offer(absl::StrCat("id-", i));
  for (int i = 0; i < 7; ++i) EXPECT_TRUE(changer_->SendNext(0));
  EXPECT_EQ(script_.confirm.requests.size(), 7u);
}

TEST_F(ChangerTest, OfAnEarlierRunItChangesWhatIsPending) {
  Open(1);
  std::vector<Reservation> earlier(3);
  for (int i = 0; i < 3; ++i) earlier[i].reservation_id = absl::StrCat("id-", i);
  earlier[1].state = ReservationState::kPending;
  earlier[2].state = ReservationState::kConfirmed;
  changer_->OfferAll(std::move(earlier));
  EXPECT_TRUE(changer_->SendNext(0));
  EXPECT_FALSE(changer_->SendNext(0));
  EXPECT_EQ(script_.confirm.requests[0].reservation_id(), "id-1");
}

TEST_F(ChangerTest, AChangeBeginsWhenItWasMeantToBeSent) {
  const std::string path = ::testing::TempDir() + "/changer_test.began";
  Open(1);
  ASSERT_TRUE(changer_->RecordAnswers(path).ok());
  Offer("id-0");
  EXPECT_TRUE(changer_->SendNext(0, absl::FromUnixMicros(123'456)));
  EXPECT_TRUE(changer_->CloseAnswers());
  EXPECT_NE(testing::FileContents(path).find("\t123456\t"), std::string::npos);
}

TEST_F(ChangerTest, WhatHasEndedIsNotChangedAgain) {
  Open(1);
  Offer("id-0");
  EXPECT_TRUE(changer_->SendNext(0));
  EXPECT_FALSE(changer_->SendNext(0));
}

TEST_F(ChangerTest, WhatIsExtendedIsChangedAgain) {
  Open(1);
  for (int i = 0; i < 7; ++i) Offer(absl::StrCat("id-", i));
  tranche::v1::ExtendReservationResponse extended;
  extended.mutable_reservation()->set_reservation_id("id-6");
  extended.mutable_reservation()->set_extensions(1);
  script_.extend.answers = {extended};
  for (int i = 0; i < 8; ++i) EXPECT_TRUE(changer_->SendNext(0));
  EXPECT_EQ(script_.extend.requests[1].reservation_id(), "id-6");
  EXPECT_EQ(script_.extend.requests[1].extension(), 2);
}

TEST_F(ChangerTest, ARefusalThatMayPassLeavesItToBeChanged) {
  Open(1);
  script_.confirm.answers = {NodeError(absl::StatusCode::kUnavailable, "LEDGER_UNAVAILABLE")};
  Offer("id-0");
  EXPECT_TRUE(changer_->SendNext(0));
  EXPECT_TRUE(changer_->SendNext(0));
  EXPECT_EQ(script_.confirm.requests[1].reservation_id(), "id-0");
}

TEST_F(ChangerTest, ARefusalForGoodDoesNot) {
  Open(1);
  script_.confirm.answers = {NodeError(absl::StatusCode::kFailedPrecondition, "RESERVATION_STATE")};
  Offer("id-0");
  EXPECT_TRUE(changer_->SendNext(0));
  EXPECT_FALSE(changer_->SendNext(0));
}

TEST_F(ChangerTest, AnUnknownOutcomeIsSettledByTheSameChange) {
  Open(1);
  script_.confirm.answers = {absl::DeadlineExceededError("deadline")};
  Offer("id-0");
  EXPECT_TRUE(changer_->SendNext(0));
  EXPECT_FALSE(changer_->SendNext(0));
  const std::unique_ptr<Client> any = MakeClient(0);
  changer_->ResolveUnknown(*any, /*rounds=*/1, StopFlag());
  ASSERT_EQ(script_.confirm.requests.size(), 2u);
  EXPECT_EQ(script_.confirm.requests[1].SerializeAsString(), script_.confirm.requests[0].SerializeAsString());
  EXPECT_EQ(changer_->totals().at("confirm").at("UNKNOWN"), 1u);
  EXPECT_FALSE(changer_->SendNext(0));
}

TEST_F(ChangerTest, LogsEveryAnswer) {
  const std::string path = ::testing::TempDir() + "/changer_test.answers";
  Open(1);
  ASSERT_TRUE(changer_->RecordAnswers(path).ok());
  tranche::v1::ConfirmReservationResponse confirmed;
  confirmed.set_outcome(tranche::v1::CONFIRM_OUTCOME_CONFIRMED);
  script_.confirm.answers = {confirmed};
  script_.extend.answers = {NodeError(absl::StatusCode::kResourceExhausted, "OVERLOADED")};
  for (int i = 0; i < 7; ++i) Offer(absl::StrCat("id-", i));
  for (int i = 0; i < 7; ++i) EXPECT_TRUE(changer_->SendNext(0));
  EXPECT_TRUE(changer_->CloseAnswers());
  const std::string text = testing::FileContents(path);
  EXPECT_NE(text.find("id-0\tconfirm\tn0\tpay-id-0\tCONFIRMED\t"), std::string::npos) << text;
  EXPECT_NE(text.find("id-3\tcancel\tn0\tchanged-my-mind\tCANCELLED\t"), std::string::npos) << text;
  EXPECT_NE(text.find("id-6\textend\tn0\t1\tOVERLOADED\t"), std::string::npos) << text;
}

}  // namespace
}  // namespace tranche::load
