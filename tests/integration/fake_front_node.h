// A front node of a few lines, over real gRPC on a free port: for tests of the client against the wire.
#pragma once

#include <grpcpp/grpcpp.h>

#include <atomic>
#include <functional>
#include <map>
#include <memory>
#include <string>

#include "absl/base/thread_annotations.h"
#include "absl/strings/str_cat.h"
#include "absl/synchronization/mutex.h"
#include "absl/time/clock.h"
#include "google/rpc/error_details.pb.h"
#include "google/rpc/status.pb.h"
#include "tranche/v1/reservation_service.grpc.pb.h"

namespace tranche {

inline google::rpc::Status ErrorDetails(grpc::StatusCode code, const std::string& reason) {
  google::rpc::Status details;
  details.set_code(code);
  details.set_message("fake: " + reason);
  google::rpc::ErrorInfo info;
  info.set_reason(reason);
  info.set_domain("tranche");
  details.add_details()->PackFrom(info);
  return details;
}

inline grpc::Status ToGrpc(const google::rpc::Status& details) {
  return {static_cast<grpc::StatusCode>(details.code()), details.message(), details.SerializeAsString()};
}

inline void Grant(const tranche::v1::CreateReservationRequest& request,
                  tranche::v1::CreateReservationResponse* response) {
  response->mutable_reservation()->set_reservation_id(request.reservation_id());
  response->mutable_reservation()->set_sku_id(request.sku_id());
  response->mutable_reservation()->set_user_id(request.user_id());
  response->mutable_reservation()->set_quantity(request.quantity());
}

inline void Grant(const tranche::v1::CreateReservationsRequest& cart,
                  tranche::v1::CreateReservationsResponse* response) {
  for (const tranche::v1::CartLine& line : cart.lines()) {
    tranche::v1::Reservation* const reservation = response->add_reservations();
    reservation->set_reservation_id(line.reservation_id());
    reservation->set_sku_id(line.sku_id());
    reservation->set_user_id(cart.user_id());
    reservation->set_quantity(line.quantity());
  }
}

inline void Grant(const tranche::v1::ConfirmReservationRequest& change,
                  tranche::v1::ConfirmReservationResponse* response) {
  response->set_outcome(tranche::v1::CONFIRM_OUTCOME_CONFIRMED);
  response->mutable_reservation()->set_reservation_id(change.reservation_id());
  response->mutable_reservation()->set_state(tranche::v1::RESERVATION_STATE_CONFIRMED);
}

inline void Grant(const tranche::v1::CancelReservationRequest& change,
                  tranche::v1::CancelReservationResponse* response) {
  response->mutable_reservation()->set_reservation_id(change.reservation_id());
  response->mutable_reservation()->set_state(tranche::v1::RESERVATION_STATE_CANCELLED);
}

inline tranche::v1::QueuedClaim QueuedWith(const std::string& ticket) {
  tranche::v1::QueuedClaim queued;
  queued.set_ticket(ticket);
  queued.set_ahead(5);
  queued.mutable_poll_after()->set_nanos(20'000'000);
  queued.mutable_decide_time()->set_seconds(absl::ToUnixSeconds(absl::Now() + absl::Minutes(1)));
  return queued;
}

// Sells without limit, or answers every call with `refusal`.
class FakeFrontNode final : public tranche::v1::ReservationService::Service {
 public:
  using StreamHandler = std::function<void(
      grpc::ServerReaderWriter<tranche::v1::StreamReservationsResponse, tranche::v1::StreamReservationsRequest>*)>;

  explicit FakeFrontNode(
      StreamHandler on_stream = {}, google::rpc::Status refusal = {},
      const std::shared_ptr<grpc::ServerCredentials>& credentials = grpc::InsecureServerCredentials())
      : refusal_(std::move(refusal)), on_stream_(std::move(on_stream)) {
    grpc::ServerBuilder builder;
    int port = 0;
    builder.AddListeningPort("127.0.0.1:0", credentials, &port);
    builder.RegisterService(this);
    server_ = builder.BuildAndStart();
    address_ = absl::StrCat("127.0.0.1:", port);
  }
  // Cancels calls in progress.
  ~FakeFrontNode() override { server_->Shutdown(std::chrono::system_clock::now()); }

  const std::string& address() const { return address_; }
  int unary_calls() const { return unary_calls_; }
  int streams() const { return streams_; }
  // On streams: the messages that were read, and the most requests in one of them.
  int stream_messages() const { return stream_messages_; }
  int largest_frame() const { return largest_frame_; }
  int watches() const { return watches_; }
  // Of queued claims.
  int claim_watches() const { return claim_watches_; }
  int claim_reads() const { return claim_reads_; }

