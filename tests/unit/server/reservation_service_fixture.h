// ReservationService on a real server and channel, with a seller that answers when the test says so.
#pragma once

#include <gtest/gtest.h>

#include <algorithm>
#include <atomic>
#include <memory>
#include <optional>
#include <string>
#include <thread>
#include <utility>
#include <vector>

#include "absl/functional/any_invocable.h"
#include "absl/functional/function_ref.h"
#include "absl/strings/str_cat.h"
#include "absl/synchronization/mutex.h"
#include "absl/time/clock.h"
#include "quota/sale/sale_gate.h"
#include "server/process/periodic_task.h"
#include "server/services/reservation_service.h"
#include "storage/bounded_executor.h"
#include "storage/fake/fake_ledger.h"
#include "tests/support/one_shard.h"
#include "tests/support/stub_books.h"
#include "tests/unit/server/admission/test_keys.h"
#include "tests/unit/server/grpc_fixture.h"
#include "tranche/v1/reservation_service.grpc.pb.h"

namespace tranche::server {

inline constexpr auto kLong = absl::Seconds(60);

// Another answer to each kind of change, and a page of one reservation.
class AnsweringBooks : public tranche::testing::StubBooks {
 public:
  void Apply(const std::string&, storage::Change change, absl::Time, storage::ChangeDone done) override {
    if (std::holds_alternative<storage::Payment>(change)) {
      storage::ChangeResult paid{.outcome = storage::ChangeOutcome::kDone};
      paid.reservation.state = storage::ReservationState::kConfirmed;
      return done(std::move(paid));
    }
    if (std::holds_alternative<storage::Cancellation>(change)) return done(absl::UnavailableError("down"));
    done(storage::RefusedChange(storage::Refusal::kHoldTooLong));
  }
  void List(storage::ReservationFilter, storage::ReservationCursor, int, absl::Time, PageDone done) override {
    done(storage::ReservationPage{{storage::Reservation{}}, std::nullopt});
  }
};

// Keeps the claims that arrive until the test decides them.
class HeldSales {
 public:
  void Sell(storage::ReservationClaim claim, absl::Time deadline, quota::SaleDone done, quota::Visitor visitor) {
    absl::MutexLock lock(&mutex_);
    ++arrived_;
    held_.push_back({std::move(claim), deadline, std::move(done), std::move(visitor)});
    most_held_ = std::max(most_held_, held_.size());
  }

  bool AwaitArrived(int count) {
    absl::MutexLock lock(&mutex_);
    const auto enough = [&]() ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_) { return arrived_ >= count; };
    return mutex_.AwaitWithTimeout(absl::Condition(&enough), kLong);
  }

  // Sells to the holder of the claim that came last or first.
  void DecideLast() { Decide(/*last=*/true); }
  void DecideFirst() { Decide(/*last=*/false); }
  // False if there is none.
  bool TryDecideFirst() {
    {
      absl::MutexLock lock(&mutex_);
      if (held_.empty()) return false;
    }
    DecideFirst();
    return true;
  }

  absl::Time last_deadline() {
    absl::MutexLock lock(&mutex_);
    return held_.back().deadline;
  }
  std::string last_user() {
    absl::MutexLock lock(&mutex_);
    return held_.back().claim.user_id;
  }
  quota::Visitor last_visitor() {
    absl::MutexLock lock(&mutex_);
    return held_.back().visitor;
  }
  size_t most_held() {
    absl::MutexLock lock(&mutex_);
    return most_held_;
  }

 private:
  struct Held {
    storage::ReservationClaim claim;
    absl::Time deadline;
    quota::SaleDone done;
    quota::Visitor visitor;
  };

  void Decide(bool last) {
    Held held;
    {
      absl::MutexLock lock(&mutex_);
      const auto which = last ? held_.end() - 1 : held_.begin();
      held = std::move(*which);
      held_.erase(which);
    }
    quota::Sold sold;
    sold.reservation.reservation_id = held.claim.reservation_id;
    sold.reservation.sku_id = held.claim.sku_id;
    sold.reservation.user_id = held.claim.user_id;
    held.done(std::move(sold));
  }

  absl::Mutex mutex_;
  std::vector<Held> held_ ABSL_GUARDED_BY(mutex_);
  int arrived_ ABSL_GUARDED_BY(mutex_) = 0;
  size_t most_held_ ABSL_GUARDED_BY(mutex_) = 0;
};

