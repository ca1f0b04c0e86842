// Reads the details of the server's errors.
#pragma once

#include <map>
#include <optional>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "google/rpc/error_details.pb.h"
#include "server/errors.h"

namespace tranche::server {

// All details of one type within an error.
template <typename Detail>
std::vector<Detail> DetailsOf(const absl::Status& error) {
  std::vector<Detail> found;
  const google::rpc::Status rpc = ToRpcStatus(error);
  for (const google::protobuf::Any& any : rpc.details()) {
    Detail detail;
    if (any.UnpackTo(&detail)) found.push_back(detail);
  }
  return found;
}

// The reason of the error's only ErrorInfo; "" if there is not exactly one, or its domain is not ours.
inline std::string ReasonOf(const absl::Status& error) {
  if (error.ok()) return "";
  const auto infos = DetailsOf<google::rpc::ErrorInfo>(error);
  if (infos.size() != 1 || infos[0].domain() != kErrorDomain) return "";
  return infos[0].reason();
}

inline std::string MetadataOf(const absl::Status& error, const std::string& key) {
  const auto infos = DetailsOf<google::rpc::ErrorInfo>(error);
  if (infos.empty()) return "";
  const auto value = infos[0].metadata().find(key);
  return value == infos[0].metadata().end() ? "" : value->second;
}

}  // namespace tranche::server
