// A receiver of webhooks: a real HTTP/1.1 server on a free port of 127.0.0.1, as small as tests need it.
#pragma once

#include <functional>
#include <map>
#include <string>
#include <thread>
#include <vector>

#include "absl/base/thread_annotations.h"
#include "absl/synchronization/mutex.h"

namespace tranche::testing {

struct HttpRequestSeen {
  std::string line;                            // "POST /hook HTTP/1.1"
  std::map<std::string, std::string> headers;  // names in lower case
  std::string body;
  int connection = 0;  // the number of its connection, from 1
};

struct HttpAnswer {
  int status = 200;
  std::string headers = "";  // "Name: value\r\n"...
  std::string body = "";
  bool hang_up = false;     // close the connection without an answer
  bool unfinished = false;  // the body lacks its last byte, and nothing more comes
};

// `answer` runs on a thread per connection. Thread-safe.
class HttpReceiver {
 public:
  using Handler = std::function<HttpAnswer(const HttpRequestSeen&)>;

  // `port` 0: a free one.
  explicit HttpReceiver(Handler answer, int port = 0);
  // Ends the connections. The handler must return by then.
  ~HttpReceiver();
  HttpReceiver(const HttpReceiver&) = delete;
  HttpReceiver& operator=(const HttpReceiver&) = delete;

  int port() const { return port_; }
  std::string url() const;

 private:
  void Accept();
  void Serve(int socket, int number);

  const Handler answer_;
  int listener_ = -1;
  int port_ = 0;
  absl::Mutex mutex_;
  bool stopping_ ABSL_GUARDED_BY(mutex_) = false;
  std::vector<int> sockets_ ABSL_GUARDED_BY(mutex_);
  std::vector<std::thread> threads_ ABSL_GUARDED_BY(mutex_);
  std::thread accepting_;
};

}  // namespace tranche::testing
