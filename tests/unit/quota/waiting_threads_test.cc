// Carts and claims that wait for the same units, on many threads.
#include <array>
#include <atomic>
#include <string>
#include <thread>
#include <variant>
#include <vector>

#include "absl/synchronization/blocking_counter.h"
#include "gtest/gtest.h"
#include "quota/sale/cart_seller.h"
#include "quota/sale/seller.h"
#include "storage/bounded_executor.h"
#include "storage/fake/fake_ledger.h"
#include "tests/support/one_shard.h"

namespace tranche::quota {
namespace {

using storage::IncarnationId;
using storage::QuotaDelta;
using storage::ReservationClaim;

constexpr int kThreads = 4;
constexpr int kRequestsPerThread = 300;
constexpr std::array<const char*, 3> kSkus = {"a", "b", "c"};

class WaitingThreadsTest : public ::testing::Test {
 protected:
  WaitingThreadsTest() {
    for (const char* sku : kSkus) {
      EXPECT_TRUE(
          ledger_.CreateSku({.sku_id = sku, .title = "", .price_minor = 1, .currency = "EUR", .stock = 1000}, "test")
              .ok());
    }
    incarnation_ = *ledger_.RegisterIncarnation("node", "host:1");
    slices_.Begin(incarnation_);
  }

  void Give(const std::string& sku_id) {
    ASSERT_TRUE(ledger_.MoveUnits(sku_id, {QuotaDelta{incarnation_, 1}}, std::nullopt, "test").ok());
    const std::shared_ptr<Slice> slice = slices_.FindOrAdd(sku_id);
    slice->SetTerms(TermsOf(*ledger_.GetSku(sku_id)));
    const auto held = *ledger_.ListSlices(incarnation_);
    for (const auto& [id, now] : held) {
      if (id == sku_id) slice->counter().Apply(now.allotted, now.version);
    }
    slice->ClearWantedIfMet();
    slices_.NoteChanged(sku_id);
  }

  // Each request is a buyer's own: every third wants one SKU, the others a cart of two, in any order.
  void Shop(int thread) {
    for (int i = 0; i < kRequestsPerThread; ++i) {
      const auto line = [&](int which) {
        ReservationClaim claim{.reservation_id = {}, .sku_id = kSkus.at(which % 3), .user_id = "", .quantity = 1};
        claim.user_id = std::to_string(thread) + "-" + std::to_string(i);
        claim.reservation_id.bytes = {static_cast<uint8_t>(thread), static_cast<uint8_t>(i / 256),
                                      static_cast<uint8_t>(i), static_cast<uint8_t>(which)};
        return claim;
      };
      if (i % 3 == 0) {
        seller_.Sell(line(i / 3), absl::InfiniteFuture(), false, [this](const SaleResult& result) {
          if (std::holds_alternative<Sold>(result)) ++sold_;
          answered_.DecrementCount();
        });
      } else {
        carts_.Sell({line(i), line(i + 1)}, absl::InfiniteFuture(), false, [this](const CartSale& sale) {
          if (std::holds_alternative<CartSold>(sale)) sold_ += 2;
          answered_.DecrementCount();
        });
      }
    }
  }

  storage::FakeClock clock_;
  storage::FakeLedger ledger_{&clock_};
  SliceTable slices_;
  storage::BoundedExecutor executor_{2, 10000};
  tranche::testing::OneShard shard_{&ledger_, &executor_, &clock_, [] {
                                      storage::PipelineOptions options;
                                      options.lanes = 1;
                                      return options;
                                    }()};
  SkuDirectory directory_{shard_.books(), &clock_};
  // So long that only the test ends a wait.
  WaitingRoom room_{&slices_, &clock_, {.exhausted_wait = absl::Hours(1), .max_waiting = 10000}};
  Seller seller_{&slices_, &directory_, shard_.books(), &clock_, &room_};
  CartSeller carts_{&slices_, &directory_, shard_.books(), &clock_, &room_};
  IncarnationId incarnation_ = storage::kPool;
  std::atomic<int64_t> sold_{0};
  absl::BlockingCounter answered_{kThreads * kRequestsPerThread};
};

TEST_F(WaitingThreadsTest, NoUnitIsLostAndNobodyIsForgotten) {
  for (const char* sku : kSkus) Give(sku);
  std::vector<std::thread> threads;
  for (int thread = 0; thread < kThreads; ++thread) threads.emplace_back([this, thread] { Shop(thread); });
  // More units than are wanted: 400 by single claims, and 1,600 by carts.
  for (int round = 0; round < 990; ++round) {
    for (const char* sku : kSkus) Give(sku);
  }
  for (std::thread& thread : threads) thread.join();
  // Nobody's time is ever over: whoever missed units that came would wait here for ever.
  answered_.Wait();
  EXPECT_EQ(sold_.load(), 2000);
  EXPECT_TRUE(carts_.AwaitAnswered(absl::Seconds(10)));
  for (const char* sku : kSkus) {
    EXPECT_EQ(room_.waiting(sku), 0u);
    EXPECT_EQ(slices_.Find(sku)->in_flight(), 0);
    EXPECT_EQ(slices_.Find(sku)->counter().free(), ledger_.ReadQuota(sku)->slices.at(1).remaining) << sku;
  }
}

}  // namespace
}  // namespace tranche::quota
