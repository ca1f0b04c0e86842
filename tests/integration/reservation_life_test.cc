// The life of reservations, on real servers: paid, cancelled, extended, expired and paid too late; carts; lists and
// watches. Each test ends with a check of the books.
#include <atomic>
#include <functional>
#include <pqxx/pqxx>
#include <set>
#include <string>
#include <thread>
#include <vector>

#include "absl/strings/str_cat.h"
#include "absl/synchronization/mutex.h"
#include "gtest/gtest.h"
#include "tests/integration/sale_fixture.h"

namespace tranche::testing {
namespace {

constexpr absl::Duration kPatience = absl::Seconds(30);

class ReservationLifeTest : public SaleTest {
 protected:
  void SetUp() override {
    MiniClusterOptions options;
    options.nodes = 2;
    options.zookeeper_session_timeout = absl::Seconds(3);
    StartCluster(options);
    client_ = PatientClientOf(cluster_->endpoints());
    other_ = PatientClientOf({cluster_->endpoint(1)});
  }
  // It tries again only after an answer: what is asked for here is to be done once, also on a busy machine.
  static std::unique_ptr<Client> PatientClientOf(std::vector<std::string> endpoints) {
    ClientOptions options;
    options.endpoints = std::move(endpoints);
    options.request_timeout = kPatience;
    options.attempt_timeout = kPatience;
    return Client::Open(options).value();
  }
  void TearDown() override {
    if (cluster_ != nullptr) CheckLedger();
  }

  // A sale at 499.00 EUR with the given bounds.
  void Open(
      const std::string& sku_id, int64_t stock, const std::function<void(v1::Sku&)>& bounds = [](v1::Sku&) {}) {
    v1::CreateSkuRequest request;
    v1::Sku& sku = *request.mutable_sku();
    sku.set_sku_id(sku_id);
    sku.set_price_minor(49900);
    sku.set_currency("EUR");
    sku.set_stock(stock);
    sku.set_per_user_limit(4);
    sku.mutable_hold()->set_seconds(900);
    bounds(sku);
    v1::CreateSkuResponse response;
    const grpc::Status status = Admin()->CreateSku(Context().get(), request, &response);
    ASSERT_TRUE(status.ok()) << status.error_message();
    WaitUntilAnnounced(sku_id, stock);
  }

  Reservation Hold(const std::string& sku, const std::string& user, int32_t quantity = 1) {
    const auto held = client_->Create({.sku = sku, .user = user, .quantity = quantity});
    EXPECT_TRUE(held.ok()) << held.status();
    return held.value_or(Reservation{});
  }
  static ConfirmReservation PaymentOf(const Reservation& held, const std::string& reference = "pay-1") {
    return {.reservation_id = held.reservation_id,
            .payment_reference = reference,
            .amount_minor = held.amount_minor,
            .currency = held.currency,
            .sku = ""};
  }
  int64_t UnsoldOf(const std::string& sku_id) {
    v1::GetSkuRequest request;
    request.set_sku_id(sku_id);
    v1::GetSkuResponse response;
    EXPECT_TRUE(Admin()->GetSku(Context().get(), request, &response).ok());
    return response.sku().unsold();
  }
  // Expires due holds, as a worker does, until the reservation is expired: the database's clock decides when.
  void AwaitExpired(const std::string& reservation_id) {
    pqxx::connection connection(cluster_->postgres().dsn());
    const absl::Time give_up = absl::Now() + kPatience;
    while (client_->Get(reservation_id).value_or(Reservation{}).state != ReservationState::kExpired) {
      ASSERT_LT(absl::Now(), give_up) << "never expired";
      pqxx::work work(connection);
      work.exec("SELECT tranche.expire_due(100)");
      work.commit();
    }
  }
  // Sends the cart until the answer is not "units are on their way".
  absl::StatusOr<Cart> Buy(Client& client, CreateCart cart) {
    const absl::Time give_up = absl::Now() + kPatience;
    while (true) {
      absl::StatusOr<Cart> bought = client.CreateCart(cart);
      const bool later = ReasonOf(bought.status()) == Reason::kExhaustedHere;
      if (!later || absl::Now() > give_up) return bought;
    }
  }