  // Told of every claim, stream and watch: who calls. Set it before the first.
  std::function<void(const grpc::ServerContext&)> on_caller;
  // Like a node from before refusals came in responses. Set it before the first call.
  bool knows_statuses_only = false;
  // The most items and bytes of a frame, and the kinds of items, as the node says it; without items it says nothing,
  // like a node from before frames. Set them before the first stream.
  std::string frame_items = "1024";
  std::string frame_bytes = "65536";
  std::string frame_kinds = "create,create_cart,confirm,cancel";
  // The stream handler that the test gave reads frames, too.
  bool handler_takes_frames = false;
  // Queues claims and carts that accept it; the ticket is the reservation id, of a cart's first line. Set it before the
  // first call.
  bool queues = false;
  // Whether queued claims, also those of other nodes, are sold by now, or are still queued.
  std::atomic<bool> decides = true;
  // Set these before the first claim. `on_queued` is told of each that is queued.
  bool knows_claim_watches = true;
  std::function<void()> on_queued;
  // Told of every CreateReservation. Set it before the first.
  std::function<void(const tranche::v1::CreateReservationRequest&)> on_create;
  // Told of every cart and change that comes as a call. Set it before the first.
  std::function<void()> on_change;
  // Set it before the first watch.
  std::function<grpc::Status(grpc::ServerContext*, grpc::ServerWriter<tranche::v1::WatchReservationResponse>*)>
      on_watch;

  grpc::Status CreateReservation(grpc::ServerContext* context, const tranche::v1::CreateReservationRequest* request,
                                 tranche::v1::CreateReservationResponse* response) override {
    ++unary_calls_;
    if (on_caller) on_caller(*context);
    if (on_create) on_create(*request);
    if (MayQueue(*request)) {
      *response = Queue(*request);
      return grpc::Status::OK;
    }
    if (refusal_.code() != 0) {
      if (!request->refusal_in_response() || knows_statuses_only) return ToGrpc(refusal_);
      *response->mutable_refusal() = refusal_;
      return grpc::Status::OK;
    }
    Grant(*request, response);
    return grpc::Status::OK;
  }

  grpc::Status CreateReservations(grpc::ServerContext* context, const tranche::v1::CreateReservationsRequest* request,
                                  tranche::v1::CreateReservationsResponse* response) override {
    if (MayQueue(*request)) {
      ++unary_calls_;
      *response = Queue(*request);
      return grpc::Status::OK;
    }
    return Answer(*request, response);
  }
  grpc::Status ConfirmReservation(grpc::ServerContext* context, const tranche::v1::ConfirmReservationRequest* request,
                                  tranche::v1::ConfirmReservationResponse* response) override {
    return Answer(*request, response);
  }
  grpc::Status CancelReservation(grpc::ServerContext* context, const tranche::v1::CancelReservationRequest* request,
                                 tranche::v1::CancelReservationResponse* response) override {
    return Answer(*request, response);
  }

  grpc::Status GetReservation(grpc::ServerContext* context, const tranche::v1::GetReservationRequest* request,
                              tranche::v1::GetReservationResponse* response) override {
    return ToGrpc(ErrorDetails(grpc::StatusCode::NOT_FOUND, "RESERVATION_NOT_FOUND"));
  }

  grpc::Status GetClaim(grpc::ServerContext* context, const tranche::v1::GetClaimRequest* request,
                        tranche::v1::GetClaimResponse* response) override {
    ++claim_reads_;
    *response = ClaimOf(request->ticket());
    return grpc::Status::OK;
  }

  grpc::Status WatchClaim(grpc::ServerContext* context, const tranche::v1::WatchClaimRequest* request,
                          grpc::ServerWriter<tranche::v1::WatchClaimResponse>* writer) override {
    if (!knows_claim_watches) return {grpc::StatusCode::UNIMPLEMENTED, ""};
    ++claim_watches_;
    while (!context->IsCancelled()) {
      tranche::v1::WatchClaimResponse response;
      *response.mutable_claim() = ClaimOf(request->ticket());
      writer->Write(response);
      if (!response.claim().has_queued()) return grpc::Status::OK;
      while (!decides && !context->IsCancelled()) absl::SleepFor(absl::Milliseconds(5));
    }
    return grpc::Status::CANCELLED;
  }

  grpc::Status WatchReservation(grpc::ServerContext* context, const tranche::v1::WatchReservationRequest* request,
                                grpc::ServerWriter<tranche::v1::WatchReservationResponse>* writer) override {
    ++watches_;
    if (on_caller) on_caller(*context);
    return on_watch ? on_watch(context, writer) : grpc::Status(grpc::StatusCode::UNIMPLEMENTED, "");
  }

