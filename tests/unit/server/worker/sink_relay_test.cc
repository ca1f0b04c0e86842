#include "server/worker/sink_relay.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <functional>
#include <map>
#include <memory>
#include <string>
#include <vector>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "glog/logging.h"
#include "storage/base/log_trace.h"
#include "storage/fake/fake_outbox.h"

namespace tranche::server {
namespace {

using storage::OutboxMessage;
using storage::OutboxState;
using ::testing::ElementsAre;
using ::testing::SizeIs;

double Half() { return 0.5; }

// Does with each message what the test says.
class ScriptedSink : public Sink {
 public:
  const std::string& name() const override { return name_; }
  std::vector<Delivery> Deliver(absl::Span<const OutboxMessage> batch, absl::FunctionRef<bool()> may_begin) override {
    batches.push_back(batch.size());
    std::vector<Delivery> deliveries(batch.size());
    for (size_t i = 0; i < batch.size() && begins > 0 && may_begin(); ++i) {
      seen.push_back(MessageId(batch[i].key));
      deliveries[i] = answer(batch[i]);
      if (deliveries[i].outcome == DeliveryOutcome::kDelivered) delivered.push_back(seen.back());
    }
    return deliveries;
  }

  std::function<Delivery(const OutboxMessage&)> answer = [](const OutboxMessage&) {
    return Delivery{DeliveryOutcome::kDelivered, ""};
  };
  int begins = 1000;  // it tries no message at 0
  std::vector<size_t> batches;
  std::vector<std::string> seen;
  std::vector<std::string> delivered;

 private:
  const std::string name_ = "default";
};

class SinkRelayTest : public ::testing::Test {
 protected:
  static storage::Uuid Id(int number) {
    return *storage::Uuid::Parse(absl::StrFormat("00000000-0000-4000-8000-%012d", number));
  }
  static std::string Name(int reservation, int revision) { return MessageId({Id(reservation), revision, "default"}); }
  void Write(int reservation, int revision, const TraceTag& trace = {}) {
    storage::Reservation row;
    row.reservation_id = Id(reservation);
    row.sku_id = "tv";
    row.revision = revision;
    outbox_.Write("reservation.extended", row, {}, trace);
  }
  OutboxMessage Message(int reservation, int revision) {
    const auto message = outbox_.GetMessage({Id(reservation), revision, "default"});
    EXPECT_TRUE(message.ok()) << message.status();
    return message.value_or(OutboxMessage());
  }
  storage::OutboxDepth Depth() { return outbox_.Depths()->front(); }
  // Runs steps, letting the time pass that the relay waits, until nothing waits or for `most`.
  void Run(absl::Duration most = absl::Hours(1)) {
    const absl::Time end = clock_.Now() + most;
    while (Depth().pending > 0 && clock_.Now() < end) clock_.AdvanceBy(relay_.Step());
  }

  int64_t Counted(RelayOutcome outcome) { return relay_.counts().messages[static_cast<size_t>(outcome)].value(); }

