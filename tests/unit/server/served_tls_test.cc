// What callers meet at a gRPC port and at the metrics' door with TLS, on real sockets, and what changed files do to
// them.
#include <gmock/gmock.h>
#include <grpcpp/grpcpp.h>
#include <gtest/gtest.h>

#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "absl/algorithm/container.h"
#include "absl/base/thread_annotations.h"
#include "absl/strings/match.h"
#include "absl/synchronization/mutex.h"
#include "absl/time/clock.h"
#include "glog/logging.h"
#include "server/grpc_log.h"
#include "server/metrics/metrics_door.h"
#include "server/process/served_certificates.h"
#include "server/rpc/server_credentials.h"
#include "tests/support/http_get.h"
#include "tests/support/scratch_dir.h"
#include "tests/support/test_certificates.h"
#include "tests/support/tls_client.h"
#include "tranche/v1/catalog_service.grpc.pb.h"

namespace tranche::server {
namespace {

using ::testing::HasSubstr;
using testing::IssuedCertificate;
using testing::TestAuthority;
using testing::TlsAnswer;
using testing::TlsCall;

constexpr absl::Duration kFilesAreRead = absl::Seconds(30);

// What is logged meanwhile, by any thread.
class CountedLines : public google::LogSink {
 public:
  CountedLines() { google::AddLogSink(this); }
  ~CountedLines() override { google::RemoveLogSink(this); }
  using google::LogSink::send;
  void send(google::LogSeverity, const char*, const char*, int, const google::LogMessageTime&, const char* text,
            size_t size) override {
    absl::MutexLock lock(&mutex_);
    lines_.emplace_back(text, size);
  }
  int lines_with(const std::string& words) const {
    absl::MutexLock lock(&mutex_);
    return static_cast<int>(
        absl::c_count_if(lines_, [&words](const std::string& line) { return absl::StrContains(line, words); }));
  }

 private:
  mutable absl::Mutex mutex_;
  std::vector<std::string> lines_ ABSL_GUARDED_BY(mutex_);
};

class ServedTlsTest : public ::testing::Test {
 protected:
  enum class Callers { kNotAsked, kAsked, kRequired };

  void Start(Callers callers, absl::Duration sessions_last = kSessionsLast) {
    Write(first_);
    testing::ReplaceFile(Path("ca"), authority_.certificate_pem());
    const std::string authorities = callers == Callers::kNotAsked ? "" : Path("ca");
    auto certificates = ServedCertificates::Open({.files = {Path("crt"), Path("key"), authorities},
                                                  .require_client_certificate = callers == Callers::kRequired});
    ASSERT_TRUE(certificates.ok()) << certificates.status();
    certificates_ = *std::move(certificates);
    credentials_ = MakeServerCredentials(certificates_.get(), sessions_last);
    grpc::ServerBuilder builder;
    builder.AddListeningPort("127.0.0.1:0", credentials_, &grpc_port_);
    builder.RegisterService(&service_);
    server_ = builder.BuildAndStart();
    ASSERT_NE(server_, nullptr);
    auto door = MetricsDoor::Start(
        {.listen = "127.0.0.1:0"}, {}, [] { return absl::OkStatus(); }, certificates_.get());
    ASSERT_TRUE(door.ok()) << door.status();
    door_ = *std::move(door);
  }

  std::string Path(const std::string& name) const { return (scratch_.path() / name).string(); }
  void Write(const IssuedCertificate& own) {
    testing::ReplaceFile(Path("crt"), own.certificate_pem);
    testing::ReplaceFile(Path("key"), own.key_pem);
  }

