#include "quota/zookeeper/zookeeper_auth.h"

#include <algorithm>

#include "absl/strings/ascii.h"
#include "absl/strings/str_cat.h"
#include "storage/base/secret_file.h"
#include "storage/base/status_macros.h"

namespace tranche::quota {

absl::StatusOr<std::string> ReadZookeeperAuth(const std::string& path) {
  ASSIGN_OR_RETURN(std::string line, ReadSecretLine(path));
  // ZooKeeper takes a line without a colon, too: then every password would do, since there is none.
  const size_t colon = line.find(':');
  const bool whole = colon != std::string::npos && colon > 0 && colon + 1 < line.size();
  const bool printable = std::all_of(line.begin(), line.end(), [](unsigned char c) { return absl::ascii_isgraph(c); });
  if (whole && printable) return line;
  return absl::InvalidArgumentError(
      absl::StrCat(path, " must hold USER:PASSWORD, of printable ASCII characters without spaces"));
}

}  // namespace tranche::quota
