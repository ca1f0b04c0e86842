// A node's selling side behind a gate that the test works, without threads.
#pragma once

#include <deque>
#include <functional>
#include <memory>
#include <optional>
#include <set>
#include <string>
#include <utility>
#include <variant>
#include <vector>

#include "gtest/gtest.h"
#include "quota/sale/cart_seller.h"
#include "quota/sale/claim_diversion.h"
#include "quota/sale/sale_gate.h"
#include "quota/sale/seller.h"
#include "storage/fake/fake_ledger.h"
#include "storage/pipeline/commit_lane.h"
#include "tests/support/one_shard.h"

namespace tranche::quota {

// Answers as the test says, and keeps what it was asked.
class FakeGate : public SaleGate {
 public:
  struct Asked {
    std::string sku_id;
    std::string user_id;
    Visitor visitor;
  };

  bool closed_to_some() const override { return closed; }
  GateVerdict Check(absl::Span<const GateLine> lines, absl::Time, absl::Time until) override {
    ++checks;
    deadline = until;
    asked.clear();
    for (const GateLine& line : lines) asked.push_back({line.claim->sku_id, line.claim->user_id, *line.visitor});
    if (on_check) on_check();
    return verdict;
  }
  bool Park(absl::Duration wait, absl::AnyInvocable<void()> go_on) override {
    if (ended) return false;
    waits.push_back(wait);
    parked.push_back(std::move(go_on));
    return true;
  }
  // The waits of all who wait are over.
  void CallParked() {
    for (auto& go_on : std::exchange(parked, {})) go_on();
  }

  bool closed = true;
  bool ended = false;
  GateVerdict verdict;
  std::function<void()> on_check;
  int checks = 0;
  std::vector<Asked> asked;  // by the last Check
  absl::Time deadline = absl::InfinitePast();
  std::vector<absl::Duration> waits;
  std::vector<absl::AnyInvocable<void()>> parked;
};

// Sells what the test does not want queued, and keeps the claims that are queued until the test answers.
class FakeDiversion : public ClaimDiversion {
 public:
  struct Claim {
    std::vector<storage::ReservationClaim> lines;
    bool cart = false;
    std::string sku_id;
    SkuTerms terms;
    absl::Time deadline;
    QueueDone done;
  };

  bool MayHaveQueued() const override { return may_have_queued; }
  Way WayOf(const std::string& sku_id, const SkuTerms&, bool accept_queued) override {
    if (!queues.contains(sku_id)) return Way::kSell;
    if (accept_queued) return Way::kQueue;
    return refuses_who_does_not_accept ? Way::kRefuse : Way::kSell;
  }
  void Queue(std::vector<storage::ReservationClaim> lines, bool cart, const std::string& sku_id, const SkuTerms& terms,
             absl::Time deadline, QueueDone done) override {
    queued.push_back({std::move(lines), cart, sku_id, terms, deadline, std::move(done)});
  }
  void AnswerAll(const std::variant<Queued, Refused>& answer) {
    for (Claim& claim : std::exchange(queued, {})) claim.done(answer);
  }

  std::set<std::string> queues;             // whose claims are queued
  bool refuses_who_does_not_accept = true;  // as with the path "queue"; "auto" sells to them
  bool may_have_queued = false;
  std::vector<Claim> queued;
};

// Runs tasks when it is told to.
class QueuedExecutor : public storage::Executor {
 public:
  bool TryRun(absl::AnyInvocable<void()>& task) override {
    tasks_.push_back(std::move(task));
    return true;
  }
  bool RunOne() {
    if (tasks_.empty()) return false;
    absl::AnyInvocable<void()> task = std::move(tasks_.front());
    tasks_.pop_front();
    task();
    return true;
  }

 private:
  std::deque<absl::AnyInvocable<void()>> tasks_;
};

// A node that sells "cable" and "tv": the ledger decides when Work says so, units come when Give does.
class GateFixture : public ::testing::Test {
 protected:
  // The answer to one request: none while it waits or is being committed.
  using ClaimAnswer = std::shared_ptr<std::optional<SaleResult>>;
  using CartAnswer = std::shared_ptr<std::optional<CartSale>>;

  GateFixture() {
    for (const char* sku : {"cable", "tv"}) {
      EXPECT_TRUE(
          ledger_
              .CreateSku(
                  {.sku_id = sku, .title = "", .price_minor = 100, .currency = "EUR", .stock = 20, .per_user_limit = 5},
                  "test")
              .ok());
    }
    incarnation_ = *ledger_.RegisterIncarnation("node", "host:1");
    slices_.Begin(incarnation_);
  }

