#include "storage/base/token_file.h"

#include <algorithm>
#include <chrono>
#include <utility>

#include "absl/strings/ascii.h"
#include "absl/strings/str_cat.h"
#include "absl/time/time.h"
#include "storage/base/secret_file.h"

namespace tranche {
namespace {

int64_t TokenClockNanos() {
  return std::chrono::duration_cast<std::chrono::nanoseconds>(std::chrono::steady_clock::now().time_since_epoch())
      .count();
}

}  // namespace

absl::StatusOr<std::string> ReadToken(const std::string& path) {
  absl::StatusOr<std::string> token = ReadSecretLine(path);
  // Whatever is wrong with a file of ours must not look like an answer of a node's, such as PERMISSION_DENIED.
  if (!token.ok()) return absl::InvalidArgumentError(token.status().message());
  const bool printable =
      std::all_of(token->begin(), token->end(), [](unsigned char c) { return absl::ascii_isgraph(c); });
  if (printable) return token;
  return absl::InvalidArgumentError(
      absl::StrCat(path, " must be one line of printable ASCII characters without spaces: the token and nothing else"));
}

absl::StatusOr<std::unique_ptr<TokenFile>> TokenFile::Open(std::string path, CertificateWatch watch) {
  absl::StatusOr<std::string> token = ReadToken(path);
  if (!token.ok()) return token.status();
  return std::unique_ptr<TokenFile>(new TokenFile(std::move(path), std::move(watch), *std::move(token)));
}

TokenFile::TokenFile(std::string path, CertificateWatch watch, std::string token)
    : path_(std::move(path)),
      watch_(std::move(watch)),
      current_(std::make_shared<const std::string>(std::move(token))) {}

std::shared_ptr<const std::string> TokenFile::Current() {
  const int64_t now = TokenClockNanos();
  int64_t due = next_look_ns_.load(std::memory_order_relaxed);
  if (now >= due && next_look_ns_.compare_exchange_strong(due, now + absl::ToInt64Nanoseconds(watch_.look_every))) {
    Look();
  }
  absl::MutexLock lock(&mutex_);
  return current_;
}

// The file is so small that it is read each time: whether it has changed needs no other proof. And if two looks
// overtake each other, the next one mends it.
void TokenFile::Look() {
  absl::StatusOr<std::string> read = ReadToken(path_);
  const std::string fault = read.ok() ? "" : std::string(read.status().message());
  bool faulty = false, renewed = false;
  {
    absl::MutexLock lock(&mutex_);
    faulty = !fault.empty() && fault != fault_;
    fault_ = fault;
    renewed = read.ok() && *read != *current_;
    if (renewed) current_ = std::make_shared<const std::string>(*std::move(read));
  }
  if (watch_.tell == nullptr) return;
  if (faulty) watch_.tell(/*fault=*/true, absl::StrCat("the token that was read before stays in use: ", fault));
  if (renewed) watch_.tell(/*fault=*/false, absl::StrCat("a new token is in use, from ", path_));
}

}  // namespace tranche
