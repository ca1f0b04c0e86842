// FrontDoorService on a real server and channel.
#include "server/services/front_door_service.h"

#include <gtest/gtest.h>

#include <memory>
#include <optional>
#include <string>
#include <utility>

#include "absl/time/clock.h"
#include "tests/unit/server/door_fixture.h"
#include "tests/unit/server/grpc_fixture.h"
#include "tranche/v1/front_door_service.grpc.pb.h"

namespace tranche::server {
namespace {

class FrontDoorServiceTest : public ::testing::Test {
 protected:
  FrontDoorServiceTest() { enter_.StartServing(); }

  static std::unique_ptr<grpc::ClientContext> Context() {
    auto context = std::make_unique<grpc::ClientContext>();
    context->set_deadline(absl::ToChronoTime(absl::Now() + absl::Seconds(60)));
    return context;
  }
  grpc::Status Enter(grpc::ClientContext& context, const std::string& buyer_address = "") {
    v1::EnterSaleRequest request;
    request.set_buyer_address(buyer_address);
    request.set_sku_id("tv");
    request.set_user_id("alice");
    return stub_->EnterSale(&context, request, &entered_);
  }

  DoorOfTest door_{storage::Clock::Real()};
  EnterSaleHandler enter_{[](const std::string&, quota::EntryChecked done) { done(std::nullopt); }, &door_.door(),
                          storage::Clock::Real()};
  LotteryRoundHandler rounds_{[](const std::string& policy_sku_id, LotteryRoundHandler::RoundCache::ReadDone done) {
                                storage::LotteryRound round;
                                round.policy_sku_id = policy_sku_id;
                                done(LotteryRoundHandler::Rounds{round});
                              },
                              storage::Clock::Real()};
  OpenCalls calls_{storage::Clock::Real(), absl::Seconds(30)};
  const std::unique_ptr<grpc::Service> service_ = MakeFrontDoorService(
      {.enter = &enter_, .rounds = &rounds_, .visitors = VisitorAddresses(&door_.door(), /*trusted_proxies=*/1)},
      CallFrame{.clock = storage::Clock::Real(), .deadlines = CallDeadlines{}, .open_calls = &calls_});
  LocalServer server_{service_.get()};
  const std::unique_ptr<v1::FrontDoorService::Stub> stub_ = v1::FrontDoorService::NewStub(server_.channel());
  v1::EnterSaleResponse entered_;
};

TEST_F(FrontDoorServiceTest, ABuyerEnters) {
  const auto context = Context();
  ASSERT_TRUE(Enter(*context).ok());
  EXPECT_TRUE(entered_.admitted());
}

TEST_F(FrontDoorServiceTest, WhoIsAtADeniedAddressIsKeptOut) {
  door_.SetAccess({DenyAddress("203.0.113.0/24")});
  const auto forwarded = Context();
  forwarded->AddMetadata("x-forwarded-for", "198.51.100.1");
  forwarded->AddMetadata("x-forwarded-for", "203.0.113.7");
  const grpc::Status denied = Enter(*forwarded);
  EXPECT_EQ(denied.error_code(), grpc::StatusCode::FAILED_PRECONDITION);
  EXPECT_EQ(ReasonOnWire(denied), "DENIED");
  const auto direct = Context();
  EXPECT_TRUE(Enter(*direct).ok()) << "the peer's address is another";
}

TEST_F(FrontDoorServiceTest, WhereTheShopSaysThatABuyerIsCountsBeforeTheHeader) {
  door_.SetAccess({DenyAddress("203.0.113.0/24")});
  const auto named = Context();
  named->AddMetadata("x-forwarded-for", "198.51.100.1");
  EXPECT_EQ(ReasonOnWire(Enter(*named, "203.0.113.7")), "DENIED");
  const auto elsewhere = Context();
  elsewhere->AddMetadata("x-forwarded-for", "203.0.113.7");
  EXPECT_TRUE(Enter(*elsewhere, "198.51.100.1").ok());
}

TEST_F(FrontDoorServiceTest, TooManyTriesAreRefusedWithATime) {
  door_.Set("*", LimitByUser(1, absl::Hours(1)));
  const auto first = Context();
  EXPECT_TRUE(Enter(*first).ok());
  const auto second = Context();
  const grpc::Status refused = Enter(*second);
  EXPECT_EQ(refused.error_code(), grpc::StatusCode::RESOURCE_EXHAUSTED);
  EXPECT_EQ(ReasonOnWire(refused), "RATE_LIMITED");
  const auto retry_after = RetryDelayOnWire(refused);
  ASSERT_TRUE(retry_after.has_value());
  EXPECT_GT(*retry_after, absl::Minutes(55));
  EXPECT_LE(*retry_after, absl::Hours(1));
}

TEST_F(FrontDoorServiceTest, TheRoundsAreListed) {
  const auto context = Context();
  v1::ListLotteryRoundsRequest request;
  request.set_sku_id("tv");
  v1::ListLotteryRoundsResponse response;
  ASSERT_TRUE(stub_->ListLotteryRounds(context.get(), request, &response).ok());
  EXPECT_EQ(response.rounds_size(), 2) << "one of the SKU, one of all SKUs";
}

TEST_F(FrontDoorServiceTest, ACallWithoutDeadlineIsRefused) {
  grpc::ClientContext context;
  EXPECT_EQ(ReasonOnWire(Enter(context)), "DEADLINE_REQUIRED");
}

}  // namespace
}  // namespace tranche::server
