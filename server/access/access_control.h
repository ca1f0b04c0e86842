// Decides for each call who calls and whether they may, by the access file.
#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <vector>

#include "absl/status/status.h"
#include "absl/strings/string_view.h"
#include "server/access/access_file.h"
#include "server/access/denials.h"
#include "server/access/permission.h"
#include "storage/base/access_policy.h"

namespace tranche::server {

// What a caller shows. The views are into the call.
struct CallerCredentials {
  // Neither counts if there is an authorization.
  bool certificate = false;        // one that was verified
  std::vector<SubjectName> names;  // of that
  // The header as it came; "" if there are several.
  std::optional<absl::string_view> authorization = std::nullopt;
};

// Thread-safe. Outlived by what it points to.
class AccessControl {
 public:
  AccessControl(const AccessFile* file, Denials* denials) : file_(file), denials_(denials) {}

  struct Verdict {
    // OK; CALLER_UNKNOWN (UNAUTHENTICATED); or ROLE_MISSING (PERMISSION_DENIED).
    absl::Status allowed;
    // Null if they are not known.
    std::shared_ptr<const Principal> caller;
    uint64_t generation = 0;  // of the policy that says so
  };
  // A token decides alone, whatever certificate comes with it; one that nobody has, or another kind of authorization,
  // is refused. So is a certificate of nobody's. Who shows neither is anonymous.
  Verdict Judge(const CallerCredentials& credentials, Permission permission, const char* method) const;

  // While this stays the same, so does every verdict. One load.
  uint64_t generation() const { return file_->generation(); }

  Denials& denials() const { return *denials_; }

 private:
  const AccessFile* const file_;
  Denials* const denials_;
};

}  // namespace tranche::server
