// The outbox: messages about changes, handed to relays; on the fake and on PostgreSQL.
#include <algorithm>
#include <memory>
#include <string>
#include <vector>

#include "absl/strings/str_cat.h"
#include "tests/contract/lifecycle_fixture.h"

namespace tranche::storage {
namespace {

using ::testing::AllOf;
using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::IsEmpty;
using ::testing::UnorderedElementsAre;

constexpr absl::Duration kLease = absl::Seconds(30);
constexpr char kTraceId[] = "0af7651916cd43dd8448eb211c80319c";
constexpr char kTraceparent[] = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01";

class OutboxLedgerContract : public LifecycleContractTest {
 protected:
  void SetUp() override {
    Create(SkuOf("tv", 100));
    node_ = HolderOf("tv", 100);
  }

  std::vector<OutboxMessage> Take(int limit = 100, const std::string& sink = "default", bool fresh = false) {
    const auto claimed = outbox().ClaimMessages(sink, limit, kLease, fresh);
    EXPECT_TRUE(claimed.ok()) << claimed.status();
    return claimed.value_or(std::vector<OutboxMessage>());
  }
  // Extended twice and cancelled: three messages.
  Uuid ThreeMessages(const std::string& user) {
    const Reservation hold = Hold(node_, "tv", user);
    Extend(hold, 1, absl::Seconds(1));
    Extend(hold, 2, absl::Seconds(1));
    Cancel(hold);
    return hold.reservation_id;
  }
  static TraceTag Trace(const std::string& request_id) {
    return std::make_shared<const LogTrace>(
        LogTrace{.trace_id = kTraceId, .request_id = request_id, .traceparent = kTraceparent});
  }
  // The request id that the message has from its call; "" if it has no trace.
  std::string RequestOf(const Uuid& id, int32_t revision) {
    const auto message = outbox().GetMessage({id, revision, "default"});
    EXPECT_TRUE(message.ok()) << message.status();
    if (!message.ok() || message->trace == nullptr) return "";
    EXPECT_EQ(message->trace->traceparent, kTraceparent);
    EXPECT_EQ(message->trace->trace_id, kTraceId);
    return message->trace->request_id;
  }
  void Deliver(const OutboxMessage& message) { EXPECT_TRUE(outbox().MarkDelivered({message.key}).ok()); }
  void Fail(const OutboxMessage& message, absl::Duration retry_after, bool dead = false) {
    EXPECT_TRUE(outbox().MarkFailed({{message.key, "HTTP 500", retry_after, dead}}).ok());
  }

