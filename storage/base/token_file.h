// The bearer token that a caller shows, read from a file, and again when the file changes.
#pragma once

#include <atomic>
#include <cstdint>
#include <memory>
#include <string>

#include "absl/base/thread_annotations.h"
#include "absl/status/statusor.h"
#include "absl/synchronization/mutex.h"
#include "storage/base/certificate_files.h"

namespace tranche {

// The only line of a file as in secret_file.h; printable ASCII without spaces. INVALID_ARGUMENT names the file and what
// to do, never its contents.
absl::StatusOr<std::string> ReadToken(const std::string& path);

// Thread-safe.
class TokenFile {
 public:
  // An error is that of ReadToken. `watch`: as for certificates.
  static absl::StatusOr<std::unique_ptr<TokenFile>> Open(std::string path, CertificateWatch watch = {});

  // The newest one; never null. Now and then one caller looks at the file, while the others take what there is; one
  // that is faulty or gone keeps the old token, and is told once.
  std::shared_ptr<const std::string> Current();

 private:
  TokenFile(std::string path, CertificateWatch watch, std::string token);
  void Look();

  const std::string path_;
  const CertificateWatch watch_;
  std::atomic<int64_t> next_look_ns_{0};  // by the monotonic clock
  absl::Mutex mutex_;
  std::shared_ptr<const std::string> current_ ABSL_GUARDED_BY(mutex_);
  std::string fault_ ABSL_GUARDED_BY(mutex_);  // told last; "": none
};

}  // namespace tranche
