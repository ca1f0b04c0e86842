#include "server/outbound/http_captcha_verifier.h"

#include <algorithm>
#include <utility>

#include "absl/strings/ascii.h"
#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "glog/logging.h"
#include "google/protobuf/struct.pb.h"
#include "google/protobuf/util/json_util.h"

namespace tranche::server {
namespace {

constexpr int kCaptchaPollMs = 1000;
constexpr absl::Duration kTellFaultEvery = absl::Minutes(1);

// The one of the error-codes that says that we are at fault, or the provider; "": none.
std::string OurFaultIn(const google::protobuf::Struct& answer) {
  const auto codes = answer.fields().find("error-codes");
  if (codes == answer.fields().end()) return "";
  for (const google::protobuf::Value& code : codes->second.list_value().values()) {
    for (const char* const ours : {"missing-input-secret", "invalid-input-secret", "bad-request", "internal-error"}) {
      if (code.string_value() == ours) return ours;
    }
  }
  return "";
}

}  // namespace

CaptchaReading ReadCaptchaAnswer(absl::string_view json) {
  google::protobuf::Struct answer;
  if (!google::protobuf::util::JsonStringToMessage(std::string(json), &answer).ok()) {
    return {.verdict = CaptchaVerdict::kUnknown, .fault = "it does not answer with a JSON object"};
  }
  const auto success = answer.fields().find("success");
  if (success == answer.fields().end() || success->second.kind_case() != google::protobuf::Value::kBoolValue) {
    return {.verdict = CaptchaVerdict::kUnknown, .fault = "its answer has no \"success\" of true or false"};
  }
  if (success->second.bool_value()) return {.verdict = CaptchaVerdict::kSolved};
  if (const std::string ours = OurFaultIn(answer); !ours.empty()) {
    return {.verdict = CaptchaVerdict::kUnknown,
            .fault = absl::StrCat("it answers ", ours,
                                  ": see whether --captcha-secret-file belongs to "
                                  "--captcha-site-key, and --captcha-url to both")};
  }
  return {.verdict = CaptchaVerdict::kRefused};
}

std::string FormEncoded(absl::string_view text) {
  constexpr char kHex[] = "0123456789ABCDEF";
  std::string encoded;
  for (const unsigned char c : text) {
    if (absl::ascii_isalnum(c) || c == '-' || c == '.' || c == '_' || c == '*') {
      encoded.push_back(static_cast<char>(c));
    } else {
      encoded.push_back('%');
      encoded.push_back(kHex[c >> 4]);
      encoded.push_back(kHex[c & 0xf]);
    }
  }
  return encoded;
}

struct HttpCaptchaVerifier::Transfer {
  CircuitBreaker::Permit permit = CircuitBreaker::Permit::kNo;
  absl::AnyInvocable<void(CaptchaVerdict)> verified;
  std::string body = {};  // first without the secret
  Idle on = {};           // once it runs
};

HttpCaptchaVerifier::HttpCaptchaVerifier(HttpCaptchaOptions options, storage::Clock* clock)
    : options_(std::move(options)),
      breaker_(clock),
      faults_(kTellFaultEvery, /*max_kinds=*/16, clock),
      multi_(curl_multi_init(), &curl_multi_cleanup) {
  CHECK(multi_ != nullptr);
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
  transfer->body = absl::StrCat("response=", FormEncoded(response));
  if (!address.empty()) absl::StrAppend(&transfer->body, "&remoteip=", FormEncoded(address));
  bool begun = false;
  {
    absl::MutexLock lock(&mutex_);
    if (!stopping_ && requests_ < kMostRequests) transfer->permit = breaker_.Ask();
    begun = transfer->permit != CircuitBreaker::Permit::kNo;
    if (begun) {
      ++requests_;
      transfer->verified = std::move(verified);
      waiting_.push_back(std::move(transfer));
    }
  }
  if (begun) {
    curl_multi_wakeup(multi_.get());
    return;
  }
  ++counts_.skipped;
  verified(CaptchaVerdict::kUnknown);
}

void HttpCaptchaVerifier::Run() {
  while (true) {
    std::vector<std::unique_ptr<Transfer>> begin;
    bool stop = false;
    {
      absl::MutexLock lock(&mutex_);
      begin.swap(waiting_);
      stop = stopping_;
    }
    for (auto& transfer : begin) Begin(std::move(transfer));
    if (stop) break;
    int running = 0;
    CHECK_EQ(curl_multi_perform(multi_.get(), &running), CURLM_OK);
    TakeEnded();
    CHECK_EQ(curl_multi_poll(multi_.get(), nullptr, 0, kCaptchaPollMs, nullptr), CURLM_OK);
  }
  for (auto& transfer : running_) {
    curl_multi_remove_handle(multi_.get(), transfer->on.request->handle());
    ++counts_.failed;
    End(*transfer, CaptchaVerdict::kUnknown);
  }
  running_.clear();
}

void HttpCaptchaVerifier::Begin(std::unique_ptr<Transfer> transfer) {
  Idle on;
  if (idle_.empty()) {
    on.request = std::make_unique<HttpRequest>(HttpRequest::Options{.url = options_.url,
                                                                    .timeout = options_.timeout,
                                                                    .connect_timeout = options_.timeout,
                                                                    .user_agent = "tranched",
                                                                    .kept_bytes = kMostAnswerBytes,
                                                                    .most_bytes = kMostAnswerBytes});
    // Otherwise the end of one that waits for a name server waits, too, and the others with it.
    curl_easy_setopt(on.request->handle(), CURLOPT_QUICK_EXIT, 1L);
    // In plaintext the secret must not leave this machine.
    if (absl::StartsWith(options_.url, "http:")) curl_easy_setopt(on.request->handle(), CURLOPT_PROXY, "");
  } else {
    on = std::move(idle_.back());
    idle_.pop_back();
  }
  if (options_.certificates != nullptr) {
    std::shared_ptr<const Certificates> current = options_.certificates->Refresh();
    if (current != on.certificates) {
      on.request->UseCertificates(*current);
      on.certificates = std::move(current);
    }
  }
  transfer->body = absl::StrCat("secret=", FormEncoded(*options_.secret->Current()), "&", transfer->body);
  on.request->PreparePost(transfer->body, {"Content-Type: application/x-www-form-urlencoded", "Expect:"});
  CHECK_EQ(curl_multi_add_handle(multi_.get(), on.request->handle()), CURLM_OK);
  transfer->on = std::move(on);
  running_.push_back(std::move(transfer));
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
    CHECK(found != running_.end());
    const std::unique_ptr<Transfer> transfer = std::move(*found);
    running_.erase(found);
    const CaptchaVerdict verdict = VerdictOf(transfer->on.request->TakeAnswer(result));
    breaker_.Note(transfer->permit, verdict != CaptchaVerdict::kUnknown);
    counts_.open = !breaker_.closed();
    idle_.push_back(std::move(transfer->on));
    End(*transfer, verdict);
  }
}

