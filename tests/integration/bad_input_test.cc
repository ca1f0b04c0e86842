// Bad input over the wire: each kind gets its own machine-readable reason, and loses nothing.
#include <grpcpp/grpcpp.h>

#include "google/rpc/error_details.pb.h"
#include "google/rpc/status.pb.h"
#include "gtest/gtest.h"
#include "tests/integration/sale_fixture.h"
#include "tests/support/raw_call.h"
#include "tranche/uuid.h"
#include "tranche/v1/reservation_service.grpc.pb.h"

namespace tranche::testing {
namespace {

// The content of one answer: its code, and the reason of its only ErrorInfo.
struct Answer {
  grpc::StatusCode code = grpc::StatusCode::OK;
  std::string reason;
  std::map<std::string, std::string> metadata;
  bool has_retry_info = false;
};

Answer AnswerOf(const grpc::Status& status) {
  Answer answer{.code = status.error_code(), .reason = "", .metadata = {}, .has_retry_info = false};
  google::rpc::Status details;
  details.ParseFromString(status.error_details());
  int infos = 0;
  for (const auto& any : details.details()) {
    google::rpc::ErrorInfo info;
    if (any.UnpackTo(&info)) {
      ++infos;
      EXPECT_EQ(info.domain(), "tranche");
      answer.reason = info.reason();
      answer.metadata.insert(info.metadata().begin(), info.metadata().end());
    }
    answer.has_retry_info = answer.has_retry_info || any.Is<google::rpc::RetryInfo>();
  }
  EXPECT_EQ(infos, status.ok() ? 0 : 1) << status.error_message();
  return answer;
}

// One cluster for all cases: none changes anything that another one reads.
class BadInputTest : public SaleTest {
 protected:
  void SetUp() override {
    MiniClusterOptions options;
    options.nodes = 1;
    StartCluster(options);
    OpenSale("tv", 11);
    channel_ = grpc::CreateChannel(cluster_->endpoints()[0], grpc::InsecureChannelCredentials());
    stub_ = v1::ReservationService::NewStub(channel_);
    // An announced SKU may not have reached the node yet: the SDK retries, and buys the first unit when the node sells.
    // Ten are left.
    ASSERT_TRUE(client_->Create({.sku = "tv", .user = "first"}).ok());
  }

  static v1::CreateReservationRequest GoodRequest(const std::string& user) {
    v1::CreateReservationRequest request;
    request.set_reservation_id(MakeUuidV7());
    request.set_sku_id("tv");
    request.set_user_id(user);
    request.set_quantity(1);
    return request;
  }

  grpc::Status Create(const v1::CreateReservationRequest& request) {
    v1::CreateReservationResponse response;
    return stub_->CreateReservation(Context().get(), request, &response);
  }

  void CreateSku(const std::string& sku_id, int64_t opens_at_seconds, bool close) {
    v1::CreateSkuRequest request;
    request.mutable_sku()->set_sku_id(sku_id);
    request.mutable_sku()->set_price_minor(100);
    request.mutable_sku()->set_currency("EUR");
    request.mutable_sku()->set_stock(10);
    request.mutable_sku()->set_per_user_limit(2);
    request.mutable_sku()->mutable_hold()->set_seconds(60);
    if (opens_at_seconds > 0) request.mutable_sku()->mutable_open_time()->set_seconds(opens_at_seconds);
    v1::CreateSkuResponse created;
    ASSERT_TRUE(Admin()->CreateSku(Context().get(), request, &created).ok());
    if (!close) return;
    v1::CloseSkuRequest close_request;
    close_request.set_sku_id(sku_id);
    v1::CloseSkuResponse closed;
    ASSERT_TRUE(Admin()->CloseSku(Context().get(), close_request, &closed).ok());
  }

  void ExpectRefused(const v1::CreateReservationRequest& request, grpc::StatusCode code, const std::string& reason) {
    const Answer answer = AnswerOf(Create(request));
    EXPECT_EQ(answer.code, code) << reason;
    EXPECT_EQ(answer.reason, reason);
  }

  // For a request that asks for refusals in the response: what would be the status otherwise.
  void ExpectTheSameInTheResponse(v1::CreateReservationRequest request) {
    v1::CreateReservationResponse response;
    const Answer refused = AnswerOf(Create(request));
    request.set_refusal_in_response(true);
    const grpc::Status asked = stub_->CreateReservation(Context().get(), request, &response);
    ASSERT_TRUE(asked.ok()) << asked.error_message();
    EXPECT_FALSE(response.has_reservation());
    const auto code = static_cast<grpc::StatusCode>(response.refusal().code());
    const Answer in_response =
        AnswerOf(grpc::Status(code, response.refusal().message(), response.refusal().SerializeAsString()));
    EXPECT_EQ(in_response.code, refused.code);
    EXPECT_EQ(in_response.reason, refused.reason);
    EXPECT_EQ(in_response.metadata, refused.metadata);
    EXPECT_EQ(in_response.has_retry_info, refused.has_retry_info);
  }

