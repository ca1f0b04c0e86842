#include "tests/support/tcp_forwarder.h"

#include <arpa/inet.h>
#include <fcntl.h>
#include <glog/logging.h>
#include <netdb.h>
#include <netinet/in.h>
#include <poll.h>
#include <sys/socket.h>
#include <unistd.h>

#include <cerrno>
#include <vector>

#include "absl/strings/str_cat.h"

namespace tranche::testing {
namespace {

// Passes on what is there to read. False at the connection's end.
bool Forward(int from, int to) {
  char buffer[16 * 1024];
  const ssize_t size = recv(from, buffer, sizeof(buffer), MSG_DONTWAIT);
  if (size < 0 && (errno == EAGAIN || errno == EINTR)) return true;
  if (size <= 0) return false;
  for (ssize_t sent = 0; sent < size;) {
    const ssize_t part = send(to, buffer + sent, size - sent, MSG_NOSIGNAL);
    if (part <= 0) return false;
    sent += part;
  }
  return true;
}

}  // namespace

int ConnectTcp(const std::string& addresses) {
  const std::string first = addresses.substr(0, addresses.find(','));
  const size_t colon = first.rfind(':');
  CHECK(colon != std::string::npos) << first;
  addrinfo hints = {};
  hints.ai_socktype = SOCK_STREAM;
  addrinfo* found = nullptr;
  const int error = getaddrinfo(first.substr(0, colon).c_str(), first.substr(colon + 1).c_str(), &hints, &found);
  CHECK_EQ(error, 0) << first << ": " << gai_strerror(error);
  int fd = socket(found->ai_family, SOCK_STREAM | SOCK_CLOEXEC, 0);
  PCHECK(fd >= 0);
  if (connect(fd, found->ai_addr, found->ai_addrlen) != 0) {
    close(fd);
    fd = -1;
  }
  freeaddrinfo(found);
  return fd;
}

TcpForwarder::TcpForwarder(const std::string& target) : target_(target) {
  listener_ = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
  PCHECK(listener_ >= 0);
  sockaddr_in address = {};
  address.sin_family = AF_INET;
  address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  socklen_t size = sizeof(address);
  PCHECK(bind(listener_, reinterpret_cast<sockaddr*>(&address), size) == 0);
  PCHECK(listen(listener_, 64) == 0);
  PCHECK(getsockname(listener_, reinterpret_cast<sockaddr*>(&address), &size) == 0);
  port_ = ntohs(address.sin_port);
  PCHECK(pipe2(wake_, O_CLOEXEC) == 0);
  thread_ = std::thread([this] { Run(); });
}

TcpForwarder::~TcpForwarder() {
  {
    absl::MutexLock lock(&mutex_);
    stopping_ = true;
  }
  close(wake_[1]);
  thread_.join();
  {
    absl::MutexLock lock(&mutex_);
    for (const Pair& pair : pairs_) {
      close(pair.client);
      close(pair.server);
    }
  }
  close(wake_[0]);
  close(listener_);
}

std::string TcpForwarder::address() const { return absl::StrCat("127.0.0.1:", port_); }

void TcpForwarder::Cut() {
  absl::MutexLock lock(&mutex_);
  cut_ = true;
  // The thread notices the ends and closes: a socket that it polls must not be closed by another thread.
  for (const Pair& pair : pairs_) {
    shutdown(pair.client, SHUT_RDWR);
    shutdown(pair.server, SHUT_RDWR);
  }
}

void TcpForwarder::Restore() {
  absl::MutexLock lock(&mutex_);
  cut_ = false;
}

void TcpForwarder::Accept() {
  const int client = accept4(listener_, nullptr, nullptr, SOCK_CLOEXEC);
  if (client < 0) return;
  const int server = cut_ ? -1 : ConnectTcp(target_);
  if (server < 0) {
    close(client);
    return;
  }
  pairs_.push_back({client, server});
}

void TcpForwarder::Run() {
  while (true) {
    std::vector<pollfd> fds = {{wake_[0], POLLIN, 0}, {listener_, POLLIN, 0}};
    {
      absl::MutexLock lock(&mutex_);
      for (const Pair& pair : pairs_) {
        fds.push_back({pair.client, POLLIN, 0});
        fds.push_back({pair.server, POLLIN, 0});
      }
    }
    PCHECK(poll(fds.data(), fds.size(), -1) >= 0 || errno == EINTR);
    absl::MutexLock lock(&mutex_);
    if (stopping_) return;
    size_t next = 2;
    // Only this thread adds and removes pairs, so they are still those that were polled, in the same order.
    for (auto pair = pairs_.begin(); pair != pairs_.end(); next += 2) {
      const bool open = (fds[next].revents == 0 || Forward(pair->client, pair->server)) &&
                        (fds[next + 1].revents == 0 || Forward(pair->server, pair->client));
      if (open) {
        ++pair;
        continue;
      }
      close(pair->client);
      close(pair->server);
      pair = pairs_.erase(pair);
    }
    if (fds[1].revents != 0) Accept();
  }
}

}  // namespace tranche::testing
