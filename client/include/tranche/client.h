// The client of Tranche: reserves units of limited stock.
//
//   tranche::ClientOptions options;
//   options.endpoints = {"10.0.0.1:7400", "10.0.0.2:7400"};
//   auto client = tranche::Client::Open(options);
//   if (!client.ok()) return client.status();
//   auto reservation = (*client)->Create({.sku = "tv", .user = "alice"});
//
// A call that a node cannot answer (connection lost, draining, overloaded, out of units) is tried at other nodes,
// always with the same reservation id, within the bounds of ClientOptions.
#pragma once

#include <memory>
#include <string>
#include <vector>

#include "absl/functional/any_invocable.h"
#include "absl/status/statusor.h"
#include "absl/time/time.h"
#include "tranche/draw.h"
#include "tranche/error.h"
#include "tranche/export.h"
#include "tranche/front_door.h"
#include "tranche/group.h"
#include "tranche/group_watch.h"
#include "tranche/options.h"
#include "tranche/reservation.h"
#include "tranche/reservation_stream.h"
#include "tranche/reservation_watch.h"
#include "tranche/sku.h"
#include "tranche/uuid.h"

namespace tranche {

namespace internal {
class Connection;
}

// Thread-safe. Make one per process and share it.
class TRANCHE_EXPORT Client {
 public:
  // Callbacks run once, on a thread of the library: they must not block and must not destroy the client.
  using Callback = absl::AnyInvocable<void(absl::StatusOr<Reservation>)>;
  using CartCallback = absl::AnyInvocable<void(absl::StatusOr<Cart>)>;
  using ClaimCallback = absl::AnyInvocable<void(absl::StatusOr<ClaimOutcome>)>;
  using ConfirmCallback = absl::AnyInvocable<void(absl::StatusOr<Confirmation>)>;
  using BatchCallback = absl::AnyInvocable<void(absl::StatusOr<std::vector<Reservation>>)>;
  using PageCallback = absl::AnyInvocable<void(absl::StatusOr<ReservationPage>)>;
  using SkuCallback = absl::AnyInvocable<void(absl::StatusOr<Sku>)>;
  using SkuPageCallback = absl::AnyInvocable<void(absl::StatusOr<SkuPage>)>;
  using EntryCallback = absl::AnyInvocable<void(absl::StatusOr<SaleEntry>)>;
  using PlaceCallback = absl::AnyInvocable<bool(const SaleEntry&)>;
  using EnteredDrawCallback = absl::AnyInvocable<void(absl::StatusOr<EnteredDraw>)>;
  using DrawEntryCallback = absl::AnyInvocable<void(absl::StatusOr<DrawEntry>)>;
  using JoinedGroupCallback = absl::AnyInvocable<void(absl::StatusOr<JoinedGroup>)>;
  using GroupCallback = absl::AnyInvocable<void(absl::StatusOr<GroupWithMembers>)>;
  using GroupPageCallback = absl::AnyInvocable<void(absl::StatusOr<GroupPage>)>;
  using GroupOffersCallback = absl::AnyInvocable<void(absl::StatusOr<std::vector<GroupOffer>>)>;

  // INVALID_ARGUMENT for bad options, and for files of theirs that cannot be used. Does not wait for any node: an
  // unreachable one is noticed at the first call.
  static absl::StatusOr<std::unique_ptr<Client>> Open(const ClientOptions& options);

  // For tests.
  explicit Client(std::shared_ptr<internal::Connection> connection);

  // Waits for outstanding calls: calls in flight get their answers or reach their deadlines, calls that wait to retry
  // or for the decision of a queued claim end at once. Must not run in a callback.
  ~Client();
  Client(const Client&) = delete;
  Client& operator=(const Client&) = delete;

  // OK means that the ledger has committed the claim. Refusals are definite (see Reason). When IsOutcomeUnknown(), the
  // claim may exist; the error's metadata holds its reservation_id.
  //
  // With `accept_queued` the claim may be queued. Then this waits for the decision, at any node and longer than
  // `request_timeout`: by a watch, and where that ends too early, by asking after QueuedClaim::poll_after. OK and
  // refusals mean the same as without a queue, but a new try after a refusal needs a new reservation id. If the wait
  // ends first, the outcome is unknown, and ClaimTicketOf() the error has the ticket: ask with GetClaim, or send the
  // claim again with the same id and retry_of_unknown.
  absl::StatusOr<Reservation> Create(CreateReservation request);
  void CreateAsync(CreateReservation request, Callback callback);

