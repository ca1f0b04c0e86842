// A sale that is paused, changed and resumed while it is on, at eight nodes. How fast a pause reaches all of them is
// measured by tests/benchmark/pause_reach.cc; here it must just reach them.
#include <atomic>
#include <functional>
#include <limits>
#include <memory>
#include <optional>
#include <string>
#include <thread>
#include <vector>

#include "absl/cleanup/cleanup.h"
#include "absl/strings/str_cat.h"
#include "absl/synchronization/notification.h"
#include "absl/time/clock.h"
#include "gtest/gtest.h"
#include "tests/integration/sale_fixture.h"
#include "tranche/error.h"

namespace tranche::testing {
namespace {

constexpr int kNodes = 8;
constexpr absl::Duration kPatience = absl::Seconds(30);

class ChangingSaleTest : public SaleTest {
 protected:
  void SetUp() override {
    MiniClusterOptions options;
    options.nodes = kNodes;
    // So that a waiting claim hears of the pause, and not that its time is over.
    options.node_args = {"--exhausted-wait-ms", "5000"};
    StartCluster(options);
    if (HasFatalFailure()) return;
    for (int node = 0; node < kNodes; ++node) {
      ClientOptions one_call;
      one_call.endpoints = {cluster_->endpoint(node)};
      one_call.request_timeout = one_call.attempt_timeout = kPatience;
      one_call.retry.max_attempts = 1;
      one_call.failover = false;
      auto client = Client::Open(one_call);
      ASSERT_TRUE(client.ok()) << client.status();
      clients_.push_back(*std::move(client));
    }
  }
  void TearDown() override {
    if (cluster_ != nullptr) CheckLedger();
  }

  absl::StatusOr<Reservation> Buy(int node, const std::string& sku) {
    return clients_.at(static_cast<size_t>(node))->Create({.sku = sku, .user = absl::StrCat("u", ++buyers_)});
  }

  void SetPaused(const std::string& sku, bool paused, const std::string& reason = "") {
    v1::SetSkuPausedRequest request;
    request.set_sku_id(sku);
    request.set_paused(paused);
    request.set_reason(reason);
    v1::SetSkuPausedResponse response;
    const grpc::Status status = Admin()->SetSkuPaused(Context().get(), request, &response);
    ASSERT_TRUE(status.ok()) << status.error_message();
    EXPECT_EQ(response.sku().paused(), paused);
  }
  grpc::Status SetPrice(const std::string& sku, int64_t price, std::optional<int64_t> expected_version = {}) {
    v1::UpdateSkuRequest request;
    request.set_sku_id(sku);
    request.set_price_minor(price);
    if (expected_version.has_value()) request.set_expected_terms_version(*expected_version);
    v1::UpdateSkuResponse response;
    return Admin()->UpdateSku(Context().get(), request, &response);
  }

  // Until the node sells.
  void AwaitSale(int node, const std::string& sku) {
    const absl::Time end = absl::Now() + kPatience;
    absl::StatusOr<Reservation> bought = Buy(node, sku);
    while (!bought.ok() && absl::Now() < end) bought = Buy(node, sku);
    EXPECT_TRUE(bought.ok()) << "node " << node << ": " << bought.status();
  }

  // Whoever waits for units that are at other nodes hears of a pause.
  void ExpectTold(const std::function<absl::Status()>& buy_at_first_node) {
    OpenSale("tv", kNodes);
    v1::SetQuotaFrozenRequest freeze;
    freeze.set_sku_id("tv");
    freeze.set_frozen(true);
    v1::SetQuotaFrozenResponse frozen;
    ASSERT_TRUE(Admin()->SetQuotaFrozen(Context().get(), freeze, &frozen).ok());
    const absl::Time end = absl::Now() + kPatience;
    absl::Status told;
    std::thread waiting([&] {
      // The node may have any of the units: shares of a new SKU differ while the balancer does not know all nodes, and
      // units may be under way when the freeze is heard of.
      do {
        told = buy_at_first_node();
      } while ((told.ok() || ReasonOf(told) == Reason::kExhaustedHere) && absl::Now() < end);
    });
    // A failed assertion must not leave it running.
    const absl::Cleanup join = [&] {
      if (waiting.joinable()) waiting.join();
    };
    const auto waits = [&] {
      const v1::Quota quota = QuotaOf("tv");
      for (const v1::Slice& slice : quota.slices()) {
        if (slice.report().activity().waiting() > 0) return true;
      }
      return false;
    };
    bool seen = waits();
    for (; !seen && absl::Now() < end; seen = waits()) absl::SleepFor(absl::Milliseconds(20));
    // Only then is it known what was told.
    if (!seen) waiting.join();
    ASSERT_TRUE(seen) << "nobody waits; the last answer: " << told;
    SetPaused("tv", true, "a break");
    waiting.join();
    EXPECT_EQ(ReasonOf(told), Reason::kSalePaused) << told;
  }

