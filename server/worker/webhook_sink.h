// Sends each message as an HTTP POST of its JSON.
//
//   Tranche-Message-Id   <reservation id>/<revision>: the same for every delivery of the message
//   Tranche-Kind         such as reservation.confirmed
//   Tranche-Signature    see signature.h
//   traceparent          of the call that made the change, as it came with it; only if it did
//   X-Request-Id         the same
//
// The last two are not signed: they say nothing about the change.
//
// Redirects are not followed; certificates are verified. What an answer means:
//
//   2xx                        delivered
//   401, 403, 404, 405, 407,   the sink as a whole does not work (set up wrongly, overloaded, moved): it is left alone
//   408, 410, 429, 3xx, 5xx    for a while; this message waits for as long as Retry-After says, within bounds
//   any other                  this message is refused for now, and tried again until it is given up
//   none in time, or broken    the sink as a whole does not work; the message may have arrived
#pragma once

#include <memory>
#include <string>
#include <vector>

#include "absl/base/thread_annotations.h"
#include "absl/status/statusor.h"
#include "absl/synchronization/mutex.h"
#include "absl/time/time.h"
#include "server/worker/sink.h"
#include "storage/base/certificate_files.h"
#include "storage/clock.h"

namespace tranche::server {

struct WebhookOptions {
  std::string name;
  std::string url;  // http:// or https://
  std::vector<std::string> secrets;
  absl::Duration timeout = absl::Seconds(10);  // of a whole request
  absl::Duration connect_timeout = absl::Seconds(3);
  int connections = 16;  // that one Deliver uses at most
  // For https; null, or without authorities: those of this machine. New ones are for the next messages.
  std::shared_ptr<CertificateFiles> certificates;
};

class WebhookSink : public Sink {
 public:
  WebhookSink(WebhookOptions options, storage::Clock* clock);
  ~WebhookSink() override;

  const std::string& name() const override { return options_.name; }
  std::vector<Delivery> Deliver(absl::Span<const storage::OutboxMessage> batch,
                                absl::FunctionRef<bool()> may_begin) override;

 private:
  class Transfers;

  std::vector<std::string> HeadersOf(const storage::OutboxMessage& message) const;

  const WebhookOptions options_;
  storage::Clock* const clock_;
  absl::Mutex mutex_;
  // Those that no Deliver uses; they keep their connections.
  std::vector<std::unique_ptr<Transfers>> idle_ ABSL_GUARDED_BY(mutex_);
};

// What an answer with this status means for the message.
DeliveryOutcome OutcomeOfHttpStatus(long status);

}  // namespace tranche::server