  std::unique_ptr<Client> other_;
};

TEST_F(ReservationLifeTest, AHoldIsPaidOnceHoweverOftenItIsSaid) {
  Open("tv", 10);
  const Reservation held = Hold("tv", "alice");
  const auto paid = client_->Confirm(PaymentOf(held));
  ASSERT_TRUE(paid.ok()) << paid.status();
  EXPECT_EQ(paid->outcome, ConfirmOutcome::kConfirmed);
  EXPECT_FALSE(paid->replayed);
  EXPECT_EQ(paid->reservation.state, ReservationState::kConfirmed);
  EXPECT_EQ(paid->reservation.payment_reference, "pay-1");
  EXPECT_EQ(paid->reservation.revision, 2);

  const auto again = other_->Confirm(PaymentOf(held));
  ASSERT_TRUE(again.ok()) << again.status();
  EXPECT_TRUE(again->replayed);
  EXPECT_EQ(again->reservation.finish_time, paid->reservation.finish_time);
  EXPECT_EQ(again->reservation.revision, 2);

  const auto twice = other_->Confirm(PaymentOf(held, "pay-2"));
  EXPECT_EQ(ReasonOf(twice.status()), Reason::kReservationState) << twice.status();
  EXPECT_EQ(ErrorMetadata(twice.status(), "state"), "CONFIRMED");
  EXPECT_EQ(ErrorMetadata(twice.status(), "refund_requested"), "true");
  const auto cancel = client_->Cancel({.reservation_id = held.reservation_id, .reason = "", .sku = ""});
  EXPECT_EQ(ReasonOf(cancel.status()), Reason::kReservationState) << cancel.status();
  const auto found = client_->Get(held.reservation_id);
  ASSERT_TRUE(found.ok()) << found.status();
  EXPECT_EQ(found->payment_reference, "pay-1");
  EXPECT_EQ(UnsoldOf("tv"), 9);
}

TEST_F(ReservationLifeTest, AnOrderReferenceGoesThroughAllCalls) {
  Open("tv", 10);
  CreateReservation request{.sku = "tv", .user = "alice", .reservation_id = MakeUuidV7(), .order_reference = "A-1017"};
  const auto held = client_->Create(request);
  ASSERT_TRUE(held.ok()) << held.status();
  EXPECT_EQ(held->order_reference, "A-1017");
  EXPECT_EQ(other_->Get(held->reservation_id)->order_reference, "A-1017");
  EXPECT_TRUE(other_->Create(request)->replayed);
  request.order_reference = "A-1018";
  EXPECT_EQ(ReasonOf(other_->Create(request).status()), Reason::kReservationIdReused);
  request.order_reference = std::string(129, 'x');
  EXPECT_EQ(ReasonOf(client_->Create(request).status()), Reason::kFieldInvalid);

  const auto cart =
      client_->CreateCart({.user = "bob", .lines = {{.sku = "tv"}, {.sku = "tv"}}, .order_reference = "B-1"});
  ASSERT_TRUE(cart.ok()) << cart.status();
  for (const Reservation& line : cart->reservations) EXPECT_EQ(line.order_reference, "B-1");
  const auto page = client_->List({.user = "alice"});
  ASSERT_TRUE(page.ok() && page->reservations.size() == 1) << page.status();
  EXPECT_EQ(page->reservations[0].order_reference, "A-1017");
  EXPECT_EQ(client_->Confirm(PaymentOf(*held))->reservation.order_reference, "A-1017");
}

TEST_F(ReservationLifeTest, ADifferentAmountIsNoPayment) {
  Open("tv", 10);
  const Reservation held = Hold("tv", "alice", 2);
  ConfirmReservation payment = PaymentOf(held);
  payment.amount_minor = 49900;
  const auto mismatch = client_->Confirm(payment);
  EXPECT_EQ(ReasonOf(mismatch.status()), Reason::kPaymentMismatch) << mismatch.status();
  EXPECT_EQ(ErrorMetadata(mismatch.status(), "amount_minor"), "99800");
  EXPECT_EQ(client_->Get(held.reservation_id)->state, ReservationState::kPending);
  EXPECT_TRUE(client_->Confirm(PaymentOf(held)).ok());
  payment.reservation_id = MakeUuidV7();
  EXPECT_EQ(ReasonOf(client_->Confirm(payment).status()), Reason::kReservationNotFound);
}

TEST_F(ReservationLifeTest, ACancelledHoldGivesItsUnitsBack) {
  Open("tv", 10);
  const Reservation held = Hold("tv", "alice", 4);
  EXPECT_EQ(UnsoldOf("tv"), 6);
  const auto limit = client_->Create({.sku = "tv", .user = "alice"});
  EXPECT_EQ(ReasonOf(limit.status()), Reason::kUserLimitReached);
  const auto cancelled = client_->Cancel({.reservation_id = held.reservation_id, .reason = "no money", .sku = ""});
  ASSERT_TRUE(cancelled.ok()) << cancelled.status();
  EXPECT_EQ(cancelled->state, ReservationState::kCancelled);
  EXPECT_EQ(cancelled->cancel_reason, "no money");
  EXPECT_EQ(UnsoldOf("tv"), 10);
  const auto again = other_->Cancel({.reservation_id = held.reservation_id, .reason = "other", .sku = ""});
  ASSERT_TRUE(again.ok()) << again.status();
  EXPECT_TRUE(again->replayed);
  EXPECT_EQ(again->cancel_reason, "no money") << "the first reason stands";
  EXPECT_EQ(UnsoldOf("tv"), 10) << "given back once";

  const auto late = client_->Confirm(PaymentOf(held));
  EXPECT_EQ(ErrorMetadata(late.status(), "state"), "CANCELLED") << late.status();
  EXPECT_EQ(ErrorMetadata(late.status(), "refund_requested"), "true");
  EXPECT_TRUE(client_->Create({.sku = "tv", .user = "alice"}).ok())
      << "the buyer's own lapsed hold does not block them";
}

TEST_F(ReservationLifeTest, ExtensionsAreBoundedAndDoneOnce) {
  Open("tv", 10, [](v1::Sku& sku) {
    sku.set_max_extensions(2);
    sku.mutable_max_hold()->set_seconds(2000);
  });
  const Reservation held = Hold("tv", "alice");
  const auto extend = [&](Client& client, int32_t extension, int64_t seconds) {
    return client.Extend(
        {.reservation_id = held.reservation_id, .by = absl::Seconds(seconds), .extension = extension, .sku = ""});
  };
  const auto first = extend(*client_, 1, 600);
  ASSERT_TRUE(first.ok()) << first.status();
  EXPECT_EQ(first->expire_time, held.expire_time + absl::Seconds(600));
  EXPECT_EQ(first->extensions, 1);
  const auto again = extend(*other_, 1, 600);
  ASSERT_TRUE(again.ok()) << again.status();
  EXPECT_TRUE(again->replayed);
  EXPECT_EQ(again->expire_time, first->expire_time) << "extended once";

  const auto skipped = extend(*client_, 3, 10);
  EXPECT_EQ(ReasonOf(skipped.status()), Reason::kExtensionOutOfOrder) << skipped.status();
  EXPECT_EQ(ErrorMetadata(skipped.status(), "extensions"), "1");
  const auto too_long = extend(*client_, 2, 501);
  EXPECT_EQ(ReasonOf(too_long.status()), Reason::kHoldTooLong) << too_long.status();
  EXPECT_EQ(ErrorMetadata(too_long.status(), "max_hold_seconds"), "2000");
  EXPECT_TRUE(extend(*client_, 2, 500).ok());
  const auto too_many = extend(*client_, 3, 1);
  EXPECT_EQ(ReasonOf(too_many.status()), Reason::kTooManyExtensions) << too_many.status();
  EXPECT_EQ(ErrorMetadata(too_many.status(), "max_extensions"), "2");
}

TEST_F(ReservationLifeTest, ALatePaymentBooksAnotherUnitOrIsToBeRefunded) {
  Open("tv", 2, [](v1::Sku& sku) { sku.mutable_hold()->set_seconds(1); });
  const Reservation lapsed = Hold("tv", "alice");
  AwaitExpired(lapsed.reservation_id);
  EXPECT_EQ(UnsoldOf("tv"), 2);
  const auto late = client_->Confirm(PaymentOf(lapsed));
  ASSERT_TRUE(late.ok()) << late.status();
  EXPECT_EQ(late->outcome, ConfirmOutcome::kRebooked);
  EXPECT_EQ(late->reservation.state, ReservationState::kExpired);
  ASSERT_TRUE(late->rebooked.has_value());
  EXPECT_EQ(late->rebooked->state, ReservationState::kConfirmed);
  EXPECT_EQ(late->rebooked->rebooked_from, lapsed.reservation_id);
  EXPECT_EQ(UnsoldOf("tv"), 1);
  const auto again = other_->Confirm(PaymentOf(lapsed));
  ASSERT_TRUE(again.ok()) << again.status();
  EXPECT_EQ(again->outcome, ConfirmOutcome::kRebooked);
  EXPECT_TRUE(again->replayed);
  EXPECT_EQ(again->rebooked->reservation_id, late->rebooked->reservation_id);
  EXPECT_EQ(UnsoldOf("tv"), 1) << "booked once";
}

TEST_F(ReservationLifeTest, ALatePaymentWithNothingLeftIsRecordedAndToBeRefunded) {
  Open("tv", 1, [](v1::Sku& sku) { sku.mutable_hold()->set_seconds(1); });
  const Reservation lapsed = Hold("tv", "alice");
  AwaitExpired(lapsed.reservation_id);
  v1::ReduceStockRequest reduce;
  reduce.set_sku_id("tv");
  reduce.set_units(1);
  v1::ReduceStockResponse reduced;
  ASSERT_TRUE(Admin()->ReduceStock(Context().get(), reduce, &reduced).ok());
  ASSERT_EQ(reduced.units_taken(), 1);
  for (Client* client : {client_.get(), other_.get()}) {
    const auto late = client->Confirm(PaymentOf(lapsed));
    ASSERT_TRUE(late.ok()) << late.status();
    EXPECT_EQ(late->outcome, ConfirmOutcome::kPaidUnfulfilled);
    EXPECT_FALSE(late->rebooked.has_value());
    EXPECT_EQ(late->replayed, client == other_.get());
  }
  pqxx::connection connection(cluster_->postgres().dsn());
  pqxx::work work(connection);
  EXPECT_EQ(work.exec_params1("SELECT count(*) FROM tranche.outbox WHERE kind = 'payment.refund_requested' AND "
                              "reservation_id = $1",
                              lapsed.reservation_id)[0]
                .as<int>(),
            1);
}

TEST_F(ReservationLifeTest, ACartIsAllOrNothing) {
  Open("tv", 10);
  Open("cable", 10);
  Open("lamp", 0);
  const auto bought = Buy(*client_, {.user = "alice", .lines = {{.sku = "tv"}, {.sku = "cable", .quantity = 2}}});
  ASSERT_TRUE(bought.ok()) << bought.status();
  ASSERT_EQ(bought->reservations.size(), 2u);
  EXPECT_EQ(bought->reservations[1].quantity, 2);
  // Again, at another node.
  CreateCart same{.user = "alice", .lines = {}};
  for (const Reservation& line : bought->reservations) {
    same.lines.push_back({.sku = line.sku_id, .quantity = line.quantity, .reservation_id = line.reservation_id});
  }
  const auto replay = Buy(*other_, same);
  ASSERT_TRUE(replay.ok()) << replay.status();
  EXPECT_TRUE(replay->replayed);

  const auto sold_out = Buy(*client_, {.user = "bob", .lines = {{.sku = "tv"}, {.sku = "lamp"}}});
  EXPECT_EQ(ReasonOf(sold_out.status()), Reason::kSoldOut) << sold_out.status();
  EXPECT_EQ(ErrorMetadata(sold_out.status(), "sku_id"), "lamp");
  const auto above = Buy(*client_, {.user = "alice", .lines = {{.sku = "cable"}, {.sku = "tv", .quantity = 4}}});
  EXPECT_EQ(ReasonOf(above.status()), Reason::kUserLimitReached) << above.status();
  EXPECT_EQ(ErrorMetadata(above.status(), "sku_id"), "tv");
  EXPECT_EQ(UnsoldOf("tv"), 9);
  EXPECT_EQ(UnsoldOf("cable"), 8);
}

TEST_F(ReservationLifeTest, CartsOverSeveralNodesSellEverySkuInStep) {
  constexpr int kStock = 20;
  Open("tv", kStock);
  Open("cable", kStock);
  std::vector<std::thread> buyers;
  std::atomic<int> bought = 0;
  absl::Mutex mutex;
  std::set<std::string> other_reasons;
  for (int i = 0; i < 4; ++i) {
    buyers.emplace_back([&, i] {
      Client& client = i % 2 == 0 ? *client_ : *other_;
      for (int n = 0; n < 10; ++n) {
        CreateCart cart{.user = absl::StrCat("buyer-", i, "-", n), .lines = {{.sku = "tv"}, {.sku = "cable"}}};
        // Two carts that name them in opposite orders must not block each other.
        if (i >= 2) std::swap(cart.lines[0], cart.lines[1]);
        const auto got = Buy(client, cart);
        bought += got.ok();
        if (got.ok() || IsSoldOut(got.status())) continue;
        absl::MutexLock lock(&mutex);
        other_reasons.insert(got.status().ToString());
      }
    });
  }
  for (std::thread& buyer : buyers) buyer.join();
  EXPECT_EQ(other_reasons, std::set<std::string>());
  EXPECT_EQ(bought, kStock) << "40 buyers for 20 carts";
  EXPECT_EQ(RowsOf("tv").size(), static_cast<size_t>(bought));
  EXPECT_EQ(RowsOf("cable").size(), static_cast<size_t>(bought));
}

TEST_F(ReservationLifeTest, AWatchSeesWhatOthersDo) {
  Open("tv", 10);
  const Reservation held = Hold("tv", "alice");
  const auto watch = client_->Watch(held.reservation_id);
  auto next = watch->Next(kPatience);
  ASSERT_TRUE(next.ok()) << next.status();
  EXPECT_EQ((*next)->state, ReservationState::kPending);
  ASSERT_TRUE(
      other_->Extend({.reservation_id = held.reservation_id, .by = absl::Seconds(60), .extension = 1, .sku = ""}).ok());
  next = watch->Next(kPatience);
  ASSERT_TRUE(next.ok()) << next.status();
  EXPECT_EQ((*next)->extensions, 1);
  EXPECT_GT((*next)->remaining_hold, absl::Minutes(15));
  ASSERT_TRUE(other_->Confirm(PaymentOf(held)).ok());
  next = watch->Next(kPatience);
  ASSERT_TRUE(next.ok()) << next.status();
  EXPECT_EQ((*next)->state, ReservationState::kConfirmed);
  EXPECT_EQ((*next)->payment_reference, "pay-1");
  next = watch->Next(kPatience);
  ASSERT_TRUE(next.ok()) << next.status();
  EXPECT_FALSE(next->has_value()) << "it is final";
  EXPECT_EQ(ReasonOf(client_->Watch(MakeUuidV7())->Next(kPatience).status()), Reason::kReservationNotFound);
}

TEST_F(ReservationLifeTest, AWatchOutlivesItsNode) {
  Open("tv", 10);
  const Reservation held = Hold("tv", "alice");
  // One of the two begins at the node that stops.
  const auto first = client_->Watch(held.reservation_id);
  const auto second = client_->Watch(held.reservation_id);
  for (const auto& watch : {first.get(), second.get()}) ASSERT_TRUE(watch->Next(kPatience).ok());
  const auto exit_code = cluster_->StopNode(0);
  ASSERT_TRUE(exit_code.ok()) << exit_code.status();
  EXPECT_EQ(*exit_code, 0) << "a watch must not keep a node from ending";
  ASSERT_TRUE(other_->Confirm(PaymentOf(held)).ok());
  for (const auto& watch : {first.get(), second.get()}) {
    const auto next = watch->Next(kPatience);
    ASSERT_TRUE(next.ok()) << next.status();
    EXPECT_EQ((*next)->state, ReservationState::kConfirmed);
  }
}

TEST_F(ReservationLifeTest, ListsTellEachReservationOnce) {
  Open("tv", 20);
  Open("cable", 20);
  std::set<std::string> of_alice, of_tv;
  for (int i = 0; i < 4; ++i) {
    const Reservation tv = Hold("tv", "alice"), cable = Hold("cable", "alice"), bobs = Hold("tv", "bob");
    of_alice.insert({tv.reservation_id, cable.reservation_id});
    of_tv.insert({tv.reservation_id, bobs.reservation_id});
    if (i % 2 == 0) {
      ASSERT_TRUE(client_->Cancel({.reservation_id = tv.reservation_id, .reason = "", .sku = ""}).ok());
    }
  }
  const auto all = [&](ListReservations query) {
    std::set<std::string> ids;
    query.page_size = 3;
    do {
      const auto page = client_->List(query);
      EXPECT_TRUE(page.ok()) << page.status();
      if (!page.ok()) break;
      EXPECT_LE(page->reservations.size(), 3u);
      for (const Reservation& one : page->reservations) {
        EXPECT_TRUE(ids.insert(one.reservation_id).second) << "told twice";
      }
      query.page_token = page->next_page_token;
    } while (!query.page_token.empty());
    return ids;
  };
  EXPECT_EQ(all({.user = "alice"}), of_alice);
  EXPECT_EQ(all({.user = "", .sku = "tv"}), of_tv);
  EXPECT_EQ(all({.user = "alice", .sku = "tv", .states = {ReservationState::kCancelled}}).size(), 2u);
  EXPECT_EQ(all({.user = "nobody"}), std::set<std::string>());
}

}  // namespace
}  // namespace tranche::testing
