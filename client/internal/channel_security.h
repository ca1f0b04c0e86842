// How channels are secured, and what calls carry to say who makes them; with files that may change meanwhile.
#pragma once

#include <grpcpp/client_context.h>
#include <grpcpp/security/credentials.h>
#include <grpcpp/support/channel_arguments.h>

#include <memory>
#include <optional>
#include <string>

#include "absl/base/thread_annotations.h"
#include "absl/status/statusor.h"
#include "absl/synchronization/mutex.h"
#include "storage/base/certificate_files.h"
#include "storage/base/token_file.h"
#include "tranche/options.h"

namespace tranche::internal {

// Thread-safe. What it has to say about files that change goes to gRPC's log.
class ChannelSecurity {
 public:
  // Reads the files; INVALID_ARGUMENT names one that cannot be used. Without `tls` it is plaintext, without
  // `token_file` calls carry nothing. The caller has checked that no token leaves this machine in plaintext.
  static absl::StatusOr<std::unique_ptr<ChannelSecurity>> Open(const std::optional<TlsOptions>& tls,
                                                               const std::string& token_file);

  // For channels that are made now. Another pointer than the last time says that the files have changed, and that new
  // channels are due: those that there are keep what they were made with.
  std::shared_ptr<grpc::ChannelCredentials> Credentials();
  // Whether Credentials() may ever change.
  bool renews() const { return files_ != nullptr; }
  // What every channel to this HOST:PORT needs. What goes to this machine itself goes through no proxy.
  void AddTo(grpc::ChannelArguments& arguments, const std::string& endpoint) const;

  bool has_token() const { return token_ != nullptr; }
  // Puts the token, if there is one, into a context that is not in use yet.
  void Authorize(grpc::ClientContext& context) const;

 private:
  ChannelSecurity(const std::optional<TlsOptions>& tls, std::unique_ptr<CertificateFiles> files,
                  std::unique_ptr<TokenFile> token);

  const std::string server_name_;
  const std::unique_ptr<CertificateFiles> files_;  // null: nothing of the channels comes from a file
  const std::unique_ptr<TokenFile> token_;         // null: none
  absl::Mutex mutex_;
  std::shared_ptr<const Certificates> certificates_ ABSL_GUARDED_BY(mutex_);  // of credentials_
  std::shared_ptr<grpc::ChannelCredentials> credentials_ ABSL_GUARDED_BY(mutex_);
};

}  // namespace tranche::internal
