#include "client/ctl/secret_writer.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>

#include "absl/strings/str_cat.h"

namespace tranche::ctl {
namespace {

absl::Status CannotWrite(const std::string& path, int error) {
  if (error == EEXIST) {
    return absl::AlreadyExistsError(absl::StrCat(path, " is there already: choose another file, or remove it"));
  }
  return absl::UnavailableError(absl::StrCat("cannot write ", path, ": ", std::strerror(error)));
}

}  // namespace

absl::Status WriteNewSecret(const std::string& path, const std::string& text) {
  const int file = open(path.c_str(), O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, S_IRUSR | S_IWUSR);
  if (file < 0) return CannotWrite(path, errno);
  int error = 0;
  const ssize_t written = write(file, text.data(), text.size());
  if (written != static_cast<ssize_t>(text.size())) error = written < 0 ? errno : ENOSPC;
  if (close(file) != 0 && error == 0) error = errno;
  if (error == 0) return absl::OkStatus();
  unlink(path.c_str());
  return CannotWrite(path, error);
}

}  // namespace tranche::ctl
