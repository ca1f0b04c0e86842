// A front node as a process, and more connections than it can take.
#include <arpa/inet.h>
#include <grpcpp/grpcpp.h>
#include <netinet/in.h>
#include <poll.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <unistd.h>

#include <cstring>
#include <filesystem>
#include <fstream>
#include <iterator>
#include <memory>
#include <pqxx/pqxx>
#include <string>
#include <vector>

#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "grpc/health/v1/health.grpc.pb.h"
#include "tests/integration/sale_fixture.h"
#include "tests/support/between_looks.h"
#include "tests/support/http_get.h"
#include "tests/support/scratch_dir.h"

namespace tranche::testing {
namespace {

constexpr absl::Duration kPatience = absl::Seconds(60);
constexpr int kNotReachable = 4;

#if defined(__has_feature)
#if __has_feature(undefined_behavior_sanitizer)
#define TRANCHE_UNDEFINED_BEHAVIOR_SANITIZER
#endif
#endif

// A TCP connection that says only what it is told to.
class Connection {
 public:
  explicit Connection(const std::string& endpoint) : socket_(socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0)) {
    sockaddr_in address{};
    address.sin_family = AF_INET;
    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    int port = 0;
    EXPECT_TRUE(absl::SimpleAtoi(endpoint.substr(endpoint.rfind(':') + 1), &port));
    address.sin_port = htons(static_cast<uint16_t>(port));
    EXPECT_EQ(connect(socket_, reinterpret_cast<sockaddr*>(&address), sizeof(address)), 0) << strerror(errno);
  }
  ~Connection() {
    if (socket_ >= 0) close(socket_);
  }
  Connection(Connection&& other) noexcept : socket_(std::exchange(other.socket_, -1)) {}

  void Send(const std::string& bytes) {
    EXPECT_EQ(send(socket_, bytes.data(), bytes.size(), MSG_NOSIGNAL), static_cast<ssize_t>(bytes.size()));
  }

  // Whether the other side closes it by then.
  bool AwaitClosed(absl::Time deadline) {
    char buffer[4096];
    while (absl::Now() < deadline) {
      pollfd waiting{socket_, POLLIN, 0};
      if (poll(&waiting, 1, static_cast<int>(absl::ToInt64Milliseconds(deadline - absl::Now()))) <= 0) continue;
      if (recv(socket_, buffer, sizeof(buffer), 0) <= 0) return true;
    }
    return false;
  }

 private:
  int socket_;
};

// A node's health, over a connection that it has had from the start.
class HealthWatch {
 public:
  explicit HealthWatch(const std::string& endpoint)
      : stub_(grpc::health::v1::Health::NewStub(grpc::CreateChannel(endpoint, grpc::InsecureChannelCredentials()))) {
    context_.set_deadline(absl::ToChronoTime(absl::Now() + 2 * kPatience));
    reader_ = stub_->Watch(&context_, grpc::health::v1::HealthCheckRequest());
  }
  ~HealthWatch() {
    context_.TryCancel();
    reader_->Finish();
  }

  // Waits for it; "" once the node tells no more.
  std::string Next() {
    grpc::health::v1::HealthCheckResponse response;
    if (!reader_->Read(&response)) return "";
    return grpc::health::v1::HealthCheckResponse::ServingStatus_Name(response.status());
  }

 private:
  const std::unique_ptr<grpc::health::v1::Health::Stub> stub_;
  grpc::ClientContext context_;
  std::unique_ptr<grpc::ClientReader<grpc::health::v1::HealthCheckResponse>> reader_;
};

// This process's soft limit, which its children inherit, lowered for a while.
class LowerSoftLimit {
 public:
  explicit LowerSoftLimit(rlim_t limit) {
    getrlimit(RLIMIT_NOFILE, &before_);
    const rlimit lower{limit, before_.rlim_max};
    EXPECT_EQ(setrlimit(RLIMIT_NOFILE, &lower), 0);
  }
  ~LowerSoftLimit() { setrlimit(RLIMIT_NOFILE, &before_); }

 private:
  rlimit before_{};
};

class ListenerTest : public SaleTest {
 protected:
  void Start(std::vector<std::string> node_args = {}) {
    MiniClusterOptions options;
    options.nodes = 1;
    options.workers = 0;
    options.node_args = std::move(node_args);
    const std::string port_file = metrics_.path() / "port";
    for (const char* word : {"--metrics-listen", "127.0.0.1:0", "--metrics-port-file"}) {
      options.node_args.emplace_back(word);
    }
    options.node_args.push_back(port_file);
    StartCluster(options);
    std::ifstream(port_file) >> metrics_port_;
    OpenSale("tv", 100);
    health_ = std::make_unique<HealthWatch>(cluster_->endpoint(0));
    EXPECT_EQ(health_->Next(), "SERVING");
  }

  std::vector<Connection> Connect(int count) {
    std::vector<Connection> connections;
    for (int i = 0; i < count; ++i) connections.emplace_back(cluster_->endpoint(0));
    return connections;
  }

