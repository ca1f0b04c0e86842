#include "server/admission/access_lists.h"

#include "absl/status/status.h"
#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "server/admission/buyer_address.h"

namespace tranche::server {
namespace {

constexpr int kAddressBits = 128;
constexpr int kMappedBits = 96;  // before an IPv4 address

struct AddressPrefix {
  absl::uint128 bits = 0;
  int length = 0;  // 0 to 128
  bool v4 = false;
};

absl::uint128 BitsOf(const IpAddress& address) {
  absl::uint128 bits = 0;
  for (const unsigned char byte : address.bytes) bits = (bits << 8) | byte;
  return bits;
}

IpAddress AddressOf(absl::uint128 bits) {
  IpAddress address;
  for (size_t i = address.bytes.size(); i > 0; --i, bits >>= 8) {
    address.bytes[i - 1] = static_cast<unsigned char>(absl::Uint128Low64(bits) & 0xff);
  }
  return address;
}

absl::uint128 FirstBits(absl::uint128 bits, int length) {
  // To shift by all bits is undefined.
  return length == 0 ? absl::uint128(0) : bits & (~absl::uint128(0) << (kAddressBits - length));
}

// "0" to "128", without signs, spaces and leading zeros.
std::optional<int> ParseLength(absl::string_view text) {
  int length = 0;
  if (!absl::SimpleAtoi(text, &length) || length < 0 || length > kAddressBits || absl::StrCat(length) != text) {
    return std::nullopt;
  }
  return length;
}

// In its one form: where the address is written as IPv4, the length counts only its bits.
std::string PrefixText(absl::uint128 bits, int length) {
  const IpAddress address = AddressOf(bits);
  return absl::StrCat(ToText(address), "/", address.is_v4() ? length - kMappedBits : length);
}

absl::Status NoPrefix(absl::string_view text) {
  return absl::InvalidArgumentError(
      absl::StrCat("'", text, "' is neither an IP address nor a prefix such as 203.0.113.0/24 or 2001:db8::/48"));
}

absl::StatusOr<AddressPrefix> ParsePrefix(absl::string_view text) {
  const size_t slash = text.find('/');
  const absl::string_view host = text.substr(0, slash);
  const std::optional<IpAddress> address = ParseIpAddress(host);
  if (!address.has_value()) return NoPrefix(text);
  AddressPrefix prefix = {.bits = BitsOf(*address), .length = kAddressBits, .v4 = address->is_v4()};
  if (slash != absl::string_view::npos) {
    std::optional<int> length = ParseLength(text.substr(slash + 1));
    if (!length.has_value()) return NoPrefix(text);
    // The length of "::ffff:203.0.113.0/120" counts the bits before the IPv4 address.
    const bool dotted = prefix.v4 && host.find(':') == absl::string_view::npos;
    if (dotted) *length += kMappedBits;
    if (*length > kAddressBits) return NoPrefix(text);
    prefix.length = *length;
  }
  const absl::uint128 kept = FirstBits(prefix.bits, prefix.length);
  if (kept == prefix.bits) return prefix;
  return absl::InvalidArgumentError(
      absl::StrCat("'", text, "' has bits behind its prefix: it should be ", PrefixText(kept, prefix.length)));
}

}  // namespace

absl::StatusOr<std::string> CanonicalPrefix(absl::string_view text) {
  const absl::StatusOr<AddressPrefix> prefix = ParsePrefix(text);
  if (!prefix.ok()) return prefix.status();
  return PrefixText(prefix->bits, prefix->length);
}

void AccessLists::Apply(absl::Span<const storage::AccessEntry> entries) {
  for (const storage::AccessEntry& entry : entries) {
    if (entry.subject.kind == storage::AccessSubject::Kind::kUser) {
      ApplyUser(entry);
    } else {
      ApplyPrefix(entry);
    }
  }
}

void AccessLists::ApplyUser(const storage::AccessEntry& entry) {
  const std::string& user_id = entry.subject.value;
  if (entry.removed) {
    users_.erase(user_id);
    if (user_id.empty()) unreadable_.erase(user_id);
  } else if (user_id.empty()) {
    unreadable_.insert(user_id);
  } else {
    users_[user_id] = {entry.allow, entry.expires_at.value_or(absl::InfiniteFuture())};
  }
}

void AccessLists::ApplyPrefix(const storage::AccessEntry& entry) {
  const absl::StatusOr<AddressPrefix> prefix = ParsePrefix(entry.subject.value);
  if (!prefix.ok()) {
    if (entry.removed) {
      unreadable_.erase(entry.subject.value);
    } else {
      unreadable_.insert(entry.subject.value);
    }
    return;
  }
  if (!entry.removed) {
    const Entry known = {entry.allow, entry.expires_at.value_or(absl::InfiniteFuture())};
    if (by_length_[prefix->length].insert_or_assign(prefix->bits, known).second) ++prefixes_;
    return;
  }
  const auto found = by_length_.find(prefix->length);
  if (found == by_length_.end()) return;
  prefixes_ -= found->second.erase(prefix->bits);
  if (found->second.empty()) by_length_.erase(found);
}

const AccessLists::Entry* AccessLists::FindAddress(absl::string_view address, absl::Time now) const {
  if (by_length_.empty()) return nullptr;
  const std::optional<IpAddress> parsed = ParseIpAddress(address);
  if (!parsed.has_value()) return nullptr;
  const absl::uint128 bits = BitsOf(*parsed);
  for (const auto& [length, prefixes] : by_length_) {
    // A prefix of IPv6, such as ::/0, says nothing about IPv4.
    if (parsed->is_v4() && length < kMappedBits) break;
    const auto found = prefixes.find(FirstBits(bits, length));
    if (found != prefixes.end() && found->second.expires_at > now) return &found->second;
  }
  return nullptr;
}

std::vector<std::string> AccessLists::SomeUnreadable(size_t most) const {
  std::vector<std::string> some;
  for (const std::string& subject : unreadable_) {
    if (some.size() == most) break;
    some.push_back(subject);
  }
  return some;
}

AccessVerdict AccessLists::Find(absl::string_view user_id, absl::string_view address, absl::Time now) const {
  const auto user = users_.find(user_id);
  const bool has_own = user != users_.end() && user->second.expires_at > now;
  const Entry* const entry = has_own ? &user->second : FindAddress(address, now);
  if (entry == nullptr) return AccessVerdict::kNone;
  return entry->allow ? AccessVerdict::kAllow : AccessVerdict::kDeny;
}

}  // namespace tranche::server
