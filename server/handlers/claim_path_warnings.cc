#include "server/handlers/claim_path_warnings.h"

#include <algorithm>

#include "absl/status/statusor.h"

namespace tranche::server {
namespace {

constexpr char kNoKey[] =
    "The front door has no key, so no node can make a ticket and nothing is queued: `tranchectl door key rotate --yes` "
    "makes one.";
constexpr char kNoBrokerHere[] =
    "This node has no broker, so it queues nothing: start each front node with --queue-broker, and tranche-consumer "
    "beside them.";

}  // namespace

std::vector<std::string> ClaimPathWarnings::Of(storage::ClaimPath path) const {
  if (path == storage::ClaimPath::kDirect) return {};
  std::vector<std::string> warnings;
  const absl::StatusOr<std::vector<storage::FrontKey>> keys = front_->ListFrontKeys();
  // If they cannot be read, it is not known that there is none.
  if (keys.ok() && std::none_of(keys->begin(), keys->end(), [](const storage::FrontKey& key) {
        return key.use == storage::FrontKey::Use::kCurrent;
      })) {
    warnings.emplace_back(kNoKey);
  }
  if (!has_broker_) warnings.emplace_back(kNoBrokerHere);
  if (warnings.empty()) return warnings;
  warnings.emplace_back(
      path == storage::ClaimPath::kQueue
          ? "Until then its buyers are refused with QUEUE_UNAVAILABLE."
          : "Until then each of its claims is decided while the buyer waits, as with the path direct.");
  return warnings;
}

}  // namespace tranche::server
