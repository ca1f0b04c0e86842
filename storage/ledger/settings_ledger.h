// What holds for all SKUs of one shard, as an operator has set it.
//
// Threads, blocking and errors are those of every ledger: storage/ledger/README.md.
#pragma once

#include <optional>
#include <string>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/time/time.h"
#include "storage/ledger/actor.h"

namespace tranche::storage {

struct ClusterSettings {
  // The leading balancer moves no units of its own.
  bool frozen = false;
  // When and by whom `frozen` was last changed; nullopt and "" if never.
  std::optional<absl::Time> changed_at = {};
  std::string changed_by = {};
  // The consumers of the claim queues rest. Of home's ledger: what others say is not used.
  bool claims_paused = false;
};

class SettingsLedger {
 public:
  virtual ~SettingsLedger() = default;

  // Repeating it changes and audits nothing.
  virtual absl::Status SetClusterFrozen(bool frozen, const Actor& actor) = 0;
  // Likewise.
  virtual absl::Status SetClaimsPaused(bool paused, const Actor& actor) = 0;
  // Cheap: the leading balancer asks in every round, and each consumer every second.
  virtual absl::StatusOr<ClusterSettings> ReadClusterSettings() = 0;
};

}  // namespace tranche::storage
