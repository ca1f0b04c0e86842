#include "server/handlers/outbox_handler.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <memory>
#include <string>

#include "absl/strings/str_format.h"
#include "storage/base/log_trace.h"
#include "storage/fake/fake_outbox.h"
#include "tests/unit/server/error_matchers.h"

namespace tranche::server {
namespace {

constexpr char kOutboxActor[] = "somebody@somewhere";

class OutboxHandlerTest : public ::testing::Test {
 protected:
  static std::string Id(int number) { return absl::StrFormat("00000000-0000-4000-8000-%012d", number); }
  static v1::OutboxKey Key(int number, const std::string& sink = "default") {
    v1::OutboxKey key;
    key.set_reservation_id(Id(number));
    key.set_revision(2);
    key.set_sink(sink);
    return key;
  }
  void Write(int number) {
    storage::Reservation row;
    row.reservation_id = *storage::Uuid::Parse(Id(number));
    row.sku_id = "tv";
    row.revision = 2;
    outbox_.Write("reservation.confirmed", row, {});
  }
  // Every message of the sink.
  void Kill(const std::string& sink) {
    const auto claimed = outbox_.ClaimMessages(sink, 1000, absl::Minutes(1), false);
    std::vector<storage::OutboxFailure> failures;
    for (const auto& message : *claimed) {
      failures.push_back({.key = message.key, .error = "because", .retry_after = absl::ZeroDuration(), .dead = true});
    }
    ASSERT_TRUE(outbox_.MarkFailed(failures).ok());
  }
  v1::ListOutboxMessagesResponse List(const v1::ListOutboxMessagesRequest& request) {
    const auto response = handler_.ListMessages(request);
    EXPECT_TRUE(response.ok()) << response.status();
    return response.value_or(v1::ListOutboxMessagesResponse());
  }
  v1::OutboxSink Sink(const std::string& name) {
    const auto sinks = handler_.ListSinks(v1::ListSinksRequest());
    for (const v1::OutboxSink& sink : sinks->sinks()) {
      if (sink.name() == name) return sink;
    }
    return v1::OutboxSink();
  }

