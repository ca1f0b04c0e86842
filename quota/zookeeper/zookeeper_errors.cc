#include "quota/zookeeper/zookeeper_errors.h"

#include <zookeeper/zookeeper.h>

#include "absl/strings/str_cat.h"

namespace tranche::quota {
namespace {

absl::StatusCode Code(int rc) {
  switch (rc) {
    case ZOK:
      return absl::StatusCode::kOk;
    case ZNONODE:
      return absl::StatusCode::kNotFound;
    case ZNODEEXISTS:
      return absl::StatusCode::kAlreadyExists;
    case ZBADVERSION:
      return absl::StatusCode::kAborted;
    case ZNOTEMPTY:
      return absl::StatusCode::kFailedPrecondition;
    case ZBADARGUMENTS:
    case ZNOCHILDRENFOREPHEMERALS:
      return absl::StatusCode::kInvalidArgument;
    case ZNOAUTH:
      return absl::StatusCode::kPermissionDenied;
    // The handle refuses with ZINVALIDSTATE once its session is over.
    case ZSESSIONEXPIRED:
    case ZAUTHFAILED:
    case ZINVALIDSTATE:
      return absl::StatusCode::kUnauthenticated;
    case ZCONNECTIONLOSS:
    case ZOPERATIONTIMEOUT:
    case ZSESSIONMOVED:
    case ZTHROTTLEDOP:
    case ZCLOSING:
      return absl::StatusCode::kUnavailable;
    default:
      return absl::StatusCode::kInternal;
  }
}

}  // namespace

absl::Status ZookeeperStatus(int rc, absl::string_view what) {
  if (rc == ZOK) return absl::OkStatus();
  // The client's own words, "not authenticated", would send an operator to look for a lost session.
  if (rc == ZNOAUTH) {
    return absl::PermissionDeniedError(
        absl::StrCat("ZooKeeper: ", what, ": its access rules do not let this process (see --zookeeper-auth-file)"));
  }
  return absl::Status(Code(rc), absl::StrCat("ZooKeeper: ", what, ": ", zerror(rc)));
}

}  // namespace tranche::quota
