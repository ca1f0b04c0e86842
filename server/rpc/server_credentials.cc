#include "server/rpc/server_credentials.h"

#include <grpc/grpc.h>
#include <grpc/grpc_security.h>

#include <chrono>
#include <memory>
#include <string>

#include "absl/base/thread_annotations.h"
#include "absl/synchronization/mutex.h"
#include "absl/time/time.h"
#include "glog/logging.h"

namespace tranche::server {
namespace {

grpc_ssl_client_certificate_request_type RequestOf(const ServedCertificates& certificates) {
  if (!certificates.asks_callers()) return GRPC_SSL_DONT_REQUEST_CLIENT_CERTIFICATE;
  return certificates.requires_callers() ? GRPC_SSL_REQUEST_AND_REQUIRE_CLIENT_CERTIFICATE_AND_VERIFY
                                         : GRPC_SSL_REQUEST_CLIENT_CERTIFICATE_AND_VERIFY;
}

class ReloadedCredentials final : public grpc::ServerCredentials {
 public:
  ReloadedCredentials(ServedCertificates* certificates, absl::Duration sessions_last)
      : certificates_(certificates),
        sessions_last_(sessions_last),
        credentials_(grpc_ssl_server_credentials_create_with_options(
            grpc_ssl_server_credentials_create_options_using_config_fetcher(RequestOf(*certificates),
                                                                            &ReloadedCredentials::Fetch, this))) {
    CHECK(credentials_ != nullptr);
  }
  ~ReloadedCredentials() override { grpc_server_credentials_release(credentials_); }

  void SetAuthMetadataProcessor(const std::shared_ptr<grpc::AuthMetadataProcessor>&) override {
    LOG(FATAL) << "who calls is decided by the call frame";
  }

 private:
  // gRPC asks once when it binds the port, and then at each handshake, on its threads, one at a time.
  static grpc_ssl_certificate_config_reload_status Fetch(void* self, grpc_ssl_server_certificate_config** config) {
    return static_cast<ReloadedCredentials*>(self)->FetchNewest(config);
  }

  grpc_ssl_certificate_config_reload_status FetchNewest(grpc_ssl_server_certificate_config** config) {
    absl::MutexLock lock(&mutex_);
    const std::shared_ptr<const Certificates> newest = certificates_->Current();
    if (newest == given_ && !EndsSessions()) return GRPC_SSL_CERTIFICATE_CONFIG_RELOAD_UNCHANGED;
    const grpc_ssl_pem_key_cert_pair own{newest->key_pem.c_str(), newest->certificate_pem.c_str()};
    // gRPC wants some that it can load even if nobody is asked for a certificate: then it uses none.
    const std::string& authorities = certificates_->asks_callers() ? newest->authorities_pem : newest->certificate_pem;
    *config = grpc_ssl_server_certificate_config_create(authorities.c_str(), &own, 1);
    given_ = newest;
    given_at_ = std::chrono::steady_clock::now();
    return GRPC_SSL_CERTIFICATE_CONFIG_RELOAD_NEW;
  }

  // gRPC has no setting for it. But each configuration that it is given has keys for tickets of its own.
  bool EndsSessions() const ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_) {
    if (!certificates_->asks_callers()) return false;
    return absl::FromChrono(std::chrono::steady_clock::now() - given_at_) >= sessions_last_;
  }

  int AddPortToServer(const std::string& address, grpc_server* server) override {
    return grpc_server_add_http2_port(server, address.c_str(), credentials_);
  }

  ServedCertificates* const certificates_;
  const absl::Duration sessions_last_;
  absl::Mutex mutex_;
  std::shared_ptr<const Certificates> given_ ABSL_GUARDED_BY(mutex_);  // that gRPC has taken last
  std::chrono::steady_clock::time_point given_at_ ABSL_GUARDED_BY(mutex_);
  grpc_server_credentials* const credentials_;
};

}  // namespace

std::shared_ptr<grpc::ServerCredentials> MakeServerCredentials(ServedCertificates* certificates,
                                                               absl::Duration sessions_last) {
  return std::make_shared<ReloadedCredentials>(certificates, sessions_last);
}

}  // namespace tranche::server
