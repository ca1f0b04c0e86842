// What a method needs of its caller, and which roles have it. This table and the permission that each method's line in
// its service's table names are all there is: docs/security.md shows both, and roles_test compares.
#pragma once

#include <cstdint>

#include "storage/base/role.h"

namespace tranche::server {

enum class Permission : uint8_t {
  kBrowse,      // what visitors see of SKUs
  kRead,        // reservations whose ids the caller knows
  kClaim,       // reserves, and extends holds, for buyers whom the caller names
  kGiveBack,    // gives reservations back
  kPay,         // books payments; and streams, which carry claims, payments and cancellations
  kReadAll,     // everybody's reservations
  kObserve,     // looks at everything, changes nothing
  kOperate,     // changes stock, quota, nodes, terms, messages, and reservations in an operator's name
  kAdminister,  // changes what the cluster consists of, and what cannot be undone
};

// Whoever has one of them may. Not empty.
constexpr Roles RolesWith(Permission permission) {
  using enum Role;
  switch (permission) {
    case Permission::kBrowse:
    case Permission::kRead:
      return {kStorefront, kService, kRisk, kViewer, kOperator, kAdmin};
    case Permission::kClaim:
      return {kStorefront, kService};
    case Permission::kGiveBack:
      return {kStorefront, kService, kRisk};
    case Permission::kPay:
      return {kService};
    case Permission::kReadAll:
      return {kService, kRisk, kViewer, kOperator, kAdmin};
    case Permission::kObserve:
      return {kRisk, kViewer, kOperator, kAdmin};
    case Permission::kOperate:
      return {kOperator, kAdmin};
    case Permission::kAdminister:
      return {kAdmin};
  }
  return {};
}

}  // namespace tranche::server
