// Tells the nodes that the front door's data has changed in the ledger.
#pragma once

#include "absl/status/status.h"
#include "quota/coordination/announcer.h"
#include "storage/ledger/front_ledger.h"

namespace tranche::server {

// The warning in answers to changes of the front door that could not be announced.
inline constexpr char kDoorNotAnnounced[] =
    "The change is made, but the nodes could not be told of it at once: they follow when they next look into the "
    "ledger, which they do about every 5 s.";

// Blocking. Thread-safe.
class FrontAnnouncer {
 public:
  // Both outlive this.
  FrontAnnouncer(storage::FrontLedger* ledger, quota::SessionSource* sessions) : ledger_(ledger), sessions_(sessions) {}

  // Call it after each change. False: the nodes are not told, which is logged. It is no error, since the change is made
  // and they look for themselves.
  bool Announce();

 private:
  absl::Status Tell();

  storage::FrontLedger* const ledger_;
  quota::SessionSource* const sessions_;
};

}  // namespace tranche::server
