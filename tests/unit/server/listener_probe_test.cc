// On real sockets: what is tested is what the kernel and gRPC do.
#include "server/process/listener_probe.h"

#include <arpa/inet.h>
#include <grpcpp/generic/async_generic_service.h>
#include <grpcpp/grpcpp.h>
#include <gtest/gtest.h>
#include <netinet/in.h>
#include <unistd.h>

#include <memory>
#include <string>
#include <thread>

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

ListenerProbe ProbeOf(const std::string& host, int port) {
  absl::StatusOr<ListenerProbe> probe = ListenerProbe::Make({host, port});
  EXPECT_TRUE(probe.ok()) << probe.status();
  return *std::move(probe);
}

TEST(ListenerProbeTest, AGrpcServerAnswersAtEveryKindOfAddress) {
  for (const std::string host : {"127.0.0.1", "0.0.0.0", "localhost"}) {
    grpc::AsyncGenericService service;
    grpc::ServerBuilder builder;
    int port = 0;
    builder.AddListeningPort(host + ":0", grpc::InsecureServerCredentials(), &port);
    builder.RegisterAsyncGenericService(&service);
    const auto queue = builder.AddCompletionQueue();
    const auto server = builder.BuildAndStart();
    // The queue's poller is what accepts.
    std::thread poller([&queue] {
      void* tag = nullptr;
      bool ok = false;
      while (queue->Next(&tag, &ok)) {
      }
    });
    ListenerProbe probe = ProbeOf(host, port);
    for (int i = 0; i < 3; ++i) EXPECT_TRUE(probe.Ask(kLongWait).ok()) << host;
    EXPECT_TRUE(probe.has_answered()) << host;
    server->Shutdown();
    queue->Shutdown();
    poller.join();
    EXPECT_FALSE(probe.Ask(kShortWait).ok()) << host << " is closed";
  }
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