  // Leaves the node room for a few more descriptors, whatever it had asked for.
  void LimitDescriptors(int more) {
    const pid_t pid = cluster_->node(0).process().pid();
    const std::filesystem::path open = absl::StrCat("/proc/", pid, "/fd");
    const auto used = std::distance(std::filesystem::directory_iterator(open), std::filesystem::directory_iterator());
    const auto limit = static_cast<rlim_t>(used + more);
    const rlimit limits{limit, limit};
    ASSERT_EQ(prlimit(pid, RLIMIT_NOFILE, &limits, nullptr), 0) << strerror(errno);
  }

  HttpReply Readiness() { return HttpGet(metrics_port_, "/readyz").value_or(HttpReply{}); }

  void ExpectNotServing() { EXPECT_EQ(health_->Next(), "NOT_SERVING") << cluster_->node(0).LogTail(); }

  // After ExpectNotServing.
  void ExpectEndsByItself() {
    ServerProcess& node = cluster_->node(0);
    health_.reset();
    const absl::StatusOr<int> status = node.process().Wait(kPatience);
    ASSERT_TRUE(status.ok()) << status.status() << "\n" << node.LogTail();
    EXPECT_EQ(*status, kNotReachable) << node.LogTail();
    EXPECT_EQ(node.LogLinesWith("no connection is taken any more"), 1) << node.LogTail();
    pqxx::connection ledger(cluster_->postgres().dsn());
    pqxx::nontransaction work(ledger);
    EXPECT_EQ(work.exec1("SELECT remaining FROM tranche.stock_slot WHERE sku_id = 'tv' AND slot_no = 0")[0].as<int>(),
              100)
        << "the units are for other nodes to sell\n"
        << node.LogTail();
  }

  const ScratchDir metrics_{"listener"};
  int metrics_port_ = 0;
  std::unique_ptr<HealthWatch> health_;
};

// As nmap, or a client with a leak, may do to it. gRPC 1.51 never accepts again, although descriptors are free later.
TEST_F(ListenerTest, ANodeThatRanOutOfDescriptorsOnceEndsAndHandsItsUnitsBack) {
  Start();
  EXPECT_EQ(Readiness().status, 200);
  LimitDescriptors(20);
  {
    const std::vector<Connection> idle = Connect(40);
    const absl::Time give_up = absl::Now() + kPatience;
    while (cluster_->node(0).LogLinesWith("Failed accept4") == 0 && absl::Now() < give_up) RestBetweenLooks();
    EXPECT_GT(cluster_->node(0).LogLinesWith("Failed accept4"), 0) << cluster_->node(0).LogTail();
  }
  ExpectNotServing();
  // The node waits for its callers, and so for `health_`.
  const HttpReply readiness = Readiness();
  EXPECT_EQ(readiness.status, 503);
  EXPECT_FALSE(readiness.body.empty());
  ExpectEndsByItself();
}

TEST_F(ListenerTest, ANodeWhoseDescriptorsStayUsedUpEndsAndHandsItsUnitsBack) {
#if defined(TRANCHE_UNDEFINED_BEHAVIOR_SANITIZER)
  GTEST_SKIP() << "the sanitizer opens a pipe to look at an object, and reports the object if it gets none";
#endif
  Start();
  LimitDescriptors(20);
  const std::vector<Connection> idle = Connect(40);
  ExpectNotServing();
  ExpectEndsByItself();
}

// The usual soft limit is far below the hard one.
TEST_F(ListenerTest, ANodeRaisesItsSoftLimitAndServesOnBesideManyIdleConnections) {
  {
    const LowerSoftLimit lower(256);
    Start();
  }
  std::vector<Connection> idle = Connect(500);
  const absl::Time begun = absl::Now();
  for (int buyer = 0; buyer < 20; ++buyer) {
    // A connection of its own.
    const std::unique_ptr<Client> client = ClientOf({cluster_->endpoint(0)});
    EXPECT_TRUE(client->Create({.sku = "tv", .user = absl::StrCat("buyer-", buyer)}).ok());
  }
  // A connection that does not begin HTTP/2 has 20 s.
  for (Connection& connection : idle) ASSERT_TRUE(connection.AwaitClosed(begun + kPatience));
  EXPECT_GT(absl::Now() - begun, absl::Seconds(10)) << "a slow client has time to begin";
  EXPECT_TRUE(cluster_->node(0).Running()) << cluster_->node(0).LogTail();
  EXPECT_EQ(cluster_->node(0).LogLinesWith("no connection is taken"), 0);
  EXPECT_TRUE(client_->Create({.sku = "tv", .user = "late"}).ok());
}

TEST_F(ListenerTest, AConnectionWithoutCallsIsClosed) {
  Start({"--max-connection-idle-ms", "2000"});
  Connection idle(cluster_->endpoint(0));
  const absl::Time begun = absl::Now();
  idle.Send(std::string("PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n\0\0\0\4\0\0\0\0\0", 33));
  EXPECT_TRUE(idle.AwaitClosed(begun + kPatience));
  EXPECT_LT(absl::Now() - begun, absl::Seconds(15)) << "before the end of a handshake's time";
  EXPECT_TRUE(client_->Create({.sku = "tv", .user = "alice"}).ok()) << "whose channel was idle, too";
}

}  // namespace
}  // namespace tranche::testing