  std::shared_ptr<grpc::Channel> channel_;
  std::unique_ptr<v1::ReservationService::Stub> stub_;
};

TEST_F(BadInputTest, OnlyDecisionsOfTheSaleComeInTheResponse) {
  auto request = GoodRequest("alice");
  request.set_quantity(2);
  ExpectTheSameInTheResponse(request);
  request.set_quantity(1);
  request.set_refusal_in_response(true);
  v1::CreateReservationResponse sold;
  ASSERT_TRUE(stub_->CreateReservation(Context().get(), request, &sold).ok());
  EXPECT_TRUE(sold.has_reservation() && !sold.has_refusal());
  request.set_user_id("bob");
  ExpectRefused(request, grpc::ALREADY_EXISTS, "RESERVATION_ID_REUSED");
  EXPECT_EQ(AnswerOf(Create(request)).metadata.at("reservation_id"), request.reservation_id());
  request.clear_sku_id();
  ExpectRefused(request, grpc::INVALID_ARGUMENT, "SKU_ID_REQUIRED");
}

TEST_F(BadInputTest, EveryKindHasItsOwnReason) {
  auto request = GoodRequest("alice");
  request.clear_reservation_id();
  ExpectRefused(request, grpc::INVALID_ARGUMENT, "RESERVATION_ID_REQUIRED");
  for (const char* id : {"42", "00000000-0000-0000-0000-000000000000"}) {
    request.set_reservation_id(id);
    ExpectRefused(request, grpc::INVALID_ARGUMENT, "RESERVATION_ID_MALFORMED");
  }

  request = GoodRequest("alice");
  request.clear_sku_id();
  ExpectRefused(request, grpc::INVALID_ARGUMENT, "SKU_ID_REQUIRED");
  request.set_sku_id("a/b");
  ExpectRefused(request, grpc::INVALID_ARGUMENT, "SKU_ID_MALFORMED");
  request.set_sku_id("unknown");
  ExpectRefused(request, grpc::NOT_FOUND, "SKU_NOT_FOUND");

  request = GoodRequest("");
  ExpectRefused(request, grpc::INVALID_ARGUMENT, "USER_ID_REQUIRED");
  ExpectRefused(GoodRequest(std::string(129, 'x')), grpc::INVALID_ARGUMENT, "USER_ID_MALFORMED");
  ExpectRefused(GoodRequest("a\nb"), grpc::INVALID_ARGUMENT, "USER_ID_MALFORMED");
  ExpectRefused(GoodRequest(std::string(5000, 'x')), grpc::INVALID_ARGUMENT, "MESSAGE_TOO_LARGE");

  request = GoodRequest("alice");
  request.set_quantity(0);
  ExpectRefused(request, grpc::INVALID_ARGUMENT, "QUANTITY_INVALID");
  request.set_quantity(-1);
  ExpectRefused(request, grpc::INVALID_ARGUMENT, "QUANTITY_INVALID");
  request.set_quantity(2);
  ExpectRefused(request, grpc::FAILED_PRECONDITION, "QUANTITY_ABOVE_USER_LIMIT");
  EXPECT_EQ(RowsOf("tv").size(), 1u);
  CheckLedger();
}

TEST_F(BadInputTest, ACallWithoutADeadlineIsServed) {
  grpc::ClientContext context;
  v1::CreateReservationResponse response;
  const grpc::Status status = stub_->CreateReservation(&context, GoodRequest("alice"), &response);
  EXPECT_TRUE(status.ok()) << status.error_message();
}

TEST_F(BadInputTest, AMessageThatCannotBeReadIsRefusedWithAReason) {
  const std::string cut_off = "\x0a\x50\x41";  // of a field's 80 bytes one
  for (const char* method : {"ReservationService/CreateReservation", "ReservationService/WatchReservation",
                             "AdminService/ListSkus", "AdminService/MoveSku"}) {
    Answer answer = AnswerOf(RawCall(channel_, std::string("/tranche.v1.") + method, cut_off));
    EXPECT_EQ(answer.code, grpc::INVALID_ARGUMENT) << method;
    EXPECT_EQ(answer.reason, "FIELD_INVALID") << method;
    EXPECT_EQ(answer.metadata["field"], "request") << method;
  }
  EXPECT_TRUE(Create(GoodRequest("alice")).ok()) << "on the same connection";
}

TEST_F(BadInputTest, StringsThatAreNotUtf8AreRefusedWithoutAFloodOfLines) {
  for (int i = 0; i < 20; ++i) {
    const Answer answer = AnswerOf(RawCall(channel_, "/tranche.v1.ReservationService/CreateReservation",
                                           "\x1a\x01\xff"));  // user_id
    EXPECT_EQ(answer.code, grpc::INVALID_ARGUMENT);
    EXPECT_EQ(answer.reason, "FIELD_INVALID");
  }
  EXPECT_LE(cluster_->node(0).LogLinesWith("invalid UTF-8"), 1);
}

TEST_F(BadInputTest, AMessageAboveTheTransportsLimitIsRefusedAndTheConnectionLives) {
  v1::CreateReservationResponse response;
  const grpc::Status status =
      stub_->CreateReservation(Context().get(), GoodRequest(std::string(1 << 20, 'x')), &response);
  EXPECT_EQ(status.error_code(), grpc::RESOURCE_EXHAUSTED);
  EXPECT_TRUE(Create(GoodRequest("alice")).ok());
}

TEST_F(BadInputTest, WindowsAndClosedSales) {
  CreateSku("soon", absl::ToUnixSeconds(absl::Now() + absl::Hours(1)), /*close=*/false);
  CreateSku("over", 0, /*close=*/true);
  auto request = GoodRequest("alice");
  request.set_sku_id("soon");
  const Answer soon = AnswerOf(Create(request));
  EXPECT_EQ(soon.code, grpc::FAILED_PRECONDITION);
  EXPECT_EQ(soon.reason, "SALE_NOT_OPEN");
  EXPECT_TRUE(soon.metadata.contains("opens_at"));
  EXPECT_EQ(soon.metadata.at("sku_id"), "soon");
  request.set_sku_id("over");
  ExpectRefused(request, grpc::FAILED_PRECONDITION, "SALE_CLOSED");
}

// Field: "repeated clicks burn stock" (springboot-seckill#4, #35; miaosha#145).
TEST_F(BadInputTest, ASecondReservationOfTheSameBuyerBurnsNoStock) {
  ASSERT_TRUE(Create(GoodRequest("alice")).ok());
  for (int click = 0; click < 50; ++click) {
    ExpectRefused(GoodRequest("alice"), grpc::FAILED_PRECONDITION, "USER_LIMIT_REACHED");
  }
  for (int buyer = 0; buyer < 9; ++buyer) {
    EXPECT_TRUE(Create(GoodRequest("buyer-" + std::to_string(buyer))).ok()) << buyer;
  }
  EXPECT_EQ(RowsOf("tv").size(), 11u);
  CheckLedger();
}

// Field: "deduction times out and is retried without a key" (miaosha#115).
TEST_F(BadInputTest, TheSameIdIsTheSameReservationAlsoAfterTheSaleIsSoldOut) {
  const auto request = GoodRequest("alice");
  v1::CreateReservationResponse first, again, late;
  ASSERT_TRUE(stub_->CreateReservation(Context().get(), request, &first).ok());
  EXPECT_FALSE(first.replayed());
  ASSERT_TRUE(stub_->CreateReservation(Context().get(), request, &again).ok());
  EXPECT_TRUE(again.replayed());
  EXPECT_EQ(again.reservation().create_time().SerializeAsString(),
            first.reservation().create_time().SerializeAsString());
  auto other = request;
  other.set_user_id("bob");
  ExpectRefused(other, grpc::ALREADY_EXISTS, "RESERVATION_ID_REUSED");

  Shoppers shoppers(client_.get(), {"tv"}, 2);
  ASSERT_TRUE(shoppers.WaitForReason(Reason::kSoldOut, 5, absl::Seconds(20)));
  shoppers.Stop();
  ExpectRefused(GoodRequest("carol"), grpc::RESOURCE_EXHAUSTED, "SOLD_OUT");
  ExpectTheSameInTheResponse(GoodRequest("carol"));
  auto retry = request;
  retry.set_may_exist(true);
  ASSERT_TRUE(stub_->CreateReservation(Context().get(), retry, &late).ok());
  EXPECT_EQ(late.reservation().reservation_id(), request.reservation_id());
  auto never_sent = GoodRequest("dave");
  never_sent.set_may_exist(true);
  ExpectRefused(never_sent, grpc::RESOURCE_EXHAUSTED, "SOLD_OUT");
}

TEST_F(BadInputTest, GetReservationFindsWhatWasCommitted) {
  const auto request = GoodRequest("alice");
  v1::CreateReservationResponse created;
  ASSERT_TRUE(stub_->CreateReservation(Context().get(), request, &created).ok());
  v1::GetReservationRequest get;
  v1::GetReservationResponse got;
  get.set_reservation_id(request.reservation_id());
  ASSERT_TRUE(stub_->GetReservation(Context().get(), get, &got).ok());
  EXPECT_EQ(got.reservation().user_id(), "alice");
  EXPECT_EQ(got.reservation().amount_minor(), 49900);
  get.set_reservation_id(MakeUuidV7());
  EXPECT_EQ(AnswerOf(stub_->GetReservation(Context().get(), get, &got)).reason, "RESERVATION_NOT_FOUND");
}

TEST_F(BadInputTest, AStreamAnswersEachRequestByItsSequence) {
  const auto context = Context();
  auto stream = stub_->StreamReservations(context.get());
  for (uint64_t sequence = 1; sequence <= 20; ++sequence) {
    v1::StreamReservationsRequest request;
    request.set_sequence(sequence);
    *request.mutable_create() = GoodRequest("buyer-" + std::to_string(sequence));
    if (sequence == 7) request.mutable_create()->set_quantity(0);
    ASSERT_TRUE(stream->Write(request));
  }
  stream->WritesDone();
  std::map<uint64_t, v1::StreamReservationsResponse> answers;
  v1::StreamReservationsResponse response;
  while (stream->Read(&response)) answers[response.sequence()] = response;
  EXPECT_TRUE(stream->Finish().ok());
  EXPECT_EQ(answers.size(), 20u);
  int created = 0;
  for (const auto& [sequence, answer] : answers) created += answer.has_created() ? 1 : 0;
  EXPECT_EQ(created, 10) << "ten units";
  google::rpc::ErrorInfo info;
  ASSERT_TRUE(answers[7].has_error());
  ASSERT_TRUE(answers[7].error().details(0).UnpackTo(&info));
  EXPECT_EQ(info.reason(), "QUANTITY_INVALID");
}

TEST_F(BadInputTest, AFrameAnswersEachOfItsRequestsBySequence) {
  const auto context = Context();
  auto stream = stub_->StreamReservations(context.get());
  v1::StreamReservationsRequest frame;
  for (uint64_t sequence = 1; sequence <= 20; ++sequence) {
    v1::StreamReservationsItem* const item = frame.add_items();
    item->set_sequence(sequence);
    *item->mutable_create() = GoodRequest("buyer-" + std::to_string(sequence));
    if (sequence == 7) item->mutable_create()->set_quantity(0);
  }
  ASSERT_TRUE(stream->Write(frame));
  std::vector<v1::Reservation> created;
  std::map<uint64_t, std::string> refused;
  v1::StreamReservationsResponse response;
  while (created.size() + refused.size() < 20) {
    ASSERT_TRUE(stream->Read(&response));
    for (const auto& result : response.results()) created.push_back(result.created().reservation());
    for (const auto& refusal : response.refusals()) {
      google::rpc::ErrorInfo info;
      ASSERT_TRUE(refusal.error().details(0).UnpackTo(&info));
      for (const uint64_t sequence : refusal.sequences()) refused[sequence] = info.reason();
    }
  }
  EXPECT_EQ(created.size(), 10u) << "ten units";
  EXPECT_EQ(refused[7], "QUANTITY_INVALID");

  // What was bought is paid and given up on the same stream.
  ASSERT_GE(created.size(), 2u);
  v1::StreamReservationsRequest changes;
  v1::StreamReservationsItem* const paid = changes.add_items();
  paid->set_sequence(21);
  paid->mutable_confirm()->set_reservation_id(created[0].reservation_id());
  paid->mutable_confirm()->set_payment_reference("p");
  paid->mutable_confirm()->set_amount_minor(created[0].amount_minor());
  paid->mutable_confirm()->set_currency(created[0].currency());
  v1::StreamReservationsItem* const cancelled = changes.add_items();
  cancelled->set_sequence(22);
  cancelled->mutable_cancel()->set_reservation_id(created[1].reservation_id());
  ASSERT_TRUE(stream->Write(changes));
  ASSERT_TRUE(stream->WritesDone());
  std::map<uint64_t, v1::StreamReservationsResult> done;
  while (stream->Read(&response)) {
    for (const auto& result : response.results()) done[result.sequence()] = result;
  }
  EXPECT_TRUE(stream->Finish().ok());
  EXPECT_EQ(done[21].confirmed().outcome(), v1::CONFIRM_OUTCOME_CONFIRMED);
  EXPECT_EQ(done[22].cancelled().reservation().state(), v1::RESERVATION_STATE_CANCELLED);
}

}  // namespace
}  // namespace tranche::testing