// A front door that only says whether it may keep somebody out: handlers ask that before they look for the buyer.
class SwitchedGate : public quota::SaleGate {
 public:
  bool closed_to_some() const override { return closed_; }
  quota::GateVerdict Check(absl::Span<const quota::GateLine>, absl::Time, absl::Time) override { return {}; }
  bool Park(absl::Duration, absl::AnyInvocable<void()>) override { return false; }
  void Close() { closed_ = true; }

 private:
  std::atomic<bool> closed_{false};
};

// The one reservation that is watched.
class WatchedRows {
 public:
  void Put(int32_t revision, storage::ReservationState state) {
    absl::MutexLock lock(&mutex_);
    storage::Reservation row;
    row.reservation_id = *storage::Uuid::Parse("01890a5d-ac96-774b-bcce-b302099a8057");
    row.revision = revision;
    row.state = state;
    // Large messages fill a connection's buffers soon.
    row.cancel_reason = std::string(200, 'r');
    row.user_id = std::string(1 << 16, 'u');
    row_ = row;
  }
  void Remove() {
    absl::MutexLock lock(&mutex_);
    row_.reset();
  }
  storage::PartialRead Read() {
    absl::MutexLock lock(&mutex_);
    ++reads_;
    if (!row_.has_value()) return {};
    return {.found = {*row_}};
  }
  // Waits until what was put is certainly seen: a look that began after it has ended.
  bool AwaitSeen() {
    absl::MutexLock lock(&mutex_);
    const int enough = reads_ + 2;
    const auto seen = [&]() ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_) { return reads_ >= enough; };
    return mutex_.AwaitWithTimeout(absl::Condition(&seen), kLong);
  }

 private:
  absl::Mutex mutex_;
  std::optional<storage::Reservation> row_ ABSL_GUARDED_BY(mutex_);
  int reads_ ABSL_GUARDED_BY(mutex_) = 0;
};

// Has the watched reservation.
class WatchedBooks : public tranche::testing::StubBooks {
 public:
  explicit WatchedBooks(WatchedRows* rows) : rows_(rows) {}
  void ReadKnown(std::vector<storage::Uuid>, absl::Time, KnownDone done) override { done(rows_->Read()); }
  void Find(const storage::Uuid&, storage::Assurance, absl::Time, FindDone done) override {
    const auto found = rows_->Read().found;
    if (found.empty()) return done(absl::NotFoundError("none"));
    done(found.front());
  }

 private:
  WatchedRows* const rows_;
};

class ReservationServiceTest : public ::testing::Test {
 protected:
  void StartServer(int max_outstanding) { StartServer(ReservationStreamOptions{.max_outstanding = max_outstanding}); }
  void StartServer(const ReservationStreamOptions& stream_options) {
    handler_.StartServing();
    cart_handler_.StartServing();
    service_ = std::make_unique<ReservationServiceImpl>(
        ReservationHandlers{&handler_, &cart_handler_, &change_handler_, &list_handler_, &watch_hub_,
                            VisitorAddresses(&gate_, trusted_proxies_), &claim_handler_},
        CallFrame{.clock = storage::Clock::Real(),
                  .deadlines = CallDeadlines{},
                  .open_calls = &calls_,
                  .metrics = &metrics_,
                  .access = access_},
        stream_options);
    check_streams_ = std::make_unique<PeriodicTask>(absl::Milliseconds(10), [this] { service_->CheckStreams(); });
    server_ = std::make_unique<LocalServer>(service_->service());
    stub_ = v1::ReservationService::NewStub(server_->channel());
  }

  static v1::CreateReservationRequest Request(const std::string& user = "u1") {
    v1::CreateReservationRequest request;
    request.set_reservation_id("01890a5d-ac96-774b-bcce-b302099a8057");
    request.set_sku_id("tv");
    request.set_user_id(user);
    request.set_quantity(1);
    return request;
  }

  static v1::WatchReservationRequest WatchRequest() {
    v1::WatchReservationRequest request;
    request.set_reservation_id("01890a5d-ac96-774b-bcce-b302099a8057");
    return request;
  }

  static v1::StreamReservationsRequest Item(uint64_t sequence) {
    v1::StreamReservationsRequest item;
    item.set_sequence(sequence);
    *item.mutable_create() = Request(absl::StrCat("u", sequence));
    item.mutable_timeout()->set_seconds(5);
    return item;
  }

