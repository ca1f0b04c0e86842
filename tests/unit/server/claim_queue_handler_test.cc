// The admin calls about claim queues, at a broker and a ledger that are made up.
#include "server/handlers/claim_queue_handler.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <map>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "absl/strings/str_format.h"
#include "server/queue/queued_claim.h"
#include "storage/fake/fake_ledger.h"
#include "storage/ledger/ledger_error.h"
#include "tests/support/stub_books.h"
#include "tests/unit/server/error_matchers.h"
#include "tests/unit/server/scripted_broker.h"

namespace tranche::server {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::IsEmpty;
using ::testing::SizeIs;

constexpr char kOperatorName[] = "alice";
constexpr char kHomeQueue[] = "tranche.claims.home.0";

// Answers inline what it is told to.
class RefusingBooks : public tranche::testing::StubBooks {
 public:
  void FindSku(const std::string& sku_id, SkuDone done) override {
    ++looks;
    if (!error.ok()) return done(error);
    const auto shard = shards.find(sku_id);
    if (shard == shards.end()) return done(absl::NotFoundError("no such SKU"));
    storage::Sku sku;
    sku.sku_id = sku_id;
    sku.shard = shard->second;
    done(std::move(sku));
  }
  void RefuseClaims(const std::string& shard, std::vector<storage::ClaimRefusal> batch, absl::Time,
                    RefuseDone done) override {
    std::vector<storage::RefuseResult> results;
    for (storage::ClaimRefusal& refusal : batch) {
      results.push_back({.outcome = outcome});
      refused.emplace_back(shard, std::move(refusal));
    }
    done(std::move(results));
  }

  std::map<std::string, std::string> shards = {{"tv", "home"}, {"radio", "home"}};
  absl::Status error;  // of FindSku
  storage::RefuseOutcome outcome = storage::RefuseOutcome::kRefused;
  std::vector<std::pair<std::string, storage::ClaimRefusal>> refused;
  int looks = 0;
};

class ClaimQueueHandlerTest : public ::testing::Test {
 protected:
  ClaimQueueHandlerTest() {
    for (const char* queue : {kHomeQueue, "tranche.claims.home.1"}) broker_.queues[queue];
  }

  static storage::Uuid Id(int number) {
    return *storage::Uuid::Parse(absl::StrFormat("00000000-0000-4000-8000-%012d", number));
  }
  // The body of a claim, or of a cart, with the deadline a minute ahead.
  std::string Body(int number, const std::vector<std::string>& sku_ids = {"tv"}) {
    QueuedClaim claim;
    for (size_t i = 0; i < sku_ids.size(); ++i) {
      claim.lines.push_back({.reservation_id = Id(number + static_cast<int>(i) * 100),
                             .sku_id = sku_ids[i],
                             .user_id = "bob",
                             .quantity = 2});
    }
    claim.cart = sku_ids.size() > 1;
    claim.enqueued_at = clock_.Now();
    claim.deadline = clock_.Now() + absl::Minutes(1);
    return ToMessage(claim);
  }
  // A dead letter whose name is its first reservation.
  void LetDie(int number, const std::string& body, const std::string& queue = kHomeQueue) {
    broker_.queues[queue].dead.push_back({.queue = queue,
                                          .id = Id(number).ToString(),
                                          .body = body,
                                          .reason = "delivery_limit",
                                          .died_at = clock_.Now(),
                                          .deliveries = 5});
  }

  static v1::SettleDeadClaimsRequest Settle(v1::SettleDeadClaimsRequest::Action action,
                                            const std::vector<int>& numbers = {}, bool preview = false) {
    v1::SettleDeadClaimsRequest request;
    request.set_queue(kHomeQueue);
    request.set_action(action);
    request.set_preview(preview);
    for (const int number : numbers) request.add_message_ids(Id(number).ToString());
    return request;
  }
  absl::StatusOr<v1::SettleDeadClaimsResponse> Do(const v1::SettleDeadClaimsRequest& request) {
    return handler_.Settle(request, {kOperatorName, "a test"});
  }
  std::vector<storage::AuditEntry> Log() { return *ledger_.ListAudit({}, 0, 100); }
  bool Paused() { return ledger_.ReadClusterSettings()->claims_paused; }

  static constexpr auto kRetry = v1::SettleDeadClaimsRequest::ACTION_RETRY;
  static constexpr auto kDiscard = v1::SettleDeadClaimsRequest::ACTION_DISCARD;

