#include "tests/support/zookeeper_expiry.h"

#include <glog/logging.h>
#include <sys/socket.h>
#include <sys/time.h>
#include <unistd.h>

#include <cstdint>
#include <string>

#include "tests/support/tcp_forwarder.h"

namespace tranche::testing {
namespace {

// ZooKeeper's wire format: integers big-endian, buffers and packets preceded by their length.
template <typename Int>
std::string BigEndian(Int value) {
  std::string bytes;
  for (int shift = 8 * (sizeof(Int) - 1); shift >= 0; shift -= 8) {
    bytes.push_back(static_cast<char>((static_cast<uint64_t>(value) >> shift) & 0xff));
  }
  return bytes;
}

std::string WithLength(const std::string& bytes) { return BigEndian(static_cast<int32_t>(bytes.size())) + bytes; }

std::string AttachRequest(int64_t session_id, const std::string& password) {
  constexpr int32_t kProtocolVersion = 0;
  constexpr int64_t kLastZxidSeen = 0;
  constexpr int32_t kTimeoutMs = 10'000;
  const std::string not_read_only(1, '\0');
  return WithLength(BigEndian(kProtocolVersion) + BigEndian(kLastZxidSeen) + BigEndian(kTimeoutMs) +
                    BigEndian(session_id) + WithLength(password) + not_read_only);
}

std::string CloseRequest() {
  constexpr int32_t kXid = 1;
  constexpr int32_t kCloseSession = -11;
  return WithLength(BigEndian(kXid) + BigEndian(kCloseSession));
}

}  // namespace

void ExpireZookeeperSession(const std::string& servers, const quota::ZookeeperSession& session) {
  const int fd = ConnectTcp(servers);
  PCHECK(fd >= 0) << servers;
  const timeval timeout = {.tv_sec = 30, .tv_usec = 0};
  PCHECK(setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &timeout, sizeof(timeout)) == 0);
  const std::string requests = AttachRequest(session.SessionId(), session.password()) + CloseRequest();
  PCHECK(send(fd, requests.data(), requests.size(), MSG_NOSIGNAL) == static_cast<ssize_t>(requests.size()));
  // Two replies and the end.
  size_t received = 0;
  char buffer[256];
  ssize_t size;
  while ((size = recv(fd, buffer, sizeof(buffer), 0)) > 0) received += static_cast<size_t>(size);
  PCHECK(size == 0) << "the server does not end the session";
  CHECK_GT(received, AttachRequest(0, session.password()).size()) << "the owner took its session back";
  close(fd);
}

}  // namespace tranche::testing
