// On real sockets of this machine: what is tested is what the kernel does.
#include "server/process/node_probe.h"

#include <arpa/inet.h>
#include <netinet/in.h>
#include <unistd.h>

#include <memory>
#include <set>
#include <string>
#include <thread>
#include <utility>
#include <vector>

#include "absl/strings/str_cat.h"
#include "absl/synchronization/mutex.h"
#include "absl/time/clock.h"
#include "gtest/gtest.h"

namespace tranche::server {
namespace {

using storage::IncarnationId;

constexpr absl::Duration kProbePatience = absl::Seconds(30);

// A process that listens at a port of 127.0.0.1, as far as others can see.
class ListeningProcess {
 public:
  ListeningProcess() : socket_(socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0)) {
    sockaddr_in address{};
    address.sin_family = AF_INET;
    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    socklen_t length = sizeof(address);
    EXPECT_EQ(bind(socket_.number(), reinterpret_cast<sockaddr*>(&address), length), 0);
    EXPECT_EQ(listen(socket_.number(), 16), 0);
    EXPECT_EQ(getsockname(socket_.number(), reinterpret_cast<sockaddr*>(&address), &length), 0);
    port_ = ntohs(address.sin_port);
  }

  std::string address(const std::string& host = "127.0.0.1") const { return absl::StrCat(host, ":", port_); }

  // Waits for a connection and keeps it.
  void Accept() { accepted_ = FileDescriptor(accept(socket_.number(), nullptr, nullptr)); }
  // As gRPC does with one that does not begin HTTP/2.
  void Close() { accepted_ = FileDescriptor(); }
  void Say(const std::string& text) {
    EXPECT_EQ(send(accepted_.number(), text.data(), text.size(), MSG_NOSIGNAL), static_cast<ssize_t>(text.size()));
  }
  // It does not listen any more, and what it had accepted or not is closed. The port stays its own, so that no other
  // test can take it.
  void End() {
    Close();
    EXPECT_EQ(shutdown(socket_.number(), SHUT_RDWR), 0);
  }

 private:
  FileDescriptor socket_;
  FileDescriptor accepted_;
  int port_ = 0;
};

class NodeProbeTest : public ::testing::Test {
 protected:
  void SetUp() override { Start(Resolve); }

  void Start(TcpNodeProbe::ResolveName resolve) {
    auto probe = TcpNodeProbe::Start(std::move(resolve));
    ASSERT_TRUE(probe.ok()) << probe.status();
    probe_ = *std::move(probe);
  }

  void Watch(const std::vector<quota::ProbedNode>& nodes) {
    probe_->Watch(nodes, [this] {
      absl::MutexLock lock(&mutex_);
      ++told_;
    });
  }
  // Waits until it was told so often that somebody is dead.
  void AwaitTold(int times) {
    absl::MutexLock lock(&mutex_);
    const auto told = [&] { return told_ >= times; };
    EXPECT_TRUE(mutex_.AwaitWithTimeout(absl::Condition(&told), kProbePatience));
  }
  int told() {
    absl::MutexLock lock(&mutex_);
    return told_;
  }
  void AwaitConnected(int64_t count) {
    const absl::Time give_up = absl::Now() + kProbePatience;
    while (probe_->Stats().connected != count && absl::Now() < give_up) std::this_thread::yield();
    EXPECT_EQ(probe_->Stats().connected, count);
  }

