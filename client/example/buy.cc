// Reserves one unit:  buy HOST:PORT[,HOST:PORT...] SKU USER
#include <iostream>
#include <sstream>
#include <string>

#include "tranche/client.h"

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
  if (reservation.ok()) {
    std::cout << "reserved " << reservation->reservation_id << ", pay within " << reservation->remaining_hold << "\n";
    return 0;
  }
  std::cerr << (tranche::IsSoldOut(reservation.status()) ? "sold out" : reservation.status().ToString()) << "\n";
  return 2;
}
