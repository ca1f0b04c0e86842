// tranchectl reservation get

#include <memory>

#include "absl/strings/str_cat.h"
#include "absl/strings/strip.h"
#include "client/ctl/commands.h"
#include "client/ctl/parse.h"

namespace tranche::ctl {
namespace {

void Get(Session& session, const std::string& reservation_id) {
  const auto response = session.GetReservation(reservation_id);
  if (!response.ok()) return session.FailRemotely(response.status());
  const tranche::v1::Reservation& reservation = response->reservation();
  if (session.json()) return session.PrintJson(reservation);
  const std::string& state = tranche::v1::ReservationState_Name(reservation.state());
  Table table({"RESERVATION", "SKU", "USER", "QUANTITY", "STATE", "AMOUNT", "HOLD LEFT"});
  table.AddRow({reservation.reservation_id(), reservation.sku_id(), reservation.user_id(),
                absl::StrCat(reservation.quantity()), std::string(absl::StripPrefix(state, "RESERVATION_STATE_")),
                FormatPrice(reservation.amount_minor(), reservation.currency()),
                FormatHold(absl::Seconds(reservation.remaining_hold().seconds()))});
  session.Print(table);
}

}  // namespace

void AddReservationCommands(CLI::App& app, Session& session) {
  CLI::App* reservation = app.add_subcommand("reservation", "Single reservations");
  reservation->require_subcommand(1);
  auto id = std::make_shared<std::string>();
  CLI::App* get = reservation->add_subcommand("get", "One reservation, from the ledger");
  get->add_option("ID", *id, "Its UUID")->required();
  get->callback([&session, id] { Get(session, *id); });
}

}  // namespace tranche::ctl
