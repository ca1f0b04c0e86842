#include "quota/coordination/room_announcements.h"

#include <cstddef>
#include <string>
#include <utility>
#include <vector>

#include "quota/coordination/coordination_paths.h"
#include "quota/coordination/incarnation_znodes.h"
#include "storage/base/status_macros.h"

namespace tranche::quota {
namespace {

using internal::v1::RoomBoards;
using internal::v1::RoomReport;
using storage::IncarnationId;

}  // namespace

absl::StatusOr<RoomBoards> ReadRoomBoards(Coordination& session) {
  const absl::StatusOr<Znode> znode = session.Get(kRoomsPath, Watch::kNo);
  if (absl::IsNotFound(znode.status())) return RoomBoards();
  if (!znode.ok()) return znode.status();
  RoomBoards boards;
  // What was read before the garbage began is garbage, too.
  if (!boards.ParseFromString(znode->data)) return RoomBoards();
  return boards;
}

absl::Status WriteRoomBoards(Coordination& session, const RoomBoards& boards, int32_t version) {
  const std::string data = boards.SerializeAsString();
  absl::Status written = session.Set(kRoomsPath, data, version);
  if (!absl::IsNotFound(written)) return written;
  // The tree was made by an earlier version, or somebody deleted it.
  RETURN_IF_ERROR(session.EnsureFixedPaths());
  return session.Set(kRoomsPath, data, kAnyVersion);
}

absl::StatusOr<std::map<IncarnationId, RoomReport>> ReadRoomReports(Coordination& session) {
  std::map<IncarnationId, RoomReport> reports;
  const absl::StatusOr<std::vector<std::string>> names = session.List(kRoomsPath, Watch::kNo);
  if (absl::IsNotFound(names.status())) return reports;
  if (!names.ok()) return names.status();
  std::vector<IncarnationId> incarnations;
  std::vector<std::string> paths;
  for (const std::string& name : *names) {
    const IncarnationId incarnation = ParseIncarnation(name);
    if (incarnation == storage::kPool) continue;
    incarnations.push_back(incarnation);
    paths.push_back(RoomReportPath(incarnation));
  }
  const std::vector<absl::StatusOr<Znode>> znodes = session.GetMany(paths, Watch::kNo);
  for (size_t i = 0; i < znodes.size(); ++i) {
    // It has left meanwhile; or somebody keeps it from us, and that must not stop the rooms of all others.
    if (absl::IsNotFound(znodes[i].status()) || absl::IsPermissionDenied(znodes[i].status())) continue;
    if (!znodes[i].ok()) return znodes[i].status();
    RoomReport report;
    if (!znodes[i]->owned_by_session() || !report.ParseFromString(znodes[i]->data)) continue;
    reports.emplace(incarnations[i], std::move(report));
  }
  return reports;
}

absl::Status WriteRoomReport(Coordination& session, IncarnationId incarnation, const RoomReport& report) {
  const std::string path = RoomReportPath(incarnation);
  const std::string data = report.SerializeAsString();
  const absl::StatusOr<Znode> present = session.Get(path, Watch::kNo);
  if (present.ok() && present->ephemeral_owner == session.SessionId()) return session.Set(path, data, kAnyVersion);
  if (present.ok()) {
    const absl::Status deleted = DeleteWithChildren(session, path);
    if (!deleted.ok() && !absl::IsNotFound(deleted)) return deleted;
  } else if (!absl::IsNotFound(present.status())) {
    return present.status();
  }
  absl::Status created = session.Create(path, data, CreateMode::kEphemeral);
  if (!absl::IsNotFound(created)) return created;
  RETURN_IF_ERROR(session.EnsureFixedPaths());
  return session.Create(path, data, CreateMode::kEphemeral);
}

absl::Status DeleteRoomReport(Coordination& session, IncarnationId incarnation) {
  absl::Status deleted = DeleteWithChildren(session, RoomReportPath(incarnation));
  return absl::IsNotFound(deleted) ? absl::OkStatus() : deleted;
}

}  // namespace tranche::quota