  // What became of a claim or cart that was queued, from the ledger: what it says of a decided one stays true. Does not
  // wait for the decision. INVALID_ARGUMENT (Reason::kClaimTicketInvalid) when it is no ticket, or older than a day; an
  // error says nothing about the claim.
  absl::StatusOr<ClaimOutcome> GetClaim(std::string ticket);
  void GetClaimAsync(std::string ticket, ClaimCallback callback);

  // NOT_FOUND (Reason::kReservationNotFound) when no such claim was committed.
  absl::StatusOr<Reservation> Get(std::string reservation_id);
  void GetAsync(std::string reservation_id, Callback callback);

  // Up to 100 at once, such as the lines of an order: in the order of the ids, without those that do not exist.
  absl::StatusOr<std::vector<Reservation>> BatchGet(std::vector<std::string> reservation_ids);
  void BatchGetAsync(std::vector<std::string> reservation_ids, BatchCallback callback);

  // All lines or none; OK means that the ledger has committed them. Refusals name the SKU in their metadata, "sku_id".
  absl::StatusOr<Cart> CreateCart(tranche::CreateCart cart);
  void CreateCartAsync(tranche::CreateCart cart, CartCallback callback);

  // Changes. Each is done once, however often it is sent: when IsOutcomeUnknown(), send the same again.
  // FAILED_PRECONDITION (Reason::kReservationState) when the reservation is no longer pending; metadata "state" says
  // what it is, and "refund_requested" that the payment is recorded and will be refunded. A payment for an expired hold
  // is no error: see Confirmation::outcome.
  absl::StatusOr<Confirmation> Confirm(ConfirmReservation change);
  void ConfirmAsync(ConfirmReservation change, ConfirmCallback callback);
  absl::StatusOr<Reservation> Cancel(CancelReservation change);
  void CancelAsync(CancelReservation change, Callback callback);
  absl::StatusOr<Reservation> Extend(ExtendReservation change);
  void ExtendAsync(ExtendReservation change, Callback callback);

  // One page. Repeat with ReservationPage::next_page_token until it is empty.
  absl::StatusOr<ReservationPage> List(ListReservations query);
  void ListAsync(ListReservations query, PageCallback callback);

  // What a shop shows of a SKU, for page views: nodes answer from memory, so it may be a second old, and only Create
  // decides who gets a unit. NOT_FOUND (Reason::kSkuNotFound) when there is none of this id.
  absl::StatusOr<Sku> GetSku(std::string sku_id);
  void GetSkuAsync(std::string sku_id, SkuCallback callback);
  // One page of all SKUs. Repeat with SkuPage::next_page_token until it is empty.
  absl::StatusOr<SkuPage> ListSkus(tranche::ListSkus query = {});
  void ListSkusAsync(tranche::ListSkus query, SkuPageCallback callback);

  // Asks for a buyer to be let in, for SKUs whose front door asks for a purchase token, or has a lottery or a waiting
  // room. OK also for who is not admitted, or must first solve a challenge or a captcha, or wait: see SaleEntry. Never
  // waits for its turn by itself. Refusals are those of a sale, and Reason::kDenied and kRateLimited; RetryDelayOf()
  // tells how long the latter asks to wait.
  absl::StatusOr<SaleEntry> EnterSale(tranche::EnterSale request);
  void EnterSaleAsync(tranche::EnterSale request, EntryCallback callback);

  // Enters again and again, as each answer says and with its tickets, until the buyer is let in or must solve a
  // challenge or a captcha (enter again with the solution and the tickets then), or until `deadline`. A captcha comes
  // also to who runs no scripts: a delay, which it waits for, takes the place of a challenge only. `on_place`, if
  // given, is called with each answer before that, on a thread of the library as callbacks are: show SaleEntry::place,
  // keep its ticket, and return whether to go on. Who is not let in when it ends gets the last answer: OK, not admitted
  // or with a delay, with the tickets to go on from. While nobody is let in (WaitingPlace::sale_refusal), the buyer is
  // rate-limited, or no node answers, it waits, too; every other error ends it, and so does the client's end. The
  // waiting of few buyers can be done like this; for many, answer their pages, and let those ask again.
  absl::StatusOr<SaleEntry> AwaitEntry(tranche::EnterSale request, absl::Time deadline,
                                       PlaceCallback on_place = nullptr);
  void AwaitEntryAsync(tranche::EnterSale request, absl::Time deadline, PlaceCallback on_place, EntryCallback callback);

