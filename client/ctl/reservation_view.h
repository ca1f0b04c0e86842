// Showing reservations.
#pragma once

#include <string>
#include <vector>

#include "client/ctl/session.h"

namespace tranche::ctl {

// "PENDING", "CONFIRMED", ...
std::string StateOf(const tranche::v1::Reservation& reservation);

void PrintReservations(Session& session, const std::vector<tranche::v1::Reservation>& reservations);
// One, as an object in JSON.
void PrintReservation(Session& session, const tranche::v1::Reservation& reservation);

struct ReservationChangeNotes {
  bool preview = false;
  // What goes behind --yes.
  std::string more_flags = {};
  // What became of a payment; only with a change that is carried out.
  std::string outcome = {};
  // The reservation that a late payment booked.
  const tranche::v1::Reservation* rebooked = nullptr;
};
// What a change would do or has done, and for a preview, how to apply it (on stderr).
void PrintReservationChange(Session& session, const tranche::v1::Reservation& before,
                            const tranche::v1::Reservation& after, const ReservationChangeNotes& notes);

}  // namespace tranche::ctl
