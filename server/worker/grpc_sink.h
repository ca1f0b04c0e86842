// Calls a tranche.v1.OutboxSinkService that the receiver implements, with several messages per call.
//
// A call that fails says nothing about the single messages. If the receiver seems to be away, no more is sent.
// Otherwise one message may have spoilt the call, so each is sent again in a call of its own.
//
// When certificates have changed, the next call uses a new channel. A token that has changed goes with the next call.
#pragma once

#include <grpcpp/support/status.h>

#include <memory>
#include <string>
#include <vector>

#include "absl/base/thread_annotations.h"
#include "absl/synchronization/mutex.h"
#include "absl/time/time.h"
#include "server/worker/sink.h"
#include "storage/base/certificate_files.h"
#include "storage/base/token_file.h"
#include "tranche/v1/outbox_sink.grpc.pb.h"

namespace tranche::server {

struct GrpcSinkOptions {
  std::string name;
  std::string address;                         // host:port
  absl::Duration timeout = absl::Seconds(10);  // of one call
  int messages_per_call = 100;
  bool tls = false;
  // With TLS; null: the authorities of this machine, and no certificate to show.
  std::shared_ptr<CertificateFiles> certificates;
  // Goes with every call; null: none. In plaintext only to this machine itself.
  std::shared_ptr<TokenFile> token;
};

class GrpcSink : public Sink {
 public:
  explicit GrpcSink(GrpcSinkOptions options);

  const std::string& name() const override { return options_.name; }
  std::vector<Delivery> Deliver(absl::Span<const storage::OutboxMessage> batch,
                                absl::FunctionRef<bool()> may_begin) override;

 private:
  // For one call and what follows from it. False: the rest would fail in the same way.
  bool DeliverSome(absl::Span<const storage::OutboxMessage> messages, absl::Span<Delivery> deliveries,
                   absl::FunctionRef<bool()> may_begin);
  bool DeliverSingly(absl::Span<const storage::OutboxMessage> messages, absl::Span<Delivery> deliveries,
                     absl::FunctionRef<bool()> may_begin);
  grpc::Status Call(absl::Span<const storage::OutboxMessage> messages, absl::Span<Delivery> deliveries);

  using Stub = v1::OutboxSinkService::Stub;
  // For one call. Who has it keeps its channel.
  std::shared_ptr<Stub> CurrentStub();

  const GrpcSinkOptions options_;
  absl::Mutex mutex_;
  std::shared_ptr<const Certificates> certificates_ ABSL_GUARDED_BY(mutex_);  // of stub_
  std::shared_ptr<Stub> stub_ ABSL_GUARDED_BY(mutex_);
};

}  // namespace tranche::server
