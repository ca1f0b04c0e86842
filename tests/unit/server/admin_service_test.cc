// AdminService on a real server and channel: that calls reach their handlers with the caller's name, and how its
// streams end.
#include "server/services/admin_service.h"

#include <gtest/gtest.h>

#include <filesystem>
#include <fstream>
#include <memory>
#include <string>
#include <thread>
#include <vector>

#include "absl/synchronization/mutex.h"
#include "absl/time/clock.h"
#include "server/access/access_control.h"
#include "server/proto_time.h"
#include "server/services/export_stream.h"
#include "storage/bounded_executor.h"
#include "storage/fake/fake_ledger.h"
#include "tests/support/inline_executor.h"
#include "tests/support/scratch_dir.h"
#include "tests/unit/server/grpc_fixture.h"
#include "tranche/v1/admin_service.grpc.pb.h"

namespace tranche::server {
namespace {

// Three messages of an export: with an entry, with none, with an entry.
class PagedPayments : public storage::PaymentLedger {
 public:
  absl::StatusOr<storage::PaymentPage> ExportPayments(const std::optional<storage::Uuid>& after, absl::Time, absl::Time,
                                                      int) override {
    storage::PaymentPage page;
    if (!after.has_value() && down) return absl::UnavailableError("down");
    const uint8_t number = after.has_value() ? after->bytes[15] + 1 : 1;
    storage::Uuid id;
    id.bytes[15] = number;
    if (number != 2) {
      storage::PaymentEntry& entry = page.entries.emplace_back();
      entry.reservation_id = id;
      entry.payment_reference = reference;
    }
    if (number < 3) page.next = id;
    return page;
  }
  absl::StatusOr<std::vector<storage::PaymentEntry>> LookUpPayments(absl::Span<const storage::Uuid>) override {
    return std::vector<storage::PaymentEntry>();
  }
  absl::StatusOr<storage::AppliedPayment> ApplyPayment(const storage::Payment&, const storage::Actor&) override {
    return absl::UnimplementedError("");
  }
  absl::StatusOr<std::vector<storage::RefundMark>> MarkRefunded(absl::Span<const std::pair<storage::Uuid, std::string>>,
                                                                const storage::Actor&) override {
    return absl::UnimplementedError("");
  }

  bool down = false;
  std::string reference;  // of each entry
};

class NoSession : public quota::SessionSource {
 public:
  std::shared_ptr<quota::Coordination> Session() override { return nullptr; }
};

class AdminServiceTest : public ::testing::Test {
 protected:
  std::string ExportEnd(int* messages) {
    v1::ExportPaymentsRequest request;
    *request.mutable_from_time() = ToTimestamp(absl::FromUnixSeconds(1));
    *request.mutable_to_time() = ToTimestamp(absl::FromUnixSeconds(2));
    grpc::ClientContext context;
    const auto reader = stub_->ExportPayments(&context, request);
    v1::ExportPaymentsResponse response;
    for (*messages = 0; reader->Read(&response);) ++*messages;
    return Told(reader->Finish(), context);
  }
  // The reason, and whether callers are told when to try again.
  static std::string Told(const grpc::Status& status, const grpc::ClientContext& context) {
    if (status.ok()) return "OK";
    const bool pushback = context.GetServerTrailingMetadata().contains("grpc-retry-pushback-ms");
    return ReasonOnWire(status) + (pushback ? ", wait" : "");
  }

