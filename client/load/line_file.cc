#include "client/load/line_file.h"

#include "absl/strings/str_cat.h"

namespace tranche::load {

absl::Status LineFile::Open(const std::string& path) {
  absl::MutexLock lock(&mutex_);
  file_.open(path, std::ios::trunc);
  if (!file_) return absl::InvalidArgumentError(absl::StrCat("cannot write ", path));
  return absl::OkStatus();
}

void LineFile::Add(absl::string_view line) {
  absl::MutexLock lock(&mutex_);
  if (file_.is_open()) file_ << line;
}

bool LineFile::Close() {
  absl::MutexLock lock(&mutex_);
  if (!file_.is_open()) return true;
  file_.close();
  return !file_.fail();
}

}  // namespace tranche::load
