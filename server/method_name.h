// How people read the name of a method: of GetSku there are two.
#pragma once

#include <string>

#include "absl/strings/str_cat.h"
#include "absl/strings/string_view.h"

namespace tranche::server {

// "AdminService.CloseSku". `service` may have its package; without a service, the method alone.
inline std::string MethodName(absl::string_view service, absl::string_view method) {
  const size_t package_ends = service.rfind('.');
  if (package_ends != absl::string_view::npos) service.remove_prefix(package_ends + 1);
  return absl::StrCat(service, service.empty() ? "" : ".", method);
}

}  // namespace tranche::server
