// On real sockets: what callers of the door get, and what some of them cannot do to the others.
#include "server/metrics/metrics_door.h"

#include <arpa/inet.h>
#include <gmock/gmock.h>
#include <netinet/in.h>
#include <sys/socket.h>
#include <unistd.h>

#include <algorithm>
#include <filesystem>
#include <fstream>
#include <memory>
#include <string>
#include <thread>
#include <vector>

#include "absl/strings/str_cat.h"
#include "absl/synchronization/notification.h"
#include "absl/time/clock.h"
#include "tests/support/http_get.h"

namespace tranche::server {
namespace {

using ::testing::HasSubstr;
using testing::HttpGet;
using testing::HttpReply;
using ::testing::Not;
using testing::TcpClient;

class ManyGauges : public MetricSource {
 public:
  void Collect(MetricSet* metrics) override {
    for (int i = 0; i < count; ++i) metrics->AddGauge("test_gauge", "For this test.", i, {{"i", absl::StrCat(i, pad)}});
  }
  int count = 1;
  std::string pad;
};

class MetricsDoorTest : public ::testing::Test {
 protected:
  ~MetricsDoorTest() override { std::filesystem::remove(port_file_); }

  absl::Status Open(const std::string& listen = "127.0.0.1:0") {
    auto door = MetricsDoor::Start({.listen = listen, .port_file = port_file_}, {&source_}, [this] { return ready_; });
    if (door.ok()) door_ = *std::move(door);
    return door.status();
  }
  HttpReply Ask(const std::string& path, const std::string& method = "GET", const std::string& host = "127.0.0.1") {
    const absl::StatusOr<HttpReply> reply = HttpGet(door_->port(), path, method, host);
    EXPECT_TRUE(reply.ok()) << method << " " << path << ": " << reply.status();
    return reply.value_or(HttpReply{});
  }

  // From another address than Ask.
  std::unique_ptr<TcpClient> Elsewhere() const {
    return std::make_unique<TcpClient>(door_->port(), "127.0.0.1", /*from=*/"127.0.0.2");
  }

