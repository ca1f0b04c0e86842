// Calls a tranche.v1.OutboxSinkService that the receiver implements, with several messages per call.
#pragma once

#include <memory>
#include <string>
#include <vector>

#include "absl/time/time.h"
#include "server/worker/sink.h"
#include "tranche/v1/outbox_sink.grpc.pb.h"

namespace tranche::server {

struct GrpcSinkOptions {
  std::string name;
  std::string address;                         // host:port
  absl::Duration timeout = absl::Seconds(10);  // of one call
  int messages_per_call = 100;
};

class GrpcSink : public Sink {
 public:
  explicit GrpcSink(GrpcSinkOptions options);

  const std::string& name() const override { return options_.name; }
  std::vector<Delivery> Deliver(absl::Span<const storage::OutboxMessage> batch,
                                absl::FunctionRef<bool()> may_begin) override;

 private:
  void DeliverSome(absl::Span<const storage::OutboxMessage> messages, absl::Span<Delivery> deliveries);

  const GrpcSinkOptions options_;
  const std::unique_ptr<v1::OutboxSinkService::Stub> stub_;
};

}  // namespace tranche::server
