#include "server/access/access_file.h"

#include <fcntl.h>
#include <unistd.h>

#include <cerrno>
#include <utility>

#include "absl/strings/str_cat.h"
#include "absl/time/clock.h"
#include "glog/logging.h"
#include "storage/base/access_file_trust.h"
#include "storage/base/log_event.h"
#include "storage/base/role.h"
#include "storage/base/status_macros.h"

namespace tranche::server {
namespace {

// The kernel stamps files by a clock that ticks every few milliseconds, and some file systems by whole seconds.
constexpr absl::Duration kSameStamp = absl::Seconds(2);

uint64_t NextGeneration() {
  static std::atomic<uint64_t> last{0};
  return last.fetch_add(1, std::memory_order_relaxed) + 1;
}

bool SameFile(const struct stat& a, const struct stat& b) {
  return a.st_dev == b.st_dev && a.st_ino == b.st_ino && a.st_size == b.st_size &&
         absl::TimeFromTimespec(a.st_mtim) == absl::TimeFromTimespec(b.st_mtim) &&
         absl::TimeFromTimespec(a.st_ctim) == absl::TimeFromTimespec(b.st_ctim);
}

absl::Status CheckAccessFile(const struct stat& info, const std::string& path) {
  if (!S_ISREG(info.st_mode)) return absl::InvalidArgumentError(absl::StrCat(path, ": must be a file"));
  const std::string fault = WhyOthersMayWrite(info);
  return fault.empty() ? absl::OkStatus() : absl::InvalidArgumentError(absl::StrCat(path, ": ", fault));
}

// At most one byte more than it may have.
absl::StatusOr<std::string> ReadAtMostALittleMore(int descriptor, const std::string& path) {
  std::string text(kMaxAccessFileBytes + 1, '\0');
  size_t size = 0;
  while (size < text.size()) {
    const ssize_t read_now = read(descriptor, text.data() + size, text.size() - size);
    if (read_now < 0 && errno == EINTR) continue;
    if (read_now < 0) return absl::ErrnoToStatus(errno, absl::StrCat("cannot read ", path));
    if (read_now == 0) break;
    size += static_cast<size_t>(read_now);
  }
  text.resize(size);
  return text;
}

}  // namespace

AccessFile::AccessFile(std::string path, const Place& place) : path_(std::move(path)), place_(place) {
  Use(std::make_shared<const AccessPolicy>());
}

absl::Status AccessFile::Open() { return Load(); }

void AccessFile::Look() {
  if (!MayHaveChanged()) return;
  const absl::Status loaded = Load();
  faulty_.store(!loaded.ok(), std::memory_order_relaxed);
  const std::string fault = loaded.ok() ? "" : std::string(loaded.message());
  if (fault == told_) return;
  told_ = fault;
  if (fault.empty()) {
    LOG(INFO) << "the access file can be read again";
  } else {
    LOG(ERROR) << "the access file is not used as it is now; the one before still holds: " << fault;
  }
}

const AccessFile::Snapshot& AccessFile::Current() const {
  thread_local Snapshot seen;
  if (seen.generation != generation()) {
    absl::MutexLock lock(&mutex_);
    seen = current_;
  }
  return seen;
}

bool AccessFile::MayHaveChanged() const {
  struct stat now = {};
  // What went wrong is told by reading it.
  return young_ || stat(path_.c_str(), &now) != 0 || !SameFile(now, seen_);
}

absl::StatusOr<AccessFile::Contents> AccessFile::Read() const {
  // Without waiting for the other end, should it be a pipe.
  const int descriptor = open(path_.c_str(), O_RDONLY | O_CLOEXEC | O_NONBLOCK);
  if (descriptor < 0) return absl::ErrnoToStatus(errno, absl::StrCat("cannot open ", path_));
  Contents contents;
  absl::Status good = absl::OkStatus();
  if (fstat(descriptor, &contents.info) != 0) good = absl::ErrnoToStatus(errno, absl::StrCat("cannot read ", path_));
  good.Update(CheckAccessFile(contents.info, path_));
  if (good.ok()) {
    absl::StatusOr<std::string> text = ReadAtMostALittleMore(descriptor, path_);
    if (text.ok()) contents.text = *std::move(text);
    good = text.status();
  }
  close(descriptor);
  RETURN_IF_ERROR(good);
  return contents;
}

absl::Status AccessFile::Load() {
  ASSIGN_OR_RETURN(Contents contents, Read());
  seen_ = contents.info;
  young_ = absl::Now() - absl::TimeFromTimespec(seen_.st_mtim) < kSameStamp;
  if (contents.text == text_ && told_.empty()) return absl::OkStatus();
  absl::StatusOr<std::shared_ptr<const AccessPolicy>> policy = AccessPolicy::Parse(contents.text);
  if (!policy.ok()) {
    return absl::InvalidArgumentError(absl::StrCat(path_, ": ", std::string(policy.status().message())));
  }
  const Roles of_strangers = (*policy)->DangerousForStrangers();
  if (!of_strangers.empty() && place_.reached_by_others) {
    return absl::InvalidArgumentError(
        absl::StrCat(path_, ": anonymous: everybody who reaches this node would have the roles ", of_strangers.Join(),
                     "; give them to principals, or listen at loopback addresses only"));
  }
  if (contents.text == text_) return absl::OkStatus();
  WarnAbout(**policy);
  text_ = std::move(contents.text);
  LogEvent("access.loaded", {{"file", path_}, {"principals", static_cast<int64_t>((*policy)->principals().size())}});
  Use(*std::move(policy));
  return absl::OkStatus();
}

void AccessFile::WarnAbout(const AccessPolicy& policy) const {
  const Roles of_strangers = policy.DangerousForStrangers();
  LOG_IF(WARNING, !of_strangers.empty()) << "everybody on this machine has the roles " << of_strangers.Join()
                                         << ": the access file gives them to callers without credentials";
  LOG_IF(WARNING, !place_.asks_for_certificates && policy.NamesCertificates())
      << "the access file names certificates, and without --tls-client-ca this node asks nobody for one: who has only "
         "a "
         "certificate is not known; give --tls-client-ca";
}

void AccessFile::Use(std::shared_ptr<const AccessPolicy> policy) {
  absl::MutexLock lock(&mutex_);
  current_ = {NextGeneration(), std::move(policy)};
  generation_.store(current_.generation, std::memory_order_release);
}

}  // namespace tranche::server