// Counts it, too.
CaptchaVerdict HttpCaptchaVerifier::VerdictOf(const HttpRequest::Answer& answer) {
  std::string fault;
  if (answer.timed_out) {
    ++counts_.late;
    TellFault("it does not answer in time");
    return CaptchaVerdict::kUnknown;
  }
  if (answer.status == 0) {
    fault = answer.text;
  } else if (answer.status < 200 || answer.status > 299) {
    fault = absl::StrCat("it answers HTTP ", answer.status);
  } else if (!answer.whole) {
    fault = absl::StrCat("its answer is cut off, or longer than ", kMostAnswerBytes, " bytes");
  } else {
    CaptchaReading reading = ReadCaptchaAnswer(answer.text);
    if (reading.verdict != CaptchaVerdict::kUnknown) {
      ++counts_.answered;
      return reading.verdict;
    }
    fault = std::move(reading.fault);
  }
  ++counts_.failed;
  TellFault(fault);
  return CaptchaVerdict::kUnknown;
}

void HttpCaptchaVerifier::End(Transfer& transfer, CaptchaVerdict verdict) {
  {
    absl::MutexLock lock(&mutex_);
    --requests_;
  }
  transfer.verified(verdict);
}

// `what` is ours, libcurl's, or names one of the codes above: nothing that others chose, and never the secret.
void HttpCaptchaVerifier::TellFault(const std::string& what) {
  const std::optional<int64_t> left_out = faults_.Take(what);
  if (!left_out.has_value()) return;
  LOG(ERROR) << "the captcha's provider cannot be asked: " << what
             << ". Until it can, challenges are asked for instead (and " << *left_out << " such faults before)";
}

}  // namespace tranche::server
