// Whether operators let the consumers rest: `tranchectl queue pause`, or a service mode in which nothing is reserved.
#pragma once

#include "glog/logging.h"
#include "storage/ledger/front_ledger.h"
#include "storage/ledger/settings_ledger.h"

namespace tranche::server {

// For one thread. Outlived by its dependencies.
class RestOrders {
 public:
  // Both are home's.
  RestOrders(storage::SettingsLedger* settings, storage::FrontLedger* front) : settings_(settings), front_(front) {}

  // Blocks for two calls at most: one row each. What home does not say is as it was.
  bool Look() {
    const bool rested = rests();
    if (const auto settings = settings_->ReadClusterSettings(); settings.ok()) paused_ = settings->claims_paused;
    if (const auto mode = front_->ReadServiceMode(); mode.ok()) {
      limited_ = mode->kind != storage::ServiceMode::Kind::kNormal;
    } else {
      LOG_EVERY_T(WARNING, 60) << "home does not say whether claims are decided now: " << mode.status();
    }
    LOG_IF(INFO, rests() != rested) << (rests() ? "takes no queued claims: operators have paused the queues or limited "
                                                  "the service"
                                                : "takes queued claims again");
    return rests();
  }

 private:
  bool rests() const { return paused_ || limited_; }

  storage::SettingsLedger* const settings_;
  storage::FrontLedger* const front_;
  bool paused_ = false;
  bool limited_ = false;
};

}  // namespace tranche::server
