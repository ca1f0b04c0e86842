// A service's table: one entry for every method, which states the method's policy (CallPolicy) and its handler.
//
// Only this file, malformed_request and call_service.cc know how a method is given to gRPC. They use a few names of
// grpc::internal in the same way as the code generated from a .proto does; only malformed_request derives from one.
// Generated code depends on these names, so they have been stable for years of versions. The generated base class would
// need a declaration and a definition of a virtual function for each method. (In later versions the two headers of
// codegen/ are in the folder above.)
#pragma once

#include <grpcpp/impl/codegen/proto_utils.h>
#include <grpcpp/impl/codegen/server_callback_handlers.h>
#include <grpcpp/impl/rpc_service_method.h>
#include <grpcpp/support/byte_buffer.h>
#include <grpcpp/support/server_callback.h>

#include <concepts>
#include <functional>
#include <memory>
#include <string>
#include <type_traits>
#include <utility>

#include "absl/functional/any_invocable.h"
#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/time/time.h"
#include "google/protobuf/descriptor.h"
#include "server/rpc/call_frame.h"
#include "server/rpc/call_metrics.h"
#include "server/rpc/call_policy.h"
#include "server/rpc/malformed_request.h"
#include "server/rpc/reply.h"
#include "storage/base/log_trace.h"
#include "storage/ledger/actor.h"