  absl::StatusOr<TlsAnswer> CallGrpc(const IssuedCertificate& own = {}, std::shared_ptr<SSL_SESSION> resume = nullptr) {
    return testing::CallTls(grpc_port_, {.authority_pem = authority_.certificate_pem(),
                                         .own = own,
                                         .alpn = "h2",
                                         .send = "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n",
                                         .read_all = false,
                                         .resume = std::move(resume)});
  }
  // Whether a caller gets in with the session of a connection before, without showing a certificate.
  bool Resumes() {
    const auto first = CallGrpc(authority_.Issue());
    EXPECT_TRUE(first.ok()) << first.status();
    if (!first.ok()) return false;
    const auto second = CallGrpc({}, first->session);
    return second.ok() && second->resumed;
  }
  absl::StatusOr<TlsAnswer> CallDoor(const IssuedCertificate& own = {}) {
    return testing::CallTls(door_->port(), {.authority_pem = authority_.certificate_pem(),
                                            .own = own,
                                            .send = "GET /metrics HTTP/1.1\r\nHost: test\r\n\r\n"});
  }
  // At both.
  bool Serve(const IssuedCertificate& own = {}) { return CallGrpc(own).ok() && CallDoor(own).ok(); }
  bool Refuse(const IssuedCertificate& own = {}) { return !CallGrpc(own).ok() && !CallDoor(own).ok(); }
  // Whether new connections to both see this one in time.
  bool AwaitSerial(const std::string& serial) {
    const absl::Time give_up = absl::Now() + kFilesAreRead;
    while (absl::Now() < give_up) {
      const auto grpc = CallGrpc();
      const auto door = CallDoor();
      if (grpc.ok() && door.ok() && grpc->server_serial == serial && door->server_serial == serial) return true;
      absl::SleepFor(absl::Milliseconds(10));  // between two looks
    }
    return false;
  }

