#include "tests/support/http_receiver.h"

#include <arpa/inet.h>
#include <glog/logging.h>
#include <netinet/in.h>
#include <sys/socket.h>
#include <unistd.h>

#include <optional>
#include <utility>

#include "absl/strings/ascii.h"
#include "absl/strings/match.h"
#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_split.h"

namespace tranche::testing {
namespace {

constexpr int kBacklog = 64;

// Reads from the socket until `text` has `size` bytes; false when it ends before.
bool ReadUntil(int socket, size_t size, std::string& text) {
  char chunk[4096];
  while (text.size() < size) {
    const ssize_t count = recv(socket, chunk, sizeof(chunk), 0);
    if (count <= 0) return false;
    text.append(chunk, static_cast<size_t>(count));
  }
  return true;
}

// The next request; `rest` holds what was read beyond the last one. nullopt at the end of the connection.
std::optional<HttpRequestSeen> ReadRequest(int socket, std::string& rest) {
  constexpr char kEnd[] = "\r\n\r\n";
  while (rest.find(kEnd) == std::string::npos) {
    if (!ReadUntil(socket, rest.size() + 1, rest)) return std::nullopt;
  }
  const size_t head_size = rest.find(kEnd) + 4;
  HttpRequestSeen request;
  for (absl::string_view line : absl::StrSplit(rest.substr(0, head_size - 4), "\r\n")) {
    const size_t colon = line.find(':');
    if (request.line.empty()) {
      request.line = std::string(line);
    } else if (colon != absl::string_view::npos) {
      request.headers[absl::AsciiStrToLower(line.substr(0, colon))] =
          std::string(absl::StripAsciiWhitespace(line.substr(colon + 1)));
    }
  }
  size_t body_size = 0;
  if (!absl::SimpleAtoi(request.headers["content-length"], &body_size)) return std::nullopt;
  if (!ReadUntil(socket, head_size + body_size, rest)) return std::nullopt;
  request.body = rest.substr(head_size, body_size);
  rest.erase(0, head_size + body_size);
  return request;
}

bool SendAll(int socket, const std::string& text) {
  for (size_t sent = 0; sent < text.size();) {
    const ssize_t count = send(socket, text.data() + sent, text.size() - sent, MSG_NOSIGNAL);
    if (count <= 0) return false;
    sent += static_cast<size_t>(count);
  }
  return true;
}

}  // namespace

HttpReceiver::HttpReceiver(Handler answer, int port) : answer_(std::move(answer)) {
  listener_ = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
  PCHECK(listener_ >= 0);
  const int yes = 1;
  PCHECK(setsockopt(listener_, SOL_SOCKET, SO_REUSEADDR, &yes, sizeof(yes)) == 0);
  sockaddr_in address{};
  address.sin_family = AF_INET;
  address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  address.sin_port = htons(static_cast<uint16_t>(port));
  PCHECK(bind(listener_, reinterpret_cast<sockaddr*>(&address), sizeof(address)) == 0);
  PCHECK(listen(listener_, kBacklog) == 0);
  socklen_t size = sizeof(address);
  PCHECK(getsockname(listener_, reinterpret_cast<sockaddr*>(&address), &size) == 0);
  port_ = ntohs(address.sin_port);
  accepting_ = std::thread([this] { Accept(); });
}

HttpReceiver::~HttpReceiver() {
  std::vector<std::thread> threads;
  {
    absl::MutexLock lock(&mutex_);
    stopping_ = true;
    shutdown(listener_, SHUT_RDWR);
    for (const int socket : sockets_) shutdown(socket, SHUT_RDWR);
  }
  accepting_.join();
  {
    absl::MutexLock lock(&mutex_);
    threads.swap(threads_);
  }
  for (std::thread& thread : threads) thread.join();
  for (const int socket : sockets_) close(socket);
  close(listener_);
}

std::string HttpReceiver::url() const { return absl::StrCat("http://127.0.0.1:", port_, "/hook"); }

void HttpReceiver::Accept() {
  while (true) {
    const int socket = accept4(listener_, nullptr, nullptr, SOCK_CLOEXEC);
    absl::MutexLock lock(&mutex_);
    if (stopping_ || socket < 0) {
      if (socket >= 0) close(socket);
      return;
    }
    sockets_.push_back(socket);
    const int number = static_cast<int>(sockets_.size());
    threads_.emplace_back([this, socket, number] { Serve(socket, number); });
  }
}

void HttpReceiver::Serve(int socket, int number) {
  std::string rest;
  while (std::optional<HttpRequestSeen> request = ReadRequest(socket, rest)) {
    request->connection = number;
    const HttpAnswer answer = answer_(*request);
    if (answer.hang_up) break;
    const size_t body_size = answer.body.size() + (answer.unfinished ? 1 : 0);
    if (!SendAll(socket, absl::StrCat("HTTP/1.1 ", answer.status, " X\r\nContent-Length: ", body_size, "\r\n",
                                      answer.headers, "\r\n", answer.body))) {
      break;
    }
  }
  shutdown(socket, SHUT_RDWR);  // closed by the destructor, so that its number is not reused before
}

}  // namespace tranche::testing
