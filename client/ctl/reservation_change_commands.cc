// tranchectl reservation confirm|cancel|extend

#include <memory>

#include "absl/strings/str_cat.h"
#include "absl/strings/strip.h"
#include "absl/time/time.h"
#include "client/ctl/commands.h"
#include "client/ctl/parse.h"
#include "client/ctl/reservation_view.h"
#include "storage/base/status_macros.h"

namespace tranche::ctl {
namespace {

using tranche::v1::AdminService;
using tranche::v1::ChangeReservationRequest;
using tranche::v1::Reservation;
using tranche::v1::ReservationService;

// "CONFIRMED", "REBOOKED", ...; "REFUSED" if the payment is none of these.
std::string NameOf(tranche::v1::ConfirmOutcome outcome) {
  if (outcome == tranche::v1::CONFIRM_OUTCOME_UNSPECIFIED) return "REFUSED";
  return std::string(absl::StripPrefix(tranche::v1::ConfirmOutcome_Name(outcome), "CONFIRM_OUTCOME_"));
}

absl::StatusOr<Reservation> Find(Session& session, const std::string& reservation_id) {
  tranche::v1::GetReservationRequest request;
  request.set_reservation_id(reservation_id);
  ASSIGN_OR_RETURN(const auto response, session.Reservations(&ReservationService::Stub::GetReservation, request));
  return response.reservation();
}

// Whether its group was full or over when it was paid.
bool HadNoSeat(const Reservation& reservation) {
  return reservation.state() == tranche::v1::RESERVATION_STATE_CANCELLED &&
         (reservation.cancel_reason() == "GROUP_FULL" || reservation.cancel_reason() == "GROUP_OVER");
}

// `after` as the payment would leave it.
std::string WhyRefunded(const Reservation& before, const Reservation& after) {
  const bool held = before.state() == tranche::v1::RESERVATION_STATE_PENDING;
  if (held && HadNoSeat(after)) return "Its group has no seat any more";
  const bool expired = before.state() == tranche::v1::RESERVATION_STATE_EXPIRED;
  return absl::StrCat("It is ", StateOf(before), expired ? ", and nothing is left for its buyer" : "");
}

// Asks what the change in the request would do, and shows that.
void Preview(Session& session, const Reservation& before, const tranche::v1::PreviewReservationChangeRequest& request,
             const std::string& more_flags = "") {
  const auto preview = session.Admin(&AdminService::Stub::PreviewReservationChange, request);
  if (!preview.ok()) return session.FailRemotely(preview.status());
  ReservationChangeNotes notes{.preview = true, .replayed = preview->replayed(), .more_flags = more_flags};
  if (request.has_confirm()) notes.outcome = NameOf(preview->outcome());
  if (preview->has_rebooked()) notes.rebooked = &preview->rebooked();
  if (!preview->replayed() && preview->has_rebooked()) {
    session.err() << "The hold has lapsed; other units would be booked.\n";
  }
  if (!preview->replayed() && preview->outcome() == tranche::v1::CONFIRM_OUTCOME_GROUP_WAITING) {
    session.err() << "It is a group's: the payment would take a seat, and wait until the group is full.\n";
  }
  if (!preview->replayed() && preview->refund_requested()) {
    session.err() << WhyRefunded(before, preview->reservation())
                  << ": the payment would be recorded, and a refund asked for.\n";
  }
  PrintReservationChange(session, before, preview->has_reservation() ? preview->reservation() : before, notes);
}

struct ConfirmFlags {
  std::string id;
  std::string payment;
  std::string amount;
  std::string currency;
  bool yes = false;
};

// Nothing about an ordinary payment.
void SayWhatBecameOf(Session& session, const tranche::v1::ConfirmReservationResponse& paid) {
  switch (paid.outcome()) {
    case tranche::v1::CONFIRM_OUTCOME_REBOOKED:
      session.err() << "The hold had lapsed; another unit was booked: " << paid.rebooked().reservation_id() << "\n";
      return;
    case tranche::v1::CONFIRM_OUTCOME_PAID_UNFULFILLED:
      session.err() << (HadNoSeat(paid.reservation()) ? "Its group had no seat any more"
                                                      : "The hold had lapsed and nothing was left")
                    << ": the payment is recorded, and a refund is asked for.\n";
      return;
    case tranche::v1::CONFIRM_OUTCOME_GROUP_WAITING:
      session.err() << "Its seat is paid, and its group is not full yet: it stays PENDING until the group is full, or "
                       "the payment is refunded at the group's deadline.\n";
      return;
    default:
      return;
  }
}

absl::StatusOr<tranche::v1::ConfirmReservationRequest> ToRequest(const ConfirmFlags& flags, const Reservation& before) {
  tranche::v1::ConfirmReservationRequest request;
  request.set_reservation_id(flags.id);
  request.set_sku_id(before.sku_id());
  request.set_payment_reference(flags.payment);
  request.set_currency(flags.currency.empty() ? before.currency() : flags.currency);
  ASSIGN_OR_RETURN(const int64_t amount, OfFlag("--amount", ParsePriceMinor(flags.amount, request.currency())));
  request.set_amount_minor(amount);
  return request;
}

void Confirm(Session& session, const ConfirmFlags& flags) {
  const absl::StatusOr<Reservation> before = Find(session, flags.id);
  if (!before.ok()) return session.FailRemotely(before.status());
  const auto request = ToRequest(flags, *before);
  if (!request.ok()) return session.FailLocally(request.status().message());
  if (!flags.yes) {
    tranche::v1::PreviewReservationChangeRequest preview;
    *preview.mutable_confirm() = *request;
    return Preview(session, *before, preview);
  }
  ChangeReservationRequest change;
  *change.mutable_confirm() = *request;
  const auto changed = session.Admin(&AdminService::Stub::ChangeReservation, change);
  if (!changed.ok()) return session.FailRemotely(changed.status());
  const tranche::v1::ConfirmReservationResponse* const done = &changed->confirm();
  ReservationChangeNotes notes;
  notes.outcome = NameOf(done->outcome());
  if (done->has_rebooked()) notes.rebooked = &done->rebooked();
  PrintReservationChange(session, *before, done->reservation(), notes);
  SayWhatBecameOf(session, *done);
}

void AddConfirm(CLI::App* reservation, Session& session) {
  auto flags = std::make_shared<ConfirmFlags>();
  CLI::App* confirm = reservation->add_subcommand("confirm", "Record its payment");
  confirm->add_option("ID", flags->id, "Its UUID")->required();
  confirm->add_option("--payment", flags->payment, "What the payment provider calls the payment")->required();
  // No default: the price need not be what was paid.
  confirm->add_option("--amount", flags->amount, "What was paid, such as 19.99")->required();
  confirm->add_option("--currency", flags->currency, "Default: the reservation's");
  AddYesFlag(confirm, flags->yes);
  confirm->footer(
      "Repeating it with the same payment is harmless.\n"
      "Examples:\n"
      "  tranchectl reservation confirm 01890a5d-ac96-774b-bcce-b302099a8057 --payment pay-1 --amount 499.00\n"
      "  tranchectl reservation confirm 01890a5d-ac96-774b-bcce-b302099a8057 --payment pay-1 --amount 499.00 --yes");
  confirm->callback([&session, flags] { Confirm(session, *flags); });
}

struct CancelFlags {
  std::string id;
  std::string reason;
  bool yes = false;
};

void Cancel(Session& session, const CancelFlags& flags) {
  const absl::StatusOr<Reservation> before = Find(session, flags.id);
  if (!before.ok()) return session.FailRemotely(before.status());
  tranche::v1::CancelReservationRequest request;
  request.set_reservation_id(flags.id);
  request.set_reason(flags.reason);
  request.set_sku_id(before->sku_id());
  if (!flags.yes) {
    tranche::v1::PreviewReservationChangeRequest preview;
    *preview.mutable_cancel() = request;
    return Preview(session, *before, preview);
  }
  ChangeReservationRequest change;
  *change.mutable_cancel() = request;
  const auto changed = session.Admin(&AdminService::Stub::ChangeReservation, change);
  if (!changed.ok()) return session.FailRemotely(changed.status());
  PrintReservationChange(session, *before, changed->cancel().reservation(), {});
}

void AddCancel(CLI::App* reservation, Session& session) {
  auto flags = std::make_shared<CancelFlags>();
  CLI::App* cancel = reservation->add_subcommand("cancel", "Give a hold up; its units are for sale again");
  cancel->add_option("ID", flags->id, "Its UUID")->required();
  cancel->add_option("--reason", flags->reason, "For people; at most 256 bytes");
  AddYesFlag(cancel, flags->yes);
  cancel->footer(
      "Example:\n"
      "  tranchectl reservation cancel 01890a5d-ac96-774b-bcce-b302099a8057 --reason \"buyer called\" --yes");
  cancel->callback([&session, flags] {
    session.GiveReason(flags->reason);
    Cancel(session, *flags);
  });
}

struct ExtendFlags {
  std::string id;
  std::string by;
  int extension = 0;  // 0: the next one
  bool yes = false;
};

void Extend(Session& session, const ExtendFlags& flags) {
  const absl::StatusOr<int64_t> seconds = OfFlag("--by", ParseWholeSeconds(flags.by));
  if (!seconds.ok()) return session.FailLocally(seconds.status().message());
  const absl::StatusOr<Reservation> before = Find(session, flags.id);
  if (!before.ok()) return session.FailRemotely(before.status());
  const int extension = flags.extension > 0 ? flags.extension : before->extensions() + 1;
  tranche::v1::ExtendReservationRequest request;
  request.set_reservation_id(flags.id);
  request.mutable_extend_by()->set_seconds(*seconds);
  request.set_extension(extension);
  request.set_sku_id(before->sku_id());
  if (!flags.yes) {
    tranche::v1::PreviewReservationChangeRequest preview;
    *preview.mutable_extend() = request;
    return Preview(session, *before, preview, absl::StrCat("--extension ", extension));
  }
  ChangeReservationRequest change;
  *change.mutable_extend() = request;
  const auto changed = session.Admin(&AdminService::Stub::ChangeReservation, change);
  if (!changed.ok()) return session.FailRemotely(changed.status());
  PrintReservationChange(session, *before, changed->extend().reservation(), {});
}

void AddExtend(CLI::App* reservation, Session& session) {
  auto flags = std::make_shared<ExtendFlags>();
  CLI::App* extend = reservation->add_subcommand("extend", "Let a hold last longer, within its SKU's bounds");
  extend->add_option("ID", flags->id, "Its UUID")->required();
  extend->add_option("--by", flags->by, "By how much, such as 10m")->required();
  extend
      ->add_option("--extension", flags->extension,
                   "Which extension this is, from 1; repeated with the same number it extends once. Default: the next")
      ->check(CLI::Range(1, 100));
  AddYesFlag(extend, flags->yes);
  extend->footer(
      "Example:\n"
      "  tranchectl reservation extend 01890a5d-ac96-774b-bcce-b302099a8057 --by 10m --yes");
  extend->callback([&session, flags] { Extend(session, *flags); });
}

}  // namespace

void AddReservationChangeCommands(CLI::App* reservation, Session& session) {
  AddConfirm(reservation, session);
  AddCancel(reservation, session);
  AddExtend(reservation, session);
}

}  // namespace tranche::ctl
