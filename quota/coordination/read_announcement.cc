#include "quota/coordination/read_announcement.h"

namespace tranche::quota {
namespace {

bool IsPlausibleVersion(int64_t version) { return version >= 1 && version <= kMostVersion; }

// Of the same size, so that differences of two do not overflow.
bool IsPlausibleCount(int64_t units) { return units >= 0 && units <= kMostVersion; }

}  // namespace

std::optional<internal::v1::SkuAnnouncement> ReadSkuAnnouncement(const std::string& data) {
  internal::v1::SkuAnnouncement announcement;
  if (!announcement.ParseFromString(data) || !IsPlausibleVersion(announcement.version())) return std::nullopt;
  return announcement;
}

std::optional<internal::v1::SliceAnnouncement> ReadSliceAnnouncement(const std::string& data) {
  internal::v1::SliceAnnouncement announcement;
  if (!announcement.ParseFromString(data) || !IsPlausibleVersion(announcement.version())) return std::nullopt;
  if (!IsPlausibleCount(announcement.allotted())) return std::nullopt;
  return announcement;
}

}  // namespace tranche::quota
