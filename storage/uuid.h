// A UUID as 16 bytes (RFC 9562). A value type: copy, compare and hash it freely.
#pragma once

#include <array>
#include <cstdint>
#include <optional>
#include <string>
#include <utility>

#include "absl/strings/string_view.h"

namespace tranche::storage {

struct Uuid {
  std::array<uint8_t, 16> bytes{};

  // Accepts the 36 character form with hyphens, in either case; nothing else.
  static std::optional<Uuid> Parse(absl::string_view text);
  // Lower case with hyphens.
  std::string ToString() const;
  // All zeros: stands for "none", and names nothing.
  bool is_nil() const { return bytes == decltype(bytes){}; }

  friend bool operator==(const Uuid& a, const Uuid& b) { return a.bytes == b.bytes; }
  friend bool operator<(const Uuid& a, const Uuid& b) { return a.bytes < b.bytes; }

  template <typename H>
  friend H AbslHashValue(H h, const Uuid& uuid) {
    return H::combine(std::move(h), uuid.bytes);
  }
};

}  // namespace tranche::storage
