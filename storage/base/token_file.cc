#include "storage/base/token_file.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <chrono>
#include <system_error>
#include <utility>

#include "absl/cleanup/cleanup.h"
#include "absl/strings/ascii.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/string_view.h"
#include "absl/time/time.h"
#include "storage/base/status_macros.h"

namespace tranche {
namespace {

absl::Status TokenUnreadable(const std::string& path, int error) {
  return absl::InvalidArgumentError(absl::StrCat("cannot read ", path, " (",
                                                 std::error_code(error, std::generic_category()).message(),
                                                 "): give a file with a token that this user may read"));
}

absl::Status CheckTokenFile(const std::string& path, int descriptor) {
  struct stat info {};
  if (fstat(descriptor, &info) != 0) return TokenUnreadable(path, errno);
  if (!S_ISREG(info.st_mode))
    return absl::InvalidArgumentError(absl::StrCat(path, " is not a file: give one with a token"));
  if ((info.st_mode & S_IRWXO) != 0) {
    return absl::InvalidArgumentError(absl::StrCat(path, " is open to every user of this machine: chmod 600 ", path));
  }
  return absl::OkStatus();
}

// At most a byte more than a token may have with an end of line, which shows that it has too many.
absl::StatusOr<std::string> ReadTokenFile(const std::string& path) {
  // Without waiting for a writer, if it is a pipe.
  const int descriptor = open(path.c_str(), O_RDONLY | O_CLOEXEC | O_NONBLOCK);
  if (descriptor < 0) return TokenUnreadable(path, errno);
  const auto closed = absl::MakeCleanup([descriptor] { close(descriptor); });
  RETURN_IF_ERROR(CheckTokenFile(path, descriptor));
  std::string contents(kMostTokenBytes + 3, '\0');
  size_t size = 0;
  while (size < contents.size()) {
    const ssize_t got = read(descriptor, contents.data() + size, contents.size() - size);
    if (got < 0 && errno == EINTR) continue;
    if (got < 0) return TokenUnreadable(path, errno);
    if (got == 0) break;
    size += static_cast<size_t>(got);
  }
  contents.resize(size);
  return contents;
}

int64_t TokenClockNanos() {
  return std::chrono::duration_cast<std::chrono::nanoseconds>(std::chrono::steady_clock::now().time_since_epoch())
      .count();
}

}  // namespace

absl::StatusOr<std::string> ReadToken(const std::string& path) {
  ASSIGN_OR_RETURN(const std::string contents, ReadTokenFile(path));
  const absl::string_view token = absl::StripAsciiWhitespace(contents);
  if (token.empty()) return absl::InvalidArgumentError(absl::StrCat(path, " is empty: write the token into it"));
  const bool printable = std::all_of(token.begin(), token.end(),
                                     [](char c) { return absl::ascii_isgraph(static_cast<unsigned char>(c)); });
  if (!printable || token.size() > kMostTokenBytes) {
    return absl::InvalidArgumentError(absl::StrCat(path, " holds no token: write one line of at most ", kMostTokenBytes,
                                                   " printable ASCII characters without spaces into it"));
  }
  return std::string(token);
}

absl::StatusOr<std::unique_ptr<TokenFile>> TokenFile::Open(std::string path, CertificateWatch watch) {
  ASSIGN_OR_RETURN(std::string token, ReadToken(path));
  return std::unique_ptr<TokenFile>(new TokenFile(std::move(path), std::move(watch), std::move(token)));
}

TokenFile::TokenFile(std::string path, CertificateWatch watch, std::string token)
    : path_(std::move(path)),
      watch_(std::move(watch)),
      current_(std::make_shared<const std::string>(std::move(token))) {}

std::shared_ptr<const std::string> TokenFile::Current() {
  absl::MutexLock lock(&mutex_);
  const int64_t now = TokenClockNanos();
  if (now >= next_look_ns_) {
    next_look_ns_ = now + absl::ToInt64Nanoseconds(watch_.look_every);
    Look();
  }
  return current_;
}

// The file is so small that it is read each time: whether it has changed needs no other proof.
void TokenFile::Look() {
  absl::StatusOr<std::string> read = ReadToken(path_);
  const std::string fault = read.ok() ? "" : std::string(read.status().message());
  if (!fault.empty() && fault != fault_ && watch_.tell != nullptr) {
    watch_.tell(/*fault=*/true, absl::StrCat("the token that was read before stays in use: ", fault));
  }
  fault_ = fault;
  if (!read.ok() || *read == *current_) return;
  current_ = std::make_shared<const std::string>(*std::move(read));
  if (watch_.tell != nullptr) watch_.tell(/*fault=*/false, absl::StrCat("a new token is in use, from ", path_));
}

}  // namespace tranche
