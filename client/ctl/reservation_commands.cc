// tranchectl reservation create|get|list|watch; changes are in reservation_change_commands.cc, claims that are queued
// in claim_commands.cc

#include <algorithm>
#include <memory>

#include "absl/strings/str_cat.h"
#include "client/ctl/change_view.h"
#include "client/ctl/claim_wait.h"
#include "client/ctl/commands.h"
#include "client/ctl/parse.h"
#include "client/ctl/reservation_view.h"
#include "tranche/uuid.h"

namespace tranche::ctl {
namespace {

using tranche::v1::AdminService;
using tranche::v1::ReservationService;

struct GetFlags {
  std::string reservation_id;
  bool after_lost_answer = false;
};

void Get(Session& session, const GetFlags& flags) {
  tranche::v1::GetReservationRequest request;
  request.set_reservation_id(flags.reservation_id);
  request.set_after_lost_answer(flags.after_lost_answer);
  const auto response = session.Reservations(&ReservationService::Stub::GetReservation, request);
  if (!response.ok()) return session.FailRemotely(response.status());
  // Payments that came too late are no part of the reservation.
  tranche::v1::LookUpPaymentsRequest look_up;
  look_up.add_reservation_ids(flags.reservation_id);
  const auto payments = session.Admin(&AdminService::Stub::LookUpPayments, look_up);
  if (!payments.ok()) {
    session.err() << "Late payments, if there are any, are not shown: " << DescribeError(payments.status()) << "\n";
  }
  const bool known = payments.ok() && payments->entries_size() == 1;
  if (session.json()) {
    nlohmann::ordered_json json = ToJson(response->reservation());
    if (known) json["late_payments"] = ToJson(payments->entries(0))["late_payments"];
    session.out() << json.dump(1) << "\n";
    return;
  }
  PrintReservation(session, response->reservation());
  if (known && payments->entries(0).late_payments_size() > 0) PrintLatePayments(session, payments->entries(0));
}

void AddGetReservation(CLI::App* reservation, Session& session) {
  auto flags = std::make_shared<GetFlags>();
  CLI::App* get = reservation->add_subcommand("get", "One reservation, from the ledger");
  get->add_option("ID", flags->reservation_id, "Its UUID")->required();
  get->add_flag("--after-lost-answer", flags->after_lost_answer,
                "To find out what became of a change whose answer was lost: show it only when the synchronous standby, "
                "if there is one, has it too");
  get->footer(
      "Examples:\n"
      "  tranchectl reservation get 01890a5d-ac96-774b-bcce-b302099a8057\n"
      "  tranchectl reservation get 01890a5d-ac96-774b-bcce-b302099a8057 --after-lost-answer --timeout 30s");
  get->callback([&session, flags] { Get(session, *flags); });
}

struct ReservationFlags {
  std::vector<std::string> lines;
  std::string user;
  std::string order_reference;
  std::string purchase_token;
  std::string buyer_address;
  bool accept_queued = false;
};

void CreateReservation(Session& session, const ReservationFlags& flags) {
  tranche::v1::ChangeReservationRequest change;
  tranche::v1::CreateReservationsRequest& request = *change.mutable_create();
  request.set_user_id(flags.user);
  request.set_order_reference(flags.order_reference);
  request.set_buyer_address(flags.buyer_address);
  request.set_accept_queued(flags.accept_queued);
  for (const std::string& text : flags.lines) {
    const absl::StatusOr<SkuQuantity> parsed = ParseSkuQuantity(text);
    if (!parsed.ok()) return session.FailLocally(parsed.status().message());
    tranche::v1::CartLine* line = request.add_lines();
    line->set_reservation_id(MakeUuidV7());
    line->set_sku_id(parsed->sku);
    line->set_quantity(parsed->quantity);
    line->set_purchase_token(flags.purchase_token);
  }
  const auto response = session.Admin(&AdminService::Stub::ChangeReservation, change);
  if (!response.ok()) return session.FailRemotely(response.status());
  const tranche::v1::CreateReservationsResponse& created = response->create();
  if (created.has_queued()) return AwaitQueuedClaim(session, created.queued());
  if (session.json()) return session.PrintJson(created);
  PrintReservations(session, {created.reservations().begin(), created.reservations().end()});
}

void AddCreateReservation(CLI::App* reservation, Session& session) {
  auto flags = std::make_shared<ReservationFlags>();
  CLI::App* create = reservation->add_subcommand("create", "Reserve for a buyer: all lines or none");
  TakesNameOf(NameKind::kSku, create->add_option("LINE", flags->lines, "SKU or SKU=QTY: what, and how many of it"))
      ->required()
      ->expected(1, 32);
  create->add_option("--user", flags->user, "The buyer")->required();
  create->add_option("--order-reference", flags->order_reference,
                     "What the shop calls the order; stays with the reservation (at most 128 bytes)");
  create->add_option("--purchase-token", flags->purchase_token,
                     "From EnterSale, if the front door asks for one; for all lines");
  create->add_option("--buyer-address", flags->buyer_address,
                     "The buyer's IP address, for limits and lists by address. Without it, those do not count");
  create->add_flag("--accept-queued", flags->accept_queued,
                   "If claims for the SKU are queued: wait until it is decided, --timeout at most. Progress goes to "
                   "stderr");
  create->footer(
      "Examples:\n"
      "  tranchectl reservation create --user alice tv\n"
      "  tranchectl reservation create --user alice --order-reference A-1017 tv\n"
      "  tranchectl reservation create --user alice --purchase-token \"$TOKEN\" --buyer-address 203.0.113.7 tv\n"
      "  tranchectl reservation create --user alice --accept-queued tv\n"
      "  tranchectl reservation create --user alice tv=1 cable=2 -o json | jq -r .reservations[].reservation_id");
  create->callback([&session, flags] { CreateReservation(session, *flags); });
}

struct ListFlags {
  std::string user;
  std::string sku;
  std::vector<std::string> states;
  int limit = 1000;
};

absl::StatusOr<tranche::v1::ListReservationsRequest> ToRequest(const ListFlags& flags) {
  if (flags.user.empty() && flags.sku.empty()) return absl::InvalidArgumentError("give --user or --sku, or both");
  tranche::v1::ListReservationsRequest request;
  request.set_user_id(flags.user);
  request.set_sku_id(flags.sku);
  for (const std::string& name : flags.states) {
    tranche::v1::ReservationState state;
    // The flag's own check has validated it.
    if (!tranche::v1::ReservationState_Parse(absl::StrCat("RESERVATION_STATE_", name), &state)) continue;
    request.add_states(state);
  }
  return request;
}

void List(Session& session, const ListFlags& flags) {
  absl::StatusOr<tranche::v1::ListReservationsRequest> request = ToRequest(flags);
  if (!request.ok()) return session.FailLocally(request.status().message());
  tranche::v1::ListReservationsResponse all;
  do {
    request->set_page_size(std::min(1000, flags.limit - all.reservations_size()));
    const auto page = session.Reservations(&ReservationService::Stub::ListReservations, *request);
    if (!page.ok()) return session.FailRemotely(page.status());
    all.mutable_reservations()->MergeFrom(page->reservations());
    request->set_page_token(page->next_page_token());
  } while (!request->page_token().empty() && all.reservations_size() < flags.limit);
  if (all.reservations().empty() && !flags.sku.empty() && !session.SkuExists(flags.sku)) return;
  if (session.json()) {
    session.PrintJson(all);
  } else {
    PrintReservations(session, {all.reservations().begin(), all.reservations().end()});
  }
  if (!request->page_token().empty()) {
    session.err() << "There may be more than these " << all.reservations_size() << ": --limit shows more.\n";
  }
}

void AddListReservations(CLI::App* reservation, Session& session) {
  auto flags = std::make_shared<ListFlags>();
  CLI::App* list = reservation->add_subcommand("list", "The reservations of a buyer or of a SKU");
  list->add_option("--user", flags->user, "Of this buyer; without --sku it looks into every SKU");
  TakesNameOf(NameKind::kSku, list->add_option("--sku", flags->sku, "Of this SKU"));
  TakesOneOf(list->add_option("--state", flags->states, "Only these, separated by commas")->delimiter(','),
             {"PENDING", "CONFIRMED", "CANCELLED", "EXPIRED"});
  list->add_option("--limit", flags->limit, "At most so many")->capture_default_str()->check(CLI::Range(1, 10000000));
  list->footer(
      "Examples:\n"
      "  tranchectl reservation list --user alice\n"
      "  tranchectl reservation list --user alice -o wide    also order, time, extensions and note\n"
      "  tranchectl reservation list --sku tv --state PENDING,CONFIRMED --limit 50 -o json");
  list->callback([&session, flags] { List(session, *flags); });
}

void Watch(Session& session, const std::string& reservation_id) {
  tranche::v1::WatchReservationRequest request;
  request.set_reservation_id(reservation_id);
  const absl::Status status = session.Watch(request, [&](const tranche::v1::WatchReservationResponse& response) {
    if (session.json()) {
      session.PrintJsonLine(response.reservation());
    } else {
      PrintReservations(session, {response.reservation()});
    }
    return static_cast<bool>(session.out().flush());
  });
  if (!status.ok()) session.FailRemotely(status);
}

}  // namespace

void AddReservationCommands(CLI::App& app, Session& session) {
  CLI::App* reservation = app.add_subcommand("reservation", "Single reservations");
  reservation->require_subcommand(1);
  reservation->footer("Example:\n  tranchectl reservation list --user alice");
  AddCreateReservation(reservation, session);
  AddGetReservation(reservation, session);
  AddListReservations(reservation, session);

  auto watched = std::make_shared<std::string>();
  CLI::App* watch = reservation->add_subcommand("watch", "Show it now and after every change, until it is final");
  watch->add_option("ID", *watched, "Its UUID")->required();
  watch->footer(
      "Without --timeout it goes on until the reservation is paid, cancelled or expired. -o json prints one object "
      "per\n"
      "line.\n"
      "Example:\n"
      "  tranchectl reservation watch 01890a5d-ac96-774b-bcce-b302099a8057 -o json | jq --unbuffered -r .state");
  watch->callback([&session, watched] { Watch(session, *watched); });

  AddReservationChangeCommands(reservation, session);
  AddClaimCommand(reservation, session);
}

}  // namespace tranche::ctl
