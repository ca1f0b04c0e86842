// What nodes and home's leading balancer tell each other of waiting rooms: /rooms has the boards, and below it each
// node has its report. Whatever is lost or stale here costs buyers time, nothing else.
#pragma once

#include <cstdint>
#include <map>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "quota/coordination/coordination.h"
#include "storage/ledger/incarnation_id.h"
#include "tranche/internal/v1/coordination.pb.h"

namespace tranche::quota {

// Empty if there is none, or the data cannot be read. What it says is checked by nobody yet: it may be another
// version's, or anybody's.
absl::StatusOr<internal::v1::RoomBoards> ReadRoomBoards(Coordination& session);
// `version`: of the znode that was read before; kAborted if it has another one. Makes the path where an earlier version
// has made the tree. kInvalidArgument: it is too large.
absl::Status WriteRoomBoards(Coordination& session, const internal::v1::RoomBoards& boards,
                             int32_t version = kAnyVersion);

// The reports of all nodes; what cannot be read, or would not go away with a node, is left out. Not checked, either.
absl::StatusOr<std::map<storage::IncarnationId, internal::v1::RoomReport>> ReadRoomReports(Coordination& session);
// An ephemeral znode of this session: it goes away with the node. Replaces one that is not of this session, which would
// go away with another. kInvalidArgument: it is too large.
absl::Status WriteRoomReport(Coordination& session, storage::IncarnationId incarnation,
                             const internal::v1::RoomReport& report);
// Nobody waits at this node any more. None there is no error.
absl::Status DeleteRoomReport(Coordination& session, storage::IncarnationId incarnation);

}  // namespace tranche::quota