  // The agent reads what the ledger says.
  void Announce(const std::string& sku_id) {
    const std::shared_ptr<Slice> slice = slices_.FindOrAdd(sku_id);
    slice->SetTerms(TermsOf(*ledger_.GetSku(sku_id)));
    const auto held = *ledger_.ListSlices(incarnation_);
    for (const auto& [id, now] : held) {
      if (id == sku_id) slice->counter().Apply(now.allotted, now.version);
    }
    slice->ClearWantedIfMet();
    slices_.NoteChanged(sku_id);
  }
  void Give(const std::string& sku_id, int64_t units) {
    ASSERT_TRUE(ledger_.MoveUnits(sku_id, {storage::QuotaDelta{incarnation_, units}}, std::nullopt, "test").ok());
    Announce(sku_id);
  }
  // All but `units` of it are gone, everywhere.
  void LeaveUnsold(const std::string& sku_id, int64_t units) {
    ASSERT_TRUE(ledger_.ReduceStock(sku_id, ledger_.GetSku(sku_id)->unsold - units, std::nullopt, "test").ok());
    Announce(sku_id);
  }
  // The ledger decides everything that was sent to it.
  void Work() {
    while (executor_.RunOne() || lane_.Step() == storage::CommitLane::Next::kStep) {
    }
  }
  void TimePasses(absl::Duration duration) {
    clock_.AdvanceBy(duration);
    room_.AnswerOverdue();
    Work();
  }

  storage::ReservationClaim ClaimOf(const std::string& sku_id, int32_t quantity = 1) {
    storage::ReservationClaim claim{.reservation_id = {}, .sku_id = sku_id, .user_id = "alice", .quantity = quantity};
    claim.reservation_id.bytes[15] = next_id_++;
    return claim;
  }
  ClaimAnswer Sell(const storage::ReservationClaim& claim, bool may_exist = false,
                   absl::Time deadline = absl::InfiniteFuture()) {
    ClaimAnswer answer = std::make_shared<std::optional<SaleResult>>();
    const auto done = [answer](SaleResult result) {
      EXPECT_FALSE(answer->has_value()) << "answered twice";
      *answer = std::move(result);
    };
    seller_.Sell(claim, deadline, may_exist, done, Visitor{"203.0.113.7", "token of " + claim.sku_id, accept_queued_});
    Work();
    return answer;
  }
  CartAnswer SellCart(const std::vector<storage::ReservationClaim>& lines, bool may_exist = false,
                      absl::Time deadline = absl::InfiniteFuture()) {
    CartAnswer answer = std::make_shared<std::optional<CartSale>>();
    std::vector<Visitor> visitors;
    for (const auto& line : lines) visitors.push_back({"203.0.113.7", "token of " + line.sku_id, accept_queued_});
    const auto done = [answer](CartSale sale) {
      EXPECT_FALSE(answer->has_value()) << "answered twice";
      *answer = std::move(sale);
    };
    carts_.Sell(lines, deadline, may_exist, done, visitors);
    Work();
    return answer;
  }

  static bool IsSold(const ClaimAnswer& answer) {
    return answer->has_value() && std::holds_alternative<Sold>(**answer);
  }
  static bool IsSold(const CartAnswer& answer) {
    return answer->has_value() && std::holds_alternative<CartSold>(**answer);
  }
  // kInternal stands for "not refused".
  static Refused RefusedAs(const ClaimAnswer& answer) {
    const auto* refused = answer->has_value() ? std::get_if<Refused>(&**answer) : nullptr;
    return refused == nullptr ? Refused{} : *refused;
  }
  static CartRefused RefusedAs(const CartAnswer& answer) {
    const auto* refused = answer->has_value() ? std::get_if<CartRefused>(&**answer) : nullptr;
    return refused == nullptr ? CartRefused{} : *refused;
  }

  void RefuseAtGate(Refusal refusal, size_t line = 0) {
    gate_.verdict = {.refused = Refused{.refusal = refusal}, .line = line};
  }
  void WaitAtGate(absl::Duration wait) { gate_.verdict = {.refused = std::nullopt, .wait = wait}; }
  Slice& slice(const std::string& sku_id) { return *slices_.Find(sku_id); }
  int64_t Free(const std::string& sku_id) { return slice(sku_id).counter().free(); }

  storage::FakeClock clock_;
  storage::FakeLedger ledger_{&clock_};
  SliceTable slices_;
  QueuedExecutor executor_;
  tranche::testing::OneShard shard_{&ledger_, &executor_, &clock_};
  SkuDirectory directory_{shard_.books(), &clock_};
  storage::CommitLane lane_{&shard_.claims()};
  WaitingRoom room_{&slices_, &clock_, {.exhausted_wait = absl::Milliseconds(100), .max_waiting = 3}};
  FakeGate gate_;
  FakeDiversion diversion_;
  bool accept_queued_ = false;
  Seller seller_{&slices_, &directory_, shard_.books(), &clock_, &room_, &gate_, &diversion_};
  CartSeller carts_{&slices_, &directory_, shard_.books(), &clock_, &room_, &gate_, &diversion_};
  storage::IncarnationId incarnation_ = storage::kPool;
  uint8_t next_id_ = 1;
};

}  // namespace tranche::quota
