#include "quota/coordination/front_door_announcement.h"

#include "absl/status/statusor.h"
#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "quota/coordination/coordination_paths.h"
#include "storage/base/status_macros.h"

namespace tranche::quota {

int64_t ReadFrontDoorVersion(const std::string& data) {
  int64_t version = 0;
  // Only what AnnounceFrontDoor writes: no sign, no blanks, no leading zero.
  if (!absl::SimpleAtoi(data, &version) || version <= 0 || absl::StrCat(version) != data) return 0;
  return version;
}

absl::Status AnnounceFrontDoor(Coordination& session, int64_t version) {
  absl::StatusOr<Znode> present = session.Get(kFrontDoorPath, Watch::kNo);
  if (absl::IsNotFound(present.status())) {
    // The tree was made by an earlier version, or somebody deleted it.
    RETURN_IF_ERROR(session.EnsureFixedPaths());
    present = session.Get(kFrontDoorPath, Watch::kNo);
  }
  if (!present.ok()) return present.status();
  if (ReadFrontDoorVersion(present->data) == version) return absl::OkStatus();
  return session.Set(kFrontDoorPath, absl::StrCat(version), kAnyVersion);
}

}  // namespace tranche::quota
