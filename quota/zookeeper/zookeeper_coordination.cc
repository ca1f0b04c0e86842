#include "quota/zookeeper/zookeeper_coordination.h"

#include <utility>

#include "absl/random/random.h"
#include "absl/time/clock.h"
#include "quota/coordination/coordination_check.h"
#include "quota/zookeeper/zookeeper_session.h"
#include "storage/base/status_macros.h"

namespace tranche::quota {

ZookeeperConnector::ZookeeperConnector(ZookeeperOptions options) : options_(std::move(options)) {}

absl::StatusOr<std::unique_ptr<Coordination>> ZookeeperConnector::Connect(CoordinationObserver* observer) {
  if (options_.servers.empty()) return absl::InvalidArgumentError("no ZooKeeper servers given");
  RETURN_IF_ERROR(CheckPath(options_.root));
  if (connected_before_.exchange(true) && options_.reconnect_jitter > absl::ZeroDuration()) {
    absl::BitGen random;
    absl::SleepFor(options_.reconnect_jitter * absl::Uniform(random, 0.0, 1.0));
  }
  ASSIGN_OR_RETURN(std::unique_ptr<ZookeeperSession> session, ZookeeperSession::Open(options_, observer));
  return std::unique_ptr<Coordination>(std::move(session));
}

}  // namespace tranche::quota
