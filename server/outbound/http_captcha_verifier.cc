#include "server/outbound/http_captcha_verifier.h"

#include <algorithm>
#include <optional>
#include <utility>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "absl/time/clock.h"
#include "glog/logging.h"
#include "server/outbound/captcha_answer.h"

namespace tranche::server {
namespace {

constexpr int kCaptchaPollMs = 250;  // also how late a probe may be
constexpr int kDeafPollMs = 10;
constexpr absl::Duration kTellFaultEvery = absl::Minutes(1);

// How long the answer took once the request could be sent, so without connecting.
absl::Duration AnsweredIn(CURL* handle) {
  curl_off_t total_us = 0, before_us = 0;
  curl_easy_getinfo(handle, CURLINFO_TOTAL_TIME_T, &total_us);
  curl_easy_getinfo(handle, CURLINFO_PRETRANSFER_TIME_T, &before_us);
  return absl::Microseconds(total_us - before_us);
}

}  // namespace

struct HttpCaptchaVerifier::Transfer {
  bool probe = false;
  CircuitBreaker::Permit permit = CircuitBreaker::Permit::kCall;
  absl::AnyInvocable<void(CaptchaVerdict)> verified = nullptr;  // null: a probe
  std::string response = {}, address = {};
  std::string body = {};  // once it runs, as `on`
  Idle on = {};
};

HttpCaptchaVerifier::HttpCaptchaVerifier(HttpCaptchaOptions options, storage::Clock* clock)
    : options_(std::move(options)),
      clock_(clock),
      breaker_(clock),
      faults_(kTellFaultEvery, /*max_kinds=*/16, clock),
      multi_(curl_multi_init(), &curl_multi_cleanup) {
  CHECK(multi_ != nullptr);
  counts_.open = [this] { return !breaker_.closed(); };
  curl_multi_setopt(multi_.get(), CURLMOPT_MAXCONNECTS, static_cast<long>(kMostRequests));
  thread_ = std::thread([this] { Run(); });
}

HttpCaptchaVerifier::~HttpCaptchaVerifier() {
  {
    absl::MutexLock lock(&mutex_);
    stopping_ = true;
  }
  curl_multi_wakeup(multi_.get());
  thread_.join();
}

void HttpCaptchaVerifier::Verify(absl::string_view response, absl::string_view address,
                                 absl::AnyInvocable<void(CaptchaVerdict)> verified) {
  auto transfer = std::make_unique<Transfer>();
  transfer->response = std::string(response);
  transfer->address = std::string(address);
  std::optional<CaptchaVerdict> at_once;
  {
    absl::MutexLock lock(&mutex_);
    if (stopping_ || !breaker_.closed()) {
      at_once = CaptchaVerdict::kUnknown;
    } else if (requests_ >= kMostRequests) {
      at_once = CaptchaVerdict::kBusy;
    } else {
      ++requests_;
      transfer->verified = std::move(verified);
      waiting_.push_back(std::move(transfer));
    }
  }
  if (at_once.has_value()) {
    ++counts_.skipped;
    verified(*at_once);
    return;
  }
  if (curl_multi_wakeup(multi_.get()) != CURLM_OK) deaf_ = true;
}

void HttpCaptchaVerifier::Run() {
  while (true) {
    std::vector<std::unique_ptr<Transfer>> begin;
    {
      absl::MutexLock lock(&mutex_);
      if (stopping_) break;
      begin.swap(waiting_);
    }
    ProbeIfDue();
    for (auto& transfer : begin) Begin(std::move(transfer));
    int running = 0;
    if (const CURLMcode code = curl_multi_perform(multi_.get(), &running); code != CURLM_OK) {
      LOG_EVERY_T(ERROR, 60) << "libcurl cannot go on asking the captcha's provider: " << curl_multi_strerror(code);
      FailAll(std::exchange(running_, {}));
    }
    TakeEnded();
    Wait();
  }
  FailAll(std::exchange(running_, {}));
  std::vector<std::unique_ptr<Transfer>> waiting;
  {
    absl::MutexLock lock(&mutex_);
    waiting.swap(waiting_);
  }
  FailAll(std::move(waiting));
}

void HttpCaptchaVerifier::Wait() {
  const int most_ms = deaf_ ? kDeafPollMs : kCaptchaPollMs;
  const CURLMcode code = curl_multi_poll(multi_.get(), nullptr, 0, most_ms, nullptr);
  if (code == CURLM_OK) return;
  LOG_EVERY_T(ERROR, 60) << "libcurl cannot wait for the captcha's provider: " << curl_multi_strerror(code);
  absl::SleepFor(absl::Milliseconds(kDeafPollMs));  // otherwise this thread would spin
}

// One at a time: it ends by its timeout.
void HttpCaptchaVerifier::ProbeIfDue() {
  if (probing_) return;
  const absl::Time now = clock_->Now();
  CircuitBreaker::Permit permit = CircuitBreaker::Permit::kCall;
  if (!breaker_.closed()) {
    permit = breaker_.Ask();
    if (permit == CircuitBreaker::Permit::kNo) return;
  } else if (now >= probed_at_ && now - probed_at_ < kProbeEvery) {
    return;
  }
  probing_ = true;
  probed_at_ = now;
  auto probe = std::make_unique<Transfer>();
  probe->probe = true;
  probe->permit = permit;
  probe->response = kProbeResponse;
  Begin(std::move(probe));
}

HttpCaptchaVerifier::Idle HttpCaptchaVerifier::NewRequest(absl::Duration timeout) const {
  Idle made;
  made.request = std::make_unique<HttpRequest>(HttpRequest::Options{.url = options_.url,
                                                                    .timeout = timeout,
                                                                    .connect_timeout = timeout,
                                                                    .user_agent = "tranched",
                                                                    .kept_bytes = kMostAnswerBytes,
                                                                    .most_bytes = kMostAnswerBytes});
  CURL* const handle = made.request->handle();
  // Otherwise the end of one that waits for a name server waits, too, and the others with it.
  curl_easy_setopt(handle, CURLOPT_QUICK_EXIT, 1L);
  if (absl::StartsWith(options_.url, "http:")) {
    // In plaintext the secret must not leave this machine.
    curl_easy_setopt(handle, CURLOPT_PROXY, "");
  } else {
    // Many share one connection, where the provider can do that, rather than that each opens its own. A libcurl without
    // HTTP/2 refuses the first, and goes on without.
    curl_easy_setopt(handle, CURLOPT_HTTP_VERSION, static_cast<long>(CURL_HTTP_VERSION_2TLS));
    curl_easy_setopt(handle, CURLOPT_PIPEWAIT, 1L);
  }
  return made;
}

void HttpCaptchaVerifier::Begin(std::unique_ptr<Transfer> transfer) {
  std::vector<Idle>& idle = transfer->probe ? idle_probes_ : idle_;
  if (idle.empty()) {
    transfer->on = NewRequest(transfer->probe ? kProbeTimeout : options_.timeout);
  } else {
    transfer->on = std::move(idle.back());
    idle.pop_back();
  }
  Idle& on = transfer->on;
  if (options_.certificates != nullptr) {
    std::shared_ptr<const Certificates> current = options_.certificates->Refresh();
    if (current != on.certificates) {
      on.request->UseCertificates(*current);
      on.certificates = std::move(current);
    }
  }
  transfer->body = CaptchaForm(*options_.secret->Current(), transfer->response, transfer->address);
  on.request->PreparePost(transfer->body, {"Content-Type: application/x-www-form-urlencoded", "Expect:"});
  const CURLMcode code = curl_multi_add_handle(multi_.get(), on.request->handle());
  running_.push_back(std::move(transfer));
  if (code == CURLM_OK) return;
  LOG_EVERY_T(ERROR, 60) << "libcurl cannot ask the captcha's provider: " << curl_multi_strerror(code);
  std::vector<std::unique_ptr<Transfer>> failed;
  failed.push_back(std::move(running_.back()));
  running_.pop_back();
  FailAll(std::move(failed));
}

void HttpCaptchaVerifier::TakeEnded() {
  int left = 0;
  while (const CURLMsg* message = curl_multi_info_read(multi_.get(), &left)) {
    if (message->msg != CURLMSG_DONE) continue;
    const CURLcode result = message->data.result;
    CURL* const handle = message->easy_handle;
    curl_multi_remove_handle(multi_.get(), handle);  // ends the life of `message`
    const auto found = std::find_if(running_.begin(), running_.end(), [handle](const auto& transfer) {
      return transfer->on.request->handle() == handle;
    });
    if (found == running_.end()) continue;
    const std::unique_ptr<Transfer> transfer = std::move(*found);
    running_.erase(found);
    TakeAnswer(*transfer, result);
  }
}

void HttpCaptchaVerifier::TakeAnswer(Transfer& transfer, CURLcode result) {
  const HttpRequest::Answer answer = transfer.on.request->TakeAnswer(result);
  const CaptchaVerdict verdict = VerdictOf(result, answer);
  const bool answered = verdict != CaptchaVerdict::kUnknown;
  // A probe has longer than buyers only to connect: one that is answered late says that theirs would be, too.
  const bool late_probe = transfer.probe && answered && AnsweredIn(transfer.on.request->handle()) > options_.timeout;
  if (late_probe) TellFault("late probe", "it answers later than buyers can wait");
  breaker_.Note(transfer.permit, answered && !late_probe);
  if (!transfer.probe) ++(answered ? counts_.answered : answer.timed_out ? counts_.late : counts_.failed);
  (transfer.probe ? idle_probes_ : idle_).push_back(std::move(transfer.on));
  End(transfer, verdict);
}

CaptchaVerdict HttpCaptchaVerifier::VerdictOf(CURLcode result, const HttpRequest::Answer& answer) {
  if (answer.timed_out) {
    TellFault(curl_easy_strerror(result), "it does not answer in time");
    return CaptchaVerdict::kUnknown;
  }
  if (answer.status == 0) {
    TellFault(curl_easy_strerror(result), answer.text);
    return CaptchaVerdict::kUnknown;
  }
  const CaptchaReading reading = ReadCaptchaAnswer(answer.status, answer.whole, answer.text);
  if (reading.verdict == CaptchaVerdict::kUnknown) TellFault(reading.fault, reading.fault);
  return reading.verdict;
}

void HttpCaptchaVerifier::FailAll(std::vector<std::unique_ptr<Transfer>> transfers) {
  for (const std::unique_ptr<Transfer>& transfer : transfers) {
    if (transfer->on.request != nullptr) curl_multi_remove_handle(multi_.get(), transfer->on.request->handle());
    breaker_.Note(transfer->permit, false);
    if (!transfer->probe) ++counts_.failed;
    End(*transfer, CaptchaVerdict::kUnknown);
  }
}

void HttpCaptchaVerifier::End(Transfer& transfer, CaptchaVerdict verdict) {
  if (transfer.probe) {
    probing_ = false;
    return;
  }
  {
    absl::MutexLock lock(&mutex_);
    --requests_;
  }
  transfer.verified(verdict);
}

// `kind` is ours or libcurl's name of an error, so that there are few. Neither has what buyers sent, nor the secret.
void HttpCaptchaVerifier::TellFault(const std::string& kind, const std::string& what) {
  const std::optional<int64_t> left_out = faults_.Take(kind);
  if (!left_out.has_value()) return;
  LOG(ERROR) << "the captcha's provider gives no verdict: " << what
             << ". While that goes on, challenges are asked for instead (and " << *left_out << " such faults before)";
}

}  // namespace tranche::server