  IncarnationId node_ = kPool;
};
INSTANTIATE_TEST_SUITE_P(Both, OutboxLedgerContract, BothLedgers(), LedgerName);

TEST_P(OutboxLedgerContract, AMessageTellsTheWholeChange) {
  const Reservation hold = Hold(node_, "tv", "a \"quoted\" buyer");
  EXPECT_THAT(Take(), IsEmpty()) << "its creator has the answer";
  Confirm(PaymentOf(hold, "pay-7"));
  const std::vector<OutboxMessage> messages = Take();
  ASSERT_EQ(messages.size(), 1u);
  const OutboxMessage& message = messages[0];
  EXPECT_EQ(message.key.reservation_id, hold.reservation_id);
  EXPECT_EQ(message.key.revision, 2);
  EXPECT_EQ(message.key.sink, "default");
  EXPECT_EQ(message.sku_id, "tv");
  EXPECT_EQ(message.kind, "reservation.confirmed");
  EXPECT_EQ(message.attempts, 1);
  EXPECT_EQ(message.state, OutboxState::kPending);
  EXPECT_THAT(message.payload,
              AllOf(HasSubstr("\"kind\": \"reservation.confirmed\""), HasSubstr(hold.reservation_id.ToString()),
                    HasSubstr("\"user_id\": \"a \\\"quoted\\\" buyer\""), HasSubstr("\"revision\": 2"),
                    HasSubstr("\"amount_minor\": 1999"), HasSubstr("\"state\": \"CONFIRMED\""),
                    HasSubstr("\"payment_reference\": \"pay-7\""), HasSubstr("\"occurred_at\": \"2")));
}

TEST_P(OutboxLedgerContract, AMessageHasTheTraceOfTheCallThatMadeTheChange) {
  const Reservation alice = Hold(node_, "tv", "alice"), bob = Hold(node_, "tv", "bob"),
                    carol = Hold(node_, "tv", "carol");
  // In one batch, of which some have none.
  Extend(std::vector<Extension>{{carol.reservation_id, 1, absl::Seconds(1)},
                                {alice.reservation_id, 1, absl::Seconds(1), Trace("extend-alice")},
                                {bob.reservation_id, 1, absl::Seconds(1), Trace("extend-bob")}});
  Payment payment = PaymentOf(alice);
  payment.trace = Trace("pay-alice");
  Confirm(std::vector<Payment>{payment, PaymentOf(carol)});
  payment.trace = Trace("pay-alice-again");
  EXPECT_EQ(Confirm(payment).outcome, ChangeOutcome::kReplayed);
  Cancel(std::vector<Cancellation>{{bob.reservation_id, "why", Trace("cancel-bob")}});
  EXPECT_EQ(RequestOf(alice.reservation_id, 2), "extend-alice");
  EXPECT_EQ(RequestOf(alice.reservation_id, 3), "pay-alice") << "of the call that made the change";
  EXPECT_EQ(RequestOf(bob.reservation_id, 2), "extend-bob");
  EXPECT_EQ(RequestOf(bob.reservation_id, 3), "cancel-bob");
  EXPECT_EQ(RequestOf(carol.reservation_id, 2), "");
  EXPECT_EQ(RequestOf(carol.reservation_id, 3), "");
  // Relays get it, too.
  std::vector<std::string> taken;
  for (const OutboxMessage& message : Take()) {
    if (message.trace != nullptr) taken.push_back(message.trace->request_id);
  }
  EXPECT_THAT(taken, UnorderedElementsAre("extend-alice", "extend-bob"));
}

TEST_P(OutboxLedgerContract, TheMessageAboutALatePaymentHasItsTraceAndAnExpiryHasNone) {
  const Reservation rebooked = Expired(node_, "tv", "alice"), refunded = Expired(node_, "tv", "bob");
  Payment payment = PaymentOf(rebooked);
  payment.trace = Trace("late-alice");
  const ChangeResult result = ConfirmLate(payment);
  ASSERT_TRUE(result.rebooked.has_value());
  EXPECT_EQ(RequestOf(rebooked.reservation_id, 2), "");
  EXPECT_EQ(RequestOf(result.rebooked->reservation_id, result.rebooked->revision), "late-alice");
  ASSERT_TRUE(stock().CloseSku("tv", "test").ok());
  payment = PaymentOf(refunded);
  payment.trace = Trace("late-bob");
  EXPECT_EQ(ConfirmLate(payment).outcome, ChangeOutcome::kPaidUnfulfilled);
  payment.trace = Trace("late-bob-again");
  ConfirmLate(payment);
  EXPECT_EQ(RequestOf(refunded.reservation_id, 3), "late-bob");
}

TEST_P(OutboxLedgerContract, AReservationsMessagesComeInOrderOneAtATime) {
  const Uuid a = ThreeMessages("alice"), b = ThreeMessages("bob");
  EXPECT_THAT(Kinds(a), ElementsAre("reservation.extended", "reservation.extended", "reservation.cancelled"));
  for (int32_t revision = 2; revision <= 4; ++revision) {
    const std::vector<OutboxMessage> messages = Take();
    ASSERT_EQ(messages.size(), 2u);
    std::vector<Uuid> ids;
    for (const OutboxMessage& message : messages) {
      EXPECT_EQ(message.key.revision, revision);
      ids.push_back(message.key.reservation_id);
    }
    EXPECT_THAT(ids, UnorderedElementsAre(a, b));
    EXPECT_THAT(Take(), IsEmpty()) << "each is somebody's for now, and holds up those behind it";
    for (const OutboxMessage& message : messages) Deliver(message);
  }
  EXPECT_THAT(Take(), IsEmpty());
  EXPECT_THAT(*outbox().ListMessages("", OutboxState::kPending, {}, 10), IsEmpty());
}

TEST_P(OutboxLedgerContract, WhatARelayTookAndNeverFinishedIsHandedOutAgain) {
  ThreeMessages("alice");
  const std::vector<OutboxMessage> first = Take();
  ASSERT_EQ(first.size(), 1u);
  LetPass(kLease - absl::Seconds(5));
  EXPECT_THAT(Take(), IsEmpty());
  LetPass(absl::Seconds(10));
  const std::vector<OutboxMessage> again = Take();
  ASSERT_EQ(again.size(), 1u);
  EXPECT_EQ(again[0].key.revision, first[0].key.revision);
  EXPECT_EQ(again[0].attempts, 2);
  Deliver(first[0]);
  Deliver(again[0]);  // by both: unknown by then, and harmless
}

TEST_P(OutboxLedgerContract, NoMoreIsHandedOutThanAskedFor) {
  for (int i = 0; i < 5; ++i) Cancel(Hold(node_, "tv", absl::StrCat("u", i)));
  EXPECT_EQ(Take(2).size(), 2u);
  EXPECT_EQ(Take(2).size(), 2u);
  EXPECT_EQ(Take(2).size(), 1u);
}

TEST_P(OutboxLedgerContract, AFailedOneComesAgainWhenItIsDue) {
  const Uuid id = ThreeMessages("alice");
  Fail(Take().at(0), absl::Minutes(1));
  EXPECT_THAT(Take(), IsEmpty()) << "and none overtakes it";
  const auto waiting = outbox().GetMessage({id, 2, "default"});
  ASSERT_TRUE(waiting.ok()) << waiting.status();
  EXPECT_EQ(waiting->last_error, "HTTP 500");
  LetPass(absl::Minutes(1));
  const std::vector<OutboxMessage> again = Take();
  ASSERT_EQ(again.size(), 1u);
  EXPECT_EQ(again[0].key.revision, 2);
  EXPECT_EQ(again[0].attempts, 2);
}

// A relay that suspects its sink tries such ones, and not those that may be bad themselves.
TEST_P(OutboxLedgerContract, FreshOnesCanBeTakenPastThoseThatFailed) {
  const Uuid blocked = ThreeMessages("alice");
  Fail(Take().at(0), absl::Hours(1));
  for (int i = 0; i < 3; ++i) Cancel(Hold(node_, "tv", absl::StrCat("bad", i)));
  for (const OutboxMessage& message : Take()) Fail(message, {});
  Cancel(Hold(node_, "tv", "bob"));
  LetPass(absl::Seconds(1));
  const Reservation newest = Hold(node_, "tv", "carol");
  Cancel(newest);
  const std::vector<OutboxMessage> taken = Take(1, "default", /*fresh=*/true);
  ASSERT_EQ(taken.size(), 1u);
  EXPECT_EQ(taken[0].key.reservation_id, newest.reservation_id) << "the newest first";
  EXPECT_EQ(taken[0].attempts, 1);
  const std::vector<OutboxMessage> rest = Take(100, "default", /*fresh=*/true);
  ASSERT_EQ(rest.size(), 1u) << "none that failed, and none behind one that failed";
  EXPECT_FALSE(rest[0].key.reservation_id == blocked);
  EXPECT_THAT(Take(100, "default", /*fresh=*/true), IsEmpty());
  EXPECT_EQ(Take().size(), 3u) << "those that failed are due as before";
}

TEST_P(OutboxLedgerContract, WhatAServerSaidMayBeAnyBytes) {
  const Uuid id = ThreeMessages("alice");
  const OutboxMessage message = Take().at(0);
  EXPECT_TRUE(outbox().MarkFailed({{message.key, std::string(2000, '\xff') + '\0', absl::Seconds(1), false}}).ok());
  EXPECT_LE(outbox().GetMessage({id, 2, "default"})->last_error.size(), 1000u);
}

TEST_P(OutboxLedgerContract, ADeadOneIsOutOfTheWayUntilAnOperatorRevivesIt) {
  const Uuid id = ThreeMessages("alice");
  Fail(Take().at(0), {}, /*dead=*/true);
  const std::vector<OutboxMessage> next = Take();
  ASSERT_EQ(next.size(), 1u);
  EXPECT_EQ(next[0].key.revision, 3);
  auto dead = outbox().ListMessages("default", OutboxState::kDead, {}, 10);
  ASSERT_TRUE(dead.ok()) << dead.status();
  ASSERT_EQ(dead->size(), 1u);
  EXPECT_EQ((*dead)[0].key.revision, 2);
  Deliver(next[0]);
  EXPECT_EQ(*outbox().RetryDead("other", "test"), 0);
  EXPECT_EQ(*outbox().RetryDead("default", "test"), 1);
  const std::vector<OutboxMessage> revived = Take();
  ASSERT_EQ(revived.size(), 1u);
  EXPECT_EQ(revived[0].key.reservation_id, id);
  EXPECT_EQ(revived[0].key.revision, 2);
  EXPECT_EQ(revived[0].attempts, 1) << "with all its attempts before it";
}

TEST_P(OutboxLedgerContract, OperatorsRetryAndDiscardSingleMessages) {
  const Uuid id = ThreeMessages("alice");
  Fail(Take().at(0), absl::Hours(1));
  EXPECT_EQ(*outbox().RetryMessage({id, 2, "default"}, "test"), 1);
  EXPECT_EQ(Take().at(0).key.revision, 2) << "at once";
  EXPECT_EQ(*outbox().DiscardMessage({id, 2, "default"}, "test"), 1);
  EXPECT_EQ(Take().at(0).key.revision, 3);
  const OutboxKey none = {id, 2, "default"};
  EXPECT_EQ(*outbox().RetryMessage(none, "test"), 0);
  EXPECT_EQ(*outbox().DiscardMessage(none, "test"), 0);
  EXPECT_EQ(outbox().GetMessage(none).status().code(), absl::StatusCode::kNotFound);
}

TEST_P(OutboxLedgerContract, EachSinkHasItsOwnCopies) {
  Cancel(Hold(node_, "tv", "alice"));
  EXPECT_TRUE(outbox().AddSink("books", "somebody").ok());
  EXPECT_TRUE(outbox().AddSink("books", "somebody").ok()) << "repeating it is harmless";
  EXPECT_EQ(outbox().AddSink("No Name", "somebody").code(), absl::StatusCode::kInvalidArgument);
  EXPECT_THAT(*outbox().ListSinks(), UnorderedElementsAre("books", "default"));
  const Reservation bob = Cancel(Hold(node_, "tv", "bob")).reservation;
  EXPECT_EQ(Take(100, "books").size(), 1u) << "from now on";
  EXPECT_EQ(Take().size(), 2u) << "and a sink that is down holds up no other";
  auto depths = outbox().Depths();
  ASSERT_TRUE(depths.ok()) << depths.status();
  ASSERT_EQ(depths->size(), 2u);
  EXPECT_EQ((*depths)[0].sink, "books");
  EXPECT_EQ((*depths)[0].pending, 1);
  EXPECT_EQ((*depths)[1].pending, 2);
  EXPECT_GT((*depths)[1].oldest_pending, absl::ZeroDuration());
  EXPECT_TRUE(outbox().RemoveSink("books", "somebody").ok());
  EXPECT_EQ(outbox().RemoveSink("books", "somebody").code(), absl::StatusCode::kNotFound);
  EXPECT_EQ(outbox().RemoveSink("default", "somebody").code(), absl::StatusCode::kInvalidArgument) << "the last one";
  EXPECT_EQ(outbox().GetMessage({bob.reservation_id, 2, "books"}).status().code(), absl::StatusCode::kNotFound);
  EXPECT_TRUE(outbox().GetMessage({bob.reservation_id, 2, "default"}).ok());
}

TEST_P(OutboxLedgerContract, ListsInPages) {
  std::vector<std::pair<Uuid, int32_t>> keys;
  for (const char* user : {"alice", "bob"}) {
    const Uuid id = ThreeMessages(user);
    for (int32_t revision = 2; revision <= 4; ++revision) keys.emplace_back(id, revision);
  }
  std::sort(keys.begin(), keys.end());
  std::vector<std::pair<Uuid, int32_t>> listed;
  OutboxKey after;
  while (true) {
    const auto page = outbox().ListMessages("", OutboxState::kPending, after, 4);
    ASSERT_TRUE(page.ok()) << page.status();
    if (page->empty()) break;
    for (const OutboxMessage& message : *page) listed.emplace_back(message.key.reservation_id, message.key.revision);
    after = page->back().key;
  }
  EXPECT_EQ(listed, keys);
}

}  // namespace
}  // namespace tranche::storage
