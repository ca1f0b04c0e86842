// Asks a captcha's provider whether a buyer has solved it.
#pragma once

#include <curl/curl.h>

#include <atomic>
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

// All requests run side by side on one thread, on connections that are kept. A question that fails is logged, at most
// once a minute of each kind; the secret never is.
//
// The node asks questions of its own, too: at the start and every kProbeEvery, so that a connection is there when a
// buyer comes (a new one takes longer than a question may), and to find out when a provider that has failed is back.
// Buyers are not used for that: while it fails, nobody is asked about. counts() has buyers' questions only.
class HttpCaptchaVerifier : public CaptchaVerifier {
 public:
  // Of buyers' requests under way; who comes then is told kBusy at once.
  static constexpr size_t kMostRequests = 256;
  static constexpr absl::Duration kProbeEvery = absl::Seconds(10);
  // Of a whole probe. Once connected, it must be answered as soon as a buyer's question.
  static constexpr absl::Duration kProbeTimeout = absl::Seconds(5);
  // What a probe shows as its response. Providers refuse it.
  static constexpr char kProbeResponse[] = "tranche-probe";
  // A longer answer is none.
  static constexpr size_t kMostAnswerBytes = 16 * 1024;

  // `clock` outlives this.
  HttpCaptchaVerifier(HttpCaptchaOptions options, storage::Clock* clock);
  // Requests that are under way are given up: kUnknown.
  ~HttpCaptchaVerifier() override;

  const std::string& site_key() const override { return options_.site_key; }
  bool available() const override { return breaker_.closed(); }
  void Verify(absl::string_view response, absl::string_view address,
              absl::AnyInvocable<void(CaptchaVerdict)> verified) override;

  const HookCounts& counts() const { return counts_; }

 private:
  struct Transfer;
  // With the certificates that it was last given.
  struct Idle {
    std::unique_ptr<HttpRequest> request;
    std::shared_ptr<const Certificates> certificates;
  };

  void Run();
  // On the thread of Run.
  void ProbeIfDue();
  void Begin(std::unique_ptr<Transfer> transfer);
  Idle NewRequest(absl::Duration timeout) const;
  void TakeEnded();
  void TakeAnswer(Transfer& transfer, CURLcode result);
  CaptchaVerdict VerdictOf(CURLcode result, const HttpRequest::Answer& answer);
  // Gives them up.
  void FailAll(std::vector<std::unique_ptr<Transfer>> transfers);
  void End(Transfer& transfer, CaptchaVerdict verdict);
  void Wait();
  void TellFault(const std::string& kind, const std::string& what);

  const HttpCaptchaOptions options_;
  storage::Clock* const clock_;
  CircuitBreaker breaker_;
  HookCounts counts_;
  OncePer faults_;
  std::unique_ptr<CURLM, CURLMcode (*)(CURLM*)> multi_;

  absl::Mutex mutex_;
  bool stopping_ ABSL_GUARDED_BY(mutex_) = false;
  size_t requests_ ABSL_GUARDED_BY(mutex_) = 0;  // waiting or running
  std::vector<std::unique_ptr<Transfer>> waiting_ ABSL_GUARDED_BY(mutex_);

  std::atomic<bool> deaf_{false};  // a wakeup has failed, so the thread must look by itself

  // Of the thread.
  std::vector<std::unique_ptr<Transfer>> running_;
  std::vector<Idle> idle_, idle_probes_;
  bool probing_ = false;
  absl::Time probed_at_ = absl::InfinitePast();
  std::thread thread_;  // last: it uses the others
};

}  // namespace tranche::server
