// TLS for the door of the metrics, with certificates that change while it is open.
#pragma once

#include <openssl/ssl.h>

#include <memory>

#include "absl/base/thread_annotations.h"
#include "absl/status/statusor.h"
#include "absl/synchronization/mutex.h"
#include "server/process/served_certificates.h"

namespace tranche::server {

// Thread-safe.
class DoorTls {
 public:
  struct FreeSsl {
    void operator()(SSL* ssl) const { SSL_free(ssl); }
  };
  using Session = std::unique_ptr<SSL, FreeSsl>;

  // Fails if OpenSSL refuses the certificates, such as a key that is too short. `certificates` outlive it.
  static absl::StatusOr<std::unique_ptr<DoorTls>> Make(ServedCertificates* certificates);

  // For a caller who has connected through this socket: with the newest certificates that OpenSSL accepts. Null if
  // there is no memory. TLS 1.2 at least; no session is resumed, so that each connection is checked by the newest
  // authorities.
  Session NewSession(int socket);

 private:
  explicit DoorTls(ServedCertificates* certificates) : certificates_(certificates) {}

  absl::Status Refresh() ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);

  ServedCertificates* const certificates_;
  absl::Mutex mutex_;
  std::shared_ptr<const Certificates> taken_ ABSL_GUARDED_BY(mutex_);  // looked at last
  std::shared_ptr<SSL_CTX> context_ ABSL_GUARDED_BY(mutex_);           // of the last that OpenSSL accepted
};

}  // namespace tranche::server
