// Who is always let in or never: by user id, and by the longest prefix of an address.
#pragma once

#include <cstddef>
#include <functional>
#include <map>
#include <optional>
#include <string>
#include <vector>

#include "absl/container/flat_hash_map.h"
#include "absl/container/flat_hash_set.h"
#include "absl/numeric/int128.h"
#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"
#include "absl/time/time.h"
#include "absl/types/span.h"
#include "storage/ledger/front_ledger.h"

namespace tranche::server {

// A prefix in its one form: "203.0.113.7" is "203.0.113.7/32", host bits are refused, IPv4-mapped IPv6 is IPv4.
// INVALID_ARGUMENT: why it is none.
absl::StatusOr<std::string> CanonicalPrefix(absl::string_view text);

enum class AccessVerdict { kNone, kAllow, kDeny };

// Immutable once built; copying one is how it is changed.
class AccessLists {
 public:
  // Adds, replaces or (if `removed`) removes. An entry that cannot be read is skipped and counted.
  void Apply(absl::Span<const storage::AccessEntry> entries);

  // A user's own entry decides before one of their address. Entries whose time is over are as if they were not there.
  // Costs a look into a hash table for the user, and one for each length that some prefix has.
  AccessVerdict Find(absl::string_view user_id, absl::string_view address, absl::Time now) const;

  // Also counts entries whose time is over.
  size_t size() const { return users_.size() + prefixes_; }
  // Subjects that have an entry which was skipped.
  size_t unreadable() const { return unreadable_.size(); }
  // Some of them, at most so many, for logs: addresses as they were stored; "" stands for users.
  std::vector<std::string> SomeUnreadable(size_t most) const;
  bool empty() const { return size() == 0; }

 private:
  struct Entry {
    bool allow;
    absl::Time expires_at;  // or InfiniteFuture
  };
  // By the prefix's bits; those behind it are 0.
  using Prefixes = absl::flat_hash_map<absl::uint128, Entry>;

  void ApplyUser(const storage::AccessEntry& entry);
  void ApplyPrefix(const storage::AccessEntry& entry);
  const Entry* FindAddress(absl::string_view address, absl::Time now) const;

  absl::flat_hash_map<std::string, Entry> users_;
  // By length in bits, the longest first. IPv4 is IPv4-mapped IPv6, so its lengths are 96 to 128. None is empty.
  std::map<int, Prefixes, std::greater<>> by_length_;
  size_t prefixes_ = 0;
  absl::flat_hash_set<std::string> unreadable_;  // addresses; "": users
};

}  // namespace tranche::server
