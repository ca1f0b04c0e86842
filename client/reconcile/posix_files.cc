#include "client/reconcile/posix_files.h"

#include <fcntl.h>
#include <unistd.h>

#include <cerrno>
#include <cstdlib>

#include "absl/strings/str_cat.h"

namespace tranche::reconcile {
namespace {

class Descriptor {
 public:
  explicit Descriptor(int fd) : fd_(fd) {}
  ~Descriptor() {
    if (fd_ > STDERR_FILENO) close(fd_);
  }
  Descriptor(const Descriptor&) = delete;
  Descriptor& operator=(const Descriptor&) = delete;
  int get() const { return fd_; }

 private:
  const int fd_;
};

class FileSource : public ByteSource {
 public:
  FileSource(int fd, std::string path) : fd_(fd), path_(std::move(path)) {}

  absl::StatusOr<size_t> Read(char* buffer, size_t size) override {
    while (true) {
      const ssize_t got = read(fd_.get(), buffer, size);
      if (got >= 0) return static_cast<size_t>(got);
      if (errno != EINTR) return absl::ErrnoToStatus(errno, absl::StrCat("cannot read ", path_));
    }
  }

 private:
  const Descriptor fd_;
  const std::string path_;
};

class TemporaryFile : public SpillFile {
 public:
  TemporaryFile(int fd, std::string folder) : fd_(fd), folder_(std::move(folder)) {}

  absl::Status Append(absl::string_view bytes) override {
    while (!bytes.empty()) {
      const ssize_t written = write(fd_.get(), bytes.data(), bytes.size());
      if (written >= 0) {
        bytes.remove_prefix(static_cast<size_t>(written));
      } else if (errno != EINTR) {
        return absl::ErrnoToStatus(errno, absl::StrCat("cannot write a temporary file in ", folder_));
      }
    }
    return absl::OkStatus();
  }

  absl::Status ReadAt(uint64_t offset, char* buffer, size_t size) override {
    while (size > 0) {
      const ssize_t got = pread(fd_.get(), buffer, size, static_cast<off_t>(offset));
      if (got < 0 && errno == EINTR) continue;
      if (got < 0) return absl::ErrnoToStatus(errno, absl::StrCat("cannot read a temporary file in ", folder_));
      if (got == 0) return absl::DataLossError(absl::StrCat("a temporary file in ", folder_, " has become shorter"));
      offset += static_cast<uint64_t>(got);
      buffer += got;
      size -= static_cast<size_t>(got);
    }
    return absl::OkStatus();
  }

 private:
  const Descriptor fd_;
  const std::string folder_;
};

}  // namespace

absl::StatusOr<std::unique_ptr<ByteSource>> OpenSource(const std::string& path) {
  if (path == "-") return std::make_unique<FileSource>(STDIN_FILENO, "the standard input");
  const int fd = open(path.c_str(), O_RDONLY | O_CLOEXEC);
  if (fd < 0) return absl::ErrnoToStatus(errno, absl::StrCat("cannot open ", path));
  posix_fadvise(fd, 0, 0, POSIX_FADV_SEQUENTIAL);
  return std::make_unique<FileSource>(fd, path);
}

absl::StatusOr<std::unique_ptr<SpillFile>> MakeTemporaryFile(const std::string& folder) {
  std::string name = absl::StrCat(folder, "/tranche-reconcile-XXXXXX");
  const int fd = mkostemp(name.data(), O_CLOEXEC);
  if (fd < 0) return absl::ErrnoToStatus(errno, absl::StrCat("cannot make a temporary file in ", folder));
  unlink(name.c_str());
  return std::make_unique<TemporaryFile>(fd, folder);
}

}  // namespace tranche::reconcile
