#include "client/internal/channel_security.h"

#include <grpc/support/log.h>

#include <utility>

#include "absl/strings/str_cat.h"
#include "storage/base/loopback.h"
#include "storage/base/status_macros.h"

namespace tranche::internal {
namespace {

CertificateWatch TellingGrpc() {
  return {.tell = [](bool fault, const std::string& line) {
    gpr_log(__FILE__, __LINE__, fault ? GPR_LOG_SEVERITY_ERROR : GPR_LOG_SEVERITY_INFO, "tranche: %s", line.c_str());
  }};
}

std::shared_ptr<grpc::ChannelCredentials> SslCredentialsFrom(const Certificates& certificates) {
  grpc::SslCredentialsOptions options;
  options.pem_root_certs = certificates.authorities_pem;  // "": gRPC takes the system's
  options.pem_private_key = certificates.key_pem;
  options.pem_cert_chain = certificates.certificate_pem;
  return grpc::SslCredentials(options);
}

bool NamesFiles(const TlsOptions& tls) { return !tls.ca_file.empty() || !tls.certificate_file.empty(); }

}  // namespace

absl::StatusOr<std::unique_ptr<ChannelSecurity>> ChannelSecurity::Open(const std::optional<TlsOptions>& tls,
                                                                       const std::string& token_file) {
  std::unique_ptr<CertificateFiles> files;
  if (tls.has_value() && NamesFiles(*tls)) {
    ASSIGN_OR_RETURN(
        files,
        CertificateFiles::Open(
            {.certificate = tls->certificate_file, .key = tls->key_file, .authorities = tls->ca_file}, TellingGrpc()));
  }
  std::unique_ptr<TokenFile> token;
  if (!token_file.empty()) {
    ASSIGN_OR_RETURN(token, TokenFile::Open(token_file, TellingGrpc()));
  }
  return std::unique_ptr<ChannelSecurity>(new ChannelSecurity(tls, std::move(files), std::move(token)));
}

ChannelSecurity::ChannelSecurity(const std::optional<TlsOptions>& tls, std::unique_ptr<CertificateFiles> files,
                                 std::unique_ptr<TokenFile> token)
    : server_name_(tls.has_value() ? tls->server_name : ""),
      files_(std::move(files)),
      token_(std::move(token)),
      // With files, Credentials() makes them.
      credentials_(tls.has_value() ? SslCredentialsFrom({}) : grpc::InsecureChannelCredentials()) {}

std::shared_ptr<grpc::ChannelCredentials> ChannelSecurity::Credentials() {
  absl::MutexLock lock(&mutex_);
  if (files_ == nullptr) return credentials_;
  const std::shared_ptr<const Certificates> current = files_->Refresh();
  if (current != certificates_) {
    certificates_ = current;
    credentials_ = SslCredentialsFrom(*current);
  }
  return credentials_;
}

void ChannelSecurity::AddTo(grpc::ChannelArguments& arguments, const std::string& endpoint) const {
  if (IsLoopbackEndpoint(endpoint)) arguments.SetInt(GRPC_ARG_ENABLE_HTTP_PROXY, 0);
  if (!server_name_.empty()) arguments.SetSslTargetNameOverride(server_name_);
}

void ChannelSecurity::Authorize(grpc::ClientContext& context) const {
  if (token_ != nullptr) context.AddMetadata("authorization", absl::StrCat("Bearer ", *token_->Current()));
}

}  // namespace tranche::internal
