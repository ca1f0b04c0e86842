#include "server/worker/webhook_sink.h"

#include <curl/curl.h>

#include <utility>

#include "absl/strings/str_cat.h"
#include "glog/logging.h"
#include "server/outbound/http_request.h"
#include "server/worker/signature.h"

namespace tranche::server {
namespace {

// Only the transfers themselves wake us, and they do.
constexpr int kPollMs = 1000;

// When as many fail as run at once, and none is taken or refused, the rest would fail too and are better not tried.
// Messages that failed before and now get an error for an answer do not count: they may be bad ones.
class Prospects {
 public:
  explicit Prospects(int connections) : connections_(connections) {}

  void Note(const storage::OutboxMessage& message, const HttpRequest::Answer& answer, DeliveryOutcome outcome) {
    if (outcome != DeliveryOutcome::kSinkFailed) {
      any_ = true;
    } else if (message.attempts <= 1 || answer.status == 0) {
      ++failed_;
    }
  }
  bool Hopeless() const { return !any_ && failed_ >= connections_; }

 private:
  const int connections_;
  int failed_ = 0;
  bool any_ = false;
};

Delivery ToDelivery(const HttpRequest::Answer& answer) {
  if (answer.status == 0) return {DeliveryOutcome::kSinkFailed, Printable(answer.text, kMaxSinkErrorBytes)};
  Delivery delivery;
  delivery.outcome = OutcomeOfHttpStatus(answer.status);
  if (delivery.outcome == DeliveryOutcome::kDelivered) return delivery;
  delivery.error =
      absl::StrCat("HTTP ", answer.status, answer.text.empty() ? "" : ": ", Printable(answer.text, kMaxSinkErrorBytes));
  delivery.retry_after = answer.retry_after;
  return delivery;
}

}  // namespace

DeliveryOutcome OutcomeOfHttpStatus(long status) {
  if (status >= 200 && status < 300) return DeliveryOutcome::kDelivered;
  switch (status) {
    case 401:
    case 403:
    case 404:
    case 405:
    case 407:
    case 408:
    case 410:  // a gateway may say so for a minute: no reason to give up a backlog
    case 429:
      return DeliveryOutcome::kSinkFailed;
    default:
      return status >= 400 && status < 500 ? DeliveryOutcome::kRefused : DeliveryOutcome::kSinkFailed;
  }
}

// The requests of one Deliver, side by side on kept connections. One thread at a time.
class WebhookSink::Transfers {
 public:
  explicit Transfers(const WebhookOptions& options) : multi_(curl_multi_init(), &curl_multi_cleanup) {
    CHECK(multi_ != nullptr);
    curl_multi_setopt(multi_.get(), CURLMOPT_MAXCONNECTS, static_cast<long>(options.connections));
    for (int i = 0; i < options.connections; ++i) {
      requests_.push_back(std::make_unique<HttpRequest>(HttpRequest::Options{.url = options.url,
                                                                             .timeout = options.timeout,
                                                                             .connect_timeout = options.connect_timeout,
                                                                             .user_agent = "tranche-worker"}));
      free_.push_back(requests_.back().get());
    }
  }

  // While none runs.
  void UseCertificates(std::shared_ptr<const Certificates> current) {
    if (current == certificates_) return;
    certificates_ = std::move(current);
    for (const auto& request : requests_) request->UseCertificates(*certificates_);
  }

  bool HasRoom() const { return !free_.empty(); }
  bool Idle() const { return free_.size() == requests_.size(); }

  void Begin(size_t index, const std::string& body, const std::vector<std::string>& headers) {
    HttpRequest* request = free_.back();
    free_.pop_back();
    request->PreparePost(body, headers);
    indexes_.emplace_back(request, index);
    CHECK_EQ(curl_multi_add_handle(multi_.get(), request->handle()), CURLM_OK);
  }

  // Waits until a transfer has ended, or for a while. `ended` gets the place in the batch and the answer.
  void AwaitSome(absl::FunctionRef<void(size_t, const HttpRequest::Answer&)> ended) {
    int running = 0;
    CHECK_EQ(curl_multi_perform(multi_.get(), &running), CURLM_OK);
    if (TakeEnded(ended)) return;
    CHECK_EQ(curl_multi_poll(multi_.get(), nullptr, 0, kPollMs, nullptr), CURLM_OK);
  }

