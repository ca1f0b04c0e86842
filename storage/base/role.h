// The roles that an access file gives (access_policy.h). What each may do is in server/access/permission.h.
#pragma once

#include <array>
#include <cstdint>
#include <initializer_list>
#include <optional>
#include <string>

#include "absl/strings/str_cat.h"
#include "absl/strings/string_view.h"

namespace tranche {

enum class Role : uint8_t { kStorefront, kService, kRisk, kViewer, kOperator, kAdmin };

struct RoleWord {
  Role role;
  const char* name;   // as in the access file
  const char* means;  // for people
};

inline constexpr std::array<RoleWord, 6> kRoleWords = {{
    {Role::kStorefront, "storefront", "claims for buyers whom it names"},
    {Role::kService, "service", "storefront, and payments, streams and everybody's reservations"},
    {Role::kRisk, "risk", "reads everybody's reservations and cancels them"},
    {Role::kViewer, "viewer", "looks at everything"},
    {Role::kOperator, "operator", "viewer, and changes sales, units, nodes and reservations"},
    {Role::kAdmin, "admin", "operator, and shards, sinks and repairs"},
}};

inline const char* RoleName(Role role) {
  for (const RoleWord& word : kRoleWords) {
    if (word.role == role) return word.name;
  }
  return "";
}

inline std::optional<Role> RoleNamed(absl::string_view name) {
  for (const RoleWord& word : kRoleWords) {
    if (word.name == name) return word.role;
  }
  return std::nullopt;
}

// A set of roles; a byte.
class Roles {
 public:
  constexpr Roles() = default;
  constexpr Roles(std::initializer_list<Role> roles) {
    for (const Role role : roles) Add(role);
  }

  constexpr void Add(Role role) { bits_ = static_cast<uint8_t>(bits_ | Bit(role)); }
  constexpr bool Has(Role role) const { return (bits_ & Bit(role)) != 0; }
  constexpr bool HasOneOf(Roles others) const { return (bits_ & others.bits_) != 0; }
  constexpr bool empty() const { return bits_ == 0; }

  // Such as "operator, admin".
  std::string Join(absl::string_view separator = ", ") const {
    std::string text;
    for (const RoleWord& word : kRoleWords) {
      if (Has(word.role)) absl::StrAppend(&text, text.empty() ? "" : separator, word.name);
    }
    return text;
  }

  friend constexpr bool operator==(Roles a, Roles b) { return a.bits_ == b.bits_; }

 private:
  static constexpr uint8_t Bit(Role role) { return static_cast<uint8_t>(1U << static_cast<unsigned>(role)); }

  uint8_t bits_ = 0;
};

}  // namespace tranche
