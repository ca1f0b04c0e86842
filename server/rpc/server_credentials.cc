#include "server/rpc/server_credentials.h"

#include <grpc/grpc.h>
#include <grpc/grpc_security.h>

#include <memory>
#include <string>

#include "absl/base/thread_annotations.h"
#include "absl/synchronization/mutex.h"
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
  explicit ReloadedCredentials(ServedCertificates* certificates)
      : certificates_(certificates),
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
    if (newest == given_) return GRPC_SSL_CERTIFICATE_CONFIG_RELOAD_UNCHANGED;
    const grpc_ssl_pem_key_cert_pair own{newest->key_pem.c_str(), newest->certificate_pem.c_str()};
    const char* const authorities = certificates_->asks_callers() ? newest->authorities_pem.c_str() : nullptr;
    *config = grpc_ssl_server_certificate_config_create(authorities, &own, 1);
    given_ = newest;
    return GRPC_SSL_CERTIFICATE_CONFIG_RELOAD_NEW;
  }

  int AddPortToServer(const std::string& address, grpc_server* server) override {
    return grpc_server_add_http2_port(server, address.c_str(), credentials_);
  }

  ServedCertificates* const certificates_;
  absl::Mutex mutex_;
  std::shared_ptr<const Certificates> given_ ABSL_GUARDED_BY(mutex_);  // that gRPC has taken last
  grpc_server_credentials* const credentials_;
};

}  // namespace

std::shared_ptr<grpc::ServerCredentials> MakeServerCredentials(ServedCertificates* certificates) {
  return std::make_shared<ReloadedCredentials>(certificates);
}

}  // namespace tranche::server
