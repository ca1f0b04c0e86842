// A ledger that stalls or hangs, on real servers: calls that waited are answered, later calls are answered at once,
// health tells the truth, a node that is asked to end does, and a caller whose calls hang leaves others room.
#include <grpcpp/grpcpp.h>

#include <filesystem>
#include <fstream>
#include <functional>
#include <pqxx/pqxx>
#include <string>
#include <thread>
#include <vector>

#include "absl/strings/str_cat.h"
#include "absl/synchronization/mutex.h"
#include "google/rpc/error_details.pb.h"
#include "google/rpc/status.pb.h"
#include "gtest/gtest.h"
#include "storage/base/access_token.h"
#include "tests/integration/sale_fixture.h"
#include "tests/support/between_looks.h"
#include "tests/support/raw_call.h"
#include "tests/support/scratch_dir.h"
#include "tranche/v1/reservation_service.grpc.pb.h"

namespace tranche::testing {
namespace {

constexpr absl::Duration kPatience = absl::Seconds(30);

// Calls under way, each on its own thread. Destruction waits for their end.
class Calls {
 public:
  ~Calls() {
    for (std::thread& thread : threads_) thread.join();
  }

  void Begin(std::function<grpc::Status()> call) {
    threads_.emplace_back([this, call = std::move(call)] {
      const grpc::Status status = call();
      absl::MutexLock lock(&mutex_);
      ended_.push_back(status);
    });
  }

  // The result of the first one that ends.
  grpc::Status AwaitFirst() {
    absl::MutexLock lock(&mutex_);
    const auto one = [this]() ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_) { return !ended_.empty(); };
    EXPECT_TRUE(mutex_.AwaitWithTimeout(absl::Condition(&one), kPatience)) << "no call has an end";
    return ended_.empty() ? grpc::Status::OK : ended_.front();
  }

  // The results of all calls, when they have ended.
  std::vector<grpc::Status> Await() {
    absl::MutexLock lock(&mutex_);
    const auto all = [this]() ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_) { return ended_.size() == threads_.size(); };
    EXPECT_TRUE(mutex_.AwaitWithTimeout(absl::Condition(&all), kPatience)) << "a call has no end";
    return ended_;
  }

 private:
  std::vector<std::thread> threads_;
  absl::Mutex mutex_;
  std::vector<grpc::Status> ended_ ABSL_GUARDED_BY(mutex_);
};

// No reservation can be changed while it is held.
class TableLock {
 public:
  explicit TableLock(const std::string& dsn) : connection_(dsn), work_(connection_) {
    work_.exec("LOCK TABLE tranche.reservation IN EXCLUSIVE MODE");
  }
  void Release() { work_.commit(); }

 private:
  pqxx::connection connection_;
  pqxx::work work_;
};

class StallTest : public SaleTest {
 protected:
  static constexpr int kHolds = 12;

  void Start(std::vector<std::string> node_args) {
    MiniClusterOptions options;
    options.nodes = 1;
    options.workers = 0;
    options.zookeeper_session_timeout = absl::Seconds(2);
    options.node_args = std::move(node_args);
    StartCluster(options);
    OpenSale("tv", 100);
    channel_ = grpc::CreateChannel(cluster_->endpoint(0), grpc::InsecureChannelCredentials());
    stub_ = v1::ReservationService::NewStub(channel_);
    for (int i = 0; i < kHolds; ++i) {
      const auto held = client_->Create({.sku = "tv", .user = absl::StrCat("buyer", i), .quantity = 1});
      ASSERT_TRUE(held.ok()) << held.status();
      holds_.push_back(held->reservation_id);
    }
  }

  static std::unique_ptr<grpc::ClientContext> Within(absl::Duration timeout) {
    auto context = std::make_unique<grpc::ClientContext>();
    context->set_deadline(absl::ToChronoTime(absl::Now() + timeout));
    return context;
  }
  grpc::Status Confirm(const std::string& id, absl::Duration timeout) { return Confirm(id, Within(timeout)); }
  grpc::Status Confirm(const std::string& id, std::unique_ptr<grpc::ClientContext> context) {
    v1::ConfirmReservationRequest request;
    request.set_reservation_id(id);
    request.set_payment_reference(absl::StrCat("pay-", id));
    request.set_amount_minor(49900);
    request.set_currency("EUR");
    v1::ConfirmReservationResponse response;
    return stub_->ConfirmReservation(context.get(), request, &response);
  }
  grpc::Status Cancel(const std::string& id, absl::Duration timeout) {
    v1::CancelReservationRequest request;
    request.set_reservation_id(id);
    v1::CancelReservationResponse response;
    return stub_->CancelReservation(Within(timeout).get(), request, &response);
  }
  grpc::Status Create(const std::string& user, absl::Duration timeout) { return Create(user, Within(timeout)); }
  grpc::Status Create(const std::string& user, std::unique_ptr<grpc::ClientContext> context) {
    v1::CreateReservationRequest request;
    request.set_reservation_id(absl::StrCat("01890a5d-ac96-774b-bcce-b302099a805", user.substr(user.size() - 1)));
    request.set_sku_id("tv");
    request.set_user_id(user);
    request.set_quantity(1);
    v1::CreateReservationResponse response;
    return stub_->CreateReservation(context.get(), request, &response);
  }
  grpc::Status Watch(const std::string& id, absl::Duration timeout) {
    v1::WatchReservationRequest request;
    request.set_reservation_id(id);
    const auto context = Within(timeout);
    const auto reader = stub_->WatchReservation(context.get(), request);
    v1::WatchReservationResponse response;
    while (reader->Read(&response)) {
    }
    return reader->Finish();
  }

