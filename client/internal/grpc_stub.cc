#include "client/internal/grpc_stub.h"

#include <grpcpp/create_channel.h>
#include <grpcpp/security/credentials.h>
#include <grpcpp/support/channel_arguments.h>

#include <utility>

#include "absl/time/clock.h"
#include "client/internal/status_translation.h"
#include "client/internal/tls_advice.h"

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

// Also translates the status, so that no grpc::Status gets further than this file.
auto Reporting(AttemptObserver* observer) {
  return [observer](const grpc::Status& status) { observer->OnAttemptDone(WithTlsAdvice(ToAbslStatus(status))); };
}

}  // namespace

GrpcStub::GrpcStub(std::string endpoint, int channels, std::shared_ptr<ChannelSecurity> security)
    : endpoint_(std::move(endpoint)),
      channels_(channels),
      security_(std::move(security)),
      first_(MakeChannels()),
      newest_(first_) {}

std::shared_ptr<GrpcStub::ChannelSet> GrpcStub::MakeChannels() {
  auto made = std::make_shared<ChannelSet>();
  made->credentials = security_->Credentials();
  for (int i = 0; i < channels_; ++i) {
    grpc::ChannelArguments arguments = ArgumentsOfChannel(i);
    security_->AddTo(arguments, endpoint_);
    std::shared_ptr<grpc::Channel> channel = grpc::CreateCustomChannel(endpoint_, made->credentials, arguments);
    made->channels.push_back(
        {channel, tranche::v1::ReservationService::NewStub(channel), tranche::v1::CatalogService::NewStub(channel),
         tranche::v1::FrontDoorService::NewStub(channel), tranche::v1::GroupService::NewStub(channel)});
  }
  return made;
}

const GrpcStub::Services& GrpcStub::ChannelSet::Next() {
  if (channels.size() == 1) return channels[0];
  return channels[next.fetch_add(1, std::memory_order_relaxed) % channels.size()];
}

GrpcStub::Lease GrpcStub::NextChannel() {
  if (!security_->renews()) return {nullptr, &first_->Next()};
  std::shared_ptr<ChannelSet> newest = newest_.load();
  const Services* const services = &newest->Next();
  return {std::move(newest), services};
}

void GrpcStub::Renew() {
  const std::shared_ptr<ChannelSet> newest = newest_.load();
  if (newest->used) DropUnusedChannels();
  if (security_->Credentials() == newest->credentials) return;
  newest_.store(MakeChannels());
  replaced_.push_back(newest);
}

void GrpcStub::DropUnusedChannels() {
  std::erase_if(replaced_, [this](const std::shared_ptr<ChannelSet>& set) {
    // `first_` is a reference of ours, too.
    if (set.use_count() > (set == first_ ? 2 : 1)) return false;
    for (const Services& services : set->channels) replaced_channels_.push_back(services.channel);
    set->channels.clear();  // the services refer to the channels
    return true;
  });
  std::erase_if(replaced_channels_, [](const auto& channel) { return channel.use_count() == 1; });
}

void GrpcStub::Prepare(Context& context) const {
  context.emplace();
  if (security_->has_token()) security_->Authorize(*context);
}

void GrpcStub::Prepare(Context& context, absl::Time deadline) const {
  Prepare(context);
  context->set_deadline(absl::ToChronoTime(deadline));
}

void GrpcStub::CreateReservation(Context& context, absl::Time deadline,
                                 const tranche::v1::CreateReservationRequest& request,
                                 tranche::v1::CreateReservationResponse* response, AttemptObserver* observer) {
  Prepare(context, deadline);
  NextChannel().reservations()->CreateReservation(
      &*context, &request, response, [observer, response](const grpc::Status& status) {
        const bool refused = status.ok() && response->refusal().code() != 0;
        observer->OnAttemptDone(refused ? ToAbslStatus(response->refusal()) : WithTlsAdvice(ToAbslStatus(status)));
      });
}

void GrpcStub::GetReservation(Context& context, absl::Time deadline, const tranche::v1::GetReservationRequest& request,
                              tranche::v1::GetReservationResponse* response, AttemptObserver* observer) {
  Prepare(context, deadline);
  NextChannel().reservations()->GetReservation(&*context, &request, response, Reporting(observer));
}

void GrpcStub::GetClaim(Context& context, absl::Time deadline, const tranche::v1::GetClaimRequest& request,
                        tranche::v1::GetClaimResponse* response, AttemptObserver* observer) {
  Prepare(context, deadline);
  NextChannel().reservations()->GetClaim(&*context, &request, response, Reporting(observer));
}

void GrpcStub::CreateReservations(Context& context, absl::Time deadline,
                                  const tranche::v1::CreateReservationsRequest& request,
                                  tranche::v1::CreateReservationsResponse* response, AttemptObserver* observer) {
  Prepare(context, deadline);
  NextChannel().reservations()->CreateReservations(&*context, &request, response, Reporting(observer));
}

void GrpcStub::ConfirmReservation(Context& context, absl::Time deadline,
                                  const tranche::v1::ConfirmReservationRequest& request,
                                  tranche::v1::ConfirmReservationResponse* response, AttemptObserver* observer) {
  Prepare(context, deadline);
  NextChannel().reservations()->ConfirmReservation(&*context, &request, response, Reporting(observer));
}

void GrpcStub::CancelReservation(Context& context, absl::Time deadline,
                                 const tranche::v1::CancelReservationRequest& request,
                                 tranche::v1::CancelReservationResponse* response, AttemptObserver* observer) {
  Prepare(context, deadline);
  NextChannel().reservations()->CancelReservation(&*context, &request, response, Reporting(observer));
}

