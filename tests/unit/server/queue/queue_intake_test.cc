#include "server/queue/queue_intake.h"

#include <gtest/gtest.h>

#include <memory>
#include <optional>
#include <string>
#include <utility>
#include <variant>
#include <vector>

#include "server/queue/path_chooser.h"
#include "server/queue/queued_claim.h"
#include "storage/ledger/ledger_error.h"
#include "tests/support/stub_books.h"
#include "tests/unit/server/admission/test_keys.h"
#include "tests/unit/server/queue/scripted_queue_admin.h"

namespace tranche::server {
namespace {

using quota::Queued;
using quota::Refused;
using storage::Refusal;
using Answer = std::variant<Queued, Refused>;

// Keeps what is published until the test answers it.
class HeldPublisher : public ClaimPublisher {
 public:
  struct Message {
    std::string queue;
    std::string id;
    std::string body;
    absl::Time deadline;
    PublishDone done;
  };

  void Publish(const std::string& queue, std::string id, std::string body, absl::Time deadline,
               PublishDone done) override {
    held.push_back({queue, std::move(id), std::move(body), deadline, std::move(done)});
  }
  bool Up() const override { return up; }
  void AnswerAll(const absl::Status& status) {
    for (Message& message : std::exchange(held, {})) message.done(status);
  }

  std::vector<Message> held;
  bool up = true;
};

// Has one number for every SKU.
class UnsoldBooks : public tranche::testing::StubBooks {
 public:
  void FindSku(const std::string& sku_id, SkuDone done) override {
    asked.push_back(sku_id);
    if (!up) return done(absl::UnavailableError("down"));
    storage::Sku sku;
    sku.sku_id = sku_id;
    sku.unsold = unsold;
    done(sku);
  }

  bool up = true;
  int64_t unsold = 0;
  std::vector<std::string> asked;
};

class QueueIntakeTest : public ::testing::Test {
 protected:
  QueueIntakeTest() { terms_.claim_path = storage::ClaimPath::kQueue; }

  static std::vector<storage::ReservationClaim> Lines(int count = 1) {
    std::vector<storage::ReservationClaim> lines;
    for (int i = 1; i <= count; ++i) {
      storage::ReservationClaim line{.reservation_id = {}, .sku_id = "tv", .user_id = "alice", .quantity = i};
      line.reservation_id.bytes[6] = 0x70;
      line.reservation_id.bytes[8] = 0x80;
      line.reservation_id.bytes[15] = static_cast<uint8_t>(i);
      lines.push_back(line);
    }
    return lines;
  }
  std::shared_ptr<std::optional<Answer>> Queue(absl::Time deadline = absl::InfiniteFuture(), int lines = 1) {
    auto answer = std::make_shared<std::optional<Answer>>();
    intake_.Queue(Lines(lines), /*cart=*/lines > 1, "tv", terms_, deadline, [answer](Answer given) {
      EXPECT_FALSE(answer->has_value()) << "answered twice";
      *answer = std::move(given);
    });
    return answer;
  }
  static Refused RefusedOf(const std::optional<Answer>& answer) {
    const auto* refused = answer.has_value() ? std::get_if<Refused>(&*answer) : nullptr;
    return refused == nullptr ? Refused{} : *refused;
  }
  std::string QueueName() const { return ClaimQueueName(terms_.shard, PartitionOf("tv", 4)); }
  void SetReady(int64_t ready) {
    admin_.ready[QueueName()] = ready;
    depths_.Poll({QueueName()});
  }
  void MakeShardSlow() { paces_.Note(terms_.shard, /*answers=*/false, absl::ZeroDuration(), clock_.Now()); }

