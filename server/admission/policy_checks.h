// What the checks of a policy's parts share.
#pragma once

#include <cstdint>
#include <string>

#include "absl/status/status.h"
#include "absl/time/time.h"
#include "google/protobuf/duration.pb.h"
#include "google/protobuf/message.h"

namespace tranche::server {

// OK, or INVALID_ARGUMENT (FIELD_INVALID) about `field`. Both bounds are taken.
absl::Status CheckRange(int64_t value, int64_t least, int64_t most, const std::string& field);
absl::Status CheckLength(const google::protobuf::Duration& value, absl::Duration least, absl::Duration most,
                         const std::string& field);

// In the message or any within it.
bool HasUnknownFields(const google::protobuf::Message& message);

}  // namespace tranche::server