  storage::FakeClock clock_;
  storage::FakeLedger ledger_{&clock_};
  RefusingBooks books_;
  ScriptedBroker broker_;
  std::vector<std::string> shards_ = {"home"};
  ClaimQueueHandler::Parts parts_{.broker = {.admin = &broker_, .publisher = &broker_, .partitions = 2},
                                  .shards = [this] { return shards_; },
                                  .books = &books_,
                                  .settings = &ledger_,
                                  .audit = &ledger_,
                                  .clock = &clock_};
  ClaimQueueHandler handler_{parts_};
};

TEST_F(ClaimQueueHandlerTest, ListsTheQueuesOfAllShards) {
  broker_.queues[kHomeQueue].ready = 7;
  broker_.queues[kHomeQueue].consumers = 2;
  LetDie(1, "?");
  const auto list = handler_.List({});
  ASSERT_TRUE(list.ok()) << list.status();
  ASSERT_EQ(list->queues_size(), 2);
  EXPECT_EQ(list->queues(0).queue(), kHomeQueue);
  EXPECT_EQ(list->queues(0).shard(), "home");
  EXPECT_EQ(list->queues(0).ready(), 7);
  EXPECT_EQ(list->queues(0).consumers(), 2);
  EXPECT_EQ(list->queues(0).dead(), 1);
  EXPECT_EQ(list->queues(1).queue(), "tranche.claims.home.1");
  EXPECT_TRUE(list->has_paused());
  EXPECT_FALSE(list->paused());
}

TEST_F(ClaimQueueHandlerTest, QueuesThatNobodyHasDeclaredYetHideNoOthers) {
  shards_ = {"home", "east"};
  const auto list = handler_.List({});
  ASSERT_TRUE(list.ok()) << list.status();
  EXPECT_EQ(list->queues_size(), 2);
}

// Claims are queued while the ledger is away.
TEST_F(ClaimQueueHandlerTest, ASilentLedgerHidesNoQueue) {
  ledger_.FailNext(1);
  const auto list = handler_.List({});
  ASSERT_TRUE(list.ok()) << list.status();
  EXPECT_EQ(list->queues_size(), 2);
  EXPECT_FALSE(list->has_paused());
}

TEST_F(ClaimQueueHandlerTest, WithoutABrokerTheFlagIsNamed) {
  parts_.broker = {};
  ClaimQueueHandler handler(parts_);
  for (const absl::Status& status : {handler.List({}).status(), handler.ListDead({}).status(),
                                     handler.Settle(Settle(kRetry), kOperatorName).status()}) {
    EXPECT_EQ(ReasonOf(status), "QUEUE_UNAVAILABLE");
    EXPECT_THAT(std::string(status.message()), HasSubstr("--queue-broker"));
  }
  EXPECT_THAT(Log(), IsEmpty());
  v1::SetClaimQueuePausedRequest pause;
  pause.set_paused(true);
  EXPECT_TRUE(handler.SetPaused(pause, kOperatorName).ok()) << "consumers ask the ledger";
  EXPECT_TRUE(Paused());
}

TEST_F(ClaimQueueHandlerTest, ASilentBrokerIsSaid) {
  broker_.error = absl::UnavailableError("connection refused");
  for (const absl::Status& status : {handler_.List({}).status(), handler_.ListDead({}).status(),
                                     Do(Settle(kRetry)).status(), Do(Settle(kRetry, {}, /*preview=*/true)).status()}) {
    EXPECT_EQ(ReasonOf(status), "QUEUE_UNAVAILABLE");
    EXPECT_THAT(std::string(status.message()), HasSubstr("connection refused"));
  }
}

TEST_F(ClaimQueueHandlerTest, APauseIsPreviewedAndAudited) {
  v1::SetClaimQueuePausedRequest request;
  request.set_paused(true);
  request.set_preview(true);
  EXPECT_TRUE(handler_.SetPaused(request, kOperatorName)->changed());
  EXPECT_FALSE(Paused());
  request.set_preview(false);
  EXPECT_TRUE(handler_.SetPaused(request, kOperatorName)->changed());
  EXPECT_TRUE(Paused());
  EXPECT_TRUE(handler_.List({})->paused());
  EXPECT_FALSE(handler_.SetPaused(request, "bob")->changed());
  request.set_paused(false);
  EXPECT_TRUE(handler_.SetPaused(request, "bob")->changed());
  ASSERT_THAT(Log(), SizeIs(2));
  EXPECT_EQ(Log()[1].action, "pause_claim_queues");
  EXPECT_EQ(Log()[0].action, "resume_claim_queues");
}

TEST_F(ClaimQueueHandlerTest, DeadClaimsAreListedOfOneQueueOrOfAll) {
  LetDie(1, Body(1, {"tv", "radio"}));
  LetDie(2, "no message");
  LetDie(3, Body(3), "tranche.claims.home.1");
  const auto all = handler_.ListDead({});
  ASSERT_TRUE(all.ok()) << all.status();
  ASSERT_EQ(all->claims_size(), 3);
  const v1::DeadClaim& cart = all->claims(0);
  EXPECT_EQ(cart.reservation_id(), Id(1).ToString());
  EXPECT_EQ(cart.sku_id(), "tv");
  EXPECT_EQ(cart.user_id(), "bob");
  EXPECT_EQ(cart.lines(), 2);
  EXPECT_EQ(cart.quantity(), 2);
  EXPECT_EQ(cart.reason(), "delivery_limit");
  EXPECT_EQ(cart.deliveries(), 5);
  EXPECT_EQ(cart.deadline().seconds() - cart.enqueue_time().seconds(), 60);
  EXPECT_EQ(all->claims(1).lines(), 0) << "it cannot be read";
  EXPECT_EQ(all->claims(1).reservation_id(), "");
  EXPECT_EQ(all->claims(1).message_id(), Id(2).ToString());
  EXPECT_EQ(all->claims(2).queue(), "tranche.claims.home.1");

  v1::ListDeadClaimsRequest request;
  request.set_limit(2);
  EXPECT_EQ(handler_.ListDead(request)->claims_size(), 2);
  request.set_queue("tranche.claims.home.1");
  EXPECT_EQ(handler_.ListDead(request)->claims_size(), 1);
  request.set_limit(1001);
  EXPECT_EQ(ReasonOf(handler_.ListDead(request).status()), "FIELD_INVALID");
}

TEST_F(ClaimQueueHandlerTest, OfADeadJoinTheGroupIsTold) {
  storage::ReservationClaim join{.reservation_id = Id(1), .sku_id = "tv", .user_id = "bob", .quantity = 1};
  join.group = std::make_shared<const storage::GroupJoin>(storage::GroupJoin{.group_id = Id(7), .offer_id = ""});
  QueuedClaim claim;
  claim.lines = {join};
  claim.enqueued_at = clock_.Now();
  claim.deadline = clock_.Now() + absl::Minutes(1);
  LetDie(1, ToMessage(claim));
  LetDie(2, Body(2));
  const auto list = handler_.ListDead({});
  ASSERT_TRUE(list.ok()) << list.status();
  ASSERT_EQ(list->claims_size(), 2);
  EXPECT_EQ(list->claims(0).reservation_id(), Id(1).ToString());
  EXPECT_EQ(list->claims(0).group_id(), Id(7).ToString());
  EXPECT_EQ(list->claims(1).group_id(), "");
}

// What others wrote is input.
TEST_F(ClaimQueueHandlerTest, ADeadLetterMayHoldAnything) {
  broker_.queues[kHomeQueue].dead.push_back({.queue = "else",
                                             .id = "\xff\n",
                                             .body = std::string(300, '\xff'),
                                             .reason = "\x01",
                                             .died_at = absl::InfiniteFuture(),
                                             .deliveries = -1});
  const auto list = handler_.ListDead({});
  ASSERT_TRUE(list.ok()) << list.status();
  ASSERT_EQ(list->claims_size(), 1);
  EXPECT_EQ(list->claims(0).queue(), kHomeQueue);
  EXPECT_EQ(list->claims(0).message_id(), "(unreadable)");
  EXPECT_EQ(list->claims(0).reason(), "(unreadable)");
  EXPECT_FALSE(list->claims(0).has_dead_time());
}

TEST_F(ClaimQueueHandlerTest, OnlyQueuesOfClaimsAreTouched) {
  for (const char* queue : {"", "orders", "tranche.claims.home.0.dead", "tranche.claims.home 0"}) {
    v1::SettleDeadClaimsRequest request = Settle(kDiscard);
    request.set_queue(queue);
    EXPECT_EQ(ReasonOf(Do(request).status()), "FIELD_INVALID") << queue;
  }
  v1::SettleDeadClaimsRequest unknown = Settle(kDiscard);
  unknown.set_queue("tranche.claims.home.9");
  EXPECT_EQ(ReasonOf(Do(unknown).status()), "FIELD_INVALID");
  EXPECT_EQ(ReasonOf(Do(Settle(v1::SettleDeadClaimsRequest::ACTION_UNSPECIFIED)).status()), "FIELD_INVALID");
}

TEST_F(ClaimQueueHandlerTest, APreviewChangesNothing) {
  LetDie(1, Body(1));
  LetDie(2, "no message");
  LetDie(3, Body(3));
  const auto all = Do(Settle(kDiscard, {}, /*preview=*/true));
  ASSERT_TRUE(all.ok()) << all.status();
  EXPECT_EQ(all->settled(), 3);
  EXPECT_EQ(all->claims_size(), 3);
  ASSERT_EQ(all->warnings_size(), 1);
  EXPECT_THAT(all->warnings(0), HasSubstr("1 of 3 cannot be read"));
  const auto one = Do(Settle(kDiscard, {3}, /*preview=*/true));
  ASSERT_TRUE(one.ok()) << one.status();
  EXPECT_EQ(one->settled(), 1);
  EXPECT_EQ(one->claims(0).message_id(), Id(3).ToString());
  EXPECT_EQ(one->warnings_size(), 0);
  EXPECT_THAT(broker_.queues[kHomeQueue].dead, SizeIs(3));
  EXPECT_THAT(books_.refused, IsEmpty());
  EXPECT_THAT(Log(), IsEmpty());
}

TEST_F(ClaimQueueHandlerTest, ARetryIsConfirmedBeforeItLeavesTheDeadLetters) {
  LetDie(1, Body(1));
  LetDie(2, Body(2));
  const auto retried = Do(Settle(kRetry, {2}));
  ASSERT_TRUE(retried.ok()) << retried.status();
  EXPECT_EQ(retried->settled(), 1);
  ASSERT_THAT(broker_.published, SizeIs(1));
  EXPECT_EQ(broker_.published[0].queue, kHomeQueue);
  EXPECT_EQ(broker_.published[0].id, Id(2).ToString());
  EXPECT_EQ(broker_.published[0].body, Body(2));
  EXPECT_THAT(broker_.queues[kHomeQueue].dead, SizeIs(1));

  for (const auto& [error, reason] : {std::pair(absl::UnavailableError("alarm"), "QUEUE_UNAVAILABLE"),
                                      std::pair(absl::ResourceExhaustedError("full"), "QUEUE_FULL"),
                                      std::pair(storage::UnknownCommitError("no confirm"), "COMMIT_UNKNOWN")}) {
    broker_.publish_error = error;
    EXPECT_EQ(ReasonOf(Do(Settle(kRetry)).status()), reason);
    EXPECT_THAT(broker_.queues[kHomeQueue].dead, SizeIs(1)) << reason;
  }
}

TEST_F(ClaimQueueHandlerTest, ARetryOfALateClaimIsWarnedOf) {
  LetDie(1, Body(1));
  clock_.AdvanceBy(absl::Minutes(2));
  LetDie(2, Body(2));
  const auto preview = Do(Settle(kRetry, {}, /*preview=*/true));
  ASSERT_TRUE(preview.ok()) << preview.status();
  ASSERT_EQ(preview->warnings_size(), 1);
  EXPECT_THAT(preview->warnings(0), HasSubstr("1 of 2 are past their deadline"));
  EXPECT_EQ(Do(Settle(kDiscard, {}, /*preview=*/true))->warnings_size(), 0);
}

TEST_F(ClaimQueueHandlerTest, ADiscardedClaimIsRefusedForGood) {
  books_.shards["radio"] = "east";
  LetDie(1, Body(1, {"tv", "radio"}));
  LetDie(2, "no message");
  LetDie(3, Body(3, {"gone"}));
  LetDie(4, Body(4));
  const auto discarded = Do(Settle(kDiscard));
  ASSERT_TRUE(discarded.ok()) << discarded.status();
  EXPECT_EQ(discarded->settled(), 4) << "of the unreadable one, and of one without a SKU, nothing can be said";
  EXPECT_THAT(broker_.queues[kHomeQueue].dead, IsEmpty());
  std::vector<std::string> refused;
  for (const auto& [shard, refusal] : books_.refused) {
    refused.push_back(shard + " " + refusal.claim.reservation_id.ToString().substr(33));
    EXPECT_EQ(refusal.refusal, storage::Refusal::kClaimDiscarded);
    EXPECT_EQ(refusal.claim.user_id, "bob");
    EXPECT_EQ(refusal.claim.quantity, 2);
  }
  EXPECT_THAT(refused, ElementsAre("east 101", "home 001", "home 004"));
  EXPECT_EQ(books_.looks, 3) << "one for each SKU";
}

TEST_F(ClaimQueueHandlerTest, WhatTheLedgerDoesNotDecideStaysDead) {
  LetDie(1, Body(1));
  books_.outcome = storage::RefuseOutcome::kSkuMoving;
  EXPECT_EQ(ReasonOf(Do(Settle(kDiscard)).status()), "SKU_MOVING");
  books_.error = absl::UnavailableError("down");
  EXPECT_EQ(ReasonOf(Do(Settle(kDiscard)).status()), "LEDGER_UNAVAILABLE");
  EXPECT_THAT(broker_.queues[kHomeQueue].dead, SizeIs(1));
  books_.error = absl::OkStatus();
  for (const auto outcome : {storage::RefuseOutcome::kSold, storage::RefuseOutcome::kReplayed,
                             storage::RefuseOutcome::kConflict, storage::RefuseOutcome::kSkuNotFound}) {
    books_.outcome = outcome;
    const auto settled = Do(Settle(kDiscard));
    ASSERT_TRUE(settled.ok()) << settled.status();
    EXPECT_EQ(settled->settled(), 1) << static_cast<int>(outcome);
    LetDie(1, Body(1));
  }
}

TEST_F(ClaimQueueHandlerTest, WhatIsSettledBeforeAnErrorIsTold) {
  LetDie(1, Body(1));
  LetDie(2, Body(2));
  LetDie(3, Body(3));
  broker_.before_publish = [this] {
    if (broker_.published.size() == 1) broker_.publish_error = absl::UnavailableError("alarm");
  };
  const auto retried = Do(Settle(kRetry));
  ASSERT_TRUE(retried.ok()) << retried.status();
  EXPECT_EQ(retried->settled(), 1);
  ASSERT_EQ(retried->warnings_size(), 1);
  EXPECT_THAT(retried->warnings(0), HasSubstr("2 stay dead letters"));
  EXPECT_THAT(Log().front().after, HasSubstr(R"("outcome":"PARTLY")"));
}

TEST_F(ClaimQueueHandlerTest, ACallEndsInTimeAndLeavesTheRest) {
  LetDie(1, Body(1));
  LetDie(2, Body(2));
  broker_.before_publish = [this] { clock_.AdvanceBy(absl::Seconds(5)); };
  const auto retried = Do(Settle(kRetry));
  ASSERT_TRUE(retried.ok()) << retried.status();
  EXPECT_EQ(retried->settled(), 1);
  ASSERT_EQ(retried->warnings_size(), 1);
  EXPECT_THAT(retried->warnings(0), HasSubstr("1 stay dead letters"));
  EXPECT_THAT(broker_.queues[kHomeQueue].dead, SizeIs(1));
}

TEST_F(ClaimQueueHandlerTest, EachSettlingIsInTheAuditLog) {
  LetDie(1, Body(1));
  ASSERT_TRUE(Do(Settle(kRetry, {1})).ok());
  ASSERT_THAT(Log(), SizeIs(1));
  EXPECT_EQ(Log().front().action, "retry_dead_claims");
  EXPECT_EQ(Log().front().actor, kOperatorName);
  EXPECT_EQ(Log().front().reason, "a test");
  EXPECT_THAT(Log().front().after, HasSubstr(kHomeQueue));
  EXPECT_THAT(Log().front().after, HasSubstr(Id(1).ToString()));
  EXPECT_THAT(Log().front().after, HasSubstr(R"("outcome":"DONE")"));
  LetDie(2, Body(2));
  books_.outcome = storage::RefuseOutcome::kSkuMoving;
  ASSERT_FALSE(Do(Settle(kDiscard)).ok());
  EXPECT_EQ(Log().front().action, "discard_dead_claims");
  EXPECT_THAT(Log().front().after, HasSubstr(R"("outcome":"REFUSED")"));
  ledger_.FailNext(1);
  const size_t published = broker_.published.size();
  EXPECT_EQ(ReasonOf(Do(Settle(kRetry)).status()), "LEDGER_UNAVAILABLE");
  EXPECT_EQ(broker_.published.size(), published) << "no change is without its entry";
}

}  // namespace
}  // namespace tranche::server
