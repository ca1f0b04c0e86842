#include "server/worker/signature.h"

#include <fcntl.h>
#include <openssl/evp.h>
#include <openssl/hmac.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <cstdio>
#include <memory>

#include "absl/strings/ascii.h"
#include "absl/strings/escaping.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_split.h"
#include "glog/logging.h"
#include "storage/base/status_macros.h"

namespace tranche::server {
namespace {

constexpr size_t kMaxFileBytes = 64 * 1024;
// 128 bits, if each byte were random.
constexpr size_t kLeastSecretBytes = 16;

std::string HmacSha256Hex(const std::string& secret, const std::string& text) {
  unsigned char digest[EVP_MAX_MD_SIZE];
  unsigned int size = 0;
  CHECK(HMAC(EVP_sha256(), secret.data(), static_cast<int>(secret.size()),
             reinterpret_cast<const unsigned char*>(text.data()), text.size(), digest, &size) != nullptr);
  return absl::BytesToHexString(absl::string_view(reinterpret_cast<const char*>(digest), size));
}

absl::StatusOr<std::string> ReadPrivateFile(const std::string& path) {
  const int descriptor = open(path.c_str(), O_RDONLY | O_CLOEXEC | O_NONBLOCK);
  if (descriptor < 0) return absl::ErrnoToStatus(errno, absl::StrCat("cannot open ", path));
  const std::unique_ptr<FILE, int (*)(FILE*)> file(fdopen(descriptor, "r"), fclose);
  struct stat info;
  if (fstat(descriptor, &info) != 0) return absl::ErrnoToStatus(errno, absl::StrCat("cannot read ", path));
  if (!S_ISREG(info.st_mode)) return absl::InvalidArgumentError(absl::StrCat(path, " is not a file"));
  if ((info.st_mode & S_IRWXO) != 0) {
    return absl::PermissionDeniedError(absl::StrCat(path, " is open to every user of this machine: chmod 600 ", path));
  }
  std::string text(kMaxFileBytes + 1, '\0');
  text.resize(fread(text.data(), 1, text.size(), file.get()));
  if (ferror(file.get()) != 0) return absl::ErrnoToStatus(errno, absl::StrCat("cannot read ", path));
  if (text.size() > kMaxFileBytes) {
    return absl::InvalidArgumentError(absl::StrCat(path, " is larger than ", kMaxFileBytes, " bytes"));
  }
  return text;
}

}  // namespace

std::string SignatureHeader(const std::vector<std::string>& secrets, int64_t unix_seconds, absl::string_view body) {
  const std::string signed_text = absl::StrCat(unix_seconds, ".", body);
  std::string header = absl::StrCat("t=", unix_seconds);
  for (const std::string& secret : secrets) absl::StrAppend(&header, ",v1=", HmacSha256Hex(secret, signed_text));
  return header;
}

absl::StatusOr<std::vector<std::string>> ReadSecrets(const std::string& path) {
  ASSIGN_OR_RETURN(const std::string text, ReadPrivateFile(path));
  std::vector<std::string> secrets;
  int number = 0;
  for (absl::string_view line : absl::StrSplit(text, '\n')) {
    ++number;
    line = absl::StripAsciiWhitespace(line);
    if (line.empty()) continue;
    if (line.size() < kLeastSecretBytes) {
      return absl::InvalidArgumentError(absl::StrCat("line ", number, " of ", path, " is shorter than ",
                                                     kLeastSecretBytes,
                                                     " characters: make a secret with `openssl rand -hex 32`"));
    }
    secrets.emplace_back(line);
  }
  if (secrets.empty()) {
    return absl::InvalidArgumentError(
        absl::StrCat(path, " has no secret: write one a line, such as `openssl rand -hex 32` makes"));
  }
  return secrets;
}

}  // namespace tranche::server