  storage::FakeClock clock_;
  storage::FakeOutbox outbox_{&clock_};
  ScriptedSink sink_;
  RelayOptions options_;
  SinkRelay relay_{&outbox_, &sink_, &clock_, Half, options_};
};

// Whoever looks for a call by its id finds what became of the message about it.
TEST_F(SinkRelayTest, ItsLinesAboutAMessageCarryTheTraceOfTheCall) {
  class Traces : public google::LogSink {
   public:
    Traces() { google::AddLogSink(this); }
    ~Traces() override { google::RemoveLogSink(this); }
    void send(google::LogSeverity, const char*, const char*, int, const google::LogMessageTime&, const char*,
              size_t) override {
      ids.push_back(CurrentTrace() == nullptr ? "" : CurrentTrace()->request_id);
    }
    std::vector<std::string> ids;
  };
  Write(1, 2, std::make_shared<const LogTrace>(LogTrace{.trace_id = "", .request_id = "r-17"}));
  sink_.answer = [](const OutboxMessage&) { return Delivery{DeliveryOutcome::kRefusedForGood, "because"}; };
  const Traces traces;
  Run();
  EXPECT_THAT(traces.ids, ElementsAre("r-17"));
  EXPECT_EQ(CurrentTrace(), nullptr);
}

Delivery Failure(DeliveryOutcome outcome) { return {outcome, "because"}; }

TEST_F(SinkRelayTest, CarriesMessagesInOrderPerReservation) {
  for (int revision = 2; revision <= 5; ++revision) {
    for (int reservation = 1; reservation <= 20; ++reservation) Write(reservation, revision);
  }
  Run();
  EXPECT_THAT(sink_.delivered, SizeIs(80));
  std::map<std::string, std::string> last;
  for (const std::string& id : sink_.delivered) {
    std::string& before = last[id.substr(0, 36)];
    EXPECT_LT(before, id);
    before = id;
  }
}

TEST_F(SinkRelayTest, RegistersItsSinkAndLooksAgainSoonWhenNothingWaits) {
  ASSERT_TRUE(outbox_.AddSink("another", "somebody").ok());  // the last one cannot be removed
  ASSERT_TRUE(outbox_.RemoveSink("default", "somebody").ok());
  EXPECT_EQ(relay_.Step(), options_.poll);
  EXPECT_THAT(*outbox_.ListSinks(), ElementsAre("another", "default"));
}

TEST_F(SinkRelayTest, AMessageThatIsRefusedIsTriedAgainAndHoldsUpOnlyItsReservation) {
  Write(1, 2);
  Write(1, 3);
  Write(2, 2);
  int refusals = 3;
  sink_.answer = [&](const OutboxMessage& message) {
    const bool refuse = message.key.reservation_id == Id(1) && refusals > 0 && refusals-- > 0;
    return refuse ? Failure(DeliveryOutcome::kRefused) : Delivery{DeliveryOutcome::kDelivered, ""};
  };
  relay_.Step();
  EXPECT_EQ(Message(1, 2).last_error, "because");
  EXPECT_EQ(Message(1, 2).next_attempt_at, clock_.Now() + absl::Milliseconds(500)) << "half of the first backoff";
  Run();
  EXPECT_THAT(sink_.delivered, ElementsAre(Name(2, 2), Name(1, 2), Name(1, 3)));
  EXPECT_THAT(sink_.seen, SizeIs(6));
}

TEST_F(SinkRelayTest, RetryAfterIsKeptToWithinBounds) {
  Write(1, 2);
  Write(2, 2);
  sink_.answer = [&](const OutboxMessage& message) {
    Delivery delivery = Failure(DeliveryOutcome::kRefused);
    delivery.retry_after = message.key.reservation_id == Id(1) ? absl::Seconds(90) : absl::Hours(90);
    return delivery;
  };
  relay_.Step();
  relay_.Step();
  EXPECT_EQ(Message(1, 2).next_attempt_at, clock_.Now() + absl::Seconds(90));
  EXPECT_EQ(Message(2, 2).next_attempt_at, clock_.Now() + absl::Minutes(5));
}

TEST_F(SinkRelayTest, GivenUpOnlyAfterManyAttemptsAndADay) {
  Write(1, 2);
  const absl::Time written = clock_.Now();
  sink_.answer = [](const OutboxMessage&) { return Failure(DeliveryOutcome::kRefused); };
  Run(absl::Hours(23));
  EXPECT_EQ(Message(1, 2).state, OutboxState::kPending);
  EXPECT_GT(Message(1, 2).attempts, 10);
  Run(absl::Hours(2));
  EXPECT_EQ(Message(1, 2).state, OutboxState::kDead);
  EXPECT_LT(clock_.Now() - written, absl::Hours(24) + absl::Minutes(10));
  // It blocks nothing, and comes back when an operator says so.
  Write(1, 3);
  sink_.answer = [](const OutboxMessage&) { return Delivery{DeliveryOutcome::kDelivered, ""}; };
  Run();
  EXPECT_THAT(sink_.delivered, ElementsAre(Name(1, 3)));
  ASSERT_EQ(*outbox_.RetryDead("default", "somebody"), 1);
  Run();
  EXPECT_THAT(sink_.delivered, ElementsAre(Name(1, 3), Name(1, 2)));
}

TEST_F(SinkRelayTest, WhatIsRefusedForGoodIsDeadAtOnce) {
  Write(1, 2);
  sink_.answer = [](const OutboxMessage&) { return Failure(DeliveryOutcome::kRefusedForGood); };
  Run();
  EXPECT_EQ(Message(1, 2).state, OutboxState::kDead);
  EXPECT_EQ(Message(1, 2).attempts, 1);
}

TEST_F(SinkRelayTest, ASinkThatIsDownForAnHourCostsFewAttemptsAndLosesNothing) {
  for (int i = 1; i <= 3000; ++i) Write(i, 2);
  sink_.answer = [](const OutboxMessage&) { return Failure(DeliveryOutcome::kSinkFailed); };
  Run(absl::Hours(1));
  EXPECT_LT(sink_.seen.size(), 500u) << "one message at a time, ever more seldom";
  EXPECT_GT(sink_.seen.size(), 100u) << "but not so seldom that its return goes unnoticed";
  for (const size_t size : sink_.batches) EXPECT_EQ(size, 1u);
  EXPECT_EQ(Depth().pending, 3000);
  EXPECT_FALSE(relay_.healthy());
  sink_.answer = [](const OutboxMessage&) { return Delivery{DeliveryOutcome::kDelivered, ""}; };
  Run(absl::Minutes(10));
  EXPECT_EQ(Depth().pending, 0);
  EXPECT_EQ(Depth().dead, 0);
  EXPECT_THAT(sink_.delivered, SizeIs(3000));
  EXPECT_TRUE(relay_.healthy());
}

TEST_F(SinkRelayTest, WhatAFailingSinkWasNotTriedWithIsHandedBackAtOnce) {
  for (int i = 1; i <= 21; ++i) Write(i, 2);
  relay_.Step();
  relay_.Step();  // 1 and 4
  bool down = true;
  sink_.answer = [&](const OutboxMessage&) {
    if (!down) return Delivery{DeliveryOutcome::kDelivered, ""};
    sink_.begins = 0;
    return Failure(DeliveryOutcome::kSinkFailed);
  };
  relay_.Step();
  EXPECT_THAT(sink_.batches, ElementsAre(1, 4, 16));
  EXPECT_THAT(sink_.seen, SizeIs(6)) << "one of them fails, and the others are not tried";
  EXPECT_EQ(Counted(RelayOutcome::kDelivered), 5);
  EXPECT_EQ(Counted(RelayOutcome::kRetried), 1);
  EXPECT_EQ(Counted(RelayOutcome::kReturned), 15);
  down = false;
  sink_.begins = 1000;
  Run(absl::Seconds(5));
  EXPECT_EQ(Depth().pending, 0) << "long before the lease is over";
}

TEST_F(SinkRelayTest, APoisonedMessageDoesNotKeepTheSinkDown) {
  for (int i = 1; i <= 500; ++i) Write(i, 2);
  sink_.answer = [](const OutboxMessage& message) {
    return message.key.reservation_id == Id(1) ? Failure(DeliveryOutcome::kSinkFailed)
                                               : Delivery{DeliveryOutcome::kDelivered, ""};
  };
  Run(absl::Minutes(1));
  EXPECT_THAT(sink_.delivered, SizeIs(499));
}

// As they may come: before the good ones, and between them.
TEST_F(SinkRelayTest, ManyPoisonedMessagesHoldUpNoOther) {
  constexpr int kBad = 3;  // the revision of those that the receiver cannot take
  sink_.answer = [&](const OutboxMessage& message) {
    return message.key.revision == kBad ? Failure(DeliveryOutcome::kSinkFailed)
                                        : Delivery{DeliveryOutcome::kDelivered, ""};
  };
  size_t good = 0;
  for (int i = 1; i <= 808; ++i) {
    const bool bad = i <= 40 || i % 20 == 0;
    Write(i, bad ? kBad : 2);
    if (!bad) ++good;
    clock_.AdvanceBy(absl::Milliseconds(1));
  }
  const absl::Time begin = clock_.Now();
  while (sink_.delivered.size() < good && clock_.Now() < begin + absl::Minutes(10)) clock_.AdvanceBy(relay_.Step());
  EXPECT_THAT(sink_.delivered, SizeIs(good));
  EXPECT_LT(clock_.Now() - begin, absl::Seconds(1));
  // Nor one that comes when nothing but bad ones is left, for however long.
  for (int round = 1; round <= 5; ++round) {
    Run(absl::Minutes(20));
    const absl::Time written = clock_.Now();
    Write(1000 + round, 2);
    while (sink_.delivered.size() < good + round && clock_.Now() < written + absl::Minutes(1)) {
      clock_.AdvanceBy(relay_.Step());
    }
    EXPECT_LT(clock_.Now() - written, absl::Seconds(1));
  }
}

TEST_F(SinkRelayTest, AStopBeginsNoFurtherMessageAndItsLeaseRunsOut) {
  for (int i = 1; i <= 9; ++i) Write(i, 2);
  sink_.answer = [&](const OutboxMessage&) {
    if (sink_.seen.size() == 7) relay_.RequestStop();
    return Delivery{DeliveryOutcome::kDelivered, ""};
  };
  for (int i = 0; i < 3; ++i) relay_.Step();  // 1, 4 and the rest
  EXPECT_THAT(sink_.delivered, SizeIs(7)) << "what was begun is finished and settled";
  EXPECT_EQ(Depth().pending, 2);
  SinkRelay other(&outbox_, &sink_, &clock_, Half, options_);
  other.Step();
  EXPECT_EQ(Depth().pending, 2) << "still leased";
  clock_.AdvanceBy(options_.lease);
  other.Step();
  other.Step();
  EXPECT_EQ(Depth().pending, 0);
}

TEST_F(SinkRelayTest, ASlowSinkIsNotBegunWithLateInTheLease) {
  for (int i = 1; i <= 9; ++i) Write(i, 2);
  sink_.answer = [&](const OutboxMessage&) {
    clock_.AdvanceBy(absl::Seconds(11));
    return Delivery{DeliveryOutcome::kDelivered, ""};
  };
  relay_.Step();
  relay_.Step();
  relay_.Step();
  EXPECT_THAT(sink_.batches, ElementsAre(1, 4, 2)) << "it gets less, as it cannot take more in time";
  EXPECT_THAT(sink_.delivered, SizeIs(1 + 3 + 2));
}

TEST_F(SinkRelayTest, WhatTheLedgerCouldNotBeToldIsToldLater) {
  Write(1, 2);
  sink_.answer = [&](const OutboxMessage&) {
    outbox_.FailNext(2);
    return Delivery{DeliveryOutcome::kDelivered, ""};
  };
  EXPECT_GT(relay_.Step(), absl::ZeroDuration()) << "an outage is waited for";
  EXPECT_GT(relay_.Step(), absl::ZeroDuration());
  relay_.Step();
  EXPECT_EQ(Depth().pending, 0);
  EXPECT_THAT(sink_.seen, SizeIs(1)) << "and not delivered again";
}

TEST_F(SinkRelayTest, CountsWhatBecameOfMessagesAndHowLongItTook) {
  for (int i = 1; i <= 3; ++i) Write(i, 2);
  clock_.AdvanceBy(absl::Seconds(3));
  sink_.answer = [&](const OutboxMessage& message) {
    if (message.key.reservation_id == Id(2)) return Failure(DeliveryOutcome::kRefused);
    if (message.key.reservation_id == Id(3)) return Failure(DeliveryOutcome::kRefusedForGood);
    clock_.AdvanceBy(absl::Seconds(2));
    return Delivery{DeliveryOutcome::kDelivered, ""};
  };
  relay_.Step();
  relay_.Step();  // 1 and the rest
  EXPECT_EQ(Counted(RelayOutcome::kDelivered), 1);
  EXPECT_EQ(Counted(RelayOutcome::kRetried), 1);
  EXPECT_EQ(Counted(RelayOutcome::kDead), 1);
  EXPECT_EQ(Counted(RelayOutcome::kReturned), 0);
  EXPECT_DOUBLE_EQ(relay_.counts().batch_time.values().sum, 2);
  EXPECT_DOUBLE_EQ(relay_.counts().delay.values().sum, 5) << "since it was written";
  EXPECT_EQ(relay_.counts().results_lost.value(), 0);
}

TEST_F(SinkRelayTest, CountsResultsThatTheLedgerWasNotToldInTime) {
  Write(1, 2);
  bool fail = true;
  sink_.answer = [&](const OutboxMessage&) {
    if (fail) outbox_.FailNext(2);
    fail = false;
    return Delivery{DeliveryOutcome::kDelivered, ""};
  };
  relay_.Step();
  relay_.Step();
  EXPECT_EQ(relay_.counts().results_lost.value(), 0) << "there is still time";
  clock_.AdvanceBy(options_.lease);
  relay_.Step();
  EXPECT_EQ(relay_.counts().results_lost.value(), 1);
  EXPECT_EQ(Counted(RelayOutcome::kDelivered), 2) << "so it was delivered again";
  EXPECT_EQ(Depth().pending, 0);
}

TEST_F(SinkRelayTest, ALedgerOutageLosesNothing) {
  Write(1, 2);
  outbox_.FailNext(5);
  for (int i = 0; i < 5; ++i) EXPECT_GT(relay_.Step(), absl::ZeroDuration());
  Run();
  EXPECT_THAT(sink_.delivered, ElementsAre(Name(1, 2)));
}

TEST_F(SinkRelayTest, RelaysSideBySideCarryDifferentMessages) {
  for (int i = 1; i <= 200; ++i) Write(i, 2);
  SinkRelay other(&outbox_, &sink_, &clock_, Half, options_);
  while (Depth().pending > 0) {
    relay_.Step();
    other.Step();
  }
  EXPECT_THAT(sink_.seen, SizeIs(200));
}

}  // namespace
}  // namespace tranche::server
