// A small HTTP client for the doors of our processes.
#pragma once

#include <map>
#include <string>

#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"

namespace tranche::testing {

// A connection to a port of this machine, closed with this object.
class TcpClient {
 public:
  // number() is -1 if nobody listens there. `from`: an address of this machine; "": as the system chooses.
  explicit TcpClient(int port, const std::string& host = "127.0.0.1", const std::string& from = "");
  ~TcpClient();
  TcpClient(const TcpClient&) = delete;
  TcpClient& operator=(const TcpClient&) = delete;

  int number() const { return socket_; }
  bool Send(absl::string_view bytes);
  // What comes until the other side closes. kDeadlineExceeded if it does not within 20 s.
  absl::StatusOr<std::string> ReadAll();

 private:
  int socket_ = -1;
};

struct HttpReply {
  int status = 0;
  std::map<std::string, std::string> headers;  // names in lower case
  std::string body;
};

absl::StatusOr<HttpReply> HttpGet(int port, const std::string& path, const std::string& method = "GET",
                                  const std::string& host = "127.0.0.1");

// The samples of a page of metrics: name{labels} -> value.
std::map<std::string, double> SamplesOf(absl::string_view page);
// The types of its families, by name.
std::map<std::string, std::string> TypesOf(absl::string_view page);

}  // namespace tranche::testing
