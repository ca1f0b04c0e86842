#include "server/outbound/http_request.h"

#include <algorithm>

#include "absl/base/call_once.h"
#include "absl/strings/string_view.h"
#include "glog/logging.h"

namespace tranche::server {
namespace {

// Below it, more is to come: "100 Continue".
constexpr long kFirstFinalStatus = 200;

CURL* NewHandle() {
  static absl::once_flag once;
  absl::call_once(once, [] { CHECK_EQ(curl_global_init(CURL_GLOBAL_ALL), CURLE_OK); });
  CURL* handle = curl_easy_init();
  CHECK(handle != nullptr);
  return handle;
}

// A libcurl that cannot do this would trust whomever the machine trusts.
void SetPem(CURL* curl, CURLoption option, const std::string& pem) {
  curl_blob copied{.data = const_cast<char*>(pem.data()), .len = pem.size(), .flags = CURL_BLOB_COPY};
  CHECK_EQ(curl_easy_setopt(curl, option, &copied), CURLE_OK);
}

}  // namespace

HttpRequest::HttpRequest(const Options& options)
    : kept_bytes_(options.kept_bytes), most_bytes_(options.most_bytes), handle_(NewHandle(), curl_easy_cleanup) {
  CURL* curl = handle_.get();
  curl_easy_setopt(curl, CURLOPT_URL, options.url.c_str());
  curl_easy_setopt(curl, CURLOPT_PROTOCOLS_STR, "http,https");
  curl_easy_setopt(curl, CURLOPT_FOLLOWLOCATION, 0L);
  curl_easy_setopt(curl, CURLOPT_SSL_VERIFYPEER, 1L);
  curl_easy_setopt(curl, CURLOPT_SSL_VERIFYHOST, 2L);
  curl_easy_setopt(curl, CURLOPT_TIMEOUT_MS, static_cast<long>(absl::ToInt64Milliseconds(options.timeout)));
  curl_easy_setopt(curl, CURLOPT_CONNECTTIMEOUT_MS,
                   static_cast<long>(absl::ToInt64Milliseconds(options.connect_timeout)));
  curl_easy_setopt(curl, CURLOPT_NOSIGNAL, 1L);  // its alarms are for single-threaded programs
  curl_easy_setopt(curl, CURLOPT_TCP_KEEPALIVE, 1L);
  curl_easy_setopt(curl, CURLOPT_USERAGENT, options.user_agent.c_str());
  curl_easy_setopt(curl, CURLOPT_ERRORBUFFER, error_);
  curl_easy_setopt(curl, CURLOPT_WRITEFUNCTION, &HttpRequest::TakeBody);
  curl_easy_setopt(curl, CURLOPT_WRITEDATA, this);
  curl_easy_setopt(curl, CURLOPT_PRIVATE, this);
}

void HttpRequest::UseCertificates(const Certificates& certificates) {
  CURL* curl = handle_.get();
  // A session that is resumed goes on with the certificates that it began with.
  curl_easy_setopt(curl, CURLOPT_SSL_SESSIONID_CACHE, 0L);
  if (!certificates.authorities_pem.empty()) {
    SetPem(curl, CURLOPT_CAINFO_BLOB, certificates.authorities_pem);
    curl_easy_setopt(curl, CURLOPT_CAPATH, nullptr);  // otherwise those of this machine would be trusted, too
  }
  if (certificates.certificate_pem.empty()) return;
  SetPem(curl, CURLOPT_SSLCERT_BLOB, certificates.certificate_pem);
  SetPem(curl, CURLOPT_SSLKEY_BLOB, certificates.key_pem);
}

void HttpRequest::PreparePost(const std::string& body, const std::vector<std::string>& headers) {
  body_.clear();
  body_bytes_ = 0;
  error_[0] = '\0';
  curl_slist* list = nullptr;
  for (const std::string& header : headers) list = curl_slist_append(list, header.c_str());
  CURL* curl = handle_.get();
  curl_easy_setopt(curl, CURLOPT_POSTFIELDSIZE_LARGE, static_cast<curl_off_t>(body.size()));
  curl_easy_setopt(curl, CURLOPT_POSTFIELDS, body.c_str());
  curl_easy_setopt(curl, CURLOPT_HTTPHEADER, list);
  headers_.reset(list);
}

HttpRequest::Answer HttpRequest::TakeAnswer(CURLcode result) {
  Answer answer;
  answer.timed_out = result == CURLE_OPERATION_TIMEDOUT;
  curl_easy_getinfo(handle_.get(), CURLINFO_RESPONSE_CODE, &answer.status);
  // The status is the answer, even if its body was cut off by us or does not end before the timeout.
  if (result != CURLE_OK && answer.status < kFirstFinalStatus) {
    answer.status = 0;
    answer.text = error_[0] != '\0' ? error_ : curl_easy_strerror(result);
    return answer;
  }
  curl_off_t retry_after_s = 0;
  curl_easy_getinfo(handle_.get(), CURLINFO_RETRY_AFTER, &retry_after_s);
  answer.retry_after = absl::Seconds(std::max<curl_off_t>(retry_after_s, 0));
  answer.text = body_;
  answer.whole = result == CURLE_OK && body_bytes_ == body_.size();
  return answer;
}

size_t HttpRequest::TakeBody(char* data, size_t size, size_t count, void* request) {
  auto* self = static_cast<HttpRequest*>(request);
  const size_t bytes = size * count;
  self->body_bytes_ += bytes;
  self->body_.append(data, std::min(bytes, self->kept_bytes_ - self->body_.size()));
  return self->body_bytes_ > self->most_bytes_ ? 0 : bytes;
}

}  // namespace tranche::server
