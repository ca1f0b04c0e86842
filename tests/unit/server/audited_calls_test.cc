// Every call of AdminService that changes something leaves an entry in the audit log.
#include <gmock/gmock.h>

#include <map>
#include <utility>
#include <variant>
#include <vector>

#include "absl/strings/match.h"
#include "server/handlers/audited_change_handler.h"
#include "server/handlers/claim_queue_handler.h"
#include "server/handlers/cluster_handler.h"
#include "server/handlers/sku_change_handler.h"
#include "server/services/admin_service.h"
#include "storage/ledger/ledger_error.h"
#include "storage/postgres/embedded_sql.h"
#include "tests/support/stub_books.h"
#include "tests/unit/server/admin_fixture.h"
#include "tests/unit/server/scripted_broker.h"

namespace tranche::server {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::IsEmpty;

constexpr char kTvId[] = "00000000-0000-4000-8000-000000000001";

// These write their entry in the procedure that makes the change. Most fakes that they have in unit tests write none.
const std::map<std::string, std::vector<std::string>> kAuditedByProcedure = {
    {"RetryOutboxMessages", {"retry_outbox", "retry_outbox_message"}},
    {"DiscardOutboxMessage", {"discard_outbox_message"}},
    {"AddSink", {"add_outbox_sink"}},
    {"RemoveSink", {"remove_outbox_sink"}},
    {"AddShard", {"add_shard", "adopt_shard"}},
    {"MoveSku", {"begin_leave", "finish_leave", "finish_arrival", "cancel_leave"}},
    {"ApplyCorrections", {"reconcile_payment", "mark_refunded"}},
    {"SetFrontPolicy", {"set_front_policy", "change_lottery_round"}},
    {"AddAccessEntries", {"add_access_entries"}},
    {"RemoveAccessEntries", {"remove_access_entries"}},
    {"RotateFrontKey", {"rotate_front_keys"}},
    {"SetServiceMode", {"set_service_mode"}},
    {"CreateDraw", {"create_draw"}},
    {"ChangeDraw", {"change_draw"}},
    {"CreateGroupOffer", {"create_group_offer"}},
    {"CloseGroupOffer", {"close_group_offer"}},
    {"CancelGroup", {"cancel_group"}},
};

class AuditedCallsTest : public AdminHandlersTest {
 protected:
  // Passes changes on to the fake ledger, as a pipeline does.
  class Books : public tranche::testing::StubBooks {
   public:
    explicit Books(storage::FakeLedger* ledger) : ledger_(ledger) {}

    void Apply(const std::string&, storage::Change change, absl::Time, storage::ChangeDone done) override {
      if (!error.ok()) return done(error);
      auto results = std::visit([this](const auto& one) { return ApplyOne(one); }, change);
      if (!results.ok()) return done(results.status());
      done(std::move(results->front()));
    }
    void ConfirmLate(storage::Payment payment, const std::string&, absl::Time, storage::ChangeDone done) override {
      done(ledger_->ConfirmLate(payment));
    }
    void Find(const storage::Uuid& id, storage::Assurance, absl::Time, FindDone done) override {
      done(ledger_->FindReservation(id));
    }

    absl::Status error;

   private:
    using Results = absl::StatusOr<std::vector<storage::ChangeResult>>;
    Results ApplyOne(const storage::Payment& one) { return ledger_->ConfirmReservations({&one, 1}); }
    Results ApplyOne(const storage::Cancellation& one) { return ledger_->CancelReservations({&one, 1}); }
    Results ApplyOne(const storage::Extension& one) { return ledger_->ExtendReservations({&one, 1}); }

    storage::FakeLedger* const ledger_;
  };

  void SetUp() override {
    AdminHandlersTest::SetUp();
    carts_.StartServing();
    v1::MoveQuotaRequest move;
    move.set_sku_id("tv");
    move.set_from("pool");
    move.set_to("a");
    move.set_units(60);
    ASSERT_TRUE(quota_.Move(move, kActor).ok());
    Sell(a_, 1);
  }

  std::vector<storage::AuditEntry> Log() { return *ledger_.ListAudit({.automatic = false}, 0, 1000); }
  storage::AuditEntry Newest() { return Log().front(); }

