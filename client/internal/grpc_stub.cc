#include "client/internal/grpc_stub.h"

#include <grpcpp/create_channel.h>
#include <grpcpp/security/credentials.h>
#include <grpcpp/support/channel_arguments.h>

#include "absl/time/clock.h"
#include "client/internal/status_translation.h"

namespace tranche::internal {
namespace {

constexpr int kMaxReceiveBytes = 1 << 20;

grpc::ChannelArguments ArgumentsOfChannel(int index) {
  grpc::ChannelArguments arguments;
  // Channels with equal arguments would share one connection.
  arguments.SetInt("tranche.channel_index", index);
  arguments.SetInt(GRPC_ARG_USE_LOCAL_SUBCHANNEL_POOL, 1);
  // Retries and failover are up to the connection, which knows the other nodes.
  arguments.SetInt(GRPC_ARG_ENABLE_RETRIES, 0);
  arguments.SetInt(GRPC_ARG_SERVICE_CONFIG_DISABLE_RESOLUTION, 1);
  // A restarted node is found again within a second.
  arguments.SetInt(GRPC_ARG_INITIAL_RECONNECT_BACKOFF_MS, 100);
  arguments.SetInt(GRPC_ARG_MIN_RECONNECT_BACKOFF_MS, 1000);
  arguments.SetInt(GRPC_ARG_MAX_RECONNECT_BACKOFF_MS, 1000);
  // Only while calls are in flight, so that the server's ping limits are not reached. The timeout is also the
  // connection's TCP_USER_TIMEOUT. When a host vanishes, gRPC does not end a call past its deadline while a write to it
  // is stuck, so this bounds how late an attempt is given up.
  arguments.SetInt(GRPC_ARG_KEEPALIVE_TIME_MS, 30'000);
  arguments.SetInt(GRPC_ARG_KEEPALIVE_TIMEOUT_MS, 1'000);
  arguments.SetInt(GRPC_ARG_KEEPALIVE_PERMIT_WITHOUT_CALLS, 0);
  arguments.SetMaxReceiveMessageSize(kMaxReceiveBytes);
  return arguments;
}

void Begin(Stub::Context& context, absl::Time deadline) {
  context.emplace();
  context->set_deadline(absl::ToChronoTime(deadline));
}

// Also translates the status, so that no grpc::Status gets further than this file.
auto Reporting(AttemptObserver* observer) {
  return [observer](const grpc::Status& status) { observer->OnAttemptDone(ToAbslStatus(status)); };
}

}  // namespace

GrpcStub::GrpcStub(const std::string& endpoint, int channels) {
  for (int i = 0; i < channels; ++i) {
    const std::shared_ptr<grpc::Channel> channel =
        grpc::CreateCustomChannel(endpoint, grpc::InsecureChannelCredentials(), ArgumentsOfChannel(i));
    channels_.push_back(
        {tranche::v1::ReservationService::NewStub(channel), tranche::v1::CatalogService::NewStub(channel)});
  }
}

const GrpcStub::Services& GrpcStub::NextChannel() {
  if (channels_.size() == 1) return channels_[0];
  return channels_[next_.fetch_add(1, std::memory_order_relaxed) % channels_.size()];
}

void GrpcStub::CreateReservation(Context& context, absl::Time deadline,
                                 const tranche::v1::CreateReservationRequest& request,
                                 tranche::v1::CreateReservationResponse* response, AttemptObserver* observer) {
  Begin(context, deadline);
  Next()->CreateReservation(&*context, &request, response, [observer, response](const grpc::Status& status) {
    const bool refused = status.ok() && response->refusal().code() != 0;
    observer->OnAttemptDone(refused ? ToAbslStatus(response->refusal()) : ToAbslStatus(status));
  });
}

void GrpcStub::GetReservation(Context& context, absl::Time deadline, const tranche::v1::GetReservationRequest& request,
                              tranche::v1::GetReservationResponse* response, AttemptObserver* observer) {
  Begin(context, deadline);
  Next()->GetReservation(&*context, &request, response, Reporting(observer));
}

void GrpcStub::CreateReservations(Context& context, absl::Time deadline,
                                  const tranche::v1::CreateReservationsRequest& request,
                                  tranche::v1::CreateReservationsResponse* response, AttemptObserver* observer) {
  Begin(context, deadline);
  Next()->CreateReservations(&*context, &request, response, Reporting(observer));
}

void GrpcStub::ConfirmReservation(Context& context, absl::Time deadline,
                                  const tranche::v1::ConfirmReservationRequest& request,
                                  tranche::v1::ConfirmReservationResponse* response, AttemptObserver* observer) {
  Begin(context, deadline);
  Next()->ConfirmReservation(&*context, &request, response, Reporting(observer));
}

void GrpcStub::CancelReservation(Context& context, absl::Time deadline,
                                 const tranche::v1::CancelReservationRequest& request,
                                 tranche::v1::CancelReservationResponse* response, AttemptObserver* observer) {
  Begin(context, deadline);
  Next()->CancelReservation(&*context, &request, response, Reporting(observer));
}

void GrpcStub::ExtendReservation(Context& context, absl::Time deadline,
                                 const tranche::v1::ExtendReservationRequest& request,
                                 tranche::v1::ExtendReservationResponse* response, AttemptObserver* observer) {
  Begin(context, deadline);
  Next()->ExtendReservation(&*context, &request, response, Reporting(observer));
}

void GrpcStub::ListReservations(Context& context, absl::Time deadline,
                                const tranche::v1::ListReservationsRequest& request,
                                tranche::v1::ListReservationsResponse* response, AttemptObserver* observer) {
  Begin(context, deadline);
  Next()->ListReservations(&*context, &request, response, Reporting(observer));
}

void GrpcStub::BatchGetReservations(Context& context, absl::Time deadline,
                                    const tranche::v1::BatchGetReservationsRequest& request,
                                    tranche::v1::BatchGetReservationsResponse* response, AttemptObserver* observer) {
  Begin(context, deadline);
  Next()->BatchGetReservations(&*context, &request, response, Reporting(observer));
}

void GrpcStub::GetSku(Context& context, absl::Time deadline, const tranche::v1::CatalogServiceGetSkuRequest& request,
                      tranche::v1::CatalogServiceGetSkuResponse* response, AttemptObserver* observer) {
  Begin(context, deadline);
  NextChannel().catalog->async()->GetSku(&*context, &request, response, Reporting(observer));
}

void GrpcStub::ListSkus(Context& context, absl::Time deadline,
                        const tranche::v1::CatalogServiceListSkusRequest& request,
                        tranche::v1::CatalogServiceListSkusResponse* response, AttemptObserver* observer) {
  Begin(context, deadline);
  NextChannel().catalog->async()->ListSkus(&*context, &request, response, Reporting(observer));
}

void GrpcStub::WatchReservation(Context& context, const tranche::v1::WatchReservationRequest& request,
                                WatchReactor* reactor) {
  context.emplace();
  Next()->WatchReservation(&*context, &request, reactor);
}

void GrpcStub::StreamReservations(Context& context, StreamReactor* reactor) {
  context.emplace();
  Next()->StreamReservations(&*context, reactor);
}

}  // namespace tranche::internal
