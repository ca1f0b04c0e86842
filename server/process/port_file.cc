#include "server/process/port_file.h"

#include <cerrno>
#include <cstdio>
#include <cstring>
#include <fstream>

#include "absl/strings/str_cat.h"

namespace tranche::server {

absl::Status WritePortFile(const std::string& path, int port, absl::string_view flag) {
  const std::string temporary = absl::StrCat(path, ".new");
  std::ofstream file(temporary, std::ios::trunc);
  file << port << "\n";
  file.close();
  if (!file || std::rename(temporary.c_str(), path.c_str()) != 0) {
    return absl::InternalError(absl::StrCat("cannot write ", path, " (", std::strerror(errno), "): correct ", flag));
  }
  return absl::OkStatus();
}

}  // namespace tranche::server