  v1::ChangeReservationRequest Cancellation() {
    v1::ChangeReservationRequest request;
    request.mutable_cancel()->set_reservation_id(kTvId);
    request.mutable_cancel()->set_reason("buyer called");
    return request;
  }
  v1::ChangeReservationRequest Confirmation(const std::string& reference) {
    v1::ChangeReservationRequest request;
    request.mutable_confirm()->set_reservation_id(kTvId);
    request.mutable_confirm()->set_payment_reference(reference);
    request.mutable_confirm()->set_amount_minor(19900);
    request.mutable_confirm()->set_currency("EUR");
    return request;
  }
  v1::ChangeReservationRequest ExtensionBy(int64_t seconds) {
    v1::ChangeReservationRequest request;
    request.mutable_extend()->set_reservation_id(kTvId);
    request.mutable_extend()->mutable_extend_by()->set_seconds(seconds);
    request.mutable_extend()->set_extension(1);
    return request;
  }
  v1::ChangeReservationRequest Cart(std::vector<std::string> sku_ids) {
    v1::ChangeReservationRequest request;
    request.mutable_create()->set_user_id("alice");
    for (const std::string& sku_id : sku_ids) {
      v1::CartLine* line = request.mutable_create()->add_lines();
      line->set_reservation_id(absl::StrFormat("00000000-0000-4000-8000-%012d", 900 + request.create().lines_size()));
      line->set_sku_id(sku_id);
      line->set_quantity(2);
    }
    return request;
  }
  absl::StatusOr<v1::ChangeReservationResponse> Change(const v1::ChangeReservationRequest& request) {
    return reservations_.Change(request, {"alice", "asked by phone"}, absl::InfiniteFuture());
  }

  template <typename Request, typename Call>
  absl::Status Do(const Call& call, const std::function<void(Request&)>& fill) {
    Request request;
    if constexpr (requires { request.set_sku_id("tv"); }) request.set_sku_id("tv");
    fill(request);
    return call(request).status();
  }

  using Call = std::pair<std::string, std::function<absl::Status()>>;

  // Each call, made so that it changes something, in an order in which it can: of units, and of the rest.
  std::vector<Call> CallsAboutUnits(const storage::Actor& actor) {
    return {
        {"CreateSku",
         [=, this] {
           v1::CreateSkuRequest request;
           *request.mutable_sku() = Tv();
           request.mutable_sku()->set_sku_id("radio");
           return sku_.Create(request, actor).status();
         }},
        {"AddStock",
         [=, this] {
           return Do<v1::AddStockRequest>([&](auto& r) { return stock_.Add(r, actor); },
                                          [](auto& r) { r.set_units(5); });
         }},
        {"ReduceStock",
         [=, this] {
           return Do<v1::ReduceStockRequest>([&](auto& r) { return stock_.Reduce(r, actor); },
                                             [](auto& r) { r.set_units(5); });
         }},
        {"MoveQuota",
         [=, this] {
           return Do<v1::MoveQuotaRequest>([&](auto& r) { return quota_.Move(r, actor); },
                                           [](auto& r) {
                                             r.set_from("pool");
                                             r.set_to("b");
                                             r.set_units(1);
                                           });
         }},
        {"SetQuota",
         [=, this] {
           return Do<v1::SetQuotaRequest>([&](auto& r) { return quota_.Set(r, actor); },
                                          [](auto& r) {
                                            r.set_node("a");
                                            r.set_remaining(20);
                                          });
         }},
        {"RebalanceQuota",
         [=, this] {
           return Do<v1::RebalanceQuotaRequest>([&](auto& r) { return quota_.Rebalance(r, actor); }, [](auto&) {});
         }},
        {"SetQuotaFrozen",
         [=, this] {
           return Do<v1::SetQuotaFrozenRequest>([&](auto& r) { return quota_.SetFrozen(r, actor); },
                                                [](auto& r) { r.set_frozen(true); });
         }},
    };
  }
  std::vector<Call> OtherCalls(const storage::Actor& actor) {
    return {
        {"SetClusterFrozen",
         [=, this] {
           return Do<v1::SetClusterFrozenRequest>([&](auto& r) { return cluster_.SetFrozen(r, actor); },
                                                  [](auto& r) { r.set_frozen(true); });
         }},
        {"SetSkuPaused",
         [=, this] {
           return Do<v1::SetSkuPausedRequest>([&](auto& r) { return sku_change_.SetPaused(r, actor); },
                                              [](auto& r) { r.set_paused(true); });
         }},
        {"UpdateSku",
         [=, this] {
           return Do<v1::UpdateSkuRequest>([&](auto& r) { return sku_change_.Update(r, actor); },
                                           [](auto& r) { r.set_title("Another"); });
         }},
        {"CloseSku",
         [=, this] { return Do<v1::CloseSkuRequest>([&](auto& r) { return sku_.Close(r, actor); }, [](auto&) {}); }},
        {"ReopenSku",
         [=, this] {
           return Do<v1::ReopenSkuRequest>([&](auto& r) { return sku_change_.Reopen(r, actor); }, [](auto&) {});
         }},
        {"DrainNode",
         [=, this] {
           return Do<v1::DrainNodeRequest>([&](auto& r) { return node_.Drain(r, actor); },
                                           [](auto& r) { r.set_node("b"); });
         }},
        {"UndrainNode",
         [=, this] {
           return Do<v1::UndrainNodeRequest>([&](auto& r) { return node_.Undrain(r, actor); },
                                             [](auto& r) { r.set_node("b"); });
         }},
        {"RebuildCoordination",
         [=, this] { return coordination_.Rebuild(v1::RebuildCoordinationRequest(), actor).status(); }},
        {"SetClaimQueuePaused",
         [=, this] {
           return Do<v1::SetClaimQueuePausedRequest>([&](auto& r) { return claim_queues_.SetPaused(r, actor); },
                                                     [](auto& r) { r.set_paused(true); });
         }},
        {"SettleDeadClaims",
         [=, this] {
           broker_.queues["tranche.claims.home.0"].dead.push_back(DeadClaim());
           return Do<v1::SettleDeadClaimsRequest>([&](auto& r) { return claim_queues_.Settle(r, actor); },
                                                  [](auto& r) {
                                                    r.set_queue("tranche.claims.home.0");
                                                    r.set_action(v1::SettleDeadClaimsRequest::ACTION_RETRY);
                                                  });
         }},
        {"ChangeReservation",
         [=, this] { return reservations_.Change(Cancellation(), actor, absl::InfiniteFuture()).status(); }},
    };
  }

