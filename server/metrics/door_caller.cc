#include "server/metrics/door_caller.h"

#include <openssl/err.h>
#include <poll.h>
#include <sys/socket.h>

#include <algorithm>
#include <cerrno>
#include <cstdint>
#include <utility>

#include "absl/time/clock.h"

namespace tranche::server {
namespace {

constexpr long kAgain = 0;
constexpr long kNever = -1;

}  // namespace

DoorCaller::DoorCaller(FileDescriptor socket, DoorTls::Session session, int closing)
    : socket_(std::move(socket)), session_(std::move(session)), closing_(closing) {}

DoorCaller::~DoorCaller() {
  if (session_ != nullptr && !broken_ && SSL_is_init_finished(session_.get())) (void)SSL_shutdown(session_.get());
  ERR_clear_error();
  (void)shutdown(socket_.number(), SHUT_WR);
}

size_t DoorCaller::Read(char* to, size_t most, absl::Time deadline) {
  while (true) {
    const long got = TryRead(to, most);
    if (got > 0) return static_cast<size_t>(got);
    if (got == kNever || !Await(deadline)) return 0;
  }
}

bool DoorCaller::Write(absl::string_view bytes, absl::Time deadline) {
  // Without a handshake there is nobody to write to.
  if (session_ != nullptr && (broken_ || !SSL_is_init_finished(session_.get()))) return false;
  while (!bytes.empty()) {
    const long sent = TryWrite(bytes);
    if (sent == kNever) return false;
    bytes.remove_prefix(static_cast<size_t>(sent));
    if (sent == kAgain && !Await(deadline)) return false;
  }
  return true;
}

long DoorCaller::TryRead(char* to, size_t most) {
  if (session_ != nullptr) {
    ERR_clear_error();
    return AfterTls(SSL_read(session_.get(), to, static_cast<int>(most)));
  }
  const long got = recv(socket_.number(), to, most, 0);
  return got == 0 ? kNever : AfterPlain(got, POLLIN);
}

long DoorCaller::TryWrite(absl::string_view bytes) {
  if (session_ != nullptr) {
    ERR_clear_error();
    return AfterTls(SSL_write(session_.get(), bytes.data(), static_cast<int>(bytes.size())));
  }
  return AfterPlain(send(socket_.number(), bytes.data(), bytes.size(), MSG_NOSIGNAL), POLLOUT);
}

long DoorCaller::AfterTls(int result) {
  if (result > 0) return result;
  switch (SSL_get_error(session_.get(), result)) {
    case SSL_ERROR_WANT_READ:
      wanted_ = POLLIN;
      return kAgain;
    case SSL_ERROR_WANT_WRITE:
      wanted_ = POLLOUT;
      return kAgain;
    case SSL_ERROR_ZERO_RETURN:
      return kNever;
    default:
      broken_ = true;
      return kNever;
  }
}

long DoorCaller::AfterPlain(long result, short wanted) {
  wanted_ = wanted;
  if (result > 0) return result;
  return errno == EAGAIN || errno == EWOULDBLOCK || errno == EINTR ? kAgain : kNever;
}

bool DoorCaller::Await(absl::Time deadline) {
  const int64_t left_ms = absl::ToInt64Milliseconds(absl::Ceil(deadline - absl::Now(), absl::Milliseconds(1)));
  if (left_ms <= 0) return false;
  pollfd waiting[] = {{socket_.number(), wanted_, 0}, {closing_, POLLIN, 0}};
  const int ready = poll(waiting, 2, static_cast<int>(std::min<int64_t>(left_ms, INT32_MAX)));
  // A signal, for example, ends it early: the next try tells.
  return (ready > 0 || (ready < 0 && errno == EINTR)) && waiting[1].revents == 0;
}

}  // namespace tranche::server
