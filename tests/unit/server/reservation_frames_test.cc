// Frames on StreamReservations: many requests in a message, many answers in a message.
#include <grpcpp/completion_queue.h>
#include <grpcpp/generic/generic_stub.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <cstdint>
#include <map>
#include <memory>
#include <string>
#include <thread>
#include <utility>

#include "absl/strings/str_cat.h"
#include "tests/unit/server/reservation_service_fixture.h"

namespace tranche::server {
namespace {

// The answers to requests, whatever messages they come in.
struct FrameAnswers {
  std::map<uint64_t, std::string> outcomes;  // by sequence: the user of what was created, or the reason
  int messages = 0;
  int single = 0;  // messages that are no frames

  void Add(const v1::StreamReservationsResponse& message) {
    ++messages;
    if (message.results().empty() && message.refusals().empty()) {
      ++single;
      outcomes[message.sequence()] =
          message.has_created() ? message.created().reservation().user_id() : ReasonIn(message.error());
    }
    for (const auto& result : message.results()) {
      outcomes[result.sequence()] = result.created().reservation().user_id();
    }
    for (const auto& refusal : message.refusals()) {
      for (const uint64_t sequence : refusal.sequences()) outcomes[sequence] = ReasonIn(refusal.error());
    }
  }

  static std::string ReasonIn(const google::rpc::Status& error) {
    google::rpc::ErrorInfo info;
    return error.details_size() > 0 && error.details(0).UnpackTo(&info) ? info.reason() : "none";
  }
};

class ReservationFramesTest : public ReservationServiceTest {
 protected:
  using Stream = grpc::ClientReaderWriter<v1::StreamReservationsRequest, v1::StreamReservationsResponse>;

  static v1::StreamReservationsItem ItemOfFrame(uint64_t sequence, const std::string& sku = "tv") {
    v1::StreamReservationsItem item;
    item.set_sequence(sequence);
    *item.mutable_create() = Request(absl::StrCat("u", sequence));
    item.mutable_create()->set_sku_id(sku);
    item.mutable_timeout()->set_seconds(5);
    return item;
  }

  static v1::StreamReservationsRequest Frame(uint64_t first, int items, const std::string& sku = "tv") {
    v1::StreamReservationsRequest frame;
    for (int i = 0; i < items; ++i) *frame.add_items() = ItemOfFrame(first + static_cast<uint64_t>(i), sku);
    return frame;
  }

