#include "server/worker/grpc_sink.h"

#include <grpcpp/grpcpp.h>

#include <algorithm>
#include <chrono>
#include <utility>

#include "absl/strings/str_cat.h"
#include "server/outbound/outbound_channel.h"
#include "server/proto_time.h"

namespace tranche::server {
namespace {

void AddMessage(const storage::OutboxMessage& message, v1::DeliverRequest* request) {
  v1::DeliverRequest::Message* added = request->add_messages();
  added->set_message_id(MessageId(message.key));
  added->set_reservation_id(message.key.reservation_id.ToString());
  added->set_revision(message.key.revision);
  added->set_sku_id(message.sku_id);
  added->set_kind(message.kind);
  *added->mutable_create_time() = ToTimestamp(message.created_at);
  added->set_payload(message.payload);
  added->set_attempt(message.attempts);
  if (message.trace == nullptr) return;
  added->set_traceparent(message.trace->traceparent);
  added->set_request_id(message.trace->request_id);
}

DeliveryOutcome ToOutcome(v1::DeliverResponse::Verdict verdict) {
  switch (verdict) {
    case v1::DeliverResponse::VERDICT_ACCEPTED:
      return DeliveryOutcome::kDelivered;
    case v1::DeliverResponse::VERDICT_REJECTED:
      return DeliveryOutcome::kRefusedForGood;
    default:
      return DeliveryOutcome::kRefused;
  }
}

// For one message of a call.
Delivery DeliveryOf(const grpc::Status& status, const v1::DeliverResponse& response, int nth) {
  if (!status.ok()) {
    return {DeliveryOutcome::kSinkFailed,
            Printable(absl::StrCat("gRPC status ", static_cast<int>(status.error_code()), ": ", status.error_message()),
                      kMaxSinkErrorBytes)};
  }
  if (nth >= response.results_size()) return {DeliveryOutcome::kRefused, "the answer has no result for this message"};
  const v1::DeliverResponse::Result& result = response.results(nth);
  Delivery delivery;
  delivery.outcome = ToOutcome(result.verdict());
  if (delivery.outcome == DeliveryOutcome::kDelivered) return delivery;
  delivery.error = Printable(result.error().empty() ? absl::string_view("refused without a reason") : result.error(),
                             kMaxSinkErrorBytes);
  return delivery;
}

// Whether the receiver as a whole could not be asked, or does not let us in, whatever the messages are.
bool IsAway(grpc::StatusCode code) {
  switch (code) {
    case grpc::StatusCode::UNAVAILABLE:
    case grpc::StatusCode::DEADLINE_EXCEEDED:
    case grpc::StatusCode::CANCELLED:
    case grpc::StatusCode::RESOURCE_EXHAUSTED:
    case grpc::StatusCode::UNAUTHENTICATED:
    case grpc::StatusCode::PERMISSION_DENIED:
      return true;
    default:
      return false;
  }
}

// About the receiver, when it fails: it failed before, too (as in SinkHealth).
bool SaysLittle(const storage::OutboxMessage& message) { return message.attempts > 1; }

}  // namespace

GrpcSink::GrpcSink(GrpcSinkOptions options) : options_(std::move(options)) {}

std::shared_ptr<GrpcSink::Stub> GrpcSink::CurrentStub() {
  absl::MutexLock lock(&mutex_);
  std::shared_ptr<const Certificates> current;
  if (options_.certificates != nullptr) current = options_.certificates->Refresh();
  if (stub_ == nullptr || current != certificates_) {
    certificates_ = std::move(current);
    // The relay decides itself how long to wait; reconnecting only limits how late a sink that is back is noticed.
    stub_ = v1::OutboxSinkService::NewStub(
        OutboundChannel({.address = options_.address, .tls = options_.tls}, certificates_.get()));
  }
  return stub_;
}

std::vector<Delivery> GrpcSink::Deliver(absl::Span<const storage::OutboxMessage> batch,
                                        absl::FunctionRef<bool()> may_begin) {
  std::vector<Delivery> deliveries(batch.size());
  const size_t step = static_cast<size_t>(options_.messages_per_call);
  for (size_t begin = 0; begin < batch.size() && may_begin(); begin += step) {
    const size_t count = std::min(step, batch.size() - begin);
    if (!DeliverSome(batch.subspan(begin, count), absl::MakeSpan(deliveries).subspan(begin, count), may_begin)) break;
  }
  return deliveries;
}

bool GrpcSink::DeliverSome(absl::Span<const storage::OutboxMessage> messages, absl::Span<Delivery> deliveries,
                           absl::FunctionRef<bool()> may_begin) {
  const grpc::Status status = Call(messages, deliveries);
  if (status.ok()) return true;
  // Waiting is better than timing out.
  if (IsAway(status.error_code())) return false;
  if (messages.size() > 1) return DeliverSingly(messages, deliveries, may_begin);
  return SaysLittle(messages[0]);
}

bool GrpcSink::DeliverSingly(absl::Span<const storage::OutboxMessage> messages, absl::Span<Delivery> deliveries,
                             absl::FunctionRef<bool()> may_begin) {
  // The failure of the call that had them all stands.
  if (!may_begin()) return false;
  std::fill(deliveries.begin(), deliveries.end(), Delivery());
  bool answers = false, fresh_ones_fail = false;
  for (size_t i = 0; i < messages.size() && (i == 0 || may_begin()); ++i) {
    const grpc::Status status = Call(messages.subspan(i, 1), deliveries.subspan(i, 1));
    if (IsAway(status.error_code())) return false;
    answers = answers || status.ok();
    fresh_ones_fail = fresh_ones_fail || (!status.ok() && !SaysLittle(messages[i]));
  }
  return answers || !fresh_ones_fail;
}

grpc::Status GrpcSink::Call(absl::Span<const storage::OutboxMessage> messages, absl::Span<Delivery> deliveries) {
  v1::DeliverRequest request;
  request.set_sink(options_.name);
  for (const storage::OutboxMessage& message : messages) AddMessage(message, &request);
  grpc::ClientContext context;
  context.set_deadline(std::chrono::system_clock::now() + absl::ToChronoMilliseconds(options_.timeout));
  v1::DeliverResponse response;
  if (options_.token != nullptr) {
    context.AddMetadata("authorization", absl::StrCat("Bearer ", *options_.token->Current()));
  }
  const grpc::Status status = CurrentStub()->Deliver(&context, request, &response);
  for (size_t i = 0; i < messages.size(); ++i) deliveries[i] = DeliveryOf(status, response, static_cast<int>(i));
  return status;
}

}  // namespace tranche::server