  absl::Mutex mutex_;
  int told_ = 0;
  std::unique_ptr<TcpNodeProbe> probe_;
};

TEST_F(NodeProbeTest, AProcessThatEndsIsFoundDeadAndOthersAreNot) {
  ListeningProcess killed, lives;
  Watch({{7, killed.address()}, {8, lives.address("localhost")}, {9, "localhost:0"}});
  killed.Accept();
  lives.Accept();
  AwaitConnected(2);
  lives.Say("what it says is not read, and keeps nobody busy");
  killed.End();
  AwaitTold(1);
  EXPECT_EQ(probe_->FoundDead(), std::set<IncarnationId>{7});
  EXPECT_EQ(probe_->Stats().found_dead, 1);
  EXPECT_EQ(probe_->Stats().watched, 3);
  AwaitConnected(1);
}

TEST_F(NodeProbeTest, AddressesThatAreNoneHoldUpNobody) {
  ListeningProcess node;
  Watch({{7, "no-such-host.invalid:1"}, {8, "garbage"}, {9, node.address()}});
  node.Accept();
  AwaitConnected(1);
}

TEST_F(NodeProbeTest, ANameIsLookedUpUntilWhatItGaveHasWorked) {
  ListeningProcess node, gone;
  gone.End();
  absl::Mutex mutex;
  int looked_up = 0;
  Start([&](const Address& address, Lookup lookup) -> absl::StatusOr<std::vector<SocketAddress>> {
    if (lookup == Lookup::kNumbersOnly) return Resolve(address, lookup);
    absl::MutexLock lock(&mutex);
    if (++looked_up == 1) return absl::UnavailableError("not yet");
    return Resolve(*ParseAddress(looked_up == 2 ? gone.address() : node.address()), Lookup::kNumbersOnly);
  });
  Watch({{7, node.address("localhost")}});
  AwaitConnected(1);
  ASSERT_FALSE(HasFailure()) << "what the name gave first is tried for ever";
  for (int i = 0; i < 2; ++i) {
    node.Accept();
    node.Close();
  }
  node.Accept();
  AwaitConnected(1);
  {
    absl::MutexLock lock(&mutex);
    EXPECT_EQ(looked_up, 3) << "it works, so it is not looked up again";
  }
  probe_.reset();
}

TEST_F(NodeProbeTest, WhatWasFoundOutIsForgottenWithTheNodes) {
  ListeningProcess node;
  // A proxy, at first.
  Watch({{7, node.address(), "a"}, {8, node.address(), "b"}});
  AwaitConnected(2);
  probe_->WatchNobody();
  Watch({{7, node.address(), "a"}});
  AwaitConnected(1);
  node.End();
  AwaitTold(1);
  EXPECT_EQ(probe_->FoundDead(), std::set<IncarnationId>{7});
}

TEST_F(NodeProbeTest, SomeDescriptorsAreLeftForOthers) {
  EXPECT_EQ(TcpNodeProbe::MostNodes(1024), 960u);
  EXPECT_EQ(TcpNodeProbe::MostNodes(10), 0u);
  EXPECT_EQ(TcpNodeProbe::MostNodes(1 << 20), quota::ProbeVerdicts::kMostNodes);
}

// The kernel resets a connection that the process never accepted.
TEST_F(NodeProbeTest, AProcessThatHungAndIsKilledIsFoundDead) {
  ListeningProcess hangs;
  Watch({{7, hangs.address()}});
  AwaitConnected(1);
  hangs.End();
  AwaitTold(1);
  EXPECT_EQ(probe_->FoundDead(), std::set<IncarnationId>{7});
}

TEST_F(NodeProbeTest, AConnectionThatIsOnlyClosedIsMadeAgain) {
  ListeningProcess node;
  Watch({{7, node.address()}});
  for (int i = 0; i < 2; ++i) {
    node.Accept();
    node.Close();
  }
  node.Accept();
  AwaitConnected(1);
  EXPECT_EQ(told(), 0);
  EXPECT_TRUE(probe_->FoundDead().empty());
  node.End();
  AwaitTold(1);
}

// As a firewall may do for ever.
TEST_F(NodeProbeTest, WhoRefusesFromTheStartIsNotDead) {
  ListeningProcess other;
  Watch({{7, "127.0.0.1:1"}, {8, other.address()}});
  AwaitConnected(1);
  other.End();
  AwaitTold(1);
  EXPECT_EQ(probe_->FoundDead(), std::set<IncarnationId>{8}) << "7 was refused at least as often";
}

TEST_F(NodeProbeTest, WhoIsNotWatchedAnyMoreIsDisconnectedAndNobodyIsTold) {
  ListeningProcess node;
  Watch({{7, node.address()}});
  AwaitConnected(1);
  probe_->WatchNobody();
  EXPECT_EQ(probe_->Stats().watched, 0);
  node.End();
  ListeningProcess next;
  Watch({{8, next.address()}});
  AwaitConnected(1);
  EXPECT_EQ(told(), 0);
  EXPECT_TRUE(probe_->FoundDead().empty());
}

TEST_F(NodeProbeTest, EndsWhileItWatches) {
  ListeningProcess node;
  Watch({{7, node.address()}, {8, "127.0.0.1:1"}});
  AwaitConnected(1);
  probe_.reset();
}

}  // namespace
}  // namespace tranche::server
