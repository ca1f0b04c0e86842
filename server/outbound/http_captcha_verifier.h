// Asks a captcha's provider whether a buyer has solved it, in the form that Turnstile, hCaptcha and reCAPTCHA share: a
// POST with `secret`, `response` and `remoteip`, answered with JSON that has `success`.
#pragma once

#include <curl/curl.h>

#include <memory>
#include <string>
#include <thread>
#include <vector>

#include "absl/base/thread_annotations.h"
#include "absl/synchronization/mutex.h"
#include "absl/time/time.h"
#include "server/admission/outside_checks.h"
#include "server/once_per.h"
#include "server/outbound/circuit_breaker.h"
#include "server/outbound/hook_counts.h"
#include "server/outbound/http_request.h"
#include "storage/base/certificate_files.h"
#include "storage/base/token_file.h"
#include "storage/clock.h"

namespace tranche::server {

struct HttpCaptchaOptions {
  std::string url = {};  // https://, or http:// to this machine itself
  std::string site_key = {};
  std::shared_ptr<TokenFile> secret = nullptr;  // not null
  // Authorities that may vouch for the provider's certificate; null: those of this machine.
  std::shared_ptr<CertificateFiles> certificates = nullptr;
  absl::Duration timeout = absl::Milliseconds(200);  // of a whole request
};

// All requests run side by side on one thread, on connections that are kept. What says that our secret or our request
// is wrong is a failure, not a verdict about a buyer: it is logged, at most once a minute. The secret never is.
class HttpCaptchaVerifier : public CaptchaVerifier {
 public:
  // Of requests under way; more are not made.
  static constexpr size_t kMostRequests = 256;
  // A longer answer is none.
  static constexpr size_t kMostAnswerBytes = 16 * 1024;

  // `clock` outlives this.
  HttpCaptchaVerifier(HttpCaptchaOptions options, storage::Clock* clock);
  // Requests that are under way are given up: kUnknown.
  ~HttpCaptchaVerifier() override;

  const std::string& site_key() const override { return options_.site_key; }
  bool available() const override { return breaker_.may_ask(); }
  void Verify(absl::string_view response, absl::string_view address,
              absl::AnyInvocable<void(CaptchaVerdict)> verified) override;

  const HookCounts& counts() const { return counts_; }

 private:
  struct Transfer;

  void Run();
  // On the thread of Run.
  void Begin(std::unique_ptr<Transfer> transfer);
  void TakeEnded();
  CaptchaVerdict VerdictOf(const HttpRequest::Answer& answer);
  void End(Transfer& transfer, CaptchaVerdict verdict);
  void TellFault(const std::string& what);

  const HttpCaptchaOptions options_;
  CircuitBreaker breaker_;
  HookCounts counts_;
  OncePer faults_;
  std::unique_ptr<CURLM, CURLMcode (*)(CURLM*)> multi_;

  absl::Mutex mutex_;
  bool stopping_ ABSL_GUARDED_BY(mutex_) = false;
  size_t requests_ ABSL_GUARDED_BY(mutex_) = 0;  // waiting or running
  std::vector<std::unique_ptr<Transfer>> waiting_ ABSL_GUARDED_BY(mutex_);

  // Of the thread.
  std::vector<std::unique_ptr<Transfer>> running_;
  // With the certificates that each was last given.
  struct Idle {
    std::unique_ptr<HttpRequest> request;
    std::shared_ptr<const Certificates> certificates;
  };
  std::vector<Idle> idle_;
  std::thread thread_;  // last: it uses the others
};

// What a provider's answer with a 2xx says of the buyer, and for kUnknown why: "" or a sentence for operators. Pure.
struct CaptchaReading {
  CaptchaVerdict verdict = CaptchaVerdict::kUnknown;
  std::string fault = {};
};
CaptchaReading ReadCaptchaAnswer(absl::string_view json);

// `text` as a value of application/x-www-form-urlencoded.
std::string FormEncoded(absl::string_view text);

}  // namespace tranche::server
