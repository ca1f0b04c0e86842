// Shows reservations.
#pragma once

#include <string>
#include <vector>

#include "client/ctl/session.h"

namespace tranche::ctl {

// "PENDING", "CONFIRMED", ...
std::string StateOf(const tranche::v1::Reservation& reservation);

void PrintReservations(Session& session, const std::vector<tranche::v1::Reservation>& reservations);
// One reservation, as a JSON object.
void PrintReservation(Session& session, const tranche::v1::Reservation& reservation);

// Payments that came for it when it was no longer pending, and what became of them.
void PrintLatePayments(Session& session, const tranche::v1::PaymentEntry& entry);

struct ReservationChangeNotes {
  bool preview = false;
  // It was done before.
  bool replayed = false;
  // The flags to put after --yes.
  std::string more_flags = {};
  // The result for a payment.
  std::string outcome = {};
  // The reservation that a late payment booked, or would book; the latter has no id.
  const tranche::v1::Reservation* rebooked = nullptr;
};
// What a change would do or has done, and for a preview, how to apply it (on stderr).
void PrintReservationChange(Session& session, const tranche::v1::Reservation& before,
                            const tranche::v1::Reservation& after, const ReservationChangeNotes& notes);

}  // namespace tranche::ctl
