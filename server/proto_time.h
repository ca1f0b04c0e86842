// Times between absl and protobuf. An infinite absl::Time has no Timestamp: callers leave the field absent.
#pragma once

#include <optional>

#include "absl/time/time.h"
#include "google/protobuf/duration.pb.h"
#include "google/protobuf/timestamp.pb.h"

namespace tranche::server {

inline google::protobuf::Timestamp ToTimestamp(absl::Time time) {
  google::protobuf::Timestamp timestamp;
  const int64_t seconds = absl::ToUnixSeconds(time);
  timestamp.set_seconds(seconds);
  timestamp.set_nanos(static_cast<int32_t>((time - absl::FromUnixSeconds(seconds)) / absl::Nanoseconds(1)));
  return timestamp;
}

inline google::protobuf::Duration ToDuration(absl::Duration duration) {
  google::protobuf::Duration proto;
  absl::Duration rest;
  proto.set_seconds(absl::IDivDuration(duration, absl::Seconds(1), &rest));
  proto.set_nanos(static_cast<int32_t>(rest / absl::Nanoseconds(1)));
  return proto;
}

// nullopt outside of what protobuf calls valid (years 1 to 9999, nanos 0 to 999,999,999).
inline std::optional<absl::Time> FromTimestamp(const google::protobuf::Timestamp& timestamp) {
  constexpr int64_t kMinSeconds = -62135596800;
  constexpr int64_t kMaxSeconds = 253402300799;
  if (timestamp.seconds() < kMinSeconds || timestamp.seconds() > kMaxSeconds) return std::nullopt;
  if (timestamp.nanos() < 0 || timestamp.nanos() > 999999999) return std::nullopt;
  return absl::FromUnixSeconds(timestamp.seconds()) + absl::Nanoseconds(timestamp.nanos());
}

// nullopt outside of what protobuf calls valid (10,000 years, one sign for both parts).
inline std::optional<absl::Duration> FromDuration(const google::protobuf::Duration& duration) {
  constexpr int64_t kMaxSeconds = 315576000000;
  if (duration.seconds() < -kMaxSeconds || duration.seconds() > kMaxSeconds) return std::nullopt;
  if (duration.nanos() < -999999999 || duration.nanos() > 999999999) return std::nullopt;
  if ((duration.seconds() < 0 && duration.nanos() > 0) || (duration.seconds() > 0 && duration.nanos() < 0)) {
    return std::nullopt;
  }
  return absl::Seconds(duration.seconds()) + absl::Nanoseconds(duration.nanos());
}

}  // namespace tranche::server
