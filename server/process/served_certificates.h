// The certificates that this process serves with. It looks at their files all the time, so that a fault is in the log
// and the metrics are fresh even while nobody connects.
#pragma once

#include <memory>

#include "absl/status/statusor.h"
#include "server/process/periodic_task.h"
#include "server/process/tls_options.h"
#include "storage/base/certificate_files.h"

namespace tranche::server {

// Thread-safe.
class ServedCertificates {
 public:
  // Null if TLS is off. An error says which file is at fault, and what to do.
  static absl::StatusOr<std::unique_ptr<ServedCertificates>> Open(const TlsOptions& options);

  // The newest that were whole; never null. Cheap: a thread of its own looks at the files, once a second.
  std::shared_ptr<const Certificates> Current() { return files_->Current(); }
  // The files cannot be used as they are now; Current() is older.
  bool faulty() const { return files_->faulty(); }
  // Callers are asked for a certificate, which is verified.
  bool asks_callers() const { return !files_->paths().authorities.empty(); }
  // Callers without one are refused.
  bool requires_callers() const { return requires_callers_; }

 private:
  ServedCertificates(std::unique_ptr<CertificateFiles> files, bool requires_callers);

  const std::unique_ptr<CertificateFiles> files_;
  const bool requires_callers_;
  PeriodicTask look_task_;  // last: it uses the others
};

}  // namespace tranche::server