  storage::FakeClock clock_;
  ScriptedQueueAdmin admin_;
  QueueDepths depths_{&admin_, &clock_};
  ShardPaces paces_;
  UnsoldBooks books_;
  UnsoldUnits unsold_{&books_};
  HeldPublisher publisher_;
  std::shared_ptr<const FrontKeys> keys_ = std::make_shared<const FrontKeys>(CurrentTestKey());
  QueueIntake intake_{{.publisher = &publisher_,
                       .depths = &depths_,
                       .paces = &paces_,
                       .unsold = &unsold_,
                       .keys = [this] { return keys_; },
                       .clock = &clock_},
                      {.partitions = 4, .decide_within = absl::Minutes(10), .max_under_way = 3}};
  quota::SkuTerms terms_;
};

TEST_F(QueueIntakeTest, OnlyAConfirmGivesATicket) {
  SetReady(12);
  const auto answer = Queue();
  ASSERT_EQ(publisher_.held.size(), 1u);
  EXPECT_EQ(publisher_.held[0].queue, QueueName());
  EXPECT_EQ(publisher_.held[0].id, Lines()[0].reservation_id.ToString());
  EXPECT_FALSE(answer->has_value());
  EXPECT_EQ(intake_.under_way(), 1);
  publisher_.AnswerAll(absl::OkStatus());
  ASSERT_TRUE(answer->has_value());
  const auto* queued = std::get_if<Queued>(&**answer);
  ASSERT_NE(queued, nullptr);
  EXPECT_EQ(queued->ahead, 12);
  EXPECT_EQ(queued->decide_at, clock_.Now() + absl::Minutes(10));
  EXPECT_EQ(queued->poll_after, absl::Milliseconds(200));
  const auto ticket = ReadClaimTicket(*keys_, queued->ticket, clock_.Now());
  ASSERT_TRUE(ticket.has_value());
  EXPECT_EQ(ticket->ids, std::vector<storage::Uuid>{Lines()[0].reservation_id});
  EXPECT_EQ(ticket->payload, PayloadOf(Lines()));
  EXPECT_EQ(ticket->ahead, 12);
  EXPECT_EQ(ticket->shard, terms_.shard);
  EXPECT_FALSE(ticket->cart);
  EXPECT_EQ(intake_.under_way(), 0);
  EXPECT_EQ(intake_.counts().queued.value(), 1);
  EXPECT_EQ(depths_.Ahead(QueueName()), 13) << "the next one has it before itself";
}

TEST_F(QueueIntakeTest, TheMessageSaysAllOfTheClaim) {
  const auto answer = Queue(absl::InfiniteFuture(), /*lines=*/3);
  const auto message = ReadMessage(publisher_.held.at(0).body);
  ASSERT_TRUE(message.ok()) << message.status();
  ASSERT_EQ(message->lines.size(), 3u);
  EXPECT_EQ(PayloadOf(message->lines), PayloadOf(Lines(3)));
  EXPECT_TRUE(message->cart);
  EXPECT_EQ(message->enqueued_at, clock_.Now());
  EXPECT_EQ(message->deadline, clock_.Now() + absl::Minutes(10));
  publisher_.AnswerAll(absl::OkStatus());
  EXPECT_TRUE(ReadClaimTicket(*keys_, std::get<Queued>(**answer).ticket, clock_.Now())->cart);
}

TEST_F(QueueIntakeTest, OfAJoinMessageAndTicketSayTheGroup) {
  std::vector<storage::ReservationClaim> lines = Lines();
  storage::GroupJoin join{.group_id = {}, .offer_id = "trio"};
  join.group_id.bytes[15] = 7;
  lines[0].group = std::make_shared<const storage::GroupJoin>(join);
  std::optional<Answer> answer;
  intake_.Queue(lines, /*cart=*/false, "tv", terms_, absl::InfiniteFuture(),
                [&](Answer given) { answer = std::move(given); });
  const auto message = ReadMessage(publisher_.held.at(0).body);
  ASSERT_TRUE(message.ok()) << message.status();
  ASSERT_NE(message->lines.at(0).group, nullptr);
  EXPECT_EQ(message->lines[0].group->group_id, join.group_id);
  EXPECT_EQ(message->lines[0].group->offer_id, "trio");
  publisher_.AnswerAll(absl::OkStatus());
  ASSERT_TRUE(answer.has_value());
  const auto ticket = ReadClaimTicket(*keys_, std::get<Queued>(*answer).ticket, clock_.Now());
  ASSERT_TRUE(ticket.has_value());
  ASSERT_NE(ticket->group, nullptr);
  EXPECT_EQ(ticket->group->group_id, join.group_id);
  EXPECT_EQ(ticket->payload, PayloadOf(lines));
  EXPECT_NE(ticket->payload, PayloadOf(Lines()));
}

TEST_F(QueueIntakeTest, NobodyWaitsForAConfirmLongerThanTwoSeconds) {
  Queue();
  Queue(clock_.Now() + absl::Milliseconds(300));
  EXPECT_EQ(publisher_.held.at(0).deadline, clock_.Now() + absl::Seconds(2));
  EXPECT_EQ(publisher_.held.at(1).deadline, clock_.Now() + absl::Milliseconds(300));
}

TEST_F(QueueIntakeTest, EveryFailureHasItsRefusal) {
  const std::pair<absl::Status, Refusal> cases[] = {
      {absl::UnavailableError("an alarm"), Refusal::kQueueUnavailable},
      {absl::ResourceExhaustedError("full"), Refusal::kQueueFull},
      {storage::UnknownCommitError("no confirm"), Refusal::kCommitUnknown},
      {absl::InternalError("a surprise"), Refusal::kCommitUnknown},
  };
  for (const auto& [status, refusal] : cases) {
    const auto answer = Queue();
    publisher_.AnswerAll(status);
    EXPECT_EQ(RefusedOf(*answer).refusal, refusal) << status;
  }
  EXPECT_EQ(intake_.counts().unavailable.value(), 1);
  EXPECT_EQ(intake_.counts().full.value(), 1);
  EXPECT_EQ(intake_.counts().unknown.value(), 2);
  EXPECT_EQ(intake_.under_way(), 0);
  EXPECT_EQ(depths_.Ahead(QueueName()), 0) << "what was not confirmed is nowhere, as far as is known";
}

// A queue without a leader rejects, too.
TEST_F(QueueIntakeTest, WhatIsRejectedByAQueueThatCannotBeFullIsUnavailable) {
  books_.unsold = 1'000'000;
  SetReady(10);
  const auto rejected = Queue();
  publisher_.AnswerAll(absl::ResourceExhaustedError("rejected"));
  EXPECT_EQ(RefusedOf(*rejected).refusal, Refusal::kQueueUnavailable);
  EXPECT_EQ(intake_.counts().unavailable.value(), 1);
  SetReady(900'000);
  const auto full = Queue();
  publisher_.AnswerAll(absl::ResourceExhaustedError("rejected"));
  EXPECT_EQ(RefusedOf(*full).refusal, Refusal::kQueueFull);
}

TEST_F(QueueIntakeTest, WithoutAKeyNothingIsQueued) {
  keys_ = nullptr;
  EXPECT_EQ(RefusedOf(*Queue()).refusal, Refusal::kQueueUnavailable);
  keys_ = std::make_shared<const FrontKeys>();
  EXPECT_EQ(RefusedOf(*Queue()).refusal, Refusal::kQueueUnavailable);
  EXPECT_TRUE(publisher_.held.empty());
}

TEST_F(QueueIntakeTest, WhatIsUnderWayIsBounded) {
  for (int i = 0; i < 3; ++i) Queue();
  EXPECT_EQ(RefusedOf(*Queue()).refusal, Refusal::kOverloaded);
  EXPECT_EQ(publisher_.held.size(), 3u);
  publisher_.AnswerAll(absl::OkStatus());
  Queue();
  EXPECT_EQ(publisher_.held.size(), 1u);
}

TEST_F(QueueIntakeTest, AQueueWithFourClaimsForEachUnitIsFull) {
  terms_.at_most = 300;
  SetReady(1199);
  const auto last = Queue();
  publisher_.AnswerAll(absl::OkStatus());
  EXPECT_TRUE(std::holds_alternative<Queued>(**last));
  const Refused full = RefusedOf(*Queue());
  EXPECT_EQ(full.refusal, Refusal::kQueueFull);
  EXPECT_GE(full.retry_after, absl::Seconds(1));
  EXPECT_EQ(full.retry_after, absl::Ceil(full.retry_after, absl::Seconds(1)));
  EXPECT_TRUE(publisher_.held.empty());
}

TEST_F(QueueIntakeTest, HowManyUnitsThereAreIsReadAndKept) {
  SetReady(4'000);
  Queue();
  EXPECT_EQ(publisher_.held.size(), 1u) << "as long as nobody knows, the broker's bound is the only one";
  publisher_.AnswerAll(absl::OkStatus());
  books_.unsold = 1'000;
  unsold_.Refresh();
  EXPECT_EQ(RefusedOf(*Queue()).refusal, Refusal::kQueueFull);
  books_.unsold = 1'000'000;
  unsold_.Refresh();
  Queue();
  EXPECT_EQ(publisher_.held.size(), 1u);
  // The ledger is away: what it said last counts.
  books_.up = false;
  unsold_.Refresh();
  Queue();
  EXPECT_EQ(publisher_.held.size(), 2u);
  const size_t asked = books_.asked.size();
  unsold_.Refresh();
  EXPECT_EQ(books_.asked.size(), asked + 1);
  unsold_.Refresh();
  EXPECT_EQ(books_.asked.size(), asked + 1) << "nobody has asked since";
}

TEST_F(QueueIntakeTest, WhatIsExpectedIsReadOnce) {
  books_.unsold = 300;
  unsold_.Expect("tv");
  unsold_.Refresh();
  unsold_.Expect("tv");
  unsold_.Refresh();
  EXPECT_EQ(books_.asked, std::vector<std::string>{"tv"});
  EXPECT_EQ(unsold_.Of("tv"), 300);
}

TEST_F(QueueIntakeTest, AutoQueuesWhileTheShardIsSlowOrTheQueueIsNotEmpty) {
  using Way = quota::ClaimDiversion::Way;
  terms_.claim_path = storage::ClaimPath::kAuto;
  const auto way = [&](bool accept_queued) { return intake_.WayOf("tv", terms_, accept_queued); };
  EXPECT_EQ(way(true), Way::kSell);
  SetReady(1);
  EXPECT_EQ(way(true), Way::kQueue);
  EXPECT_EQ(way(false), Way::kSell);
  SetReady(0);
  EXPECT_EQ(way(true), Way::kSell);
  MakeShardSlow();
  EXPECT_EQ(way(true), Way::kQueue);
  keys_ = nullptr;
  EXPECT_EQ(way(true), Way::kSell);
  unsold_.Refresh();
  EXPECT_EQ(books_.asked, std::vector<std::string>{"tv"}) << "before the ledger is away";
}

// While the broker is away, a slow ledger is better than a refusal. But nobody goes before those who wait.
TEST_F(QueueIntakeTest, AutoSellsDirectlyWhileTheBrokerIsAway) {
  using Way = quota::ClaimDiversion::Way;
  terms_.claim_path = storage::ClaimPath::kAuto;
  MakeShardSlow();
  publisher_.up = false;
  EXPECT_EQ(intake_.WayOf("tv", terms_, true), Way::kSell);
  SetReady(1);
  EXPECT_EQ(intake_.WayOf("tv", terms_, true), Way::kQueue);
}

TEST_F(QueueIntakeTest, ACartIsInTheQueueOfTheSkuThatIsQueued) {
  std::string sku = "lamp";
  while (PartitionOf(sku, 4) == PartitionOf("tv", 4)) sku += "p";
  Answer answer;
  intake_.Queue(Lines(2), /*cart=*/true, sku, terms_, absl::InfiniteFuture(), [&](Answer given) { answer = given; });
  ASSERT_EQ(publisher_.held.size(), 1u);
  EXPECT_EQ(publisher_.held[0].queue, ClaimQueueName(terms_.shard, PartitionOf(sku, 4)));
  publisher_.AnswerAll(absl::OkStatus());
  EXPECT_EQ(ReadClaimTicket(*keys_, std::get<Queued>(answer).ticket, clock_.Now())->sku_id, sku);
  unsold_.Refresh();
  EXPECT_EQ(books_.asked, std::vector<std::string>{sku}) << "of which the unsold units count";
}

TEST_F(QueueIntakeTest, ASkuOfTheQueueIsQueuedOrRefused) {
  using Way = quota::ClaimDiversion::Way;
  EXPECT_EQ(intake_.WayOf("tv", terms_, true), Way::kQueue);
  EXPECT_EQ(intake_.WayOf("tv", terms_, false), Way::kRefuse);
  terms_.claim_path = storage::ClaimPath::kDirect;
  MakeShardSlow();
  EXPECT_EQ(intake_.WayOf("tv", terms_, true), Way::kSell);
}

TEST_F(QueueIntakeTest, ANodeWithoutABrokerDoesNotSellWhatIsQueued) {
  using Way = quota::ClaimDiversion::Way;
  NoClaimQueue none;
  EXPECT_FALSE(none.MayHaveQueued());
  EXPECT_EQ(none.WayOf("tv", terms_, false), Way::kRefuse);
  EXPECT_EQ(none.WayOf("tv", terms_, true), Way::kQueue);
  Answer answer;
  none.Queue(Lines(), /*cart=*/false, "tv", terms_, absl::InfiniteFuture(),
             [&](Answer given) { answer = std::move(given); });
  EXPECT_EQ(RefusedOf(answer).refusal, Refusal::kQueueUnavailable);
  terms_.claim_path = storage::ClaimPath::kAuto;
  EXPECT_EQ(none.WayOf("tv", terms_, true), Way::kSell);
}

}  // namespace
}  // namespace tranche::server