  storage::FakeClock clock_;
  storage::FakeOutbox outbox_{&clock_};
  OutboxHandler handler_{&outbox_};
};

TEST_F(OutboxHandlerTest, AMessageTellsTheTraceOfItsCall) {
  constexpr char kTraceparent[] = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01";
  storage::Reservation row;
  row.reservation_id = *storage::Uuid::Parse(Id(1));
  row.revision = 2;
  outbox_.Write(
      "reservation.confirmed", row, {},
      std::make_shared<const LogTrace>(LogTrace{.trace_id = "", .request_id = "r-17", .traceparent = kTraceparent}));
  Write(2);
  v1::ListOutboxMessagesRequest request;
  request.set_state(v1::OUTBOX_STATE_PENDING);
  const auto page = List(request);
  ASSERT_EQ(page.messages_size(), 2);
  EXPECT_EQ(page.messages(0).traceparent(), kTraceparent);
  EXPECT_EQ(page.messages(0).request_id(), "r-17");
  EXPECT_EQ(page.messages(1).traceparent() + page.messages(1).request_id(), "");
}

TEST_F(OutboxHandlerTest, ListsAPageAtATime) {
  for (int i = 1; i <= 5; ++i) Write(i);
  v1::ListOutboxMessagesRequest request;
  EXPECT_EQ(List(request).messages_size(), 0) << "the dead ones, unless asked otherwise";
  request.set_state(v1::OUTBOX_STATE_PENDING);
  request.set_page_size(2);
  std::vector<std::string> ids;
  do {
    const auto page = List(request);
    EXPECT_LE(page.messages_size(), 2);
    for (const auto& message : page.messages()) ids.push_back(message.key().reservation_id());
    request.set_page_token(page.next_page_token());
  } while (!request.page_token().empty());
  EXPECT_THAT(ids, ::testing::ElementsAre(Id(1), Id(2), Id(3), Id(4), Id(5)));

  request.set_page_token("nonsense");
  EXPECT_EQ(ReasonOf(handler_.ListMessages(request).status()), "FIELD_INVALID");
  request.clear_page_token();
  request.set_sink("nobody");
  EXPECT_EQ(ReasonOf(handler_.ListMessages(request).status()), "SINK_NOT_FOUND");
}

TEST_F(OutboxHandlerTest, ShowsOneWithEverything) {
  Write(1);
  Kill("default");
  v1::GetOutboxMessageRequest request;
  *request.mutable_key() = Key(1);
  const auto response = handler_.GetMessage(request);
  ASSERT_TRUE(response.ok());
  EXPECT_EQ(response->message().kind(), "reservation.confirmed");
  EXPECT_EQ(response->message().state(), v1::OUTBOX_STATE_DEAD);
  EXPECT_EQ(response->message().attempts(), 1);
  EXPECT_EQ(response->message().last_error(), "because");
  EXPECT_THAT(response->message().payload(), ::testing::HasSubstr(Id(1)));
  *request.mutable_key() = Key(2);
  EXPECT_EQ(ReasonOf(handler_.GetMessage(request).status()), "OUTBOX_MESSAGE_NOT_FOUND");
  for (const char* id : {"x", "00000000-0000-0000-0000-000000000000"}) {
    request.mutable_key()->set_reservation_id(id);
    EXPECT_EQ(ReasonOf(handler_.GetMessage(request).status()), "RESERVATION_ID_MALFORMED") << id;
  }
}

TEST_F(OutboxHandlerTest, RetryPreviewsAndMakesDue) {
  ASSERT_TRUE(outbox_.AddSink("books", kOutboxActor).ok());
  for (int i = 1; i <= 3; ++i) Write(i);
  Kill("default");
  Kill("books");
  v1::RetryOutboxMessagesRequest request;
  request.set_preview(true);
  EXPECT_EQ(handler_.Retry(request, kOutboxActor)->messages(), 6);
  request.set_sink("books");
  EXPECT_EQ(handler_.Retry(request, kOutboxActor)->messages(), 3);
  EXPECT_EQ(Sink("books").dead(), 3) << "a preview changes nothing";
  request.set_preview(false);
  EXPECT_EQ(handler_.Retry(request, kOutboxActor)->messages(), 3);
  EXPECT_EQ(Sink("books").pending(), 3);
  EXPECT_EQ(Sink("default").dead(), 3);
  v1::RetryOutboxMessagesRequest one;
  *one.mutable_key() = Key(2);
  EXPECT_EQ(handler_.Retry(one, kOutboxActor)->messages(), 1);
  EXPECT_EQ(Sink("default").pending(), 1);
  *one.mutable_key() = Key(9);
  EXPECT_EQ(ReasonOf(handler_.Retry(one, kOutboxActor).status()), "OUTBOX_MESSAGE_NOT_FOUND");
  one.set_sink("books");
  EXPECT_EQ(ReasonOf(handler_.Retry(one, kOutboxActor).status()), "FIELD_INVALID");
}

TEST_F(OutboxHandlerTest, DiscardPreviewsAndTakesOut) {
  Write(1);
  v1::DiscardOutboxMessageRequest request;
  *request.mutable_key() = Key(1);
  request.set_preview(true);
  EXPECT_EQ(handler_.Discard(request, kOutboxActor)->message().key().reservation_id(), Id(1));
  EXPECT_EQ(Sink("default").pending(), 1);
  request.set_preview(false);
  EXPECT_TRUE(handler_.Discard(request, kOutboxActor).ok());
  EXPECT_EQ(Sink("default").pending(), 0);
  EXPECT_EQ(ReasonOf(handler_.Discard(request, kOutboxActor).status()), "OUTBOX_MESSAGE_NOT_FOUND");
}

TEST_F(OutboxHandlerTest, SinksAreAddedListedAndRemoved) {
  v1::AddSinkRequest add;
  add.set_name("books");
  add.set_preview(true);
  EXPECT_FALSE(handler_.AddSink(add, kOutboxActor)->existed());
  EXPECT_EQ(Sink("books").name(), "");
  add.set_preview(false);
  EXPECT_FALSE(handler_.AddSink(add, kOutboxActor)->existed());
  EXPECT_TRUE(handler_.AddSink(add, kOutboxActor)->existed());
  Write(1);
  clock_.AdvanceBy(absl::Seconds(90));
  EXPECT_EQ(Sink("books").pending(), 1);
  EXPECT_EQ(Sink("books").oldest_pending().seconds(), 90);
  v1::RemoveSinkRequest remove;
  remove.set_name("books");
  remove.set_preview(true);
  EXPECT_EQ(handler_.RemoveSink(remove, kOutboxActor)->sink().pending(), 1);
  remove.set_preview(false);
  EXPECT_EQ(handler_.RemoveSink(remove, kOutboxActor)->sink().pending(), 1);
  EXPECT_EQ(ReasonOf(handler_.RemoveSink(remove, kOutboxActor).status()), "SINK_NOT_FOUND");
  add.set_name("No Good");
  EXPECT_EQ(ReasonOf(handler_.AddSink(add, kOutboxActor).status()), "FIELD_INVALID");
}

TEST_F(OutboxHandlerTest, APreviewRefusesToRemoveTheOnlySinkLikeTheRemoval) {
  v1::RemoveSinkRequest remove;
  remove.set_name("default");
  for (const bool preview : {true, false}) {
    remove.set_preview(preview);
    const absl::Status refused = handler_.RemoveSink(remove, kOutboxActor).status();
    EXPECT_EQ(ReasonOf(refused), "FIELD_INVALID") << preview;
    EXPECT_THAT(std::string(refused.message()), ::testing::HasSubstr("is the only sink"));
  }
  remove.set_name("BAD!");
  EXPECT_EQ(MetadataOf(handler_.RemoveSink(remove, kOutboxActor).status(), "field"), "name");
}

TEST_F(OutboxHandlerTest, ALedgerThatDoesNotAnswerIsSaidToBeUnavailable) {
  outbox_.FailNext(1);
  EXPECT_EQ(ReasonOf(handler_.ListSinks(v1::ListSinksRequest()).status()), "LEDGER_UNAVAILABLE");
}

}  // namespace
}  // namespace tranche::server
