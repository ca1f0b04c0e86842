// Reserves one unit and pays for it:  buy HOST:PORT[,HOST:PORT...] SKU USER
#include <iostream>
#include <sstream>
#include <string>

#include "tranche/client.h"

namespace {

// What a payment provider would do.
std::string Charge(const tranche::Reservation& reservation) { return "payment-of-" + reservation.reservation_id; }

int Fail(const absl::Status& status) {
  std::cerr << (tranche::IsSoldOut(status) ? "sold out" : status.ToString()) << "\n";
  return 2;
}

}  // namespace

int main(int argc, char** argv) {
  if (argc != 4) {
    std::cerr << "usage: buy HOST:PORT[,HOST:PORT...] SKU USER\n";
    return 1;
  }
  tranche::ClientOptions options;
  std::istringstream endpoints(argv[1]);
  for (std::string endpoint; std::getline(endpoints, endpoint, ',');) options.endpoints.push_back(endpoint);
  auto client = tranche::Client::Open(options);
  if (!client.ok()) {
    std::cerr << client.status().message() << "\n";
    return 1;
  }
  auto reservation = (*client)->Create({.sku = argv[2], .user = argv[3]});
  if (!reservation.ok()) return Fail(reservation.status());
  std::cout << "reserved " << reservation->reservation_id << ", pay within " << reservation->remaining_hold << "\n";
  auto paid = (*client)->Confirm({.reservation_id = reservation->reservation_id,
                                  .payment_reference = Charge(*reservation),
                                  .amount_minor = reservation->amount_minor,
                                  .currency = reservation->currency});
  if (!paid.ok()) return Fail(paid.status());
  std::cout << tranche::ConfirmOutcomeName(paid->outcome) << "\n";
  return 0;
}
