// Where things are in the coordination tree.
#pragma once

#include <string>

#include "absl/strings/string_view.h"
#include "storage/ledger/incarnation_id.h"
#include "storage/ledger/shard_name.h"

namespace tranche::quota {

inline constexpr char kNodesPath[] = "/nodes";
inline constexpr char kSlicesPath[] = "/slices";
inline constexpr char kDemandPath[] = "/demand";
inline constexpr char kSkusPath[] = "/skus";
inline constexpr char kBalancerPath[] = "/balancer";
inline constexpr char kDrainPath[] = "/drain";
inline constexpr char kLedgerPath[] = "/ledger";
// Its own data is the version of what the front door goes by (front_door_announcement.h); nothing lies below it.
inline constexpr char kFrontDoorPath[] = "/frontdoor";
// Its own data is how far the waiting rooms are; below it are the nodes' reports (room_announcements.h).
inline constexpr char kRoomsPath[] = "/rooms";

// The first level: these always exist.
inline constexpr const char* kFixedPaths[] = {kNodesPath, kSlicesPath, kDemandPath,    kSkusPath, kBalancerPath,
                                              kDrainPath, kLedgerPath, kFrontDoorPath, kRoomsPath};

std::string NodePath(storage::IncarnationId incarnation);
std::string SlicesPath(storage::IncarnationId incarnation);
std::string SlicePath(storage::IncarnationId incarnation, absl::string_view sku_id);
std::string DemandPath(storage::IncarnationId incarnation);
std::string DrainPath(storage::IncarnationId incarnation);
// A node's report of who waits in rooms.
std::string RoomReportPath(storage::IncarnationId incarnation);
// The leader of a shard's balancers.
std::string LeaderPath(absl::string_view shard = storage::kHomeShard);

// The mark of a shard's ledger.
std::string LedgerMarkPath(absl::string_view shard = storage::kHomeShard);

// SKUs lie in 256 buckets by a hash of their id, so that no list of children grows past ZooKeeper's reply limit.
std::string SkuBucketPath(absl::string_view sku_id);
std::string SkuPath(absl::string_view sku_id);

// The incarnation that a child of /nodes, /slices, /demand, /drain or /rooms names; 0 if it names none.
storage::IncarnationId ParseIncarnation(absl::string_view name);

}  // namespace tranche::quota