  static std::unique_ptr<grpc::ClientContext> Context() {
    auto context = std::make_unique<grpc::ClientContext>();
    context->set_deadline(absl::ToChronoTime(absl::Now() + kLong));
    return context;
  }

  // What the seller is told of the first claim, whose header names a buyer, too.
  std::string AddressOfClaimThatStates(const std::string& buyer_address) {
    const auto context = Context();
    context->AddMetadata("x-forwarded-for", "198.51.100.1");
    v1::CreateReservationRequest request = Request();
    request.set_buyer_address(buyer_address);
    v1::CreateReservationResponse response;
    std::thread caller([&] { EXPECT_TRUE(stub_->CreateReservation(context.get(), request, &response).ok()); });
    const bool arrived = sales_.AwaitArrived(1);
    const std::string address = arrived ? sales_.last_visitor().address : "none arrived";
    if (arrived) sales_.DecideFirst();
    caller.join();
    return address;
  }

  HeldSales sales_;
  storage::FakeClock clock_;
  storage::FakeLedger ledger_{&clock_};
  storage::BoundedExecutor executor_{1, 4};
  tranche::testing::OneShard shard_{&ledger_, &executor_, &clock_};
  SwitchedGate gate_;
  int trusted_proxies_ = 1;
  ReservationHandler handler_{
      [this](storage::ReservationClaim claim, absl::Time deadline, bool, quota::SaleDone done, quota::Visitor visitor) {
        if (claim.sku_id == "dry") return done(quota::Refused{.refusal = storage::Refusal::kExhaustedHere});
        sales_.Sell(std::move(claim), deadline, std::move(done), std::move(visitor));
      },
      shard_.books(), storage::Clock::Real()};
  std::vector<quota::Visitor> cart_visitors_;
  CartHandler cart_handler_{[this](std::vector<storage::ReservationClaim> lines, absl::Time, bool, quota::CartDone done,
                                   std::vector<quota::Visitor> visitors) {
                              cart_visitors_ = std::move(visitors);
                              quota::CartSold sold;
                              sold.reservations.resize(lines.size());
                              done(sold);
                            },
                            storage::Clock::Real()};
  AnsweringBooks answers_;
  quota::SliceTable slices_;
  ChangeHandler change_handler_{&answers_, &slices_, storage::Clock::Real()};
  ListHandler list_handler_{&answers_, storage::Clock::Real()};
  WatchedRows rows_;
  WatchHub watch_hub_{[this](absl::Span<const storage::Uuid>) { return rows_.Read(); },
                      &clock_,
                      {.max_watches = 2, .poll_interval = absl::Milliseconds(1)}};
  std::shared_ptr<const FrontKeys> keys_ = std::make_shared<const FrontKeys>(CurrentTestKey());
  WatchedBooks watched_books_{&rows_};
  ClaimHandler claim_handler_{&watched_books_, &clock_, [this] { return keys_; },
                              [](const ClaimTicket& ticket) {
                                return ClaimOutlook{ticket.ahead, absl::Seconds(1)};
                              }};
  OpenCalls calls_{&clock_, absl::Seconds(30)};
  CallMetrics metrics_{storage::Clock::Real()};
  AccessControl* access_ = nullptr;  // everybody may call everything
  std::unique_ptr<ReservationServiceImpl> service_;
  std::unique_ptr<PeriodicTask> check_streams_;
  std::unique_ptr<LocalServer> server_;
  std::unique_ptr<v1::ReservationService::Stub> stub_;
};

// The stub of a connection of its own: by default, channels share one.
inline std::unique_ptr<v1::ReservationService::Stub> StubOfAnotherConnection(const LocalServer& server) {
  grpc::ChannelArguments arguments;
  arguments.SetInt(GRPC_ARG_USE_LOCAL_SUBCHANNEL_POOL, 1);
  return v1::ReservationService::NewStub(
      grpc::CreateCustomChannel(server.address(), grpc::InsecureChannelCredentials(), arguments));
}

inline bool AwaitThat(absl::FunctionRef<bool()> reached) {
  const absl::Time give_up = absl::Now() + kLong;
  while (absl::Now() < give_up) {
    // Not asked again once it is: to ask may change what is asked for.
    if (reached()) return true;
    // A loop that never rests takes a processor from what it waits for.
    absl::SleepFor(absl::Milliseconds(1));
  }
  return false;
}

}  // namespace tranche::server
