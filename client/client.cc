#include "tranche/client.h"

#include <utility>

#include "absl/synchronization/notification.h"
#include "client/internal/connection.h"
#include "client/internal/entry_wait.h"
#include "client/internal/stream_session.h"
#include "client/internal/watch_session.h"
#include "storage/base/status_macros.h"

namespace tranche {
namespace {

// Runs `start` with a callback and waits for it.
template <typename Answer, typename Start>
absl::StatusOr<Answer> Await(Start start) {
  absl::StatusOr<Answer> result;
  absl::Notification done;
  start([&](absl::StatusOr<Answer> answer) {
    result = std::move(answer);
    done.Notify();
  });
  done.WaitForNotification();
  return result;
}

}  // namespace

absl::StatusOr<std::unique_ptr<Client>> Client::Open(const ClientOptions& options) {
  RETURN_IF_ERROR(Validate(options));
  ASSIGN_OR_RETURN(std::shared_ptr<internal::Connection> connection, internal::MakeGrpcConnection(options));
  return std::make_unique<Client>(std::move(connection));
}

Client::Client(std::shared_ptr<internal::Connection> connection) : connection_(std::move(connection)) {}

Client::~Client() = default;

absl::StatusOr<Reservation> Client::Create(CreateReservation request) {
  return Await<Reservation>([&](Callback callback) { connection_->Create(std::move(request), std::move(callback)); });
}

void Client::CreateAsync(CreateReservation request, Callback callback) {
  connection_->Create(std::move(request), std::move(callback));
}

absl::StatusOr<Reservation> Client::Get(std::string reservation_id) {
  return Await<Reservation>(
      [&](Callback callback) { connection_->Get(std::move(reservation_id), std::move(callback)); });
}

absl::StatusOr<ClaimOutcome> Client::GetClaim(std::string ticket) {
  return Await<ClaimOutcome>(
      [&](ClaimCallback callback) { connection_->GetClaim(std::move(ticket), std::move(callback)); });
}

void Client::GetClaimAsync(std::string ticket, ClaimCallback callback) {
  connection_->GetClaim(std::move(ticket), std::move(callback));
}

void Client::GetAsync(std::string reservation_id, Callback callback) {
  connection_->Get(std::move(reservation_id), std::move(callback));
}

absl::StatusOr<Cart> Client::CreateCart(tranche::CreateCart cart) {
  return Await<Cart>([&](CartCallback callback) { connection_->CreateCart(std::move(cart), std::move(callback)); });
}

void Client::CreateCartAsync(tranche::CreateCart cart, CartCallback callback) {
  connection_->CreateCart(std::move(cart), std::move(callback));
}

absl::StatusOr<Confirmation> Client::Confirm(ConfirmReservation change) {
  return Await<Confirmation>(
      [&](ConfirmCallback callback) { connection_->Confirm(std::move(change), std::move(callback)); });
}

void Client::ConfirmAsync(ConfirmReservation change, ConfirmCallback callback) {
  connection_->Confirm(std::move(change), std::move(callback));
}

absl::StatusOr<Reservation> Client::Cancel(CancelReservation change) {
  return Await<Reservation>([&](Callback callback) { connection_->Cancel(std::move(change), std::move(callback)); });
}

void Client::CancelAsync(CancelReservation change, Callback callback) {
  connection_->Cancel(std::move(change), std::move(callback));
}

absl::StatusOr<Reservation> Client::Extend(ExtendReservation change) {
  return Await<Reservation>([&](Callback callback) { connection_->Extend(std::move(change), std::move(callback)); });
}

void Client::ExtendAsync(ExtendReservation change, Callback callback) {
  connection_->Extend(std::move(change), std::move(callback));
}

absl::StatusOr<ReservationPage> Client::List(ListReservations query) {
  return Await<ReservationPage>(
      [&](PageCallback callback) { connection_->List(std::move(query), std::move(callback)); });
}

void Client::ListAsync(ListReservations query, PageCallback callback) {
  connection_->List(std::move(query), std::move(callback));
}

absl::StatusOr<std::vector<Reservation>> Client::BatchGet(std::vector<std::string> reservation_ids) {
  return Await<std::vector<Reservation>>(
      [&](BatchCallback callback) { connection_->BatchGet(std::move(reservation_ids), std::move(callback)); });
}

void Client::BatchGetAsync(std::vector<std::string> reservation_ids, BatchCallback callback) {
  connection_->BatchGet(std::move(reservation_ids), std::move(callback));
}

absl::StatusOr<Sku> Client::GetSku(std::string sku_id) {
  return Await<Sku>([&](SkuCallback callback) { connection_->GetSku(std::move(sku_id), std::move(callback)); });
}

void Client::GetSkuAsync(std::string sku_id, SkuCallback callback) {
  connection_->GetSku(std::move(sku_id), std::move(callback));
}

absl::StatusOr<SkuPage> Client::ListSkus(tranche::ListSkus query) {
  return Await<SkuPage>(
      [&](SkuPageCallback callback) { connection_->ListSkus(std::move(query), std::move(callback)); });
}

void Client::ListSkusAsync(tranche::ListSkus query, SkuPageCallback callback) {
  connection_->ListSkus(std::move(query), std::move(callback));
}

absl::StatusOr<SaleEntry> Client::EnterSale(tranche::EnterSale request) {
  return Await<SaleEntry>(
      [&](EntryCallback callback) { connection_->EnterSale(std::move(request), std::move(callback)); });
}

void Client::EnterSaleAsync(tranche::EnterSale request, EntryCallback callback) {
  connection_->EnterSale(std::move(request), std::move(callback));
}

absl::StatusOr<SaleEntry> Client::AwaitEntry(tranche::EnterSale request, absl::Time deadline, PlaceCallback on_place) {
  return Await<SaleEntry>([&](EntryCallback callback) {
    internal::EntryWait::Start(*connection_, deadline, std::move(request), std::move(on_place), std::move(callback));
  });
}

void Client::AwaitEntryAsync(tranche::EnterSale request, absl::Time deadline, PlaceCallback on_place,
                             EntryCallback callback) {
  internal::EntryWait::Start(*connection_, deadline, std::move(request), std::move(on_place), std::move(callback));
}

absl::StatusOr<EnteredDraw> Client::EnterDraw(tranche::EnterDraw request) {
  return Await<EnteredDraw>(
      [&](EnteredDrawCallback callback) { connection_->EnterDraw(std::move(request), std::move(callback)); });
}

void Client::EnterDrawAsync(tranche::EnterDraw request, EnteredDrawCallback callback) {
  connection_->EnterDraw(std::move(request), std::move(callback));
}

absl::StatusOr<DrawEntry> Client::GetDrawEntry(tranche::GetDrawEntry query) {
  return Await<DrawEntry>(
      [&](DrawEntryCallback callback) { connection_->GetDrawEntry(std::move(query), std::move(callback)); });
}

void Client::GetDrawEntryAsync(tranche::GetDrawEntry query, DrawEntryCallback callback) {
  connection_->GetDrawEntry(std::move(query), std::move(callback));
}

absl::StatusOr<JoinedGroup> Client::OpenGroup(tranche::OpenGroup request) {
  return Await<JoinedGroup>(
      [&](JoinedGroupCallback callback) { connection_->OpenGroup(std::move(request), std::move(callback)); });
}

void Client::OpenGroupAsync(tranche::OpenGroup request, JoinedGroupCallback callback) {
  connection_->OpenGroup(std::move(request), std::move(callback));
}

absl::StatusOr<JoinedGroup> Client::JoinGroup(tranche::JoinGroup request) {
  return Await<JoinedGroup>(
      [&](JoinedGroupCallback callback) { connection_->JoinGroup(std::move(request), std::move(callback)); });
}

void Client::JoinGroupAsync(tranche::JoinGroup request, JoinedGroupCallback callback) {
  connection_->JoinGroup(std::move(request), std::move(callback));
}

absl::StatusOr<Reservation> Client::LeaveGroup(tranche::LeaveGroup change) {
  return Await<Reservation>(
      [&](Callback callback) { connection_->LeaveGroup(std::move(change), std::move(callback)); });
}

void Client::LeaveGroupAsync(tranche::LeaveGroup change, Callback callback) {
  connection_->LeaveGroup(std::move(change), std::move(callback));
}

absl::StatusOr<GroupWithMembers> Client::GetGroup(tranche::GetGroup query) {
  return Await<GroupWithMembers>(
      [&](GroupCallback callback) { connection_->GetGroup(std::move(query), std::move(callback)); });
}

void Client::GetGroupAsync(tranche::GetGroup query, GroupCallback callback) {
  connection_->GetGroup(std::move(query), std::move(callback));
}

absl::StatusOr<GroupPage> Client::ListGroups(tranche::ListGroups query) {
  return Await<GroupPage>(
      [&](GroupPageCallback callback) { connection_->ListGroups(std::move(query), std::move(callback)); });
}

void Client::ListGroupsAsync(tranche::ListGroups query, GroupPageCallback callback) {
  connection_->ListGroups(std::move(query), std::move(callback));
}

absl::StatusOr<std::vector<GroupOffer>> Client::ListGroupOffers(std::string sku_id) {
  return Await<std::vector<GroupOffer>>(
      [&](GroupOffersCallback callback) { connection_->ListGroupOffers(std::move(sku_id), std::move(callback)); });
}

void Client::ListGroupOffersAsync(std::string sku_id, GroupOffersCallback callback) {
  connection_->ListGroupOffers(std::move(sku_id), std::move(callback));
}

std::unique_ptr<GroupWatch> Client::WatchGroup(std::string group_id, std::string sku, const WatchOptions& options) {
  tranche::v1::WatchGroupRequest request;
  request.set_group_id(std::move(group_id));
  request.set_sku_id(std::move(sku));
  auto session = std::make_shared<internal::GroupWatchSession>(connection_->environment(), std::move(request), options);
  session->Start();
  return std::make_unique<GroupWatch>(std::move(session));
}

std::unique_ptr<ReservationWatch> Client::Watch(std::string reservation_id, const WatchOptions& options) {
  tranche::v1::WatchReservationRequest request;
  request.set_reservation_id(std::move(reservation_id));
  auto session =
      std::make_shared<internal::ReservationWatchSession>(connection_->environment(), std::move(request), options);
  session->Start();
  return std::make_unique<ReservationWatch>(std::move(session));
}

std::unique_ptr<ReservationStream> Client::OpenStream(const StreamOptions& options) {
  return std::make_unique<ReservationStream>(std::make_shared<internal::StreamSession>(*connection_, options));
}

}  // namespace tranche
