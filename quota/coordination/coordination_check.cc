#include "quota/coordination/coordination_check.h"

#include <algorithm>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_split.h"
#include "absl/strings/string_view.h"
#include "quota/coordination/coordination.h"

namespace tranche::quota {

absl::Status CheckPath(const std::string& path) {
  if (path.empty() || path[0] != '/') {
    return absl::InvalidArgumentError(absl::StrCat("path \"", path, "\" does not start with /"));
  }
  if (std::any_of(path.begin(), path.end(), [](unsigned char c) { return c < 0x20 || c == 0x7f; })) {
    return absl::InvalidArgumentError("path has a control character");
  }
  if (path == "/") return absl::OkStatus();
  for (const absl::string_view part : absl::StrSplit(absl::string_view(path).substr(1), '/')) {
    if (part.empty() || part == "." || part == "..") {
      return absl::InvalidArgumentError(absl::StrCat("path \"", path, "\" has a part that is empty, . or .."));
    }
  }
  return absl::OkStatus();
}

absl::Status CheckWrite(const std::string& path, const std::string& data) {
  if (data.size() > kMaxZnodeBytes) {
    return absl::InvalidArgumentError(
        absl::StrCat(data.size(), " bytes for ", path, ": a node holds at most ", kMaxZnodeBytes));
  }
  return CheckPath(path);
}

}  // namespace tranche::quota