  std::vector<std::unique_ptr<Client>> clients_;
  std::atomic<int> buyers_{0};
};

TEST_F(ChangingSaleTest, NothingIsSoldBetweenAPauseAndItsEnd) {
  OpenSale("tv", 80000);
  const absl::StatusOr<Reservation> held = Buy(0, "tv");
  ASSERT_TRUE(held.ok()) << held.status();
  std::atomic<int64_t> paused_at_us{std::numeric_limits<int64_t>::max()};
  std::atomic<int> sold{0}, late{0}, refused{0}, other{0};
  std::vector<std::thread> buyers;
  for (int node = 0; node < kNodes; ++node) {
    buyers.emplace_back([&, node] {
      const absl::Time end = absl::Now() + kPatience;
      for (int refusals = 0; refusals < 10 && absl::Now() < end;) {
        const int64_t began_at_us = absl::GetCurrentTimeNanos() / 1000;
        const auto bought = Buy(node, "tv");
        if (bought.ok()) {
          ++sold;
          if (began_at_us > paused_at_us) ++late;
        } else if (ReasonOf(bought.status()) == Reason::kSalePaused) {
          if (ErrorMetadata(bought.status(), "pause_reason") == "a break") ++refused;
          ++refusals;
        } else {
          ++other;
          ADD_FAILURE() << bought.status();
          return;
        }
      }
    });
  }
  const absl::Time end = absl::Now() + kPatience;
  while (sold < 100 && absl::Now() < end) absl::SleepFor(absl::Milliseconds(1));
  SetPaused("tv", true, "a break");
  paused_at_us = absl::GetCurrentTimeNanos() / 1000;
  for (std::thread& buyer : buyers) buyer.join();
  EXPECT_GE(sold, 100);
  EXPECT_EQ(late, 0) << "sold although the sale was paused";
  EXPECT_EQ(refused, 10 * kNodes) << "each node says why";

  const auto paid = client_->Confirm({.reservation_id = held->reservation_id,
                                      .payment_reference = "pay-1",
                                      .amount_minor = held->amount_minor,
                                      .currency = held->currency,
                                      .sku = ""});
  EXPECT_TRUE(paid.ok()) << paid.status();
  const auto again = clients_[1]->Create(
      {.sku = "tv", .user = held->user_id, .reservation_id = held->reservation_id, .retry_of_unknown = true});
  EXPECT_TRUE(again.ok()) << "who repeats gets the first answer: " << again.status();

  SetPaused("tv", false);
  for (int node = 0; node < kNodes; ++node) AwaitSale(node, "tv");
}

TEST_F(ChangingSaleTest, WhoWaitsForUnitsIsToldOfThePause) {
  ExpectTold([this] { return Buy(0, "tv").status(); });
}

TEST_F(ChangingSaleTest, WhoWaitsOnAStreamIsToldOfThePause) {
  const std::unique_ptr<ReservationStream> stream = clients_[0]->OpenStream();
  ExpectTold([&] {
    absl::Status answer;
    absl::Notification answered;
    stream->Create({.sku = "tv", .user = absl::StrCat("u", ++buyers_)}, [&](absl::StatusOr<Reservation> bought) {
      answer = bought.status();
      answered.Notify();
    });
    answered.WaitForNotification();
    return answer;
  });
}

TEST_F(ChangingSaleTest, ANewPriceIsThatOfLaterClaims) {
  OpenSale("tv", 80);
  const auto early = Buy(0, "tv");
  ASSERT_TRUE(early.ok()) << early.status();
  ASSERT_TRUE(SetPrice("tv", 2500, 1).ok());
  for (int node = 0; node < kNodes; ++node) {
    const auto later = Buy(node, "tv");
    ASSERT_TRUE(later.ok()) << later.status();
    EXPECT_EQ(later->amount_minor, 2500) << "the ledger decides: no node can be late";
  }
  EXPECT_EQ(SetPrice("tv", 3000, 1).error_code(), grpc::FAILED_PRECONDITION) << "the terms have another version";
  const auto paid = client_->Confirm({.reservation_id = early->reservation_id,
                                      .payment_reference = "pay-1",
                                      .amount_minor = early->amount_minor,
                                      .currency = early->currency,
                                      .sku = ""});
  EXPECT_TRUE(paid.ok()) << paid.status();
  EXPECT_NE(early->amount_minor, 2500);
}

}  // namespace
}  // namespace tranche::testing
