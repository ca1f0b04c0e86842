#include "server/handlers/front_announcer.h"

#include <memory>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "glog/logging.h"
#include "quota/coordination/coordination.h"
#include "quota/coordination/front_door_announcement.h"
#include "storage/base/status_macros.h"

namespace tranche::server {

bool FrontAnnouncer::Announce() {
  const absl::Status told = Tell();
  if (!told.ok()) LOG(WARNING) << "the front door is changed but not yet announced: " << told;
  return told.ok();
}

absl::Status FrontAnnouncer::Tell() {
  // Read now: it may have grown further, and then nodes need not read twice.
  ASSIGN_OR_RETURN(const storage::FrontVersion version, ledger_->ReadFrontVersion());
  const std::shared_ptr<quota::Coordination> session = sessions_->Session();
  if (session == nullptr) return absl::UnavailableError("no session with ZooKeeper");
  return quota::AnnounceFrontDoor(*session, version.number);
}

}  // namespace tranche::server
