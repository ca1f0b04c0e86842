// On real sockets: what is tested is what the kernel and gRPC do.
#include "server/process/listener_probe.h"

#include <arpa/inet.h>
#include <grpc/support/log.h>
#include <grpcpp/generic/async_generic_service.h>
#include <grpcpp/grpcpp.h>
#include <gtest/gtest.h>
#include <netinet/in.h>
#include <unistd.h>

#include <atomic>
#include <memory>
#include <string>
#include <thread>

#include "tests/support/test_certificates.h"

namespace tranche::server {
namespace {

constexpr absl::Duration kLongWait = absl::Seconds(10);
constexpr absl::Duration kShortWait = absl::Milliseconds(100);

// A socket of 127.0.0.1 that listens; nobody accepts by itself.
class ListeningSocket {
 public:
  ListeningSocket() : socket_(socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0)) {
    sockaddr_in address{};
    address.sin_family = AF_INET;
    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    socklen_t length = sizeof(address);
    EXPECT_EQ(bind(socket_, reinterpret_cast<sockaddr*>(&address), length), 0);
    EXPECT_EQ(listen(socket_, 16), 0);
    EXPECT_EQ(getsockname(socket_, reinterpret_cast<sockaddr*>(&address), &length), 0);
    port_ = ntohs(address.sin_port);
  }
  ~ListeningSocket() { Close(); }

  int port() const { return port_; }
  void Close() {
    if (socket_ >= 0) close(socket_);
    socket_ = -1;
  }
  // One connection, and closes it.
  void Accept() { close(accept(socket_, nullptr, nullptr)); }

 private:
  int socket_;
  int port_ = 0;
};

ListenerProbe ProbeOf(const std::string& host, int port,
                      ListenerProbe::Protocol protocol = ListenerProbe::Protocol::kHttp2) {
  absl::StatusOr<ListenerProbe> probe = ListenerProbe::Make({host, port}, protocol);
  EXPECT_TRUE(probe.ok()) << probe.status();
  return *std::move(probe);
}

class ListeningGrpc {
 public:
  ListeningGrpc(const std::string& host, const std::shared_ptr<grpc::ServerCredentials>& credentials) {
    grpc::ServerBuilder builder;
    builder.AddListeningPort(host + ":0", credentials, &port_);
    builder.RegisterAsyncGenericService(&service_);
    queue_ = builder.AddCompletionQueue();
    server_ = builder.BuildAndStart();
    // The queue's poller is what accepts.
    poller_ = std::thread([this] {
      void* tag = nullptr;
      bool ok = false;
      while (queue_->Next(&tag, &ok)) {
      }
    });
  }
  ~ListeningGrpc() {
    server_->Shutdown();
    queue_->Shutdown();
    poller_.join();
  }

  int port() const { return port_; }

 private:
  grpc::AsyncGenericService service_;
  int port_ = 0;
  std::unique_ptr<grpc::ServerCompletionQueue> queue_;
  std::unique_ptr<grpc::Server> server_;
  std::thread poller_;
};

TEST(ListenerProbeTest, AGrpcServerAnswersAtEveryKindOfAddress) {
  for (const std::string host : {"127.0.0.1", "0.0.0.0", "localhost"}) {
    auto server = std::make_unique<ListeningGrpc>(host, grpc::InsecureServerCredentials());
    ListenerProbe probe = ProbeOf(host, server->port());
    for (int i = 0; i < 3; ++i) EXPECT_TRUE(probe.Ask(kLongWait).ok()) << host;
    EXPECT_TRUE(probe.has_answered()) << host;
    server.reset();
    EXPECT_FALSE(probe.Ask(kShortWait).ok()) << host << " is closed";
  }
}

std::atomic<int> grpc_lines{0};

// As ours does, so that a line of gRPC for each probe would be seen. It also asks for certificates, which the probe has
// not.
TEST(ListenerProbeTest, AGrpcServerWithTlsAnswersAndLogsNothing) {
  const testing::TestAuthority authority;
  const testing::IssuedCertificate own = authority.Issue();
  grpc::SslServerCredentialsOptions options(GRPC_SSL_REQUEST_AND_REQUIRE_CLIENT_CERTIFICATE_AND_VERIFY);
  options.pem_root_certs = authority.certificate_pem();
  options.pem_key_cert_pairs = {{own.key_pem, own.certificate_pem}};
  auto server = std::make_unique<ListeningGrpc>("127.0.0.1", grpc::SslServerCredentials(options));
  gpr_set_log_function([](gpr_log_func_args*) { ++grpc_lines; });
  ListenerProbe probe = ProbeOf("127.0.0.1", server->port(), ListenerProbe::Protocol::kTls);
  for (int i = 0; i < 20; ++i) EXPECT_TRUE(probe.Ask(kLongWait).ok()) << i;
  EXPECT_TRUE(probe.has_answered());
  server.reset();
  gpr_set_log_function(nullptr);
  EXPECT_EQ(grpc_lines, 0);
  EXPECT_FALSE(probe.Ask(kShortWait).ok()) << "it is closed";
}

// As gRPC's listener when it has met EMFILE once: the kernel goes on completing connections.
TEST(ListenerProbeTest, AConnectionThatIsNeverAcceptedIsNoAnswer) {
  ListeningSocket listening;
  ListenerProbe probe = ProbeOf("127.0.0.1", listening.port());
  std::thread program([&listening] { listening.Accept(); });
  EXPECT_TRUE(probe.Ask(kLongWait).ok()) << "one that is closed at once was accepted";
  program.join();
  EXPECT_FALSE(probe.Ask(kShortWait).ok());
  EXPECT_TRUE(probe.has_answered());
}

// As under a flood of connections: the answer comes, but late.
TEST(ListenerProbeTest, AQuestionStaysOpenUntilItsAnswer) {
  ListeningSocket listening;
  ListenerProbe probe = ProbeOf("127.0.0.1", listening.port());
  std::thread program([&listening] { listening.Accept(); });
  EXPECT_TRUE(probe.Ask(kLongWait).ok());
  program.join();
  for (int i = 0; i < 3; ++i) EXPECT_FALSE(probe.Ask(kShortWait).ok());
  listening.Accept();
  EXPECT_TRUE(probe.Ask(kLongWait).ok()) << "there was one question all the time";
  EXPECT_FALSE(probe.Ask(kShortWait).ok()) << "the next one";
}

// A rule of the network may close the port to this machine alone. The node must not end because of that.
TEST(ListenerProbeTest, AnAddressThatHasNeverAnsweredDoesNotFail) {
  ListeningSocket listening;
  ListenerProbe probe = ProbeOf("127.0.0.1", listening.port());
  EXPECT_TRUE(probe.Ask(kShortWait).ok());
  EXPECT_FALSE(probe.has_answered());
  listening.Close();
  EXPECT_TRUE(probe.Ask(kShortWait).ok());
  EXPECT_FALSE(probe.has_answered());
}

}  // namespace
}  // namespace tranche::server
