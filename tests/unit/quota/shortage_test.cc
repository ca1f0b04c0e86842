// What a claim or a cart is told that wants more units than there are anywhere, and more than announcements speak of.
#include "quota/sale/shortage.h"

#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "gtest/gtest.h"
#include "quota/sale/cart_seller.h"
#include "quota/sale/seller.h"
#include "storage/fake/fake_ledger.h"
#include "tests/support/inline_executor.h"
#include "tests/support/one_shard.h"

namespace tranche::quota {
namespace {

using storage::IncarnationId;
using storage::QuotaDelta;
using storage::ReservationClaim;

// Counts how often a SKU is read by a node that does not know.
class LookCountingLedger : public storage::FakeLedger {
 public:
  using FakeLedger::FakeLedger;

  absl::StatusOr<storage::Sku> GetSku(const std::string& sku_id) override {
    ++looks;
    if (during_look) std::exchange(during_look, nullptr)();
    if (down) return absl::UnavailableError("down");
    return FakeLedger::GetSku(sku_id);
  }

  int looks = 0;
  bool down = false;
  std::function<void()> during_look;
};

// A node without threads, with a slice of "tv", of which a buyer may have a hundred.
class ShortageTest : public ::testing::Test {
 protected:
  // The answer to one request; `given` once it has come. Without a refusal, its units are sold or being committed.
  struct Answer {
    std::optional<Refused> refused;
    bool given = false;
    std::string sku_id;  // of a cart
  };
  using AnswerPtr = std::shared_ptr<Answer>;

  ShortageTest() {
    for (const char* sku_id : {"cable", "tv"}) {
      storage::Sku sku{.sku_id = sku_id, .title = "", .price_minor = 1, .currency = "EUR", .stock = 100};
      sku.per_user_limit = 100;
      EXPECT_TRUE(ledger_.CreateSku(sku, "test").ok());
    }
    incarnation_ = *ledger_.RegisterIncarnation("node", "host:1");
    slices_.Begin(incarnation_);
    Give("tv", 1);
  }

  // The agent reads what the ledger says.
  void Announce(const std::string& sku_id) {
    const std::shared_ptr<Slice> slice = slices_.FindOrAdd(sku_id);
    slice->SetTerms(TermsOf(*ledger_.FakeLedger::GetSku(sku_id)));
    const auto held = *ledger_.ListSlices(incarnation_);
    for (const auto& [id, now] : held) {
      if (id == sku_id) slice->counter().Apply(now.allotted, now.version);
    }
    slices_.NoteChanged(sku_id);
  }
  void Give(const std::string& sku_id, int64_t units) {
    ASSERT_TRUE(ledger_.MoveUnits(sku_id, {QuotaDelta{incarnation_, units}}, std::nullopt, "test").ok());
    Announce(sku_id);
  }
  // All but `units` of it are gone, and no announcement says so.
  void LeaveUnsold(int64_t units) {
    ASSERT_TRUE(ledger_.ReduceStock("tv", ledger_.FakeLedger::GetSku("tv")->unsold - units, std::nullopt, "test").ok());
  }

  ReservationClaim Line(const std::string& sku_id, int32_t quantity) {
    ReservationClaim line{.reservation_id = {}, .sku_id = sku_id, .user_id = "alice", .quantity = quantity};
    line.reservation_id.bytes[15] = next_id_++;
    return line;
  }
  AnswerPtr Ask(int32_t quantity, absl::Time deadline = absl::InfiniteFuture()) {
    AnswerPtr answer = std::make_shared<Answer>();
    seller_.Sell(Line("tv", quantity), deadline, /*may_exist=*/false, [answer](const SaleResult& result) {
      EXPECT_FALSE(std::exchange(answer->given, true)) << "answered twice";
      if (const auto* refused = std::get_if<Refused>(&result)) answer->refused = *refused;
    });
    return answer;
  }
  AnswerPtr AskForCart(std::vector<ReservationClaim> lines) {
    AnswerPtr answer = std::make_shared<Answer>();
    carts_.Sell(std::move(lines), absl::InfiniteFuture(), /*may_exist=*/false, [answer](const CartSale& sale) {
      EXPECT_FALSE(std::exchange(answer->given, true)) << "answered twice";
      if (const auto* refused = std::get_if<CartRefused>(&sale)) {
        answer->refused = refused->refused;
        answer->sku_id = refused->sku_id;
      }
    });
    return answer;
  }
  static Refusal RefusalOf(const AnswerPtr& answer) {
    return answer->refused.has_value() ? answer->refused->refusal : Refusal::kNone;
  }
  void TimePasses(absl::Duration duration) {
    clock_.AdvanceBy(duration);
    room_.AnswerOverdue();
  }
  void Wait() { TimePasses(absl::Milliseconds(100)); }
  Slice& slice() { return *slices_.Find("tv"); }

