// Entry ids that a few lines of Python make, too.
#pragma once

#include <cstddef>
#include <cstdint>
#include <vector>

#include "storage/uuid.h"

namespace tranche::server {

// 16 bytes: i * 0x9e3779b97f4a7c15 modulo 2^64 and i, both big-endian.
inline storage::Uuid DrawId(uint64_t i) {
  storage::Uuid id;
  const uint64_t spread = i * 0x9e3779b97f4a7c15u;
  for (int byte = 0; byte < 8; ++byte) {
    id.bytes[byte] = static_cast<uint8_t>(spread >> (56 - 8 * byte));
    id.bytes[8 + byte] = static_cast<uint8_t>(i >> (56 - 8 * byte));
  }
  return id;
}

// The first so many.
inline std::vector<storage::Uuid> DrawIds(size_t count) {
  std::vector<storage::Uuid> ids;
  for (size_t i = 0; i < count; ++i) ids.push_back(DrawId(i));
  return ids;
}

}  // namespace tranche::server