  // Enters a buyer into the open draw of a SKU whose units are drawn; claims of it are refused with
  // Reason::kDrawDecides. Refusals are Reason::kDrawNotOpen, those of a sale and those of EnterSale. After any other
  // error, and after a refusal if an answer was lost before, the buyer may have entered: send it again, which answers
  // with the same entry, or ask with GetDrawEntry.
  absl::StatusOr<EnteredDraw> EnterDraw(tranche::EnterDraw request);
  void EnterDrawAsync(tranche::EnterDraw request, EnteredDrawCallback callback);
  // NOT_FOUND when the SKU has no such draw (Reason::kDrawNotFound), or the buyer has not entered it
  // (Reason::kDrawEntryNotFound).
  absl::StatusOr<DrawEntry> GetDrawEntry(tranche::GetDrawEntry query);
  void GetDrawEntryAsync(tranche::GetDrawEntry query, DrawEntryCallback callback);

  // Claims units at an offer's price as a member of a group, new or forming. OK and refusals mean what they mean of
  // Create, also with `accept_queued`; when IsOutcomeUnknown(), the error's metadata holds both ids. A group is found
  // once its opening is decided: until then, invite nobody. The seat comes with the payment: see
  // ConfirmOutcome::kGroupWaiting, and kPaidUnfulfilled for a payment that finds no seat. Refusals besides those of a
  // claim are Reason::kOfferNotFound, kOfferClosed and kTooManyGroups of OpenGroup, and of both kGroupNotFound,
  // kGroupOver, kGroupFull and kAlreadyInGroup.
  absl::StatusOr<JoinedGroup> OpenGroup(tranche::OpenGroup request);
  void OpenGroupAsync(tranche::OpenGroup request, JoinedGroupCallback callback);
  absl::StatusOr<JoinedGroup> JoinGroup(tranche::JoinGroup request);
  void JoinGroupAsync(tranche::JoinGroup request, JoinedGroupCallback callback);
  // A change as those above; Cancel does the same. FAILED_PRECONDITION (Reason::kReservationState) once the group is
  // filled or over.
  absl::StatusOr<Reservation> LeaveGroup(tranche::LeaveGroup change);
  void LeaveGroupAsync(tranche::LeaveGroup change, Callback callback);
  // With a user or all members from the ledger. Without, for page views: nodes share what they read, so it may be a
  // moment old. NOT_FOUND (Reason::kGroupNotFound) when there is none of this id, or no longer.
  absl::StatusOr<GroupWithMembers> GetGroup(tranche::GetGroup query);
  void GetGroupAsync(tranche::GetGroup query, GroupCallback callback);
  // One page of a SKU's groups, as old as a group may be. Repeat with GroupPage::next_page_token until it is empty.
  absl::StatusOr<GroupPage> ListGroups(tranche::ListGroups query);
  void ListGroupsAsync(tranche::ListGroups query, GroupPageCallback callback);
  // The closed ones, too; as old as a group may be.
  absl::StatusOr<std::vector<GroupOffer>> ListGroupOffers(std::string sku_id);
  void ListGroupOffersAsync(std::string sku_id, GroupOffersCallback callback);
  // The group as it is now, and again after every change until it is final. `sku` finds it at once if there are several
  // shards; "": not known. The client must outlive it.
  std::unique_ptr<GroupWatch> WatchGroup(std::string group_id, std::string sku = {}, const WatchOptions& options = {});

  // The reservation as it is now, and again after every change until it is final. The client must outlive it.
  std::unique_ptr<ReservationWatch> Watch(std::string reservation_id, const WatchOptions& options = {});

  // A stream to one node, for callers that send thousands of requests per second. The client must outlive it.
  std::unique_ptr<ReservationStream> OpenStream(const StreamOptions& options = {});

 private:
  std::shared_ptr<internal::Connection> connection_;
};

}  // namespace tranche
