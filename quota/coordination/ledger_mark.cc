#include "quota/coordination/ledger_mark.h"

#include "quota/coordination/coordination_paths.h"
#include "tranche/internal/v1/coordination.pb.h"

namespace tranche::quota {

std::string ToZnodeData(const storage::LedgerMark& mark) {
  internal::v1::LedgerMark message;
  message.set_line(mark.line);
  message.set_count(mark.count);
  return message.SerializeAsString();
}

storage::LedgerMark ReadLedgerMark(const std::string& data) {
  internal::v1::LedgerMark message;
  if (!message.ParseFromString(data)) return {};
  return {.line = message.line(), .count = message.count()};
}

absl::Status RequestNewHistory(Coordination& session) {
  const std::string path = LedgerMarkPath();
  absl::Status written = session.Set(path, "", kAnyVersion);
  if (!absl::IsNotFound(written)) return written;
  written = session.Create(path, "", CreateMode::kPersistent);
  if (!absl::IsNotFound(written)) return written;
  // The folder is missing: the tree was made by an earlier version, or deleted.
  const absl::Status made = session.EnsureFixedPaths();
  return made.ok() ? session.Create(path, "", CreateMode::kPersistent) : made;
}

}  // namespace tranche::quota
