#include "client/ctl/reservation_view.h"

#include <nlohmann/json.hpp>

#include "absl/strings/str_cat.h"
#include "absl/strings/strip.h"
#include "absl/time/time.h"
#include "client/ctl/change_view.h"
#include "client/ctl/parse.h"

namespace tranche::ctl {
namespace {

// The reason for its state.
std::string Note(const tranche::v1::Reservation& reservation) {
  if (!reservation.rebooked_from().empty()) {
    return absl::StrCat(reservation.payment_reference(), " (instead of ", reservation.rebooked_from(), ")");
  }
  return reservation.payment_reference().empty() ? reservation.cancel_reason() : reservation.payment_reference();
}

std::string HoldLeft(const tranche::v1::Reservation& reservation) {
  if (!reservation.has_remaining_hold()) return "-";
  return FormatHold(absl::Seconds(reservation.remaining_hold().seconds()));
}

}  // namespace

std::string StateOf(const tranche::v1::Reservation& reservation) {
  return std::string(absl::StripPrefix(tranche::v1::ReservationState_Name(reservation.state()), "RESERVATION_STATE_"));
}

void PrintReservations(Session& session, const std::vector<tranche::v1::Reservation>& reservations) {
  if (!session.wide()) {
    Table table({"RESERVATION", "SKU", "USER", "QUANTITY", "STATE", "AMOUNT", "HOLD LEFT"});
    for (const tranche::v1::Reservation& one : reservations) {
      table.AddRow({one.reservation_id(), one.sku_id(), one.user_id(), absl::StrCat(one.quantity()), StateOf(one),
                    FormatPrice(one.amount_minor(), one.currency()), HoldLeft(one)});
    }
    return session.Print(table);
  }
  Table table({"RESERVATION", "SKU", "USER", "ORDER", "QUANTITY", "STATE", "AMOUNT", "CREATED", "HOLD LEFT", "EXTENDED",
               "NOTE"});
  for (const tranche::v1::Reservation& one : reservations) {
    table.AddRow({one.reservation_id(), one.sku_id(), one.user_id(), one.order_reference(),
                  absl::StrCat(one.quantity()), StateOf(one), FormatPrice(one.amount_minor(), one.currency()),
                  FormatTime(one.create_time()), HoldLeft(one), absl::StrCat(one.extensions()), Note(one)});
  }
  session.Print(table);
}

void PrintReservation(Session& session, const tranche::v1::Reservation& reservation) {
  if (session.json()) return session.PrintJson(reservation);
  Table table({"FIELD", "VALUE"});
  table.AddRow({"reservation", reservation.reservation_id()});
  table.AddRow({"sku", reservation.sku_id()});
  table.AddRow({"user", reservation.user_id()});
  table.AddRow({"order", reservation.order_reference()});
  if (!reservation.group_id().empty()) table.AddRow({"group", reservation.group_id()});
  table.AddRow({"quantity", absl::StrCat(reservation.quantity())});
  table.AddRow({"state", StateOf(reservation)});
  table.AddRow({"amount", FormatPrice(reservation.amount_minor(), reservation.currency())});
  table.AddRow({"created", FormatTime(reservation.create_time())});
  table.AddRow({"hold left", HoldLeft(reservation)});
  table.AddRow({"extended", absl::StrCat(reservation.extensions())});
  table.AddRow({"note", Note(reservation)});
  session.Print(table);
}

void PrintLatePayments(Session& session, const tranche::v1::PaymentEntry& entry) {
  Table table({"LATE PAYMENT", "AMOUNT", "RECEIVED", "RESULT"});
  for (const tranche::v1::LatePayment& late : entry.late_payments()) {
    const std::string result = !late.rebooked_as().empty() ? absl::StrCat("booked ", late.rebooked_as(), " instead")
                               : late.has_refund_time() ? absl::StrCat("refunded at ", FormatTime(late.refund_time()))
                                                        : "refund requested";
    table.AddRow({late.payment_reference(), FormatPrice(late.amount_minor(), late.currency()),
                  FormatTime(late.receive_time()), result});
  }
  session.Print(table);
}

void PrintReservationChange(Session& session, const tranche::v1::Reservation& before,
                            const tranche::v1::Reservation& after, const ReservationChangeNotes& notes) {
  if (session.json()) {
    nlohmann::ordered_json more = nlohmann::ordered_json::object();
    if (!notes.outcome.empty()) more["outcome"] = notes.outcome;
    if (notes.rebooked != nullptr) more["rebooked"] = ToJson(*notes.rebooked);
    PrintChangeJson(session, before, after, notes.preview, more);
  } else {
    Table table({"FIELD", "VALUE"});
    table.AddRow({"reservation", after.reservation_id()});
    table.AddRow({"sku", after.sku_id()});
    table.AddRow({"user", after.user_id()});
    table.AddRow({"state", Arrow(StateOf(before), StateOf(after))});
    table.AddRow({"expires", Arrow(FormatTime(before.expire_time()), FormatTime(after.expire_time()))});
    table.AddRow({"extended", Arrow(before.extensions(), after.extensions())});
    table.AddRow({"note", Note(after)});
    session.Print(table);
    if (notes.rebooked != nullptr) PrintReservations(session, {*notes.rebooked});
  }
  if (!notes.preview) return;
  if (notes.replayed) return SayNothingWouldChange(session);
  SayHowToApply(session, notes.more_flags);
}

}  // namespace tranche::ctl
