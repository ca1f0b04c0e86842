// Who is always let in or never: by user id, and by the longest prefix of an address.
#pragma once

#include <optional>
#include <string>
#include <vector>

#include "absl/container/flat_hash_map.h"
#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"
#include "absl/time/time.h"
#include "absl/types/span.h"
#include "storage/ledger/front_ledger.h"

namespace tranche::server {

// A prefix in its one form: "203.0.113.7" is "203.0.113.7/32", host bits are refused, IPv4-mapped IPv6 is IPv4.
absl::StatusOr<std::string> CanonicalPrefix(absl::string_view text);

enum class AccessVerdict { kNone, kAllow, kDeny };

// Immutable once built; copying one is how it is changed.
class AccessLists {
 public:
  // Adds, replaces or (if `removed`) removes. An entry that cannot be read is skipped and counted.
  void Apply(absl::Span<const storage::AccessEntry> entries);

  // A user's own entry decides before one of their address.
  AccessVerdict Find(absl::string_view user_id, absl::string_view address, absl::Time now) const;

  size_t size() const;
  size_t unreadable() const;
  bool empty() const { return size() == 0; }
};

}  // namespace tranche::server