 private:
  bool TakeEnded(absl::FunctionRef<void(size_t, const HttpRequest::Answer&)> ended) {
    bool any = false;
    int left = 0;
    while (const CURLMsg* message = curl_multi_info_read(multi_.get(), &left)) {
      if (message->msg != CURLMSG_DONE) continue;
      any = true;
      const CURLcode result = message->data.result;
      HttpRequest* request = nullptr;
      curl_easy_getinfo(message->easy_handle, CURLINFO_PRIVATE, &request);
      curl_multi_remove_handle(multi_.get(), request->handle());  // ends the life of `message`
      for (auto it = indexes_.begin(); it != indexes_.end(); ++it) {
        if (it->first != request) continue;
        ended(it->second, request->TakeAnswer(result));
        indexes_.erase(it);
        break;
      }
      free_.push_back(request);
    }
    return any;
  }

  std::shared_ptr<const Certificates> certificates_;  // null: those of this machine
  std::vector<std::unique_ptr<HttpRequest>> requests_;
  std::vector<HttpRequest*> free_;
  std::vector<std::pair<HttpRequest*, size_t>> indexes_;  // the running ones: the message's place in the batch
  // Destroyed before the requests; none of them is in it by then.
  std::unique_ptr<CURLM, CURLMcode (*)(CURLM*)> multi_;
};

WebhookSink::WebhookSink(WebhookOptions options, storage::Clock* clock) : options_(std::move(options)), clock_(clock) {}

WebhookSink::~WebhookSink() = default;

std::vector<Delivery> WebhookSink::Deliver(absl::Span<const storage::OutboxMessage> batch,
                                           absl::FunctionRef<bool()> may_begin) {
  std::unique_ptr<Transfers> transfers;
  {
    absl::MutexLock lock(&mutex_);
    if (!idle_.empty()) {
      transfers = std::move(idle_.back());
      idle_.pop_back();
    }
  }
  if (transfers == nullptr) transfers = std::make_unique<Transfers>(options_);
  if (options_.certificates != nullptr) transfers->UseCertificates(options_.certificates->Refresh());

  std::vector<Delivery> deliveries(batch.size());
  Prospects prospects(options_.connections);
  const auto ended = [&](size_t index, const HttpRequest::Answer& answer) {
    deliveries[index] = ToDelivery(answer);
    prospects.Note(batch[index], answer, deliveries[index].outcome);
  };
  size_t next = 0;
  while (true) {
    while (next < batch.size() && transfers->HasRoom()) {
      if (!may_begin() || prospects.Hopeless()) {
        next = batch.size();
        break;
      }
      transfers->Begin(next, batch[next].payload, HeadersOf(batch[next]));
      ++next;
    }
    if (transfers->Idle()) break;
    transfers->AwaitSome(ended);
  }
  absl::MutexLock lock(&mutex_);
  idle_.push_back(std::move(transfers));
  return deliveries;
}

std::vector<std::string> WebhookSink::HeadersOf(const storage::OutboxMessage& message) const {
  const int64_t now = absl::ToUnixSeconds(clock_->Now());
  std::vector<std::string> headers = {
      "Content-Type: application/json", "Expect:",  // otherwise libcurl first asks whether a large body is welcome
      absl::StrCat("Tranche-Message-Id: ", MessageId(message.key)), absl::StrCat("Tranche-Kind: ", message.kind),
      absl::StrCat("Tranche-Signature: ", SignatureHeader(options_.secrets, now, message.payload))};
  if (message.trace == nullptr) return headers;
  const LogTrace& trace = *message.trace;
  if (!trace.traceparent.empty()) headers.push_back(absl::StrCat("traceparent: ", trace.traceparent));
  if (!trace.request_id.empty()) headers.push_back(absl::StrCat("X-Request-Id: ", trace.request_id));
  return headers;
}

}  // namespace tranche::server
