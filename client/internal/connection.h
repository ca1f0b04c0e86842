// Turns the client's calls into attempts at nodes. All retries and failover are behind this interface.
#pragma once

#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "absl/functional/any_invocable.h"
#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "client/internal/call_environment.h"
#include "tranche/draw.h"
#include "tranche/front_door.h"
#include "tranche/group.h"
#include "tranche/options.h"
#include "tranche/reservation.h"
#include "tranche/sku.h"

namespace tranche::internal {

// How a call begins that was a request elsewhere (on a stream).
struct CallStart {
  // The throttle has let it pass there, and it was not sent; to ask again would refuse more than the throttle has
  // reckoned with.
  bool admitted = false;
  // It may have been done there.
  bool in_doubt = false;
  // What that node has said there, or that it has not answered, if another try makes sense then: it is a retry, with
  // the budget and the wait of one. OK: nothing.
  int node = -1;
  absl::Status refusal = absl::OkStatus();
};

// Thread-safe.
class Connection {
 public:
  template <typename Answer>
  using CallbackOf = absl::AnyInvocable<void(absl::StatusOr<Answer>)>;
  using Callback = CallbackOf<Reservation>;

  // One stub per endpoint of `options`. `random` decides what is throttled; empty: a real one.
  Connection(const ClientOptions& options, std::vector<std::shared_ptr<Stub>> stubs,
             std::shared_ptr<Scheduler> scheduler, const RandomSource& random = {});
  // Waits for outstanding calls.
  ~Connection();

  void Create(CreateReservation request, Callback callback);
  // These have the caller's deadline, for a request that began elsewhere. A claim is also in doubt by retry_of_unknown.
  void CreateBefore(absl::Time deadline, CreateReservation request, Callback callback, const CallStart& start = {});
  void CreateCartBefore(absl::Time deadline, tranche::CreateCart cart, CallbackOf<Cart> callback,
                        const CallStart& start = {});
  void ConfirmBefore(absl::Time deadline, ConfirmReservation change, CallbackOf<Confirmation> callback,
                     const CallStart& start = {});
  void CancelBefore(absl::Time deadline, CancelReservation change, Callback callback, const CallStart& start = {});
  void Get(std::string reservation_id, Callback callback);
  void GetClaim(std::string ticket, CallbackOf<ClaimOutcome> callback);

  // INVALID_ARGUMENT at once for a cart without lines.
  void CreateCart(tranche::CreateCart cart, CallbackOf<Cart> callback);
  void Confirm(ConfirmReservation change, CallbackOf<Confirmation> callback);
  void Cancel(CancelReservation change, Callback callback);
  void Extend(ExtendReservation change, Callback callback);
  void BatchGet(std::vector<std::string> reservation_ids, CallbackOf<std::vector<Reservation>> callback);
  void List(ListReservations query, CallbackOf<ReservationPage> callback);
  void GetSku(std::string sku_id, CallbackOf<Sku> callback);
  void ListSkus(tranche::ListSkus query, CallbackOf<SkuPage> callback);
  void EnterSale(tranche::EnterSale request, CallbackOf<SaleEntry> callback);
  // Until the caller's deadline, if that comes first.
  void EnterSaleBefore(absl::Time deadline, tranche::EnterSale request, CallbackOf<SaleEntry> callback);
  void EnterDraw(tranche::EnterDraw request, CallbackOf<EnteredDraw> callback);
  void GetDrawEntry(tranche::GetDrawEntry query, CallbackOf<DrawEntry> callback);
  void OpenGroup(tranche::OpenGroup request, CallbackOf<JoinedGroup> callback);
  void JoinGroup(tranche::JoinGroup request, CallbackOf<JoinedGroup> callback);
  void LeaveGroup(tranche::LeaveGroup change, Callback callback);
  void GetGroup(tranche::GetGroup query, CallbackOf<GroupWithMembers> callback);
  void ListGroups(tranche::ListGroups query, CallbackOf<GroupPage> callback);
  void ListGroupOffers(std::string sku_id, CallbackOf<std::vector<GroupOffer>> callback);

  // Until the connection ends, about once a second, on the scheduler's thread. `task` must not block.
  void RunRegularly(std::function<void()> task);

  CallEnvironment& environment() { return environment_; }

 private:
  absl::Time DeadlineFromNow() const { return environment_.scheduler->Now() + environment_.options.request_timeout; }

  CallEnvironment environment_;
};

// Over gRPC, with the real clock. INVALID_ARGUMENT if a file of the options cannot be used.
absl::StatusOr<std::shared_ptr<Connection>> MakeGrpcConnection(const ClientOptions& options);

}  // namespace tranche::internal
