#include "client/internal/connection.h"

#include <algorithm>
#include <utility>

#include "absl/strings/str_cat.h"
#include "absl/strings/string_view.h"
#include "client/internal/cart_call.h"
#include "client/internal/channel_security.h"
#include "client/internal/convert.h"
#include "client/internal/get_call.h"
#include "client/internal/grpc_stub.h"
#include "client/internal/repeatable_call.h"
#include "client/internal/single_claim_call.h"
#include "client/internal/status_translation.h"
#include "client/internal/timer_thread.h"
#include "storage/base/status_macros.h"
#include "tranche/error.h"
#include "tranche/uuid.h"

namespace tranche::internal {
namespace {

constexpr absl::Duration kRegularly = absl::Seconds(1);

// With new ids it would be another claim, beside the one that may have been made.
absl::Status RetryWithoutIds(absl::string_view ids) {
  return absl::InvalidArgumentError(
      absl::StrCat("retry_of_unknown needs the first try's ", ids, ": the error that said unknown has them"));
}

// The callback of a claim that opens or joins this group.
Connection::Callback OfMember(std::string group_id, Connection::CallbackOf<JoinedGroup> callback) {
  return [group_id = std::move(group_id), callback = std::move(callback)](absl::StatusOr<Reservation> claimed) mutable {
    if (claimed.ok()) return callback(JoinedGroup{.group_id = group_id, .reservation = *std::move(claimed)});
    absl::Status error = claimed.status();
    // To send it again, both ids are needed.
    if (IsOutcomeUnknown(error)) SetMetadata(error, "group_id", group_id);
    callback(std::move(error));
  };
}

void Begin(RetryingCall* call, const CallStart& start) {
  if (!start.refusal.ok()) {
    call->StartAfter(start.node, start.refusal);
  } else if (start.admitted) {
    call->StartAdmitted();
  } else {
    call->Start();
  }
}

}  // namespace

Connection::Connection(const ClientOptions& options, std::vector<std::shared_ptr<Stub>> stubs,
                       std::shared_ptr<Scheduler> scheduler, const RandomSource& random)
    : environment_(options, std::move(stubs), std::move(scheduler), random) {}

Connection::~Connection() {
  environment_.closing = true;
  environment_.scheduler->Shutdown();
  environment_.AwaitCalls();
}

void Connection::Create(CreateReservation request, Callback callback) {
  CreateBefore(DeadlineFromNow(), std::move(request), std::move(callback));
}

void Connection::CreateBefore(absl::Time deadline, CreateReservation request, Callback callback,
                              const CallStart& start) {
  using Call = SingleClaimCall<tranche::v1::CreateReservationRequest, tranche::v1::CreateReservationResponse>;
  if (request.reservation_id.empty()) request.reservation_id = MakeUuidV7();
  request.retry_of_unknown |= start.in_doubt;
  Begin(new Call(environment_, deadline, &Stub::CreateReservation, std::move(request), std::move(callback)), start);
}

void Connection::Get(std::string reservation_id, Callback callback) {
  (new GetCall(environment_, DeadlineFromNow(), std::move(reservation_id), std::move(callback)))->Start();
}

void Connection::GetClaim(std::string ticket, CallbackOf<ClaimOutcome> callback) {
  using Call = RepeatableCall<tranche::v1::GetClaimRequest, tranche::v1::GetClaimResponse, ClaimOutcome>;
  tranche::v1::GetClaimRequest request;
  request.set_ticket(std::move(ticket));
  (new Call(environment_, DeadlineFromNow(), &Stub::GetClaim, std::move(request), /*changes=*/"", std::move(callback)))
      ->Start();
}

void Connection::CreateCart(tranche::CreateCart cart, CallbackOf<Cart> callback) {
  CreateCartBefore(DeadlineFromNow(), std::move(cart), std::move(callback));
}

void Connection::CreateCartBefore(absl::Time deadline, tranche::CreateCart cart, CallbackOf<Cart> callback,
                                  const CallStart& start) {
  // Without a line there would be no id to name if the outcome is unknown.
  if (cart.lines.empty()) return callback(absl::InvalidArgumentError("a cart has at least one line"));
  for (CartLine& line : cart.lines) {
    if (line.reservation_id.empty()) line.reservation_id = MakeUuidV7();
  }
  cart.retry_of_unknown |= start.in_doubt;
  Begin(new CartCall(environment_, deadline, std::move(cart), std::move(callback)), start);
}

void Connection::Confirm(ConfirmReservation change, CallbackOf<Confirmation> callback) {
  ConfirmBefore(DeadlineFromNow(), std::move(change), std::move(callback));
}

void Connection::ConfirmBefore(absl::Time deadline, ConfirmReservation change, CallbackOf<Confirmation> callback,
                               const CallStart& start) {
  using Call =
      RepeatableCall<tranche::v1::ConfirmReservationRequest, tranche::v1::ConfirmReservationResponse, Confirmation>;
  std::string id = change.reservation_id;
  Begin(new Call(environment_, deadline, &Stub::ConfirmReservation, ToProto(std::move(change)), std::move(id),
                 std::move(callback), start.in_doubt),
        start);
}

void Connection::Cancel(CancelReservation change, Callback callback) {
  CancelBefore(DeadlineFromNow(), std::move(change), std::move(callback));
}

void Connection::CancelBefore(absl::Time deadline, CancelReservation change, Callback callback,
                              const CallStart& start) {
  using Call =
      RepeatableCall<tranche::v1::CancelReservationRequest, tranche::v1::CancelReservationResponse, Reservation>;
  std::string id = change.reservation_id;
  Begin(new Call(environment_, deadline, &Stub::CancelReservation, ToProto(std::move(change)), std::move(id),
                 std::move(callback), start.in_doubt),
        start);
}

void Connection::Extend(ExtendReservation change, Callback callback) {
  using Call =
      RepeatableCall<tranche::v1::ExtendReservationRequest, tranche::v1::ExtendReservationResponse, Reservation>;
  std::string id = change.reservation_id;
  (new Call(environment_, DeadlineFromNow(), &Stub::ExtendReservation, ToProto(change), std::move(id),
            std::move(callback)))
      ->Start();
}

void Connection::List(ListReservations query, CallbackOf<ReservationPage> callback) {
  using Call =
      RepeatableCall<tranche::v1::ListReservationsRequest, tranche::v1::ListReservationsResponse, ReservationPage>;
  (new Call(environment_, DeadlineFromNow(), &Stub::ListReservations, ToProto(std::move(query)), /*changes=*/"",
            std::move(callback)))
      ->Start();
}

void Connection::BatchGet(std::vector<std::string> reservation_ids, CallbackOf<std::vector<Reservation>> callback) {
  using Call = RepeatableCall<tranche::v1::BatchGetReservationsRequest, tranche::v1::BatchGetReservationsResponse,
                              std::vector<Reservation>>;
  tranche::v1::BatchGetReservationsRequest request;
  for (std::string& id : reservation_ids) request.add_reservation_ids(std::move(id));
  (new Call(environment_, DeadlineFromNow(), &Stub::BatchGetReservations, std::move(request), /*changes=*/"",
            std::move(callback)))
      ->Start();
}

void Connection::GetSku(std::string sku_id, CallbackOf<Sku> callback) {
  using Call = RepeatableCall<tranche::v1::CatalogServiceGetSkuRequest, tranche::v1::CatalogServiceGetSkuResponse, Sku>;
  tranche::v1::CatalogServiceGetSkuRequest request;
  request.set_sku_id(std::move(sku_id));
  (new Call(environment_, DeadlineFromNow(), &Stub::GetSku, std::move(request), /*changes=*/"", std::move(callback)))
      ->Start();
}

void Connection::ListSkus(tranche::ListSkus query, CallbackOf<SkuPage> callback) {
  using Call =
      RepeatableCall<tranche::v1::CatalogServiceListSkusRequest, tranche::v1::CatalogServiceListSkusResponse, SkuPage>;
  (new Call(environment_, DeadlineFromNow(), &Stub::ListSkus, ToProto(std::move(query)), /*changes=*/"",
            std::move(callback)))
      ->Start();
}

void Connection::EnterSale(tranche::EnterSale request, CallbackOf<SaleEntry> callback) {
  EnterSaleBefore(absl::InfiniteFuture(), std::move(request), std::move(callback));
}

void Connection::EnterSaleBefore(absl::Time deadline, tranche::EnterSale request, CallbackOf<SaleEntry> callback) {
  using Call = RepeatableCall<tranche::v1::EnterSaleRequest, tranche::v1::EnterSaleResponse, SaleEntry>;
  (new Call(environment_, std::min(deadline, DeadlineFromNow()), &Stub::EnterSale, ToProto(std::move(request)),
            /*changes=*/"", std::move(callback), /*in_doubt=*/false, environment_.sale_entry_throttle.get()))
      ->Start();
}

// The ledger makes one entry, and answers a repetition with it: an error needs no reservation to look for.
void Connection::EnterDraw(tranche::EnterDraw request, CallbackOf<EnteredDraw> callback) {
  using Call = RepeatableCall<tranche::v1::EnterDrawRequest, tranche::v1::EnterDrawResponse, EnteredDraw>;
  (new Call(environment_, DeadlineFromNow(), &Stub::EnterDraw, ToProto(std::move(request)), /*changes=*/"",
            std::move(callback), /*in_doubt=*/false, environment_.draw_entry_throttle.get()))
      ->Start();
}

void Connection::GetDrawEntry(tranche::GetDrawEntry query, CallbackOf<DrawEntry> callback) {
  using Call = RepeatableCall<tranche::v1::GetDrawEntryRequest, tranche::v1::GetDrawEntryResponse, DrawEntry>;
  (new Call(environment_, DeadlineFromNow(), &Stub::GetDrawEntry, ToProto(std::move(query)), /*changes=*/"",
            std::move(callback)))
      ->Start();
}

void Connection::OpenGroup(tranche::OpenGroup request, CallbackOf<JoinedGroup> callback) {
  using Call = SingleClaimCall<tranche::v1::OpenGroupRequest, tranche::v1::OpenGroupResponse>;
  if (request.retry_of_unknown && (request.group_id.empty() || request.reservation_id.empty())) {
    return callback(RetryWithoutIds("group_id and reservation_id"));
  }
  if (request.group_id.empty()) request.group_id = MakeUuidV7();
  if (request.reservation_id.empty()) request.reservation_id = MakeUuidV7();
  Callback done = OfMember(request.group_id, std::move(callback));
  (new Call(environment_, DeadlineFromNow(), &Stub::OpenGroup, std::move(request), std::move(done)))->Start();
}

void Connection::JoinGroup(tranche::JoinGroup request, CallbackOf<JoinedGroup> callback) {
  using Call = SingleClaimCall<tranche::v1::JoinGroupRequest, tranche::v1::JoinGroupResponse>;
  if (request.retry_of_unknown && request.reservation_id.empty()) return callback(RetryWithoutIds("reservation_id"));
  if (request.reservation_id.empty()) request.reservation_id = MakeUuidV7();
  Callback done = OfMember(request.group_id, std::move(callback));
  (new Call(environment_, DeadlineFromNow(), &Stub::JoinGroup, std::move(request), std::move(done)))->Start();
}

void Connection::LeaveGroup(tranche::LeaveGroup change, Callback callback) {
  using Call = RepeatableCall<tranche::v1::LeaveGroupRequest, tranche::v1::LeaveGroupResponse, Reservation>;
  std::string id = change.reservation_id;
  (new Call(environment_, DeadlineFromNow(), &Stub::LeaveGroup, ToProto(std::move(change)), std::move(id),
            std::move(callback)))
      ->Start();
}

void Connection::GetGroup(tranche::GetGroup query, CallbackOf<GroupWithMembers> callback) {
  using Call = RepeatableCall<tranche::v1::GetGroupRequest, tranche::v1::GetGroupResponse, GroupWithMembers>;
  (new Call(environment_, DeadlineFromNow(), &Stub::GetGroup, ToProto(std::move(query)), /*changes=*/"",
            std::move(callback)))
      ->Start();
}

void Connection::ListGroups(tranche::ListGroups query, CallbackOf<GroupPage> callback) {
  using Call = RepeatableCall<tranche::v1::ListGroupsRequest, tranche::v1::ListGroupsResponse, GroupPage>;
  (new Call(environment_, DeadlineFromNow(), &Stub::ListGroups, ToProto(std::move(query)), /*changes=*/"",
            std::move(callback)))
      ->Start();
}

void Connection::ListGroupOffers(std::string sku_id, CallbackOf<std::vector<GroupOffer>> callback) {
  using Call = RepeatableCall<tranche::v1::ListGroupOffersRequest, tranche::v1::ListGroupOffersResponse,
                              std::vector<GroupOffer>>;
  tranche::v1::ListGroupOffersRequest request;
  request.set_sku_id(std::move(sku_id));
  (new Call(environment_, DeadlineFromNow(), &Stub::ListGroupOffers, std::move(request), /*changes=*/"",
            std::move(callback)))
      ->Start();
}

void Connection::RunRegularly(std::function<void()> task) {
  environment_.scheduler->RunAt(environment_.scheduler->Now() + kRegularly, [this, task = std::move(task)] {
    // Once it is set, the scheduler runs at once what it is given.
    if (environment_.closing) return;
    task();
    RunRegularly(task);
  });
}

absl::StatusOr<std::shared_ptr<Connection>> MakeGrpcConnection(const ClientOptions& options) {
  ASSIGN_OR_RETURN(const std::shared_ptr<ChannelSecurity> security,
                   ChannelSecurity::Open(options.tls, options.token_file));
  std::vector<std::shared_ptr<GrpcStub>> grpc_stubs;
  for (const std::string& endpoint : options.endpoints) {
    grpc_stubs.push_back(std::make_shared<GrpcStub>(endpoint, options.channels_per_endpoint, security));
  }
  const auto connection =
      std::make_shared<Connection>(options, std::vector<std::shared_ptr<Stub>>(grpc_stubs.begin(), grpc_stubs.end()),
                                   std::make_shared<TimerThread>());
  if (security->renews()) {
    // The connection has the stubs, and ends the task before they end: pointers, so that the task does not keep them.
    std::vector<GrpcStub*> renewed;
    for (const auto& stub : grpc_stubs) renewed.push_back(stub.get());
    connection->RunRegularly([renewed] {
      for (GrpcStub* stub : renewed) stub->Renew();
    });
  }
  return connection;
}

}  // namespace tranche::internal