  const std::string port_file_ =
      std::filesystem::temp_directory_path() / absl::StrCat("tranche_metrics_door_test.", getpid());
  ManyGauges source_;
  absl::Status ready_;
  std::unique_ptr<MetricsDoor> door_;
};

TEST_F(MetricsDoorTest, ShowsTheSourcesAndTheProcess) {
  ASSERT_TRUE(Open().ok());
  const HttpReply page = Ask("/metrics");
  EXPECT_EQ(page.status, 200);
  EXPECT_THAT(page.headers.at("content-type"), HasSubstr("text/plain; version=0.0.4"));
  EXPECT_EQ(page.headers.at("content-length"), absl::StrCat(page.body.size()));
  EXPECT_THAT(page.body, HasSubstr("# TYPE test_gauge gauge\ntest_gauge{i=\"0\"} 0\n"));
  EXPECT_THAT(page.body, HasSubstr("tranche_build_info{"));
  EXPECT_EQ(Ask("/metrics?format=text").status, 200);
}

TEST_F(MetricsDoorTest, SaysWhetherTheProcessLivesAndIsReady) {
  ASSERT_TRUE(Open().ok());
  EXPECT_EQ(Ask("/livez").status, 200);
  EXPECT_EQ(Ask("/readyz").status, 200);
  ready_ = absl::UnavailableError("not today");
  const HttpReply not_ready = Ask("/readyz");
  EXPECT_EQ(not_ready.status, 503);
  EXPECT_EQ(not_ready.body, "not today\n");
  EXPECT_EQ(Ask("/livez").status, 200);
}

TEST_F(MetricsDoorTest, HeadHasNoBodyAndOtherMethodsAreNotAllowed) {
  ASSERT_TRUE(Open().ok());
  const HttpReply head = Ask("/readyz", "HEAD");
  EXPECT_EQ(head.status, 200);
  EXPECT_EQ(head.headers.at("content-length"), "3");
  EXPECT_EQ(head.body, "");
  for (const char* method : {"POST", "PUT", "DELETE", "OPTIONS"}) {
    const HttpReply refused = Ask("/metrics", method);
    EXPECT_EQ(refused.status, 405) << method;
    EXPECT_EQ(refused.headers.at("allow"), "GET, HEAD") << method;
    EXPECT_THAT(refused.body, Not(HasSubstr("test_gauge"))) << method;
  }
}

TEST_F(MetricsDoorTest, NothingElseIsThere) {
  ASSERT_TRUE(Open().ok());
  for (const char* path : {"/", "/metrics/", "/metrics/x", "/livez2", "/etc/passwd", "/../../etc/passwd"}) {
    EXPECT_EQ(Ask(path).status, 404) << path;
  }
}

TEST_F(MetricsDoorTest, WritesItsPort) {
  ASSERT_TRUE(Open().ok());
  int port = 0;
  std::ifstream(port_file_) >> port;
  EXPECT_EQ(port, door_->port());
}

TEST_F(MetricsDoorTest, APortInUseIsOneLineThatNamesTheFlag) {
  ASSERT_TRUE(Open().ok());
  const std::string taken = absl::StrCat("127.0.0.1:", door_->port());
  const auto second = MetricsDoor::Start({.listen = taken}, {}, [] { return absl::OkStatus(); });
  ASSERT_FALSE(second.ok());
  const std::string message(second.status().message());
  EXPECT_THAT(message, HasSubstr(taken));
  EXPECT_THAT(message, HasSubstr("--metrics-listen"));
  EXPECT_THAT(message, Not(HasSubstr("\n")));
}

TEST_F(MetricsDoorTest, APortFileThatCannotBeWrittenIsNamed) {
  const auto door = MetricsDoor::Start({.listen = "127.0.0.1:0", .port_file = "/nowhere/at/all"}, {},
                                       [] { return absl::OkStatus(); });
  ASSERT_FALSE(door.ok());
  EXPECT_THAT(std::string(door.status().message()), HasSubstr("--metrics-port-file"));
}

TEST_F(MetricsDoorTest, ListensAtIpv6) {
  if (!Open("[::1]:0").ok()) GTEST_SKIP() << "this machine has no IPv6";
  EXPECT_EQ(Ask("/livez", "GET", "::1").status, 200);
  ASSERT_TRUE(Open("[::]:0").ok());
  EXPECT_EQ(Ask("/livez", "GET", "::1").status, 200);
  EXPECT_EQ(Ask("/livez", "GET", "127.0.0.1").status, 200) << "the wildcard is for both";
}

TEST_F(MetricsDoorTest, WhoSendsALongBodyDelaysNobody) {
  ASSERT_TRUE(Open().ok());
  // More than there are threads.
  std::vector<std::unique_ptr<TcpClient>> wordy;
  for (int i = 0; i < 20; ++i) {
    wordy.push_back(Elsewhere());
    (void)wordy.back()->Send("GET /livez HTTP/1.1\r\nHost: test\r\nContent-Length: 1000000000\r\n\r\n");
  }
  absl::Notification answered;
  std::thread bodies([&] {
    while (!answered.WaitForNotificationWithTimeout(absl::Milliseconds(100))) {
      for (const auto& client : wordy) client->Send("x");
    }
  });
  const absl::Time begun = absl::Now();
  EXPECT_EQ(Ask("/livez").status, 200);
  EXPECT_LT(absl::Now() - begun, kMetricsTimeout);
  answered.Notify();
  bodies.join();
}

TEST_F(MetricsDoorTest, WhoSaysNothingLosesTheConnectionAndDelaysNoOtherAddress) {
  ASSERT_TRUE(Open().ok());
  std::vector<std::unique_ptr<TcpClient>> silent;
  for (int i = 0; i < 32; ++i) {
    silent.push_back(Elsewhere());
    ASSERT_GE(silent.back()->number(), 0);
    if (i % 2 == 1) silent.back()->Send("GET /metrics HTTP/1.1\r\nHo");
  }
  // More than there are threads.
  const absl::Time begun = absl::Now();
  EXPECT_EQ(Ask("/metrics").status, 200);
  EXPECT_LT(absl::Now() - begun, kMetricsTimeout);
  for (const auto& client : silent) EXPECT_TRUE(client->ReadAll().ok()) << "its connection stays";
}

sockaddr_storage PeerOf(int family, const char* text) {
  sockaddr_storage peer{};
  peer.ss_family = static_cast<sa_family_t>(family);
  void* const to = family == AF_INET ? static_cast<void*>(&reinterpret_cast<sockaddr_in&>(peer).sin_addr)
                                     : static_cast<void*>(&reinterpret_cast<sockaddr_in6&>(peer).sin6_addr);
  EXPECT_EQ(inet_pton(family, text, to), 1) << text;
  return peer;
}

TEST(AddressShareTest, IsThatOfAMachine) {
  const std::string v4 = ShareKey(PeerOf(AF_INET, "192.0.2.1"));
  EXPECT_EQ(ShareKey(PeerOf(AF_INET6, "::ffff:192.0.2.1")), v4);
  EXPECT_NE(ShareKey(PeerOf(AF_INET, "192.0.2.2")), v4);
  const std::string v6 = ShareKey(PeerOf(AF_INET6, "2001:db8::1"));
  EXPECT_EQ(ShareKey(PeerOf(AF_INET6, "2001:db8::ffff:1")), v6);
  EXPECT_NE(ShareKey(PeerOf(AF_INET6, "2001:db8:0:1::1")), v6);

  AddressShare share(2);
  EXPECT_TRUE(share.Enter(v4));
  EXPECT_TRUE(share.Enter(v4));
  EXPECT_FALSE(share.Enter(v4));
  EXPECT_TRUE(share.Enter(v6));
  share.Leave(v4);
  EXPECT_TRUE(share.Enter(v4));
}

TEST_F(MetricsDoorTest, WhoTakesNothingDelaysNobody) {
  source_.count = 200'000;  // more than the sockets between the two take
  ASSERT_TRUE(Open().ok());
  TcpClient idle(door_->port());
  ASSERT_TRUE(idle.Send("GET /metrics HTTP/1.1\r\nHost: test\r\n\r\n"));
  // Its answer has begun.
  char first = 0;
  ASSERT_EQ(recv(idle.number(), &first, 1, 0), 1);
  EXPECT_EQ(Ask("/livez").status, 200);
  const HttpReply page = Ask("/metrics");
  EXPECT_EQ(page.headers.at("content-length"), absl::StrCat(page.body.size()));
}

TEST_F(MetricsDoorTest, WhoTakesTheAnswerSlowlyLosesIt) {
  source_.count = 100'000;
  source_.pad = std::string(300, 'x');  // together far more than the sockets between the two take
  ASSERT_TRUE(Open().ok());
  const size_t whole = Ask("/metrics").body.size();
  TcpClient slow(door_->port());
  ASSERT_TRUE(slow.Send("GET /metrics HTTP/1.1\r\nHost: test\r\n\r\n"));
  // Fast enough for the bound of each piece, and too slow for that of all.
  std::vector<char> piece(100'000);
  size_t taken = 0;
  absl::Time until = absl::InfiniteFuture();
  while (absl::Now() < until) {
    const ssize_t got = recv(slow.number(), piece.data(), piece.size(), 0);
    if (got <= 0) break;
    // The door's time begins when the answer is made, which may take long.
    if (taken == 0) until = absl::Now() + kMetricsAnswerTimeout + 2 * kMetricsTimeout;
    taken += static_cast<size_t>(got);
    absl::SleepFor(absl::Milliseconds(100));  // the pace of this caller
  }
  ASSERT_LT(taken, whole) << "it took all in time: the answer is too small for this test";
  // Now it would take the rest.
  const absl::StatusOr<std::string> rest = slow.ReadAll();
  EXPECT_LT(taken + rest.value_or("").size(), whole);
}

TEST_F(MetricsDoorTest, ARequestThatIsTooLargeIsRefused) {
  ASSERT_TRUE(Open().ok());
  const absl::StatusOr<HttpReply> reply = HttpGet(door_->port(), absl::StrCat("/livez?", std::string(10'000, 'x')));
  EXPECT_TRUE(!reply.ok() || reply->status >= 400) << reply->status;
  EXPECT_EQ(Ask("/livez").status, 200) << "the next one is served";
}

TEST_F(MetricsDoorTest, WhatIsNoRequestIsRefused) {
  ASSERT_TRUE(Open().ok());
  for (const char* bytes : {"hello\r\n\r\n", "GET /livez\r\n\r\n", "GET  /livez HTTP/1.1\r\n\r\n",
                            "GET /livez SSH/2\r\n\r\n", "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"}) {
    TcpClient client(door_->port());
    ASSERT_TRUE(client.Send(bytes));
    EXPECT_THAT(client.ReadAll().value_or(""), HasSubstr("HTTP/1.1 400 Bad Request\r\n")) << bytes;
  }
  EXPECT_EQ(Ask("/livez").status, 200);
}

TEST_F(MetricsDoorTest, EndsWhileSomebodyIsConnected) {
  ASSERT_TRUE(Open().ok());
  const int port = door_->port();
  TcpClient silent(port);
  ASSERT_GE(silent.number(), 0);
  door_.reset();
  EXPECT_FALSE(HttpGet(port, "/livez").ok());
}

TEST_F(MetricsDoorTest, EndsAtOnceWhileNobodyIsConnected) {
  absl::Duration longest;
  for (int i = 0; i < 3; ++i) {
    ASSERT_TRUE(Open().ok());
    EXPECT_EQ(Ask("/livez").status, 200);
    const absl::Time begun = absl::Now();
    door_.reset();
    longest = std::max(longest, absl::Now() - begun);
  }
  EXPECT_LT(longest, absl::Seconds(1));
}

}  // namespace
}  // namespace tranche::server
