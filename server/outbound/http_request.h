// One HTTP request at a time on a reused libcurl handle.
#pragma once

#include <curl/curl.h>

#include <memory>
#include <string>
#include <vector>

#include "absl/time/time.h"
#include "storage/base/certificate_files.h"

namespace tranche::server {

// One thread at a time. Not movable: libcurl holds its address.
class HttpRequest {
 public:
  struct Options {
    std::string url = {};
    absl::Duration timeout = absl::Seconds(10);  // of the whole request
    absl::Duration connect_timeout = absl::Seconds(10);
    std::string user_agent = {};
    size_t kept_bytes = 200;        // of an answer's body, for who reads it; the rest is read and dropped
    size_t most_bytes = 64 * 1024;  // a longer body ends the transfer, and its connection
  };

  explicit HttpRequest(const Options& options);
  HttpRequest(const HttpRequest&) = delete;
  HttpRequest& operator=(const HttpRequest&) = delete;

  // For https, not during a transfer. Connections with other ones are not used any more.
  void UseCertificates(const Certificates& certificates);

  // Makes it a POST of the body, which must outlive the transfer. Headers are "Name: value".
  void PreparePost(const std::string& body, const std::vector<std::string>& headers);

  CURL* handle() const { return handle_.get(); }

  // Valid after the transfer. A status of 0 means that there was no answer; then `text` says why. Otherwise `text` is
  // the beginning of the answer's body.
  struct Answer {
    long status = 0;
    std::string text = {};
    bool whole = false;  // the answer came to its end, and `text` is all of its body
    bool timed_out = false;
    absl::Duration retry_after = absl::ZeroDuration();
  };
  Answer TakeAnswer(CURLcode result);

 private:
  static size_t TakeBody(char* data, size_t size, size_t count, void* request);

  const size_t kept_bytes_, most_bytes_;
  std::unique_ptr<CURL, void (*)(CURL*)> handle_;
  std::unique_ptr<curl_slist, void (*)(curl_slist*)> headers_{nullptr, curl_slist_free_all};
  std::string body_;
  size_t body_bytes_ = 0;
  char error_[CURL_ERROR_SIZE] = {};
};

}  // namespace tranche::server