namespace tranche::server {

// As the .proto must state it.
struct MethodShape {
  const google::protobuf::Descriptor* request;
  const google::protobuf::Descriptor* response;
  bool client_streaming = false;
  bool server_streaming = false;
};

struct CallEntry {
  CallPolicy policy;
  MethodShape shape;
  bool blocks;        // then it must not run inline
  bool large_answer;  // is counted while its caller does not take it (AnswerBudget)
  // What gRPC runs for each call. The frame outlives it, and so do the metrics, which may be null.
  std::function<std::unique_ptr<grpc::internal::MethodHandler>(const CallFrame& frame, MethodMetrics* metrics)> bind;
};

// The kinds of handlers. All are called by many threads at once. They may use the context and the request until the
// call is finished.

// Does not block. Answers by calling `reply`, or a copy of it, inline or later.
template <typename Request, typename Response>
using InlineHandler = std::function<void(const CallContext&, const Request&, const Reply<Response>& reply)>;
// Runs on one of the frame's executors, and only if there is time left and the caller still may.
template <typename Request, typename Response>
using BlockingHandler = std::function<absl::StatusOr<Response>(const CallContext&, const Request&)>;
// These return a reactor that ends with CallContext::Conclude. They must not block; blocking work goes to the frame's
// executor.
template <typename Request, typename Response>
using ServerStreamHandler =
    std::function<grpc::ServerWriteReactor<Response>*(const CallContext&, const CallFrame&, const Request&)>;
// The stream parses and serializes its messages by itself: gRPC would take one that cannot be read for the end of the
// caller's requests.
using BidiStreamHandler =
    std::function<grpc::ServerBidiReactor<grpc::ByteBuffer, grpc::ByteBuffer>*(const CallContext&, const CallFrame&)>;

// Ends with `status`, and deletes itself.
class RefusedBidiStream final : public grpc::ServerBidiReactor<grpc::ByteBuffer, grpc::ByteBuffer> {
 public:
  explicit RefusedBidiStream(const grpc::Status& status) { Finish(status); }
  void OnDone() override { delete this; }
};

template <typename Request>
concept NamesReservation = requires(const Request& request) {
  { request.reservation_id() } -> std::same_as<const std::string&>;
};

// The answer to requests that cannot be read. The frame outlives it.
template <typename Request>
Refuse RefusalOf(CallPolicy policy, const CallFrame& frame, MethodMetrics* metrics) {
  return [policy, &frame, metrics](grpc::CallbackServerContext* context) {
    return frame.RefuseUnreadable(context, policy, metrics, *Request::descriptor());
  };
}

// `serve(frame, request, reply)` is called for each call that has time left, on gRPC's thread. It must not block. The
// reply is a Reply or a LargeReply of Response.
template <typename Request, typename Response, typename ReplyOfCall, typename Serve>
CallEntry UnaryCall(CallPolicy policy, bool blocks, Serve serve) {
  using Wire = typename ReplyOfCall::Wire;
  const auto bind = [policy, serve](const CallFrame& frame, MethodMetrics* metrics) {
    const CallPolicy served = policy.Of(frame.service);
    auto serving = std::make_unique<grpc::internal::CallbackUnaryHandler<Request, Wire>>(
        [served, serve, &frame, metrics](grpc::CallbackServerContext* context, const Request* request, Wire* wire) {
          const CallMeter meter(metrics);
          const absl::StatusOr<absl::Time> deadline = frame.Admit(*context);
          CallContext call(context, &served, deadline.value_or(absl::InfinitePast()), meter, frame.access_log);
          if constexpr (NamesReservation<Request>) call.SetReservation(&request->reservation_id());
          // Null for callers who send no trace.
          const ScopedTrace trace(call.trace());
          absl::Status may_begin = call.Authorize(frame.access);
          ReplyOfCall reply(call, frame, wire);
          may_begin.Update(deadline.status());
          if (may_begin.ok()) may_begin = reply.MayBegin();
          if (may_begin.ok() && frame.caller_calls != nullptr) may_begin = reply.TakePlace(frame.caller_calls);
          if (may_begin.ok()) {
            serve(frame, *request, reply);
          } else {
            reply.Finish(may_begin);
          }
          return reply.reactor();
        });
    return RefuseMalformed(std::move(serving), RefusalOf<Request>(served, frame, metrics));
  };
  constexpr bool kLargeAnswer = std::is_base_of_v<LargeReplyBase, ReplyOfCall>;
  return {policy, {Request::descriptor(), Response::descriptor()}, blocks, kLargeAnswer, bind};
}

// For a method whose answers are small.
template <typename Request, typename Response>
CallEntry InlineCall(CallPolicy policy, InlineHandler<Request, Response> handler) {
  return UnaryCall<Request, Response, Reply<Response>>(
      policy, /*blocks=*/false,
      [handler = std::move(handler)](const CallFrame&, const Request& request, const Reply<Response>& reply) {
        handler(reply.call(), request, reply);
      });
}

// For a handler's method that takes the request, the deadline and a callback.
template <typename Handler, typename Request, typename Response>
CallEntry InlineCall(CallPolicy policy, Handler* handler,
                     void (Handler::*method)(const Request&, absl::Time,
                                             absl::AnyInvocable<void(absl::StatusOr<Response>)>)) {
  return InlineCall<Request, Response>(
      policy, [=](const CallContext& call, const Request& request, const Reply<Response>& reply) {
        (handler->*method)(request, call.deadline(), reply);
      });
}

// The same for a method whose answers may be large.
template <typename Handler, typename Request, typename Response>
CallEntry LargeInlineCall(CallPolicy policy, Handler* handler,
                          void (Handler::*method)(const Request&, absl::Time,
                                                  absl::AnyInvocable<void(absl::StatusOr<Response>)>)) {
  return UnaryCall<Request, Response, LargeReply<Response>>(
      policy, /*blocks=*/false, [=](const CallFrame&, const Request& request, const LargeReply<Response>& reply) {
        (handler->*method)(request, reply.call().deadline(), reply);
      });
}

// Its answers may be large.
template <typename Request, typename Response>
CallEntry BlockingCall(CallPolicy policy, BlockingHandler<Request, Response> handler) {
  return UnaryCall<Request, Response, LargeReply<Response>>(
      policy, /*blocks=*/true,
      [policy, handler = std::move(handler)](const CallFrame& frame, const Request& request,
                                             const LargeReply<Response>& reply) {
        // The request lives until the call is finished, the handler as long as the service. While the task waited, its
        // caller may have lost the role for it.
        absl::AnyInvocable<void()> task = [reply, access = StandingAccess(reply.call()), &request, &handler,
                                           &frame]() mutable {
          if (const absl::Status allowed = access.Check(reply.call()); !allowed.ok()) return reply.Finish(allowed);
          if (frame.clock->Now() >= reply.call().deadline()) return reply.Finish(DeadlinePassed());
          reply(handler(reply.call(), request));
        };
        if (!frame.ExecutorFor(policy)->TryRun(task)) reply.Finish(ExecutorFull());
      });
}

// For a handler's method that takes only the request.
template <typename Handler, typename Request, typename Response>
CallEntry BlockingCall(CallPolicy policy, Handler* handler,
                       absl::StatusOr<Response> (Handler::*method)(const Request&)) {
  return BlockingCall<Request, Response>(
      policy, [=](const CallContext&, const Request& request) { return (handler->*method)(request); });
}

// For one that also takes who calls, and why.
template <typename Handler, typename Request, typename Response>
CallEntry BlockingCall(CallPolicy policy, Handler* handler,
                       absl::StatusOr<Response> (Handler::*method)(const Request&, const storage::Actor& actor)) {
  return BlockingCall<Request, Response>(policy, [=](const CallContext& call, const Request& request) {
    return (handler->*method)(request, call.actor());
  });
}

template <typename Request, typename Response>
CallEntry ServerStreamCall(CallPolicy policy, ServerStreamHandler<Request, Response> handler) {
  const auto bind = [policy, handler](const CallFrame& frame, MethodMetrics* metrics) {
    const CallPolicy served = policy.Of(frame.service);
    auto serving = std::make_unique<grpc::internal::CallbackServerStreamingHandler<Request, Response>>(
        [served, handler, &frame, metrics](grpc::CallbackServerContext* context,
                                           const Request* request) -> grpc::ServerWriteReactor<Response>* {
          CallContext call = frame.ContextOfStream(context, served, metrics);
          const absl::Status allowed = call.Authorize(frame.access);
          if (!allowed.ok()) return new RefusedStream<Response>(call.Conclude(allowed));
          return handler(call, frame, *request);
        });
    return RefuseMalformed(std::move(serving), RefusalOf<Request>(served, frame, metrics));
  };
  return {policy,
          {Request::descriptor(), Response::descriptor(), /*client_streaming=*/false, /*server_streaming=*/true},
          /*blocks=*/false,
          /*large_answer=*/false,
          bind};
}

template <typename Request, typename Response>
CallEntry BidiStreamCall(CallPolicy policy, BidiStreamHandler handler) {
  const auto bind = [policy, handler](const CallFrame& frame, MethodMetrics* metrics) {
    const CallPolicy served = policy.Of(frame.service);
    return std::make_unique<grpc::internal::CallbackBidiHandler<grpc::ByteBuffer, grpc::ByteBuffer>>(
        [served, handler, &frame, metrics](
            grpc::CallbackServerContext* context) -> grpc::ServerBidiReactor<grpc::ByteBuffer, grpc::ByteBuffer>* {
          CallContext call = frame.ContextOfStream(context, served, metrics);
          const absl::Status allowed = call.Authorize(frame.access);
          if (!allowed.ok()) return new RefusedBidiStream(call.Conclude(allowed));
          return handler(call, frame);
        });
  };
  return {policy,
          {Request::descriptor(), Response::descriptor(), /*client_streaming=*/true, /*server_streaming=*/true},
          /*blocks=*/false,
          /*large_answer=*/false,
          bind};
}

}  // namespace tranche::server