  static FrameAnswers ReadAll(Stream& stream) {
    FrameAnswers answers;
    v1::StreamReservationsResponse response;
    while (stream.Read(&response)) answers.Add(response);
    return answers;
  }
};

TEST_F(ReservationFramesTest, ANodeSaysThatItTakesFramesBeforeTheFirstRequest) {
  StartServer({.max_message_bytes = 5000});
  const auto context = Context();
  const auto stream = stub_->StreamReservations(context.get());
  stream->WaitForInitialMetadata();
  const auto& metadata = context->GetServerInitialMetadata();
  const auto value = [&](const char* key) {
    const auto found = metadata.find(key);
    return found == metadata.end() ? "" : std::string(found->second.data(), found->second.size());
  };
  EXPECT_EQ(value("tranche-frame-items"), "1024");
  EXPECT_EQ(value("tranche-frame-bytes"), "5000");
  EXPECT_EQ(value("tranche-frame-kinds"), "create,create_cart,confirm,cancel");
  EXPECT_TRUE(stream->WritesDone());
  EXPECT_TRUE(stream->Finish().ok());
}

TEST_F(ReservationFramesTest, AFrameIsAnsweredInFewMessages) {
  StartServer(/*max_outstanding=*/1024);
  const auto context = Context();
  const auto stream = stub_->StreamReservations(context.get());
  ASSERT_TRUE(stream->Write(Frame(1, 600, "dry")));
  ASSERT_TRUE(stream->WritesDone());
  const FrameAnswers answers = ReadAll(*stream);
  EXPECT_TRUE(stream->Finish().ok());
  ASSERT_EQ(answers.outcomes.size(), 600u);
  EXPECT_EQ(answers.outcomes.at(600), "EXHAUSTED_HERE");
  EXPECT_EQ(answers.messages, 1) << "they are all decided while the frame is gone through";
  EXPECT_EQ(answers.single, 0);
}

TEST_F(ReservationFramesTest, EachItemMaySayWhereItsBuyerIs) {
  StartServer(8);
  gate_.Close();
  const auto context = Context();
  context->AddMetadata("x-forwarded-for", "198.51.100.1");
  const auto stream = stub_->StreamReservations(context.get());
  v1::StreamReservationsRequest frame;
  *frame.add_items() = ItemOfFrame(1);
  frame.mutable_items(0)->mutable_create()->set_buyer_address("203.0.113.7 ");
  v1::StreamReservationsItem* const cart = frame.add_items();
  cart->set_sequence(2);
  cart->mutable_create_cart()->set_user_id("u2");
  cart->mutable_create_cart()->set_buyer_address("203.0.113.7");
  v1::CartLine* const line = cart->mutable_create_cart()->add_lines();
  line->set_reservation_id(Request().reservation_id());
  line->set_sku_id("tv");
  line->set_quantity(1);
  *frame.add_items() = ItemOfFrame(3);
  frame.mutable_items(2)->mutable_create()->set_buyer_address("203.0.113.8");
  ASSERT_TRUE(stream->Write(frame));
  ASSERT_TRUE(stream->WritesDone());
  ASSERT_TRUE(sales_.AwaitArrived(1));
  EXPECT_EQ(sales_.last_visitor().address, "203.0.113.8");
  sales_.DecideFirst();
  const FrameAnswers answers = ReadAll(*stream);
  EXPECT_TRUE(stream->Finish().ok());
  EXPECT_EQ(answers.outcomes.at(1), "FIELD_INVALID") << "of this item alone";
  EXPECT_EQ(answers.outcomes.at(3), "u3");
  ASSERT_EQ(cart_visitors_.size(), 1u);
  EXPECT_EQ(cart_visitors_[0].address, "203.0.113.7");
}

TEST_F(ReservationFramesTest, ClaimsOfAFrameAreAnsweredInTheOrderOfDecision) {
  StartServer(8);
  const auto context = Context();
  const auto stream = stub_->StreamReservations(context.get());
  ASSERT_TRUE(stream->Write(Frame(1, 3)));
  ASSERT_TRUE(sales_.AwaitArrived(3));
  v1::StreamReservationsResponse response;
  for (uint64_t sequence = 3; sequence >= 1; --sequence) {
    sales_.DecideLast();
    ASSERT_TRUE(stream->Read(&response));
    ASSERT_EQ(response.results_size(), 1);
    EXPECT_EQ(response.results(0).sequence(), sequence);
    EXPECT_EQ(response.results(0).created().reservation().user_id(), absl::StrCat("u", sequence));
  }
  ASSERT_TRUE(stream->WritesDone());
  EXPECT_FALSE(stream->Read(&response));
  EXPECT_TRUE(stream->Finish().ok());
}

TEST_F(ReservationFramesTest, ACallerWhoSendsSingleRequestsGetsSingleAnswersUntilTheySendAFrame) {
  StartServer(/*max_outstanding=*/16);
  const auto context = Context();
  const auto stream = stub_->StreamReservations(context.get());
  v1::StreamReservationsRequest single = Item(1);
  single.mutable_create()->set_sku_id("dry");
  v1::StreamReservationsResponse response;
  for (int i = 0; i < 3; ++i) {
    ASSERT_TRUE(stream->Write(single));
    ASSERT_TRUE(stream->Read(&response));
    EXPECT_EQ(response.sequence(), 1u);
    EXPECT_TRUE(response.has_error());
    EXPECT_EQ(response.refusals_size(), 0);
  }
  ASSERT_TRUE(stream->Write(Frame(2, 1, "dry")));
  ASSERT_TRUE(stream->Read(&response));
  EXPECT_EQ(response.refusals_size(), 1);
  single.set_sequence(9);
  ASSERT_TRUE(stream->Write(single));
  ASSERT_TRUE(stream->WritesDone());
  const FrameAnswers rest = ReadAll(*stream);
  EXPECT_EQ(rest.single, 0) << "they know frames";
  EXPECT_EQ(rest.outcomes.at(9), "EXHAUSTED_HERE");
  EXPECT_TRUE(stream->Finish().ok());
}

TEST_F(ReservationFramesTest, NoMoreOfAFrameIsAdmittedThanOfSingleRequests) {
  StartServer(/*max_outstanding=*/2);
  const auto context = Context();
  const auto stream = stub_->StreamReservations(context.get());
  constexpr int kItems = 20;
  ASSERT_TRUE(stream->Write(Frame(1, kItems)));
  ASSERT_TRUE(stream->WritesDone());
  v1::StreamReservationsResponse response;
  for (int i = 1; i <= kItems; ++i) {
    ASSERT_TRUE(sales_.AwaitArrived(std::min(i + 1, kItems)));
    sales_.DecideFirst();
    ASSERT_TRUE(stream->Read(&response));
    EXPECT_EQ(response.results(0).sequence(), static_cast<uint64_t>(i));
  }
  EXPECT_FALSE(stream->Read(&response));
  EXPECT_TRUE(stream->Finish().ok());
  EXPECT_EQ(sales_.most_held(), 2u);
  EXPECT_EQ(service_->unread_answers(), 0);
}

// The rest of a frame that its own stream has room for waits for other streams, and nobody tells when they end.
TEST_F(ReservationFramesTest, AFrameThatOthersHoldUpGoesOnWhenThereIsRoom) {
  StartServer({.max_outstanding = 8, .limits = {.connection = {.streams = 8, .answers = kMostRoom + 3}}});
  const auto context = Context(), second_context = Context();
  const auto first = stub_->StreamReservations(context.get());
  ASSERT_TRUE(first->Write(Frame(1, 2)));
  ASSERT_TRUE(sales_.AwaitArrived(2));
  const auto second = stub_->StreamReservations(second_context.get());
  ASSERT_TRUE(second->Write(Frame(11, 3, "dry")));
  ASSERT_TRUE(second->WritesDone());
  ASSERT_TRUE(first->WritesDone());
  for (int i = 0; i < 2; ++i) sales_.DecideFirst();
  EXPECT_EQ(ReadAll(*first).outcomes.size(), 2u);
  EXPECT_EQ(ReadAll(*second).outcomes.size(), 3u);
  EXPECT_TRUE(first->Finish().ok());
  EXPECT_TRUE(second->Finish().ok());
}

// Two claims are all that single ones may take beside a cart: the third waits, the largest cart does not.
TEST_F(ReservationFramesTest, ACartComesInWhileSingleClaimsTakeAllThatTheyMay) {
  StartServer({.max_outstanding = 8, .limits = {.connection = {.streams = 8, .answers = kMostRoom + 3}}});
  const auto claims_context = Context(), cart_context = Context();
  // Before the claims, because its read needs room for one answer.
  const auto carts = stub_->StreamReservations(cart_context.get());
  carts->WaitForInitialMetadata();
  const auto claims = stub_->StreamReservations(claims_context.get());
  ASSERT_TRUE(claims->Write(Frame(1, 3)));
  ASSERT_TRUE(sales_.AwaitArrived(2));
  v1::StreamReservationsRequest frame;
  frame.add_items()->set_sequence(9);
  for (int64_t i = 0; i < kMostRoom; ++i) frame.mutable_items(0)->mutable_create_cart()->add_lines();
  ASSERT_TRUE(carts->Write(frame));
  v1::StreamReservationsResponse response;
  ASSERT_TRUE(carts->Read(&response));
  FrameAnswers refused;
  refused.Add(response);
  EXPECT_EQ(refused.outcomes[9], "USER_ID_REQUIRED");
  sales_.DecideFirst();
  ASSERT_TRUE(sales_.AwaitArrived(3));
  for (int i = 0; i < 2; ++i) sales_.DecideFirst();
  ASSERT_TRUE(carts->WritesDone());
  ASSERT_TRUE(claims->WritesDone());
  EXPECT_TRUE(ReadAll(*carts).outcomes.empty());
  EXPECT_TRUE(carts->Finish().ok());
  EXPECT_EQ(ReadAll(*claims).outcomes.size(), 3u);
  EXPECT_TRUE(claims->Finish().ok());
}

// Their claims are slow, and they want to give up what they hold.
TEST_F(ReservationFramesTest, ACancellationComesInWhileClaimsTakeAllThatTheyMay) {
  StartServer(/*max_outstanding=*/8);
  const auto context = Context();
  const auto stream = stub_->StreamReservations(context.get());
  ASSERT_TRUE(stream->Write(Frame(1, 8)));
  ASSERT_TRUE(sales_.AwaitArrived(8));
  v1::StreamReservationsRequest frame;
  for (const uint64_t sequence : {21, 22}) {
    v1::StreamReservationsItem* const item = frame.add_items();
    item->set_sequence(sequence);
    item->mutable_cancel();
  }
  *frame.add_items() = ItemOfFrame(23);
  ASSERT_TRUE(stream->Write(frame));
  FrameAnswers answers;
  v1::StreamReservationsResponse response;
  while (answers.outcomes.size() < 2) {
    ASSERT_TRUE(stream->Read(&response));
    answers.Add(response);
  }
  EXPECT_TRUE(answers.outcomes.contains(21) && answers.outcomes.contains(22)) << "although no claim is decided";
  for (int i = 0; i < 8; ++i) sales_.DecideFirst();
  ASSERT_TRUE(sales_.AwaitArrived(9)) << "the claim behind them";
  sales_.DecideFirst();
  ASSERT_TRUE(stream->WritesDone());
  EXPECT_EQ(ReadAll(*stream).outcomes.size(), 9u);
  EXPECT_TRUE(stream->Finish().ok());
  EXPECT_EQ(sales_.most_held(), 8u) << "a claim has waited for the others";
}

TEST_F(ReservationFramesTest, ItemsFailOneByOne) {
  StartServer(16);
  const auto context = Context();
  const auto stream = stub_->StreamReservations(context.get());
  v1::StreamReservationsRequest frame = Frame(1, 4, "dry");
  frame.mutable_items(0)->clear_request();
  frame.mutable_items(1)->mutable_create()->set_quantity(0);
  frame.mutable_items(2)->mutable_timeout()->set_seconds(-1);
  ASSERT_TRUE(stream->Write(frame));
  ASSERT_TRUE(stream->WritesDone());
  const std::map<uint64_t, std::string> expected = {
      {1, "FIELD_INVALID"}, {2, "QUANTITY_INVALID"}, {3, "FIELD_INVALID"}, {4, "EXHAUSTED_HERE"}};
  EXPECT_EQ(ReadAll(*stream).outcomes, expected);
  EXPECT_TRUE(stream->Finish().ok());
}

TEST_F(ReservationFramesTest, CartsPaymentsAndCancellationsTravelInFrames) {
  StartServer(16);
  const auto context = Context();
  const auto stream = stub_->StreamReservations(context.get());
  const std::string id = WatchRequest().reservation_id();
  v1::StreamReservationsRequest frame;
  for (uint64_t sequence = 1; sequence <= 4; ++sequence) frame.add_items()->set_sequence(sequence);
  v1::CreateReservationsRequest* const cart = frame.mutable_items(0)->mutable_create_cart();
  cart->set_user_id("u1");
  cart->add_lines()->set_reservation_id(id);
  cart->mutable_lines(0)->set_sku_id("tv");
  cart->mutable_lines(0)->set_quantity(1);
  v1::ConfirmReservationRequest* const payment = frame.mutable_items(1)->mutable_confirm();
  payment->set_reservation_id(id);
  payment->set_payment_reference("p");
  payment->set_currency("EUR");
  frame.mutable_items(2)->mutable_cancel()->set_reservation_id(id);
  frame.mutable_items(3)->mutable_create_cart();
  ASSERT_TRUE(stream->Write(frame));
  ASSERT_TRUE(stream->WritesDone());
  v1::StreamReservationsResponse answers;
  ASSERT_TRUE(stream->Read(&answers)) << "one message: the handlers answer at once";
  EXPECT_EQ(answers.results_size(), 2);
  for (const auto& result : answers.results()) {
    EXPECT_EQ(result.has_cart_created(), result.sequence() == 1);
    EXPECT_EQ(result.has_confirmed(), result.sequence() == 2);
    EXPECT_EQ(result.cart_created().reservations_size(), result.sequence() == 1 ? 1 : 0);
    EXPECT_EQ(result.confirmed().outcome() == v1::CONFIRM_OUTCOME_CONFIRMED, result.sequence() == 2);
  }
  std::map<uint64_t, std::string> refused;
  for (const auto& refusal : answers.refusals()) {
    for (const uint64_t sequence : refusal.sequences()) refused[sequence] = FrameAnswers::ReasonIn(refusal.error());
  }
  EXPECT_EQ(refused, (std::map<uint64_t, std::string>{{3, "LEDGER_UNAVAILABLE"}, {4, "USER_ID_REQUIRED"}}));
  EXPECT_FALSE(stream->Read(&answers));
  EXPECT_TRUE(stream->Finish().ok());
  EXPECT_EQ(service_->unread_answers(), 0);
}

// A caller whose messages are any bytes.
class RawStream {
 public:
  RawStream(const std::shared_ptr<grpc::Channel>& channel, grpc::ClientContext* context)
      : stub_(channel),
        call_(stub_.PrepareCall(context, "/tranche.v1.ReservationService/StreamReservations", &queue_)) {
    call_->StartCall(Tag());
    Await();
  }
  ~RawStream() {
    queue_.Shutdown();
    void* tag = nullptr;
    bool ok = false;
    while (queue_.Next(&tag, &ok)) {
    }
  }

