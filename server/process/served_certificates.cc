#include "server/process/served_certificates.h"

#include <utility>

#include "absl/strings/str_cat.h"
#include "storage/base/certificate_log.h"

namespace tranche::server {
namespace {

constexpr absl::Duration kLookEvery = absl::Seconds(1);

}  // namespace

absl::StatusOr<std::unique_ptr<ServedCertificates>> ServedCertificates::Open(const TlsOptions& options) {
  if (!options.enabled()) return nullptr;
  CertificateWatch watch = LoggedCertificates();
  watch.look_every = absl::ZeroDuration();  // look_task_ says when
  auto files = CertificateFiles::Open(options.files, std::move(watch));
  if (!files.ok()) {
    return absl::InvalidArgumentError(absl::StrCat(
        "cannot serve with TLS (--tls-certificate, --tls-key, --tls-client-ca): ", files.status().message()));
  }
  return std::unique_ptr<ServedCertificates>(
      new ServedCertificates(*std::move(files), options.require_client_certificate));
}

ServedCertificates::ServedCertificates(std::unique_ptr<CertificateFiles> files, bool requires_callers)
    : files_(std::move(files)),
      requires_callers_(requires_callers),
      look_task_(kLookEvery, [this] { (void)files_->Refresh(); }) {}

}  // namespace tranche::server
