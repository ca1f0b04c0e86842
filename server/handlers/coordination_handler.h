// The admin call that shows the coordination tree. Blocking: not on gRPC's threads. Thread-safe.
#pragma once

#include <string>

#include "absl/status/statusor.h"
#include "quota/announcer.h"
#include "tranche/v1/admin_service.pb.h"

namespace tranche::server {

class CoordinationHandler {
 public:
  explicit CoordinationHandler(quota::SessionSource* sessions) : sessions_(sessions) {}

  // Depth first, children sorted. A page also ends when its payloads grow past 1 MiB.
  absl::StatusOr<v1::DumpCoordinationResponse> Dump(const v1::DumpCoordinationRequest& request);

 private:
  quota::SessionSource* const sessions_;
};

// A znode's payload as protobuf JSON, by where it lies; base64 where it is none of ours, "" where it is empty.
std::string RenderPayload(const std::string& path, const std::string& data);

}  // namespace tranche::server