  bool Write(const std::string& bytes) {
    const grpc::Slice slice(bytes);
    call_->Write(grpc::ByteBuffer(&slice, 1), Tag());
    return Await();
  }
  // Until the end.
  FrameAnswers ReadAll() {
    FrameAnswers answers;
    while (true) {
      grpc::ByteBuffer buffer;
      call_->Read(&buffer, Tag());
      if (!Await()) return answers;
      v1::StreamReservationsResponse response;
      EXPECT_TRUE(grpc::SerializationTraits<v1::StreamReservationsResponse>::Deserialize(&buffer, &response).ok());
      answers.Add(response);
    }
  }
  grpc::Status Finish() {
    grpc::Status status;
    call_->Finish(&status, Tag());
    Await();
    return status;
  }

 private:
  void* Tag() { return this; }
  bool Await() {
    void* tag = nullptr;
    bool ok = false;
    return queue_.Next(&tag, &ok) && ok;
  }

  grpc::CompletionQueue queue_;
  grpc::GenericStub stub_;
  std::unique_ptr<grpc::GenericClientAsyncReaderWriter> call_;
};

TEST_F(ReservationFramesTest, AMessageThatCannotBeReadEndsTheStreamWithAReasonAndTheAnswersBefore) {
  StartServer(16);
  const std::string good = Frame(1, 2, "dry").SerializeAsString();
  v1::StreamReservationsRequest too_many;
  for (int i = 0; i <= kMaxFrameItems; ++i) too_many.add_items();
  const std::map<std::string, std::string> expected = {
      {"\xff", "FIELD_INVALID"},
      // An item without a sequence, and with a string that is not UTF-8.
      {"\x22\x05\x1a\x03\x1a\x01\xff", "FIELD_INVALID"},
      // An item of the length 2^32 + 2.
      {"\x22\x82\x80\x80\x80\x10\x08\x05", "FIELD_INVALID"},
      {too_many.SerializeAsString(), "MESSAGE_TOO_LARGE"}};
  for (const auto& [bytes, reason] : expected) {
    const auto context = Context();
    RawStream stream(server_->channel(), context.get());
    ASSERT_TRUE(stream.Write(good));
    ASSERT_TRUE(stream.Write(bytes));
    EXPECT_EQ(stream.ReadAll().outcomes.size(), 2u);
    const grpc::Status end = stream.Finish();
    EXPECT_EQ(end.error_code(), grpc::StatusCode::INVALID_ARGUMENT);
    EXPECT_EQ(ReasonOnWire(end), reason);
  }
  EXPECT_TRUE(AwaitThat([&] { return service_->unread_answers() == 0; }));
}

TEST_F(ReservationFramesTest, ALengthWithUpperBitsEndsTheStreamAlsoBehindRequestsThatWait) {
  StartServer(/*max_outstanding=*/1);
  const std::string good = Frame(1, 2).SerializeAsString();
  const std::string bad = "\x22\x82\x80\x80\x80\x10\x08\x05";
  const auto context = Context();
  RawStream stream(server_->channel(), context.get());
  ASSERT_TRUE(stream.Write(good));
  ASSERT_TRUE(stream.Write(good + bad));
  for (int i = 1; i <= 2; ++i) {
    ASSERT_TRUE(sales_.AwaitArrived(i));
    sales_.DecideFirst();
  }
  EXPECT_EQ(stream.ReadAll().outcomes.size(), 2u);
  EXPECT_EQ(ReasonOnWire(stream.Finish()), "FIELD_INVALID");
  EXPECT_FALSE(sales_.TryDecideFirst()) << "nothing of a message that cannot be read is done";
}

TEST_F(ReservationFramesTest, AnItemThatCannotBeReadIsRefusedByItself) {
  StartServer(16);
  const auto context = Context();
  RawStream stream(server_->channel(), context.get());
  // The sequence 7, then a claim whose user is not UTF-8; and behind it the good ones.
  ASSERT_TRUE(stream.Write("\x22\x07\x08\x07\x1a\x03\x1a\x01\xff" + Frame(8, 2, "dry").SerializeAsString()));
  ASSERT_TRUE(stream.Write("\xff"));  // ends it
  const std::map<uint64_t, std::string> expected = {{7, "FIELD_INVALID"}, {8, "EXHAUSTED_HERE"}, {9, "EXHAUSTED_HERE"}};
  EXPECT_EQ(stream.ReadAll().outcomes, expected);
  stream.Finish();
}

TEST_F(ReservationFramesTest, AnItemThatIsTooLargeIsRefusedByItself) {
  StartServer(16);
  const auto context = Context();
  const auto stream = stub_->StreamReservations(context.get());
  v1::StreamReservationsRequest frame = Frame(1, 2, "dry");
  frame.mutable_items(0)->mutable_create()->set_user_id(std::string(kMaxItemBytes, 'u'));
  ASSERT_TRUE(stream->Write(frame));
  ASSERT_TRUE(stream->WritesDone());
  const std::map<uint64_t, std::string> expected = {{1, "MESSAGE_TOO_LARGE"}, {2, "EXHAUSTED_HERE"}};
  EXPECT_EQ(ReadAll(*stream).outcomes, expected);
  EXPECT_TRUE(stream->Finish().ok());
}

TEST_F(ReservationFramesTest, ACallerWhoSendsFramesAndReadsNothingIsCutOffAndCostsNoMore) {
  StartServer({.max_outstanding = 100, .unread_timeout = absl::Seconds(1)});
  const auto context = Context();
  const auto stream = stub_->StreamReservations(context.get());
  std::thread writer([&] {
    // Long sequences, so that the caller's window of flow control is full soon.
    const v1::StreamReservationsRequest frame = Frame(uint64_t{1} << 63, 300, "dry");
    while (stream->Write(frame)) {
    }
  });
  EXPECT_TRUE(AwaitThat([&] { return service_->unread_answers() == 100; })) << "it admits no more";
  EXPECT_TRUE(AwaitThat([&] { return service_->unread_answers() == 0; })) << "they are dropped";
  writer.join();
  EXPECT_LT(absl::Now(), absl::FromChrono(context->deadline()));
  ReadAll(*stream);
  EXPECT_EQ(stream->Finish().error_code(), grpc::StatusCode::CANCELLED);
}

TEST_F(ReservationFramesTest, AFrameInHandDiesWithACallerWhoGoes) {
  StartServer(/*max_outstanding=*/2);
  const auto context = Context();
  const auto stream = stub_->StreamReservations(context.get());
  ASSERT_TRUE(stream->Write(Frame(1, 50)));
  ASSERT_TRUE(sales_.AwaitArrived(2));
  context->TryCancel();
  EXPECT_EQ(stream->Finish().error_code(), grpc::StatusCode::CANCELLED);
  // The server may notice it only after some of them are decided.
  EXPECT_TRUE(AwaitThat([&] {
    sales_.TryDecideFirst();
    return service_->unread_answers() == 0;
  }));
  server_.reset();  // would hang if the stream had not been finished
}

TEST_F(ReservationFramesTest, StoppingAnswersTheFrameInHandBeforeItEndsTheStream) {
  StartServer(/*max_outstanding=*/2);
  const auto context = Context();
  const auto stream = stub_->StreamReservations(context.get());
  ASSERT_TRUE(stream->Write(Frame(1, 5)));
  ASSERT_TRUE(sales_.AwaitArrived(2));
  service_->StopStreams();
  FrameAnswers answers;
  v1::StreamReservationsResponse response;
  for (int decided = 1; decided <= 5; ++decided) {
    ASSERT_TRUE(sales_.AwaitArrived(std::min(decided + 1, 5)));
    sales_.DecideFirst();
    ASSERT_TRUE(stream->Read(&response));
    answers.Add(response);
  }
  EXPECT_EQ(answers.outcomes.size(), 5u);
  EXPECT_FALSE(stream->Read(&response));
  EXPECT_EQ(ReasonOnWire(stream->Finish()), "DRAINING");
}

}  // namespace
}  // namespace tranche::server
