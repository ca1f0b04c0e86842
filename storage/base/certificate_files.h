// A certificate with its key and the authorities that one trusts, read from PEM files and read again when they change.
//
// Whoever renews certificates writes two or three files, one after the other, while others read them. So a set counts
// only if no file changed while it was read, all parse, the key is that of the certificate, and OpenSSL takes both.
// Until then the last whole set stays in use.
#pragma once

#include <cstddef>
#include <cstdint>
#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "absl/base/thread_annotations.h"
#include "absl/status/statusor.h"
#include "absl/synchronization/mutex.h"
#include "absl/time/time.h"

namespace tranche {

struct CertificatePaths {
  std::string certificate = {};  // chain, the own one first; "": none
  // Of the first certificate, not encrypted; "" only if `certificate` is. Nobody else may read it (secret_file.h).
  std::string key = {};
  std::string authorities = {};  // trusted; "": none
};

// The contents; key_pem is secret.
struct Certificates {
  std::string certificate_pem = {}, key_pem = {}, authorities_pem = {};
  absl::Time expires_at = absl::InfiniteFuture();  // the first of the own chain to expire
};

// Larger files are refused.
inline constexpr size_t kMostCertificateFileBytes = 1024 * 1024;

// Reads and checks them: all can be parsed, the key is that of the first certificate, and both are strong enough
// for OpenSSL. Certificates that have expired are no error: others judge that. The error names the file and what to do,
// never its contents.
absl::StatusOr<Certificates> ReadCertificates(const CertificatePaths& paths);

struct CertificateWatch {
  // Told one line when another set is taken (not for the first), and when a faulty one is not; not for the same fault
  // again. Called from whichever threads call Refresh(), without a lock: it may block. Null: nothing is said.
  // storage/base/certificate_log.h writes to the log.
  std::function<void(bool fault, const std::string& line)> tell = nullptr;
  // The files are looked at no more often than this.
  absl::Duration look_every = absl::Seconds(1);
};

// Thread-safe.
class CertificateFiles {
 public:
  // An error is that of ReadCertificates.
  static absl::StatusOr<std::unique_ptr<CertificateFiles>> Open(CertificatePaths paths, CertificateWatch watch = {});

  // The newest that were found whole; never null. Another pointer than the last time is another set. Touches no file.
  std::shared_ptr<const Certificates> Current() const;
  // The same, but looks at the files now and then, and reads them if inode, size or time has changed; a half-written or
  // faulty set keeps the old one. May block for as long as the disk does.
  std::shared_ptr<const Certificates> Refresh();

  // The files could not be used when they were looked at last, so an older set is in use. Touches no file.
  bool faulty() const;

  const CertificatePaths& paths() const { return paths_; }

 private:
  // Of the three files, what tells whether they are still the same.
  using Stamps = std::vector<std::string>;

  CertificateFiles(CertificatePaths paths, CertificateWatch watch);
  static Stamps StampsOf(const CertificatePaths& paths);

  // What is to be told; no line: nothing.
  struct News {
    bool fault = false;
    std::string line = {};
  };
  News Look() ABSL_EXCLUSIVE_LOCKS_REQUIRED(looking_);
  void NoteFault(const std::string& fault) ABSL_EXCLUSIVE_LOCKS_REQUIRED(looking_);
  News Take(Certificates certificates) ABSL_EXCLUSIVE_LOCKS_REQUIRED(looking_);
  News Keep(const std::string& fault) ABSL_EXCLUSIVE_LOCKS_REQUIRED(looking_);

  const CertificatePaths paths_;
  const CertificateWatch watch_;
  absl::Mutex looking_;                                 // held while files are read
  Stamps stamps_ ABSL_GUARDED_BY(looking_);             // of current_
  int64_t next_look_ns_ ABSL_GUARDED_BY(looking_) = 0;  // by the monotonic clock
  std::string fault_ ABSL_GUARDED_BY(looking_);         // told last; "": none since current_ was found whole
  mutable absl::Mutex mutex_;                           // held for a moment
  std::shared_ptr<const Certificates> current_ ABSL_GUARDED_BY(mutex_);
  bool faulty_ ABSL_GUARDED_BY(mutex_) = false;
};

}  // namespace tranche
