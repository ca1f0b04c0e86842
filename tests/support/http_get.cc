#include "tests/support/http_get.h"

#include <arpa/inet.h>
#include <netdb.h>
#include <netinet/in.h>
#include <sys/socket.h>
#include <sys/time.h>
#include <unistd.h>

#include <array>
#include <vector>

#include "absl/strings/ascii.h"
#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_split.h"
#include "absl/strings/strip.h"

namespace tranche::testing {

TcpClient::TcpClient(int port, const std::string& host, const std::string& from) {
  addrinfo hints{};
  hints.ai_socktype = SOCK_STREAM;
  hints.ai_flags = AI_NUMERICHOST | AI_NUMERICSERV;
  addrinfo* found = nullptr;
  if (getaddrinfo(host.c_str(), absl::StrCat(port).c_str(), &hints, &found) != 0) return;
  socket_ = socket(found->ai_family, SOCK_STREAM | SOCK_CLOEXEC, 0);
  const timeval patience{.tv_sec = 20, .tv_usec = 0};
  setsockopt(socket_, SOL_SOCKET, SO_RCVTIMEO, &patience, sizeof(patience));
  sockaddr_in own{};
  own.sin_family = AF_INET;
  const bool bound = from.empty() || (inet_pton(AF_INET, from.c_str(), &own.sin_addr) == 1 &&
                                      bind(socket_, reinterpret_cast<sockaddr*>(&own), sizeof(own)) == 0);
  if (!bound || connect(socket_, found->ai_addr, found->ai_addrlen) != 0) {
    close(socket_);
    socket_ = -1;
  }
  freeaddrinfo(found);
}

TcpClient::~TcpClient() {
  if (socket_ >= 0) close(socket_);
}

bool TcpClient::Send(absl::string_view bytes) {
  return send(socket_, bytes.data(), bytes.size(), MSG_NOSIGNAL) == static_cast<ssize_t>(bytes.size());
}

absl::StatusOr<std::string> TcpClient::ReadAll() {
  std::string all;
  std::array<char, 65536> part{};
  while (true) {
    const ssize_t size = recv(socket_, part.data(), part.size(), 0);
    if (size < 0 && (errno == EAGAIN || errno == EWOULDBLOCK)) return absl::DeadlineExceededError("nothing came");
    if (size <= 0) return all;
    all.append(part.data(), static_cast<size_t>(size));
  }
}

absl::StatusOr<HttpReply> HttpGet(int port, const std::string& path, const std::string& method,
                                  const std::string& host) {
  TcpClient client(port, host);
  if (client.number() < 0) return absl::UnavailableError("nobody listens");
  if (!client.Send(absl::StrCat(method, " ", path, " HTTP/1.1\r\nHost: test\r\nContent-Length: 0\r\n\r\n"))) {
    return absl::UnavailableError("cannot send");
  }
  const absl::StatusOr<std::string> bytes = client.ReadAll();
  if (!bytes.ok()) return bytes.status();
  const size_t end = bytes->find("\r\n\r\n");
  const std::vector<std::string> lines = absl::StrSplit(bytes->substr(0, end), "\r\n");
  const std::vector<std::string> words = absl::StrSplit(lines[0], ' ');
  HttpReply reply;
  if (end == std::string::npos || words.size() < 2 || !absl::SimpleAtoi(words[1], &reply.status)) {
    return absl::InternalError(absl::StrCat("no answer of HTTP: ", *bytes));
  }
  for (size_t i = 1; i < lines.size(); ++i) {
    const std::pair<std::string, std::string> header = absl::StrSplit(lines[i], absl::MaxSplits(": ", 1));
    reply.headers[absl::AsciiStrToLower(header.first)] = header.second;
  }
  reply.body = bytes->substr(end + 4);
  return reply;
}

std::map<std::string, double> SamplesOf(absl::string_view page) {
  std::map<std::string, double> samples;
  for (const absl::string_view line : absl::StrSplit(page, '\n', absl::SkipEmpty())) {
    const size_t space = line.rfind(' ');
    double value = 0;
    if (line[0] == '#' || space == absl::string_view::npos) continue;
    if (absl::SimpleAtod(line.substr(space + 1), &value)) samples[std::string(line.substr(0, space))] = value;
  }
  return samples;
}

std::map<std::string, std::string> TypesOf(absl::string_view page) {
  std::map<std::string, std::string> types;
  for (absl::string_view line : absl::StrSplit(page, '\n')) {
    if (!absl::ConsumePrefix(&line, "# TYPE ")) continue;
    const std::pair<std::string, std::string> words = absl::StrSplit(line, ' ');
    types.insert(words);
  }
  return types;
}

}  // namespace tranche::testing
