// How a unary call is answered.
#pragma once

#include <grpcpp/impl/codegen/proto_utils.h>
#include <grpcpp/support/byte_buffer.h>
#include <grpcpp/support/server_callback.h>

#include <memory>
#include <utility>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "glog/logging.h"
#include "server/rpc/answer_budget.h"
#include "server/rpc/call_context.h"
#include "server/rpc/call_frame.h"
#include "server/rpc/caller_calls.h"
#include "server/rpc/open_calls.h"

namespace tranche::server {

// A unary call that began. Exactly one of its copies must answer it, once, on any thread. Afterwards the reply, its
// context and the request must not be used.
class ReplyBase {
 public:
  // The frame's open_calls count the answer if the method is counted.
  ReplyBase(const CallContext& call, const CallFrame& frame, grpc::ServerUnaryReactor* reactor);

  // Takes the call's place among its caller's, until Finish; OVERLOADED if there is none. At most once, before the
  // reply is copied.
  absl::Status TakePlace(CallerCalls* caller_calls);

  // Finishes with the response as it was filled in, or with an error.
  // `told`: a refusal that an OK answer carries, for the access log.
  void Finish(const absl::Status& outcome, const absl::Status& told = absl::OkStatus()) const;

  const CallContext& call() const { return call_; }
  grpc::ServerUnaryReactor* reactor() const { return reactor_; }

 private:
  CallContext call_;
  OpenCalls* open_calls_ = nullptr;
  OpenCall open_call_;
  CallerCalls* caller_calls_ = nullptr;  // null: the call has no place
  CallerCalls::Place place_;
  grpc::ServerUnaryReactor* reactor_;
};

// For a method whose answers are small.
//
// The reactor is gRPC's default one, which belongs to the call and lives until Finish has been sent, even if the caller
// has cancelled: an accepted claim is always decided, and only its answer is lost.
template <typename Response>
class Reply : public ReplyBase {
 public:
  // What gRPC sends.
  using Wire = Response;

  Reply(const CallContext& call, const CallFrame& frame, Response* response)
      : ReplyBase(call, frame, call.DefaultReactor()), response_(response) {}

  absl::Status MayBegin() const { return absl::OkStatus(); }

  void operator()(absl::StatusOr<Response> answer) const {
    if (answer.ok()) *response_ = *std::move(answer);
    Finish(answer.status());
  }
  Response* response() const { return response_; }

 private:
  Response* response_;
};

// Keeps what an answer takes of the budget until gRPC has passed it on, or the call has ended.
class LargeAnswerReactor final : public grpc::ServerUnaryReactor {
 public:
  // At most once, before Finish.
  void Keep(std::unique_ptr<AnswerShare> share) { share_ = std::move(share); }

  void OnDone() override { delete this; }
  // As with gRPC's default reactor: OnDone does too little to be worth a change of threads.
  bool InternalInlineable() override { return true; }

 private:
  std::unique_ptr<AnswerShare> share_;
};

// For a method whose answers may be large: they are counted (AnswerBudget) while the caller does not take them, and
// refused if there is no room. The answer of a call that changes something is always sent; it is the call that is
// refused, before it begins.
//
// Only the bytes are kept, which are a fraction of the message in memory. So what is counted is what it takes.
class LargeReplyBase : public ReplyBase {
 public:
  using Wire = grpc::ByteBuffer;

  // `frame.answers` may be absent: then nothing is counted.
  LargeReplyBase(const CallContext& call, const CallFrame& frame, grpc::ByteBuffer* bytes);

  // OVERLOADED if the call must not begin.
  absl::Status MayBegin() const;

 protected:
  LargeReplyBase(const CallContext& call, const CallFrame& frame, grpc::ByteBuffer* bytes, LargeAnswerReactor* reactor)
      : ReplyBase(call, frame, reactor), answers_(frame.answers), bytes_(bytes), reactor_(reactor) {}

  // Empty.
  grpc::ByteBuffer* bytes() const { return bytes_; }
  // Finishes with these bytes, or with OVERLOADED.
  void FinishWithBytes() const;

 private:
  absl::Status Count() const;

  AnswerBudget* answers_;
  grpc::ByteBuffer* bytes_;
  LargeAnswerReactor* reactor_;
};

template <typename Response>
class LargeReply : public LargeReplyBase {
 public:
  using LargeReplyBase::LargeReplyBase;

  void operator()(absl::StatusOr<Response> answer) const {
    if (!answer.ok()) return Finish(answer.status());
    bool owned = false;
    // As gRPC does.
    CHECK(grpc::SerializationTraits<Response>::Serialize(*answer, bytes(), &owned).ok());
    FinishWithBytes();
  }
};

}  // namespace tranche::server
