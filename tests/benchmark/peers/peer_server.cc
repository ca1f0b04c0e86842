#include "tests/benchmark/peers/peer_server.h"

#include <chrono>
#include <optional>
#include <utility>

#include "absl/status/status.h"
#include "storage/base/status_macros.h"
#include "tests/benchmark/peers/peer_answer.h"
#include "tranche/v1/reservation_service.grpc.pb.h"

namespace tranche::peers {
namespace {

constexpr auto kPatience = std::chrono::seconds(5);

class PeerService final : public v1::ReservationService::CallbackService {
 public:
  explicit PeerService(CallQueue* queue) : queue_(queue) {}

  grpc::ServerUnaryReactor* CreateReservation(grpc::CallbackServerContext* context,
                                              const v1::CreateReservationRequest* request,
                                              v1::CreateReservationResponse* response) override {
    grpc::ServerUnaryReactor* const reactor = context->DefaultReactor();
    absl::StatusOr<Claim> claim = ReadClaim(*request);
    if (!claim.ok()) {
      reactor->Finish(ErrorStatus(claim.status()));
      return reactor;
    }
    PendingCall call = {.claim = *std::move(claim),
                        .refusal_in_response = request->refusal_in_response(),
                        .context = context,
                        .response = response,
                        .reactor = reactor};
    if (!queue_->TryAdd(std::move(call))) reactor->Finish(OverloadedStatus("Too many claims wait here."));
    return reactor;
  }

 private:
  CallQueue* const queue_;
};

}  // namespace

PeerServer::PeerServer(size_t most_waiting) : queue_(most_waiting), service_(std::make_unique<PeerService>(&queue_)) {}

absl::StatusOr<std::unique_ptr<PeerServer>> PeerServer::Start(Peer& peer, int threads, size_t most_waiting) {
  std::unique_ptr<PeerServer> server(new PeerServer(most_waiting));
  for (int i = 0; i < threads; ++i) {
    ASSIGN_OR_RETURN(std::unique_ptr<Seller> seller, peer.MakeSeller());
    server->sellers_.push_back(std::move(seller));
  }
  for (const std::unique_ptr<Seller>& seller : server->sellers_) {
    server->threads_.emplace_back([self = server.get(), seller = seller.get()] { self->Work(*seller); });
  }
  grpc::ServerBuilder builder;
  builder.AddListeningPort("127.0.0.1:0", grpc::InsecureServerCredentials(), &server->port_);
  builder.RegisterService(server->service_.get());
  server->server_ = builder.BuildAndStart();
  if (server->server_ == nullptr) return absl::UnavailableError("cannot serve on a port of 127.0.0.1");
  return server;
}

PeerServer::~PeerServer() { Stop(); }

void PeerServer::Work(Seller& seller) {
  while (std::optional<PendingCall> call = queue_.Take()) {
    // Nobody waits for it any more.
    if (call->context->IsCancelled()) {
      call->reactor->Finish(grpc::Status::CANCELLED);
    } else {
      Answer(*call, seller.Sell(call->claim));
    }
  }
}

void PeerServer::Stop() {
  // Returns when all calls are finished, so the threads must still run.
  if (server_ != nullptr) server_->Shutdown(std::chrono::system_clock::now() + kPatience);
  queue_.Close();
  for (std::thread& thread : threads_) thread.join();
  threads_.clear();
}

}  // namespace tranche::peers
