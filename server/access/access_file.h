// The file that says who may do what (--access-file), read again when it changes.
#pragma once

#include <sys/stat.h>

#include <atomic>
#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <utility>

#include "absl/base/thread_annotations.h"
#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/synchronization/mutex.h"
#include "absl/time/time.h"
#include "storage/base/access_policy.h"

namespace tranche::server {

class AccessFile {
 public:
  // The time between two Looks, so how long a change takes.
  static constexpr absl::Duration kLookEvery = absl::Seconds(1);

  struct Snapshot {
    uint64_t generation = 0;  // no two policies of a process have the same
    std::shared_ptr<const AccessPolicy> policy;
  };

  // Of what it protects.
  struct Place {
    // Other machines reach it: a file that gives callers without credentials the roles service, operator or admin is
    // faulty. Otherwise that is logged each time it is loaded.
    bool reached_by_others = false;
    // It asks callers for certificates. Otherwise a file that names some is logged each time it is loaded.
    bool asks_for_certificates = true;
  };

  // Knows nobody until it was opened.
  explicit AccessFile(std::string path) : AccessFile(std::move(path), Place()) {}
  AccessFile(std::string path, const Place& place);
  AccessFile(const AccessFile&) = delete;
  AccessFile& operator=(const AccessFile&) = delete;

  // Reads it for the first time. The error names the file, the place in it, and what must be there.
  absl::Status Open();
  // Reads it if it has changed. One that is faulty, half-written or gone changes nothing, and is logged once. Blocks
  // for a moment; one thread at a time, not beside Open.
  void Look();

  // The policy that holds now. Each thread keeps what it saw last, so that this is one load while nothing changes; the
  // reference holds until the same thread asks again, any AccessFile. Thread-safe.
  const Snapshot& Current() const;
  // Thread-safe: one load.
  uint64_t generation() const { return generation_.load(std::memory_order_acquire); }
  // The file as it is now is not the one in use. Thread-safe.
  bool faulty() const { return faulty_.load(std::memory_order_relaxed); }

 private:
  struct Contents {
    std::string text;
    struct stat info = {};
  };
  absl::StatusOr<Contents> Read() const;
  // Reads and parses it. Leaves what is in use if that fails.
  absl::Status Load();
  // Warns of what holds and may not be meant.
  void WarnAbout(const AccessPolicy& policy) const;
  void Use(std::shared_ptr<const AccessPolicy> policy) ABSL_LOCKS_EXCLUDED(mutex_);
  bool MayHaveChanged() const;

  const std::string path_;
  const Place place_;
  // Of the thread that looks.
  struct stat seen_ = {};  // when it was read last
  bool young_ = true;      // it had just been written then: a later write may show the same times
  // What is in use; nullopt before the first time.
  std::optional<std::string> text_;
  std::string told_;  // the fault that was logged last

  std::atomic<uint64_t> generation_{0};
  std::atomic<bool> faulty_{false};
  mutable absl::Mutex mutex_;
  Snapshot current_ ABSL_GUARDED_BY(mutex_);
};

}  // namespace tranche::server
