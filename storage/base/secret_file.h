// A secret that is the only line of a file, such as a password.
#pragma once

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstdio>
#include <memory>
#include <string>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/string_view.h"
#include "absl/strings/strip.h"

namespace tranche {

// The most bytes of such a file.
inline constexpr size_t kMaxSecretFileBytes = 4096;

// Whether more users may read a file than should: the rule that libpq has for a private key. Only its owner may read
// it; but a file of root's may be readable by its group, because systemd and Kubernetes hand a secret to a process of
// another user so.
inline bool IsOpenToOthers(const struct stat& file) {
  const mode_t others = file.st_uid == 0 ? (S_IWGRP | S_IXGRP | S_IRWXO) : (S_IRWXG | S_IRWXO);
  return (file.st_mode & others) != 0;
}

// For the error about such a file.
inline std::string OpenToOthersFault(const std::string& path) {
  return absl::StrCat(path, " can be read by other users of this machine: chmod 600 ", path,
                      " (640 if root owns it and its group may read it)");
}

// The line in `text`, the contents of the file at `path`, without its end. An error never quotes it.
inline absl::StatusOr<std::string> OnlyLineOf(absl::string_view text, const std::string& path) {
  if (text.size() > kMaxSecretFileBytes) {
    return absl::InvalidArgumentError(absl::StrCat(path, " is larger than ", kMaxSecretFileBytes, " bytes"));
  }
  if (absl::ConsumeSuffix(&text, "\n")) absl::ConsumeSuffix(&text, "\r");
  if (text.empty())
    return absl::InvalidArgumentError(absl::StrCat(path, " is empty: write the secret as its only line"));
  const auto is_control = [](unsigned char c) { return c < 0x20 || c == 0x7f; };
  if (std::any_of(text.begin(), text.end(), is_control)) {
    return absl::InvalidArgumentError(
        absl::StrCat(path, " must be one line without control characters: the secret and nothing else"));
  }
  return std::string(text);
}

// The line in the file at `path`. Reads a bounded part of it, and waits for nothing but the disk. The error names the
// file and says what to do; it never quotes what is in it.
inline absl::StatusOr<std::string> ReadSecretLine(const std::string& path) {
  const int descriptor = open(path.c_str(), O_RDONLY | O_CLOEXEC | O_NONBLOCK);
  if (descriptor < 0) return absl::ErrnoToStatus(errno, absl::StrCat("cannot open ", path));
  const std::unique_ptr<FILE, int (*)(FILE*)> file(fdopen(descriptor, "r"), fclose);
  struct stat info;
  if (fstat(descriptor, &info) != 0) return absl::ErrnoToStatus(errno, absl::StrCat("cannot read ", path));
  if (!S_ISREG(info.st_mode)) return absl::InvalidArgumentError(absl::StrCat(path, " is not a file"));
  if (IsOpenToOthers(info)) return absl::PermissionDeniedError(OpenToOthersFault(path));
  std::string text(kMaxSecretFileBytes + 1, '\0');
  text.resize(fread(text.data(), 1, text.size(), file.get()));
  if (ferror(file.get()) != 0) return absl::ErrnoToStatus(errno, absl::StrCat("cannot read ", path));
  return OnlyLineOf(text, path);
}

}  // namespace tranche