  const testing::ScratchDir scratch_{"served-tls"};
  const TestAuthority authority_;
  const IssuedCertificate first_ = authority_.Issue();
  std::unique_ptr<ServedCertificates> certificates_;
  std::shared_ptr<grpc::ServerCredentials> credentials_;
  v1::CatalogService::Service service_;
  int grpc_port_ = 0;
  std::unique_ptr<grpc::Server> server_;
  std::unique_ptr<MetricsDoor> door_;
};

TEST_F(ServedTlsTest, WithoutAnAuthorityNobodyIsAskedForACertificate) {
  Start(Callers::kNotAsked);
  EXPECT_TRUE(Serve());
  EXPECT_TRUE(Serve(TestAuthority("Other").Issue())) << "nobody looks at it";
  const auto page = CallDoor();
  ASSERT_TRUE(page.ok()) << page.status();
  EXPECT_EQ(page->server_serial, first_.serial);
  EXPECT_THAT(page->bytes, HasSubstr("\ntranche_tls_certificate_expires_timestamp_seconds "));
  EXPECT_THAT(page->bytes, HasSubstr("\ntranche_tls_files_faulty 0\n"));
}

TEST_F(ServedTlsTest, WhoIsAskedMayPresentNoneButNoBadOne) {
  Start(Callers::kAsked);
  EXPECT_TRUE(Serve());
  EXPECT_TRUE(Serve(authority_.Issue()));
  EXPECT_TRUE(Refuse(TestAuthority("Other").Issue()));
  EXPECT_TRUE(Refuse(authority_.Issue({.valid_for = -absl::Hours(1)})));
}

TEST_F(ServedTlsTest, WhoIsRequiredToMustPresentAGoodOne) {
  Start(Callers::kRequired);
  EXPECT_TRUE(Serve(authority_.Issue()));
  EXPECT_TRUE(Refuse());
  EXPECT_TRUE(Refuse(TestAuthority("Other").Issue()));
}

TEST_F(ServedTlsTest, ASessionIsResumedForAMoment) {
  Start(Callers::kRequired);
  EXPECT_TRUE(Resumes());
}

TEST_F(ServedTlsTest, AfterThatACertificateIsShownAgain) {
  Start(Callers::kRequired, /*sessions_last=*/absl::ZeroDuration());
  EXPECT_FALSE(Resumes());
}

TEST_F(ServedTlsTest, OnlyHttp2IsSpokenAtThePortOfGrpc) {
  Start(Callers::kNotAsked);
  EXPECT_EQ(CallGrpc().value_or(TlsAnswer{}).alpn, "h2");
  TlsCall call{.authority_pem = authority_.certificate_pem(), .send = "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"};
  for (const char* alpn : {"", "http/1.1"}) {
    call.alpn = alpn;
    EXPECT_FALSE(testing::CallTls(grpc_port_, call).ok()) << alpn;
  }
}

TEST_F(ServedTlsTest, NewConnectionsSeeNewFilesAndAFaultySetKeepsTheOldOne) {
  const CountedLines log;
  Start(Callers::kAsked);
  const IssuedCertificate second = authority_.Issue();
  Write(second);
  ASSERT_TRUE(AwaitSerial(second.serial));
  // A look between its two files may have found a fault already.
  const int told = log.lines_with("stay in use");
  testing::ReplaceFile(Path("crt"), first_.certificate_pem);
  // The log tells that it was looked at.
  const absl::Time give_up = absl::Now() + kFilesAreRead;
  while (log.lines_with("stay in use") == told && absl::Now() < give_up) {
    absl::SleepFor(absl::Milliseconds(10));  // between two looks
  }
  ASSERT_EQ(log.lines_with("stay in use"), told + 1);
  EXPECT_EQ(CallGrpc().value_or(TlsAnswer{}).server_serial, second.serial);
  const TlsAnswer faulty = CallDoor().value_or(TlsAnswer{});
  EXPECT_EQ(faulty.server_serial, second.serial);
  EXPECT_THAT(faulty.bytes, HasSubstr("\ntranche_tls_files_faulty 1\n"));
  testing::ReplaceFile(Path("key"), first_.key_pem);
  EXPECT_TRUE(AwaitSerial(first_.serial));
  EXPECT_THAT(CallDoor().value_or(TlsAnswer{}).bytes, HasSubstr("\ntranche_tls_files_faulty 0\n"));
}

TEST_F(ServedTlsTest, WhoSaysNothingToTheDoorDelaysNeitherOtherAddressesNorItsEnd) {
  Start(Callers::kNotAsked);
  std::vector<std::unique_ptr<testing::TcpClient>> silent;
  for (int i = 0; i < 16; ++i) {
    silent.push_back(std::make_unique<testing::TcpClient>(door_->port(), "127.0.0.1", /*from=*/"127.0.0.2"));
  }
  const absl::Time begun = absl::Now();
  EXPECT_TRUE(CallDoor().ok());
  EXPECT_LT(absl::Now() - begun, kMetricsTimeout);
  const testing::TcpClient last(door_->port());
  const absl::Time closing = absl::Now();
  door_.reset();
  EXPECT_LT(absl::Now() - closing, kMetricsTimeout / 2);
}

TEST_F(ServedTlsTest, PlainTextIsNotAnswered) {
  Start(Callers::kNotAsked);
  EXPECT_FALSE(testing::HttpGet(door_->port(), "/livez").ok());
  EXPECT_TRUE(Serve()) << "others are";
}

TEST(GrpcLogTest, OfOnePlaceOneFaultAMinuteIsLogged) {
  const CountedLines log;
  const auto say = [](int line, gpr_log_severity severity, const char* message) {
    gpr_log_func_args args{"some_place_of_grpc.cc", line, severity, message};
    for (int i = 0; i < 20; ++i) LogGrpcLine(&args);
  };
  say(1, GPR_LOG_SEVERITY_ERROR, "a bad record");
  EXPECT_EQ(log.lines_with("grpc: a bad record"), 1);
  say(2, GPR_LOG_SEVERITY_ERROR, "no handshake");
  EXPECT_EQ(log.lines_with("grpc: no handshake"), 1);
  say(3, GPR_LOG_SEVERITY_INFO, "somebody asked for it");
  EXPECT_EQ(log.lines_with("grpc: somebody asked for it"), 20);
}

TEST(ServedCertificatesTest, TlsIsOffWithoutACertificate) {
  const auto none = ServedCertificates::Open({});
  ASSERT_TRUE(none.ok());
  EXPECT_EQ(*none, nullptr);
}

}  // namespace
}  // namespace tranche::server
