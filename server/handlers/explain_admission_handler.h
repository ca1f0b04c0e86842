// The admin call that tells what this node's front door would say to a buyer, check by check. What the SKU's own terms
// and its units say is not part of it.
#pragma once

#include <functional>
#include <string>
#include <utility>

#include "absl/status/statusor.h"
#include "absl/time/time.h"
#include "server/admission/front_door.h"
#include "storage/clock.h"
#include "tranche/v1/admin_service.pb.h"

namespace tranche::server {

// A node's front door as its operators see it.
struct AdmissionSource {
  const FrontDoor* door = nullptr;
  // How long ago the node last knew all that the ledger had then; InfiniteDuration: never yet. Thread-safe.
  std::function<absl::Duration()> age;
  // Lets the door learn what the ledger has, and waits for it, though not longer than this. Thread-safe. Null: nothing
  // is waited for.
  std::function<void(absl::Duration timeout)> catch_up = nullptr;
};

// Who has just set a policy asks about it, perhaps at another node: so the door catches up first. While the ledger is
// away, the answer is what holds then, and its age says so. Thread-safe. Blocks for up to kCatchUp.
class ExplainAdmissionHandler {
 public:
  // Less than a status call may take.
  static constexpr absl::Duration kCatchUp = absl::Milliseconds(700);

  // `node` tells the name of this node; thread-safe.
  ExplainAdmissionHandler(AdmissionSource source, std::function<std::string()> node, storage::Clock* clock)
      : source_(std::move(source)), node_(std::move(node)), clock_(clock) {}

  absl::StatusOr<v1::ExplainAdmissionResponse> Explain(const v1::ExplainAdmissionRequest& request);

 private:
  const AdmissionSource source_;
  const std::function<std::string()> node_;
  storage::Clock* const clock_;
};

}  // namespace tranche::server