  // Waits until this many statements of one kind of connection wait for a lock.
  void AwaitBlocked(const std::string& application, int count) {
    pqxx::connection connection(cluster_->postgres().dsn());
    pqxx::nontransaction work(connection);
    const absl::Time give_up = absl::Now() + kPatience;
    while (work.exec_params("SELECT 1 FROM pg_stat_activity WHERE wait_event_type = 'Lock' AND application_name = $1",
                            application)
               .size() < static_cast<pqxx::result::size_type>(count)) {
      ASSERT_LT(absl::Now(), give_up) << "nothing of " << application << " waits";
      RestBetweenLooks();
    }
  }

  // As load balancers ask, for the node as a whole.
  bool Healthy() {
    std::string response;
    const grpc::Status status = RawCall(channel_, "/grpc.health.v1.Health/Check", "", &response);
    EXPECT_TRUE(status.ok()) << status.error_message();
    // Field 1, a varint: SERVING is 1.
    return response == "\x08\x01";
  }
  void AwaitHealth(bool healthy) {
    const absl::Time give_up = absl::Now() + kPatience;
    while (Healthy() != healthy) {
      ASSERT_LT(absl::Now(), give_up) << "health is " << (healthy ? "not " : "") << "SERVING";
      absl::SleepFor(absl::Milliseconds(50));
    }
  }
  int LinesInLog(const std::string& text) { return cluster_->node(0).LogLinesWith(text); }

  // Changes, claims and reads that all wait for the ledger.
  void BeginBlockedCalls(Calls* calls) {
    for (int i = 0; i < 4; ++i) {
      calls->Begin([this, i] { return Confirm(holds_[static_cast<size_t>(i)], kPatience); });
      calls->Begin([this, i] { return Cancel(holds_[static_cast<size_t>(4 + i)], kPatience); });
      calls->Begin([this, i] { return Create(absl::StrCat("late", i), kPatience); });
    }
    calls->Begin([this] { return Watch(holds_.back(), kPatience); });
    AwaitBlocked("tranched-change", 2);
    AwaitBlocked("tranched-commit", 1);
  }
  // The drain timeout, the time until the last resort, and no more.
  void ExpectEnd(Calls* calls, absl::Duration bound) {
    const absl::Time begun = absl::Now();
    const auto status = cluster_->node(0).Terminate(kPatience);
    ASSERT_TRUE(status.ok()) << "it does not end: " << status.status();
    EXPECT_EQ(*status, 0) << cluster_->node(0).LogTail();
    EXPECT_LT(absl::Now() - begun, bound);
    for (const grpc::Status& ended : calls->Await()) {
      EXPECT_NE(ended.error_code(), grpc::StatusCode::OK) << "nothing can have been done";
    }
  }

  std::shared_ptr<grpc::Channel> channel_;
  std::unique_ptr<v1::ReservationService::Stub> stub_;
  std::vector<std::string> holds_;
};

// With one lane: the first confirmation is in flight during the stall, the others wait and are too late.
TEST_F(StallTest, AfterAStallEveryChangeIsAnsweredAtOnce) {
  // The stall must end before the connections are given up.
  Start({"--lanes", "1", "--statement-timeout-ms", "30000"});
  TableLock stall(cluster_->postgres().dsn());
  Calls calls;
  static constexpr absl::Duration kHurry = absl::Seconds(1);
  calls.Begin([this] { return Confirm(holds_[0], kHurry); });
  AwaitBlocked("tranched-change", 1);
  ASSERT_TRUE(cluster_->postgres().Suspend().ok());
  calls.Begin([this] { return Confirm(holds_[1], kHurry); });
  for (const size_t hold : {2, 3}) {
    calls.Begin([this, hold] { return Cancel(holds_[hold], kHurry); });
  }
  for (const grpc::Status& status : calls.Await()) {
    EXPECT_EQ(status.error_code(), grpc::StatusCode::DEADLINE_EXCEEDED);
  }
  // Their callers are gone, but the node still has to answer.
  AwaitHealth(false);
  ASSERT_TRUE(cluster_->postgres().Resume().ok());
  stall.Release();
  for (size_t hold = 4; hold + 1 < holds_.size(); hold += 2) {
    const grpc::Status confirmed = Confirm(holds_[hold], absl::Seconds(5));
    ASSERT_TRUE(confirmed.ok()) << confirmed.error_message();
    const grpc::Status cancelled = Cancel(holds_[hold + 1], absl::Seconds(5));
    ASSERT_TRUE(cancelled.ok()) << cancelled.error_message();
  }
  AwaitHealth(true);
  EXPECT_GE(LinesInLog("confirm calls are not answered"), 1);
  EXPECT_LE(LinesInLog("confirm calls are not answered"), 2) << "each call once";
  EXPECT_EQ(LinesInLog("reservation calls are not answered"), 0);
  CheckLedger();
}