  grpc::Status StreamReservations(grpc::ServerContext* context,
                                  grpc::ServerReaderWriter<tranche::v1::StreamReservationsResponse,
                                                           tranche::v1::StreamReservationsRequest>* stream) override {
    ++streams_;
    if (on_caller) on_caller(*context);
    if (!frame_items.empty() && (!on_stream_ || handler_takes_frames)) {
      context->AddInitialMetadata("tranche-frame-items", frame_items);
      context->AddInitialMetadata("tranche-frame-bytes", frame_bytes);
      if (!frame_kinds.empty()) context->AddInitialMetadata("tranche-frame-kinds", frame_kinds);
    }
    stream->SendInitialMetadata();
    if (on_stream_) {
      on_stream_(stream);
      return grpc::Status::OK;
    }
    tranche::v1::StreamReservationsRequest request;
    while (stream->Read(&request)) {
      ++stream_messages_;
      stream->Write(request.items().empty() ? AnswerTo(request) : AnswerToFrame(request));
    }
    return grpc::Status::OK;
  }

 private:
  template <typename Request>
  bool MayQueue(const Request& request) const {
    return queues && request.accept_queued();
  }
  tranche::v1::CreateReservationResponse Queue(const tranche::v1::CreateReservationRequest& request) {
    tranche::v1::GetClaimResponse sold;
    Grant(request, sold.mutable_created());
    tranche::v1::CreateReservationResponse response;
    *response.mutable_queued() = Remember(request.reservation_id(), sold);
    return response;
  }
  tranche::v1::CreateReservationsResponse Queue(const tranche::v1::CreateReservationsRequest& cart) {
    tranche::v1::GetClaimResponse sold;
    Grant(cart, sold.mutable_cart_created());
    tranche::v1::CreateReservationsResponse response;
    *response.mutable_queued() = Remember(cart.lines(0).reservation_id(), sold);
    return response;
  }
  tranche::v1::QueuedClaim Remember(const std::string& ticket, const tranche::v1::GetClaimResponse& sold) {
    {
      absl::MutexLock lock(&mutex_);
      sold_[ticket] = sold;
    }
    if (on_queued) on_queued();
    return QueuedWith(ticket);
  }
  tranche::v1::GetClaimResponse ClaimOf(const std::string& ticket) {
    tranche::v1::GetClaimResponse claim;
    absl::MutexLock lock(&mutex_);
    if (!decides) {
      *claim.mutable_queued() = QueuedWith(ticket);
    } else if (const auto found = sold_.find(ticket); found != sold_.end()) {
      claim = found->second;
    } else {
      claim.mutable_created()->mutable_reservation()->set_reservation_id(ticket);
    }
    return claim;
  }

  template <typename Request, typename Response>
  grpc::Status Answer(const Request& request, Response* response) {
    ++unary_calls_;
    if (on_change) on_change();
    if (refusal_.code() != 0) return ToGrpc(refusal_);
    Grant(request, response);
    return grpc::Status::OK;
  }

  tranche::v1::StreamReservationsResponse AnswerTo(const tranche::v1::StreamReservationsRequest& request) {
    tranche::v1::StreamReservationsResponse response;
    response.set_sequence(request.sequence());
    if (refusal_.code() != 0) {
      *response.mutable_error() = refusal_;
    } else if (MayQueue(request.create())) {
      *response.mutable_created() = Queue(request.create());
    } else {
      Grant(request.create(), response.mutable_created());
    }
    return response;
  }

  tranche::v1::StreamReservationsResponse AnswerToFrame(const tranche::v1::StreamReservationsRequest& frame) {
    tranche::v1::StreamReservationsResponse response;
    if (frame.items_size() > largest_frame_) largest_frame_ = frame.items_size();
    if (refusal_.code() != 0) *response.add_refusals()->mutable_error() = refusal_;
    for (const tranche::v1::StreamReservationsItem& item : frame.items()) {
      if (refusal_.code() != 0) {
        response.mutable_refusals(0)->add_sequences(item.sequence());
        continue;
      }
      tranche::v1::StreamReservationsResult* const result = response.add_results();
      result->set_sequence(item.sequence());
      if (item.has_create() && MayQueue(item.create())) {
        *result->mutable_created() = Queue(item.create());
      } else if (item.has_create()) {
        Grant(item.create(), result->mutable_created());
      }
      if (item.has_create_cart() && MayQueue(item.create_cart())) {
        *result->mutable_cart_created() = Queue(item.create_cart());
      } else if (item.has_create_cart()) {
        Grant(item.create_cart(), result->mutable_cart_created());
      }
      if (item.has_confirm()) Grant(item.confirm(), result->mutable_confirmed());
      if (item.has_cancel()) Grant(item.cancel(), result->mutable_cancelled());
    }
    return response;
  }

  const google::rpc::Status refusal_;
  const StreamHandler on_stream_;
  std::atomic<int> unary_calls_{0};
  std::atomic<int> streams_{0};
  std::atomic<int> stream_messages_{0};
  std::atomic<int> largest_frame_{0};
  std::atomic<int> watches_{0};
  std::atomic<int> claim_watches_{0};
  std::atomic<int> claim_reads_{0};
  absl::Mutex mutex_;
  std::map<std::string, tranche::v1::GetClaimResponse> sold_ ABSL_GUARDED_BY(mutex_);
  std::unique_ptr<grpc::Server> server_;
  std::string address_;
};

}  // namespace tranche
