#include "quota/coordination/incarnation_znodes.h"

#include <utility>
#include <vector>

#include "absl/strings/str_cat.h"
#include "quota/coordination/coordination_paths.h"
#include "storage/base/status_macros.h"

namespace tranche::quota {
namespace {

// How deep somebody's children may lie.
constexpr int kMostLevels = 8;

absl::Status Delete(Coordination& session, const std::string& path, int levels) {
  absl::Status deleted = session.Delete(path, kAnyVersion);
  if (!absl::IsFailedPrecondition(deleted) || levels == 0) return deleted;
  ASSIGN_OR_RETURN(const auto children, session.List(path, Watch::kNo));
  for (const std::string& child : children) {
    deleted = Delete(session, absl::StrCat(path, "/", child), levels - 1);
    if (!deleted.ok() && !absl::IsNotFound(deleted)) return deleted;
  }
  return session.Delete(path, kAnyVersion);
}

}  // namespace

absl::Status DeleteWithChildren(Coordination& session, const std::string& path) {
  return Delete(session, path, kMostLevels);
}

void RemoveIncarnationZnodes(Coordination& session, storage::IncarnationId incarnation) {
  std::vector<WriteOp> deletes;
  const auto remove = [&](std::string path) {
    deletes.push_back({WriteOp::Kind::kDelete, std::move(path), "", kAnyVersion});
  };
  if (const auto skus = session.List(SlicesPath(incarnation), Watch::kNo); skus.ok()) {
    for (const std::string& sku : *skus) remove(SlicePath(incarnation, sku));
  }
  remove(SlicesPath(incarnation));
  remove(DemandPath(incarnation));
  remove(DrainPath(incarnation));
  remove(RoomReportPath(incarnation));
  const std::vector<absl::Status> deleted = session.Apply(deletes);
  for (size_t i = 0; i < deleted.size(); ++i) {
    if (absl::IsFailedPrecondition(deleted[i])) DeleteWithChildren(session, deletes[i].path).IgnoreError();
  }
  DeleteWithChildren(session, NodePath(incarnation)).IgnoreError();
}

}  // namespace tranche::quota