void GrpcStub::ExtendReservation(Context& context, absl::Time deadline,
                                 const tranche::v1::ExtendReservationRequest& request,
                                 tranche::v1::ExtendReservationResponse* response, AttemptObserver* observer) {
  Prepare(context, deadline);
  NextChannel().reservations()->ExtendReservation(&*context, &request, response, Reporting(observer));
}

void GrpcStub::ListReservations(Context& context, absl::Time deadline,
                                const tranche::v1::ListReservationsRequest& request,
                                tranche::v1::ListReservationsResponse* response, AttemptObserver* observer) {
  Prepare(context, deadline);
  NextChannel().reservations()->ListReservations(&*context, &request, response, Reporting(observer));
}

void GrpcStub::BatchGetReservations(Context& context, absl::Time deadline,
                                    const tranche::v1::BatchGetReservationsRequest& request,
                                    tranche::v1::BatchGetReservationsResponse* response, AttemptObserver* observer) {
  Prepare(context, deadline);
  NextChannel().reservations()->BatchGetReservations(&*context, &request, response, Reporting(observer));
}

void GrpcStub::GetSku(Context& context, absl::Time deadline, const tranche::v1::CatalogServiceGetSkuRequest& request,
                      tranche::v1::CatalogServiceGetSkuResponse* response, AttemptObserver* observer) {
  Prepare(context, deadline);
  NextChannel().catalog()->GetSku(&*context, &request, response, Reporting(observer));
}

void GrpcStub::ListSkus(Context& context, absl::Time deadline,
                        const tranche::v1::CatalogServiceListSkusRequest& request,
                        tranche::v1::CatalogServiceListSkusResponse* response, AttemptObserver* observer) {
  Prepare(context, deadline);
  NextChannel().catalog()->ListSkus(&*context, &request, response, Reporting(observer));
}

void GrpcStub::EnterSale(Context& context, absl::Time deadline, const tranche::v1::EnterSaleRequest& request,
                         tranche::v1::EnterSaleResponse* response, AttemptObserver* observer) {
  Prepare(context, deadline);
  NextChannel().front_door()->EnterSale(&*context, &request, response, Reporting(observer));
}

void GrpcStub::EnterDraw(Context& context, absl::Time deadline, const tranche::v1::EnterDrawRequest& request,
                         tranche::v1::EnterDrawResponse* response, AttemptObserver* observer) {
  Prepare(context, deadline);
  NextChannel().front_door()->EnterDraw(&*context, &request, response, Reporting(observer));
}

void GrpcStub::GetDrawEntry(Context& context, absl::Time deadline, const tranche::v1::GetDrawEntryRequest& request,
                            tranche::v1::GetDrawEntryResponse* response, AttemptObserver* observer) {
  Prepare(context, deadline);
  NextChannel().front_door()->GetDrawEntry(&*context, &request, response, Reporting(observer));
}

void GrpcStub::OpenGroup(Context& context, absl::Time deadline, const tranche::v1::OpenGroupRequest& request,
                         tranche::v1::OpenGroupResponse* response, AttemptObserver* observer) {
  Prepare(context, deadline);
  NextChannel().groups()->OpenGroup(&*context, &request, response, Reporting(observer));
}

void GrpcStub::JoinGroup(Context& context, absl::Time deadline, const tranche::v1::JoinGroupRequest& request,
                         tranche::v1::JoinGroupResponse* response, AttemptObserver* observer) {
  Prepare(context, deadline);
  NextChannel().groups()->JoinGroup(&*context, &request, response, Reporting(observer));
}

void GrpcStub::LeaveGroup(Context& context, absl::Time deadline, const tranche::v1::LeaveGroupRequest& request,
                          tranche::v1::LeaveGroupResponse* response, AttemptObserver* observer) {
  Prepare(context, deadline);
  NextChannel().groups()->LeaveGroup(&*context, &request, response, Reporting(observer));
}

void GrpcStub::GetGroup(Context& context, absl::Time deadline, const tranche::v1::GetGroupRequest& request,
                        tranche::v1::GetGroupResponse* response, AttemptObserver* observer) {
  Prepare(context, deadline);
  NextChannel().groups()->GetGroup(&*context, &request, response, Reporting(observer));
}

void GrpcStub::ListGroups(Context& context, absl::Time deadline, const tranche::v1::ListGroupsRequest& request,
                          tranche::v1::ListGroupsResponse* response, AttemptObserver* observer) {
  Prepare(context, deadline);
  NextChannel().groups()->ListGroups(&*context, &request, response, Reporting(observer));
}

void GrpcStub::ListGroupOffers(Context& context, absl::Time deadline,
                               const tranche::v1::ListGroupOffersRequest& request,
                               tranche::v1::ListGroupOffersResponse* response, AttemptObserver* observer) {
  Prepare(context, deadline);
  NextChannel().groups()->ListGroupOffers(&*context, &request, response, Reporting(observer));
}

void GrpcStub::WatchReservation(Context& context, const tranche::v1::WatchReservationRequest& request,
                                WatchReactor* reactor) {
  Prepare(context);
  NextChannel().reservations()->WatchReservation(&*context, &request, reactor);
}

void GrpcStub::WatchClaim(Context& context, const tranche::v1::WatchClaimRequest& request, ClaimWatchReactor* reactor) {
  Prepare(context);
  NextChannel().reservations()->WatchClaim(&*context, &request, reactor);
}

void GrpcStub::WatchGroup(Context& context, const tranche::v1::WatchGroupRequest& request, GroupWatchReactor* reactor) {
  Prepare(context);
  NextChannel().groups()->WatchGroup(&*context, &request, reactor);
}

void GrpcStub::StreamReservations(Context& context, StreamReactor* reactor) {
  Prepare(context);
  NextChannel().reservations()->StreamReservations(&*context, reactor);
}

}  // namespace tranche::internal