  storage::FakeClock clock_;
  LookCountingLedger ledger_{&clock_};
  SliceTable slices_;
  tranche::testing::InlineExecutor executor_;
  tranche::testing::OneShard shard_{&ledger_, &executor_, &clock_};
  SkuDirectory directory_{shard_.books(), &clock_};
  WaitingRoom room_{&slices_, &clock_, {.exhausted_wait = absl::Milliseconds(100), .max_waiting = 10}};
  Seller seller_{&slices_, &directory_, shard_.books(), &clock_, &room_};
  CartSeller carts_{&slices_, &directory_, shard_.books(), &clock_, &room_};
  IncarnationId incarnation_ = storage::kPool;
  uint8_t next_id_ = 1;
};

// Field: 20 were left, 50 were wanted, and the buyer was sent from node to node for ever.
TEST_F(ShortageTest, AClaimThatWaitedInVainIsToldThatThereAreTooFew) {
  LeaveUnsold(20);
  const AnswerPtr answer = Ask(50);
  EXPECT_FALSE(answer->given) << "until somebody asks, units may come";
  EXPECT_EQ(ledger_.looks, 0);
  Wait();
  EXPECT_EQ(RefusalOf(answer), Refusal::kInsufficientUnits);
  EXPECT_EQ(answer->refused->available, 20);
  EXPECT_EQ(ledger_.looks, 1);
}

TEST_F(ShortageTest, TheNextOnesAreToldAtOnceAndAreNoDemand) {
  LeaveUnsold(20);
  Ask(50);
  Wait();
  const int64_t denied = slice().denied();
  for (int second = 0; second < 3; ++second) {
    for (int i = 0; i < 5; ++i) {
      const AnswerPtr next = Ask(21);
      EXPECT_EQ(RefusalOf(next), Refusal::kInsufficientUnits);
      EXPECT_EQ(next->refused->available, 20);
    }
    EXPECT_LE(ledger_.looks, second + 2) << "a flood costs one look a second";
    TimePasses(absl::Seconds(1));
  }
  EXPECT_EQ(slice().denied(), denied) << "the balancer cannot help";
  EXPECT_EQ(slice().refused(), 15 * 21);
  EXPECT_EQ(slice().wanted(), 50) << "only of the first one";
}

TEST_F(ShortageTest, WhatIsThereSomewhereIsDemandAndIsNeverRefusedForGood) {
  LeaveUnsold(50);
  const AnswerPtr answer = Ask(50);
  Wait();
  EXPECT_EQ(RefusalOf(answer), Refusal::kExhaustedHere);
  const AnswerPtr next = Ask(50);
  EXPECT_FALSE(next->given);
  EXPECT_EQ(slice().denied(), 100);
  EXPECT_EQ(slice().refused(), 0);
}

TEST_F(ShortageTest, UnitsThatAreAddedAreSeenWithinASecond) {
  LeaveUnsold(20);
  Ask(50);
  Wait();
  ASSERT_TRUE(ledger_.AddStock("tv", 100, std::nullopt, "test").ok());
  EXPECT_EQ(RefusalOf(Ask(50)), Refusal::kInsufficientUnits) << "as old as the look";
  TimePasses(absl::Seconds(1));
  const AnswerPtr now = Ask(50);
  EXPECT_FALSE(now->given) << "they may come";
  EXPECT_EQ(slice().wanted(), 50);
  Give("tv", 60);
  EXPECT_EQ(room_.waiting("tv"), 0u);
  EXPECT_EQ(slice().in_flight(), 50);
}

TEST_F(ShortageTest, UnitsThatAreHereAreSoldWhateverTheLastLookSaid) {
  LeaveUnsold(20);
  Ask(50);
  Wait();
  Give("tv", 19);
  Ask(20);
  EXPECT_EQ(slice().in_flight(), 20);
}

// Announcements tell all about small quantities.
TEST_F(ShortageTest, NobodyAsksAboutAFewUnits) {
  LeaveUnsold(20);
  const AnswerPtr sixteen = Ask(16);
  Wait();
  EXPECT_EQ(RefusalOf(sixteen), Refusal::kExhaustedHere);
  const AnswerPtr cart = AskForCart({Line("tv", 8), Line("tv", 8)});
  Wait();
  EXPECT_EQ(RefusalOf(cart), Refusal::kExhaustedHere);
  EXPECT_EQ(ledger_.looks, 0);
}

TEST_F(ShortageTest, WithoutTheLedgerItIsOnlyExhaustedHere) {
  LeaveUnsold(20);
  ledger_.down = true;
  const AnswerPtr answer = Ask(50);
  Wait();
  EXPECT_EQ(RefusalOf(answer), Refusal::kExhaustedHere);
  const AnswerPtr cart = AskForCart({Line("tv", 50)});
  Wait();
  EXPECT_EQ(RefusalOf(cart), Refusal::kExhaustedHere);
}

TEST_F(ShortageTest, NothingIsAskedForWhoseDeadlineHasPassed) {
  LeaveUnsold(20);
  const AnswerPtr hasty = Ask(50, clock_.Now() + absl::Milliseconds(50));
  TimePasses(absl::Milliseconds(50));
  EXPECT_EQ(RefusalOf(hasty), Refusal::kExhaustedHere);
  EXPECT_EQ(ledger_.looks, 0);
}

TEST_F(ShortageTest, WhatIsNotAnnouncedToBeSoldOutMayBe) {
  LeaveUnsold(0);
  const AnswerPtr answer = Ask(50);
  Wait();
  EXPECT_EQ(RefusalOf(answer), Refusal::kSoldOut);
}

// Whoever waits in the room is woken by units that come. Who waits for the ledger is not in the room.
TEST_F(ShortageTest, UnitsThatComeDuringTheLookAreSold) {
  LeaveUnsold(60);
  ledger_.during_look = [this] { Give("tv", 49); };
  const AnswerPtr claim = Ask(50);
  Wait();
  EXPECT_EQ(RefusalOf(claim), Refusal::kNone);
  EXPECT_EQ(slice().in_flight(), 50);
  EXPECT_EQ(ledger_.looks, 1);
}

TEST_F(ShortageTest, UnitsThatComeDuringTheLookAreSoldToACart) {
  LeaveUnsold(60);
  ledger_.during_look = [this] { Give("tv", 49); };
  const AnswerPtr cart = AskForCart({Line("tv", 20), Line("tv", 20)});
  Wait();
  ASSERT_TRUE(cart->given);
  EXPECT_EQ(RefusalOf(cart), Refusal::kNone);
  EXPECT_EQ(slice().counter().free(), 10);
}

// It is looked up before anything else, and the look says how many there are.
TEST_F(ShortageTest, ANodeThatHoldsNothingSaysItAtOnce) {
  LeaveUnsold(20);
  slices_.Remove("tv");
  const AnswerPtr answer = Ask(50);
  EXPECT_EQ(RefusalOf(answer), Refusal::kInsufficientUnits);
  EXPECT_EQ(answer->refused->available, 20);
  EXPECT_EQ(slice().terms()->at_most, SkuTerms::kPlenty) << "an exact number would soon be wrong";
  EXPECT_EQ(slice().denied(), 0);
  const AnswerPtr cart = AskForCart({Line("tv", 50)});
  EXPECT_EQ(RefusalOf(cart), Refusal::kInsufficientUnits);
}

TEST_F(ShortageTest, ACartIsToldForAllItsLinesOfTheSku) {
  Give("cable", 50);
  LeaveUnsold(20);
  const AnswerPtr cart = AskForCart({Line("cable", 30), Line("tv", 11), Line("tv", 10)});
  EXPECT_FALSE(cart->given);
  Wait();
  EXPECT_EQ(RefusalOf(cart), Refusal::kInsufficientUnits);
  EXPECT_EQ(cart->refused->available, 20);
  EXPECT_EQ(cart->sku_id, "tv");
  EXPECT_EQ(ledger_.looks, 1) << "its cables are here";
  const int64_t denied = slice().denied();
  const AnswerPtr next = AskForCart({Line("tv", 11), Line("tv", 10)});
  EXPECT_EQ(RefusalOf(next), Refusal::kInsufficientUnits) << "at once";
  EXPECT_EQ(slice().denied(), denied);
  EXPECT_EQ(slice().refused(), 21);
  const AnswerPtr fits = AskForCart({Line("tv", 10), Line("tv", 10)});
  EXPECT_FALSE(fits->given);
  Wait();
  EXPECT_EQ(RefusalOf(fits), Refusal::kExhaustedHere) << "there are as many";
}

// The SKU that it waits for last is not always the one that is short.
TEST_F(ShortageTest, ACartIsToldOfWhicheverSkuIsShort) {
  Give("cable", 1);
  LeaveUnsold(20);
  const AnswerPtr cart = AskForCart({Line("cable", 30), Line("tv", 50)});
  EXPECT_EQ(room_.waiting("cable"), 1u);
  Wait();
  EXPECT_EQ(RefusalOf(cart), Refusal::kInsufficientUnits);
  EXPECT_EQ(cart->sku_id, "tv");
}

}  // namespace
}  // namespace tranche::quota