  Books books_{&ledger_};
  quota::SliceTable slices_;
  quota::CartSale sale_ = quota::CartSold{};
  ReservationHandler reads_{[](auto, auto, auto, auto done, auto) { done(quota::Refused{}); }, &books_, &clock_};
  std::vector<quota::Visitor> visitors_;
  CartHandler carts_{[this](auto, auto, auto, quota::CartDone done, std::vector<quota::Visitor> visitors) {
                       visitors_ = std::move(visitors);
                       done(sale_);
                     },
                     &clock_};
  ChangeHandler changes_{&books_, &slices_, &clock_};
  AuditedChangeHandler reservations_{&reads_, &carts_, &changes_, [this](const std::string&) { return &ledger_; },
                                     &clock_};
  SkuChangeHandler sku_change_{&ledger_, &announcer_, &clock_};
  ClusterHandler cluster_{[this] { return std::vector<ClusterHandler::ShardOfCluster>{{"home", &ledger_}}; }};
  ScriptedBroker broker_;
  ClaimQueueHandler claim_queues_{{.broker = {.admin = &broker_, .publisher = &broker_, .partitions = 1},
                                   .shards = [] { return std::vector<std::string>{"home"}; },
                                   .books = &books_,
                                   .settings = &ledger_,
                                   .audit = &ledger_,
                                   .clock = &clock_}};
};

TEST_F(AuditedCallsTest, EveryChangeOfAnOperatorIsInTheLog) {
  const storage::Actor actor("alice", "a test");
  std::vector<Call> calls = CallsAboutUnits(actor);
  for (Call& call : OtherCalls(actor)) calls.push_back(std::move(call));
  std::map<std::string, int> made;
  for (const auto& [method, call] : calls) {
    const size_t before = Log().size();
    const absl::Status done = call();
    EXPECT_TRUE(done.ok()) << method << ": " << done;
    ASSERT_EQ(Log().size(), before + 1) << method;
    EXPECT_EQ(Newest().actor, "alice") << method;
    EXPECT_EQ(Newest().reason, "a test") << method;
    ++made[method];
  }
  for (const CallEntry& entry : AdminCalls({})) {
    if (entry.policy.permission == Permission::kObserve) continue;
    const std::string method = entry.policy.method;
    EXPECT_TRUE(made.contains(method) || kAuditedByProcedure.contains(method))
        << method << " changes something: call it here, or name the procedure that writes its entry";
  }
}

TEST_F(AuditedCallsTest, ProceduresWriteTheOthers) {
  for (const auto& [method, procedures] : kAuditedByProcedure) {
    for (const std::string& procedure : procedures) {
      bool audits = false;
      for (const storage::SqlFile& file : storage::EmbeddedProcedures()) {
        audits = audits || (file.name == procedure && absl::StrContains(file.text, "INSERT INTO audit_log"));
      }
      EXPECT_TRUE(audits) << method << ": " << procedure;
    }
  }
}

TEST_F(AuditedCallsTest, AChangeHasBeforeAndAfter) {
  ASSERT_TRUE(Change(Cancellation()).ok());
  const storage::AuditEntry entry = Newest();
  EXPECT_EQ(entry.action, "cancel_reservation");
  EXPECT_EQ(entry.sku_id, "tv");
  EXPECT_EQ(entry.reason, "asked by phone");
  EXPECT_THAT(entry.before, HasSubstr(R"("state":"PENDING")"));
  for (const char* member : {R"("user_id":"u1")", R"("units":1)", R"("amount_minor":19900)", R"("currency":"EUR")"}) {
    EXPECT_THAT(entry.before, HasSubstr(member)) << "the reservation may be gone when somebody asks";
  }
  EXPECT_THAT(entry.after, HasSubstr(R"("state":"CANCELLED")"));
  EXPECT_THAT(entry.after, HasSubstr(R"("outcome":"DONE")"));
  EXPECT_THAT(entry.after, HasSubstr(R"("cancel_reason":"buyer called")"));
}

TEST_F(AuditedCallsTest, AnExtensionTellsTheNewEnd) {
  const auto end = [](const std::string& json) {
    const size_t at = json.find("\"expires_at\"");
    return at == std::string::npos ? "none" : json.substr(at, json.find_first_of(",}", at) - at);
  };
  ASSERT_TRUE(Change(ExtensionBy(60)).ok());
  EXPECT_THAT(end(Newest().before), HasSubstr("T"));
  EXPECT_THAT(end(Newest().after), HasSubstr("T"));
  EXPECT_NE(end(Newest().before), end(Newest().after));
}

// As when retention has archived it.
TEST_F(AuditedCallsTest, AnUnknownReservationKeepsTheSkuThatTheCallerNames) {
  v1::ChangeReservationRequest request = Cancellation();
  request.mutable_cancel()->set_reservation_id("00000000-0000-4000-8000-000000000777");
  request.mutable_cancel()->set_sku_id("tv");
  EXPECT_EQ(ReasonOf(Change(request).status()), "RESERVATION_NOT_FOUND");
  EXPECT_EQ(Newest().sku_id, "tv");
  EXPECT_THAT(Newest().before, HasSubstr("000000000777"));
}

TEST_F(AuditedCallsTest, ADeadlineThatPassedBeforeIsARefusal) {
  books_.error = absl::DeadlineExceededError("the deadline passed before it was sent");
  EXPECT_EQ(ReasonOf(Change(Cancellation()).status()), "DEADLINE_PASSED");
  EXPECT_THAT(Newest().after, HasSubstr(R"("outcome":"REFUSED")"));
  EXPECT_THAT(Newest().after, HasSubstr(R"("error":"DEADLINE_PASSED")"));
}

TEST_F(AuditedCallsTest, WhatIsRefusedSaysWhy) {
  ASSERT_TRUE(Change(Cancellation()).ok());
  EXPECT_EQ(ReasonOf(Change(ExtensionBy(60)).status()), "RESERVATION_STATE");
  EXPECT_THAT(Newest().after, HasSubstr(R"("outcome":"REFUSED")"));
  EXPECT_THAT(Newest().after, HasSubstr(R"("error":"RESERVATION_STATE")"));

  const size_t before = Log().size();
  EXPECT_EQ(ReasonOf(Change(v1::ChangeReservationRequest()).status()), "FIELD_INVALID");
  EXPECT_EQ(Log().size(), before) << "what cannot be meant is no action";
}

// The caller is told of an error, but money has come in and goes back.
TEST_F(AuditedCallsTest, APaymentThatIsToBeRefundedIsNotCalledRefused) {
  ASSERT_TRUE(Change(Cancellation()).ok());
  const absl::Status late = Change(Confirmation("p-1")).status();
  ASSERT_EQ(ReasonOf(late), "RESERVATION_STATE");
  ASSERT_EQ(MetadataOf(late, "refund_requested"), "true");
  const storage::AuditEntry entry = Newest();
  EXPECT_EQ(entry.action, "confirm_reservation");
  EXPECT_THAT(entry.after, HasSubstr(R"("outcome":"PAID_UNFULFILLED")"));
  EXPECT_THAT(entry.after, HasSubstr(R"("error":"RESERVATION_STATE")"));
  EXPECT_THAT(entry.after, HasSubstr(R"("state":"CANCELLED")"));
  EXPECT_THAT(entry.after, HasSubstr(R"("payment_reference":"p-1")"));
}

TEST_F(AuditedCallsTest, WhatNobodyKnowsStaysUnknown) {
  books_.error = storage::UnknownCommitError("lost");
  EXPECT_FALSE(Change(Cancellation()).ok());
  EXPECT_THAT(Newest().after, HasSubstr(R"("outcome": "UNKNOWN")"));
}

TEST_F(AuditedCallsTest, NothingIsChangedWithoutAnEntry) {
  class Silent : public MeddledLedger {
   public:
    using MeddledLedger::MeddledLedger;
    absl::StatusOr<int64_t> BeginAudit(const storage::AuditNote&) override { return absl::UnavailableError("down"); }
  } silent(&clock_);
  AuditedChangeHandler handler(
      &reads_, &carts_, &changes_, [&](const std::string&) { return &silent; }, &clock_);
  EXPECT_EQ(ReasonOf(handler.Change(Cancellation(), "alice", absl::InfiniteFuture()).status()), "LEDGER_UNAVAILABLE");
  EXPECT_EQ(ledger_.FindReservation(*storage::Uuid::Parse(kTvId))->state, storage::ReservationState::kPending);
}

TEST_F(AuditedCallsTest, ACartHasAnEntryForEachSku) {
  ASSERT_TRUE(Change(Cart({"tv", "cable", "tv"})).ok());
  const auto log = Log();
  EXPECT_EQ(log[0].sku_id, "tv");
  EXPECT_THAT(log[0].after, HasSubstr(R"("units":4)"));
  EXPECT_THAT(log[0].after, HasSubstr(R"("reservation_ids":["00000000-0000-4000-8000-000000000901",)"
                                      R"("00000000-0000-4000-8000-000000000903"])"));
  EXPECT_THAT(log[0].after, HasSubstr(R"("outcome":"DONE")"));
  EXPECT_EQ(log[1].sku_id, "cable");
  EXPECT_THAT(log[1].after, HasSubstr(R"("units":2)"));
  EXPECT_EQ(log[1].action, "create_reservation");

  sale_ = quota::CartRefused{.refused = {.refusal = storage::Refusal::kSoldOut}, .sku_id = "tv"};
  EXPECT_EQ(ReasonOf(Change(Cart({"tv"})).status()), "SOLD_OUT");
  EXPECT_THAT(Newest().after, HasSubstr(R"("error":"SOLD_OUT")"));
}

TEST_F(AuditedCallsTest, ACartSaysWhereTheBuyerIsAndTheLogTellsNoToken) {
  v1::ChangeReservationRequest request = Cart({"tv"});
  request.mutable_create()->set_buyer_address("::ffff:203.0.113.7");
  request.mutable_create()->mutable_lines(0)->set_purchase_token("a-secret");
  ASSERT_TRUE(Change(request).ok());
  ASSERT_EQ(visitors_.size(), 1u);
  EXPECT_EQ(visitors_[0].address, "203.0.113.7");
  EXPECT_EQ(visitors_[0].purchase_token, "a-secret");
  for (const storage::AuditEntry& entry : Log()) {
    EXPECT_THAT(entry.before, ::testing::Not(HasSubstr("a-secret")));
    EXPECT_THAT(entry.after, ::testing::Not(HasSubstr("a-secret")));
  }
  request.mutable_create()->set_buyer_address("at home");
  EXPECT_EQ(ReasonOf(Change(request).status()), "FIELD_INVALID");
}

// The second entry may be there or not; of the cart nothing was done.
TEST_F(AuditedCallsTest, ACartWhoseEntriesCannotAllBeWrittenIsRefused) {
  class Breaking : public MeddledLedger {
   public:
    using MeddledLedger::MeddledLedger;
    absl::StatusOr<int64_t> BeginAudit(const storage::AuditNote&) override {
      return storage::UnknownCommitError("lost");
    }
  } breaking(&clock_);
  AuditedChangeHandler handler(
      &reads_, &carts_, &changes_,
      [&](const std::string& sku_id) -> storage::AuditLedger* {
        if (sku_id == "tv") return &breaking;
        return &ledger_;
      },
      &clock_);
  EXPECT_FALSE(handler.Change(Cart({"cable", "tv"}), "alice", absl::InfiniteFuture()).ok());
  EXPECT_EQ(Newest().sku_id, "cable");
  EXPECT_THAT(Newest().after, HasSubstr(R"("outcome":"REFUSED")"));
}

TEST(MembersTest, NumbersKeepTheirDigits) {
  constexpr int64_t kExact = int64_t{1} << 53;
  EXPECT_EQ(Members().Add("n", kExact).ToJson(), R"({"n":9007199254740992})");
  EXPECT_EQ(Members().Add("n", kExact + 1).ToJson(), R"({"n":"9007199254740993"})");
  EXPECT_EQ(Members().Add("n", -kExact - 1).ToJson(), R"({"n":"-9007199254740993"})");
}

// Otherwise nobody could look into the log while something is wrong.
TEST_F(AuditedCallsTest, ASilentShardIsNamedAndHoldsUpNoList) {
  MeddledLedger broken(&clock_);
  broken.audit_fails = true;
  AuditHandler audit(&ledger_, [&] {
    return std::vector<std::pair<std::string, storage::AuditLedger*>>{
        {"home", &ledger_}, {"s1", nullptr}, {"s2", &broken}};
  });
  const auto page = audit.List(v1::ListAuditRequest());
  ASSERT_TRUE(page.ok()) << page.status();
  EXPECT_GT(page->entries_size(), 0);
  EXPECT_THAT(page->silent_shards(), ElementsAre("s1", "s2"));
  v1::ListAuditRequest of_tv;
  of_tv.set_sku_id("tv");
  EXPECT_TRUE(audit.List(of_tv).ok());
  ledger_.audit_fails = true;
  EXPECT_EQ(ReasonOf(audit.List(v1::ListAuditRequest()).status()), "LEDGER_UNAVAILABLE");
}

TEST_F(AuditedCallsTest, APageHasAboutAMebibyteAtMost) {
  constexpr int kEntries = 25;
  const std::string large = absl::StrCat(R"({"payload": ")", std::string(100'000, 'x'), R"("})");
  for (int i = 0; i < kEntries; ++i) {
    ASSERT_TRUE(ledger_.BeginAudit({.actor = "bob", .action = "x", .sku_id = "", .before = large, .asked = "{}"}).ok());
  }
  v1::ListAuditRequest request;
  request.set_action("x");
  request.set_page_size(1000);
  int entries = 0, pages = 0;
  do {
    const auto page = audit_.List(request);
    ASSERT_TRUE(page.ok()) << page.status();
    EXPECT_LT(page->ByteSizeLong(), 1'300'000u);
    entries += page->entries_size();
    ++pages;
    request.set_page_token(page->next_page_token());
  } while (!request.page_token().empty());
  EXPECT_EQ(entries, kEntries);
  EXPECT_GE(pages, 3);
}

TEST_F(AuditedCallsTest, ListsAreOfPeopleUnlessAskedForAll) {
  ASSERT_TRUE(ledger_.RaiseVersion("tv", 100, storage::Actor::Process("balancer")).ok());
  v1::ListAuditRequest request;
  request.set_page_size(1);
  EXPECT_EQ(audit_.List(request)->entries(0).actor(), kActor);
  request.set_automatic(true);
  EXPECT_EQ(audit_.List(request)->entries(0).actor(), "balancer");
  EXPECT_TRUE(audit_.List(request)->entries(0).automatic());
  request.set_action("create_sku");
  EXPECT_EQ(audit_.List(request)->entries(0).action(), "create_sku");
  EXPECT_EQ(audit_.List(request)->next_page_token(), "");
  request.set_actor("nobody");
  EXPECT_EQ(audit_.List(request)->entries_size(), 0);
  request.set_actor("two\nlines");
  EXPECT_EQ(ReasonOf(audit_.List(request).status()), "FIELD_INVALID");
  request.set_actor("");
  request.mutable_since()->set_nanos(-1);
  EXPECT_EQ(ReasonOf(audit_.List(request).status()), "FIELD_INVALID");
}

}  // namespace
}  // namespace tranche::server
