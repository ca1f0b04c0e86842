#include "server/process/tls_options.h"

namespace tranche::server {

std::string CheckTls(const TlsOptions& options) {
  const CertificatePaths& files = options.files;
  if (files.certificate.empty() != files.key.empty()) {
    return "--tls-certificate and --tls-key belong together: give both or neither";
  }
  if (!files.authorities.empty() && !options.enabled()) {
    return "--tls-client-ca is of no use without --tls-certificate and --tls-key: give these, too";
  }
  if (options.require_client_certificate && files.authorities.empty()) {
    return "--tls-require-client-certificate needs --tls-client-ca, which says whose certificates are accepted";
  }
  return "";
}

}  // namespace tranche::server