  storage::FakeClock clock_;
  storage::FakeLedger ledger_{&clock_};
  PagedPayments payments_;
  NoSession session_;
  quota::Announcer announcer_{&session_};
  SkuHandler sku_{&ledger_, &announcer_, &clock_};
  AuditHandler audit_{&ledger_};
  PaymentHandler payment_{&payments_};
  tranche::testing::InlineExecutor executor_;
  tranche::testing::InlineExecutor move_executor_;
  tranche::testing::InlineExecutor long_read_executor_;
  AnswerBudget answers_{AnswerLimits{}, &clock_}, exports_{AnswerLimits{}, &clock_};
  std::unique_ptr<grpc::Service> service_ = MakeAdminService({.sku = &sku_, .audit = &audit_, .payment = &payment_},
                                                             {.clock = &clock_,
                                                              .answers = &answers_,
                                                              .exports = &exports_,
                                                              .admin_executor = &executor_,
                                                              .move_executor = &move_executor_,
                                                              .long_read_executor = &long_read_executor_});
  LocalServer server_{service_.get()};
  std::unique_ptr<v1::AdminService::Stub> stub_ = v1::AdminService::NewStub(server_.channel());
};

TEST_F(AdminServiceTest, TheAuditLogSaysWhoAsked) {
  v1::CreateSkuRequest create;
  create.mutable_sku()->set_sku_id("tv");
  create.mutable_sku()->set_title("A TV");
  create.mutable_sku()->set_price_minor(100);
  create.mutable_sku()->set_currency("EUR");
  create.mutable_sku()->set_stock(5);
  v1::CreateSkuResponse created;
  grpc::ClientContext context;  // an admin call needs no deadline
  context.AddMetadata("tranche-actor", "alice@laptop");
  const grpc::Status status = stub_->CreateSku(&context, create, &created);
  ASSERT_TRUE(status.ok()) << status.error_message();
  EXPECT_EQ(created.sku().stock(), 5);

  v1::ListAuditResponse log;
  grpc::ClientContext log_context;
  ASSERT_TRUE(stub_->ListAudit(&log_context, v1::ListAuditRequest(), &log).ok());
  ASSERT_EQ(log.entries_size(), 1);
  EXPECT_EQ(log.entries(0).actor(), "alice@laptop");
}

TEST_F(AdminServiceTest, AnExportEndsWithItsLastPage) {
  int messages = 0;
  EXPECT_EQ(ExportEnd(&messages), "OK");
  EXPECT_EQ(messages, 3);
}

TEST_F(AdminServiceTest, AnExportEndsWithWhatIsWrong) {
  int messages = 0;
  payments_.down = true;
  EXPECT_EQ(ExportEnd(&messages), "LEDGER_UNAVAILABLE, wait");
  EXPECT_EQ(messages, 0);
  long_read_executor_.full = true;
  EXPECT_EQ(ExportEnd(&messages), "OVERLOADED, wait");
  EXPECT_EQ(messages, 0);
}

TEST_F(AdminServiceTest, AnExportIsRefusedWhereTooMuchIsUnread) {
  std::vector<std::unique_ptr<AnswerShare>> exports;
  while (exports_.bytes() < AnswerLimits{}.node_bytes) {
    exports.push_back(exports_.TakeAnyway("ipv4:10.0.0.1:1001", kExportBytes, nullptr));
  }
  int messages = 0;
  EXPECT_EQ(ExportEnd(&messages), "OVERLOADED, wait");
  EXPECT_EQ(messages, 0);
  EXPECT_EQ(answers_.bytes(), 0) << "other calls have room";
  exports.pop_back();
  EXPECT_EQ(ExportEnd(&messages), "OK") << "what is there is enough";
}

TEST_F(AdminServiceTest, AnExportWhoseCallerMayNotGoOnAndDoesNotReadIsCutOff) {
  const tranche::testing::ScratchDir scratch("export-access");
  const std::string path = scratch.path() / "access.json";
  const auto allow = [&](const char* roles) {
    std::ofstream(path, std::ios::trunc) << "{\"anonymous\": [" << roles << "], \"principals\": []}";
    std::filesystem::permissions(path, std::filesystem::perms(0644));  // whatever the umask
  };
  allow("\"viewer\"");
  AccessFile file(path);
  ASSERT_TRUE(file.Open().ok());
  Denials denials(nullptr, storage::Clock::Real());
  AccessControl control(&file, &denials);
  OpenExports open;
  const auto service = MakeAdminService(
      {.payment = &payment_, .open_exports = &open},
      {.clock = &clock_, .exports = &exports_, .access = &control, .long_read_executor = &long_read_executor_});
  const LocalServer server(service.get());
  const auto stub = v1::AdminService::NewStub(server.channel());

  payments_.reference = std::string(1 << 20, 'r');  // more than a connection's buffers take
  v1::ExportPaymentsRequest request;
  *request.mutable_from_time() = ToTimestamp(absl::FromUnixSeconds(1));
  *request.mutable_to_time() = ToTimestamp(absl::FromUnixSeconds(2));
  grpc::ClientContext context;
  const auto reader = stub->ExportPayments(&context, request);
  reader->WaitForInitialMetadata();
  const auto ends = [&](absl::Duration within) {
    const absl::Time give_up = absl::Now() + within;
    while (exports_.bytes() > 0 && absl::Now() < give_up) {
      clock_.AdvanceBy(absl::Seconds(10));
      open.CheckAll(clock_.Now() - absl::Seconds(10));
      absl::SleepFor(absl::Milliseconds(1));
    }
    return exports_.bytes() == 0;
  };
  while (exports_.bytes() == 0) absl::SleepFor(absl::Milliseconds(1));  // until it has begun
  EXPECT_FALSE(ends(absl::Milliseconds(50))) << "who may go on need not hurry";
  allow("");
  file.Look();
  EXPECT_TRUE(ends(absl::Seconds(60)));
  v1::ExportPaymentsResponse response;
  while (reader->Read(&response)) {
  }
  EXPECT_EQ(reader->Finish().error_code(), grpc::StatusCode::CANCELLED);
}

TEST_F(AdminServiceTest, OneMoveAtATime) {
  move_executor_.full = true;
  v1::MoveSkuRequest request;
  request.set_sku_id("tv");
  grpc::ClientContext context;
  const auto reader = stub_->MoveSku(&context, request);
  v1::MoveSkuResponse response;
  EXPECT_FALSE(reader->Read(&response));
  EXPECT_EQ(Told(reader->Finish(), context), "OVERLOADED, wait");
}

}  // namespace
}  // namespace tranche::server