TEST_F(StallTest, ANodeEndsWhileItsStatementsWaitForALock) {
  Start({"--drain-timeout-ms", "1000"});
  TableLock stall(cluster_->postgres().dsn());
  Calls calls;
  BeginBlockedCalls(&calls);
  ExpectEnd(&calls, absl::Seconds(7));
  stall.Release();
  CheckLedger();
}

TEST_F(StallTest, ANodeEndsWhileTheLedgerHangs) {
  Start({"--drain-timeout-ms", "1000"});
  TableLock stall(cluster_->postgres().dsn());
  Calls calls;
  BeginBlockedCalls(&calls);
  ASSERT_TRUE(cluster_->postgres().Suspend().ok());
  ExpectEnd(&calls, absl::Seconds(7));
  ASSERT_TRUE(cluster_->postgres().Resume().ok());
  stall.Release();
  CheckLedger();
}

// With --max-calls-per-caller 4, and so 5 for payments. Callers without credentials, as the fixture is, are another
// caller than the shop.
class CallerLimitTest : public StallTest {
 protected:
  void StartWithShop() {
    const std::filesystem::path path = scratch_.path() / "access.json";
    std::ofstream(path) << R"({"anonymous": ["service", "operator", "admin"], "principals": [)"
                        << R"({"name": "shop", "roles": ["service"], "tokens_sha256": [")"
                        << HexOf(DigestOfToken(token_)) << R"("]}]})";
    std::filesystem::permissions(path, std::filesystem::perms(0644));  // whatever the umask
    Start({"--access-file", path.string(), "--max-calls-per-caller", "4", "--statement-timeout-ms", "30000"});
  }

  std::unique_ptr<grpc::ClientContext> AsShop() {
    auto context = Within(kPatience);
    context->AddMetadata("authorization", absl::StrCat("Bearer ", token_));
    return context;
  }
  grpc::Status Get(const std::string& id, std::unique_ptr<grpc::ClientContext> context) {
    v1::GetReservationRequest request;
    request.set_reservation_id(id);
    v1::GetReservationResponse response;
    return stub_->GetReservation(context.get(), request, &response);
  }
  static bool IsLimited(const grpc::Status& status) {
    google::rpc::Status rpc;
    google::rpc::ErrorInfo info;
    if (!rpc.ParseFromString(status.error_details()) || rpc.details_size() == 0) return false;
    if (!rpc.details(0).UnpackTo(&info) || info.reason() != "OVERLOADED") return false;
    const auto limit = info.metadata().find("limit");
    return limit != info.metadata().end() && limit->second == "caller";
  }

  const ScratchDir scratch_{"caller-limit"};
  const std::string token_ = NewToken();
};

TEST_F(CallerLimitTest, AShopWhoseCallsHangHasItsLimitAndAnotherCallerGoesOn) {
  StartWithShop();
  TableLock stall(cluster_->postgres().dsn());
  Calls calls;
  // One more than it may have: the others are under way when it is refused.
  for (int i = 0; i < 5; ++i) {
    calls.Begin([this, i] { return Create(absl::StrCat("late", i), AsShop()); });
  }
  EXPECT_TRUE(IsLimited(calls.AwaitFirst()));
  EXPECT_TRUE(IsLimited(Create("late5", AsShop())));
  EXPECT_TRUE(IsLimited(Get(holds_[0], AsShop())));
  calls.Begin([this] { return Confirm(holds_[0], AsShop()); });
  AwaitBlocked("tranched-change", 1);
  EXPECT_TRUE(IsLimited(Confirm(holds_[1], AsShop())));

  const grpc::Status read = Get(holds_[0], Within(kPatience));
  EXPECT_TRUE(read.ok()) << read.error_message();
  stall.Release();
  int limited = 0;
  for (const grpc::Status& ended : calls.Await()) {
    if (IsLimited(ended)) {
      ++limited;
    } else {
      EXPECT_TRUE(ended.ok()) << ended.error_message();
    }
  }
  EXPECT_EQ(limited, 1);
  const grpc::Status again = Create("late6", AsShop());
  EXPECT_TRUE(again.ok()) << again.error_message();
  CheckLedger();
}

}  // namespace
}  // namespace tranche::testing
