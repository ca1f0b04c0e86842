// The certificates of a test, and the credentials of a server that asks for them.
#pragma once

#include <grpcpp/grpcpp.h>
#include <grpcpp/security/server_credentials.h>

#include <filesystem>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "absl/base/thread_annotations.h"
#include "absl/strings/str_cat.h"
#include "absl/synchronization/mutex.h"
#include "absl/time/clock.h"
#include "tests/support/scratch_dir.h"
#include "tests/support/test_certificates.h"

namespace tranche {

// `clients`: the PEM of the authorities whose clients may connect; "": nobody is asked for a certificate.
inline std::shared_ptr<grpc::ServerCredentials> TlsDoor(const testing::IssuedCertificate& own,
                                                        const std::string& clients) {
  grpc::SslServerCredentialsOptions options(clients.empty()
                                                ? GRPC_SSL_DONT_REQUEST_CLIENT_CERTIFICATE
                                                : GRPC_SSL_REQUEST_AND_REQUIRE_CLIENT_CERTIFICATE_AND_VERIFY);
  options.pem_root_certs = clients;
  options.pem_key_cert_pairs = {{own.key_pem, own.certificate_pem}};
  return grpc::SslServerCredentials(options);
}

// The names that nodes of these tests have.
inline std::vector<std::string> NodeNames() { return {"IP:127.0.0.1", "DNS:node.test"}; }

inline testing::IssuedCertificate ForNode(const testing::TestAuthority& authority,
                                          std::vector<std::string> names = NodeNames(),
                                          absl::Duration valid_for = absl::Hours(24)) {
  return authority.Issue({.name = "a node", .alternatives = std::move(names), .valid_for = valid_for});
}
inline testing::IssuedCertificate ForClient(const testing::TestAuthority& authority, const std::string& name) {
  return authority.Issue({.name = name, .alternatives = {absl::StrCat("DNS:", name)}});
}

// A client's files: of the authorities that it trusts, its certificate and its key, and its token.
class ClientFiles {
 public:
  void Trust(const std::string& pem) const { testing::ReplaceFile(ca(), pem); }
  void Show(const testing::IssuedCertificate& own) const {
    testing::ReplaceFile(certificate(), own.certificate_pem);
    testing::ReplaceFile(key(), own.key_pem);
  }
  void Say(const std::string& token) const {
    testing::ReplaceFile(this->token(), token + "\n");
    std::filesystem::permissions(this->token(), std::filesystem::perms::owner_read);
  }

  std::string ca() const { return dir_.path() / "ca.pem"; }
  std::string certificate() const { return dir_.path() / "client.pem"; }
  std::string key() const { return dir_.path() / "client.key"; }
  std::string token() const { return dir_.path() / "token"; }

 private:
  const testing::ScratchDir dir_{"client-files"};
};

// Who has called a server: the common names of their certificates, and their tokens. Thread-safe.
class Callers {
 public:
  void Note(const grpc::ServerContext& context) {
    std::string names;
    for (const grpc::string_ref& name : context.auth_context()->FindPropertyValues(GRPC_X509_CN_PROPERTY_NAME)) {
      absl::StrAppend(&names, std::string(name.data(), name.size()));
    }
    const auto authorization = context.client_metadata().find("authorization");
    const bool has_one = authorization != context.client_metadata().end();
    absl::MutexLock lock(&mutex_);
    ++calls_;
    last_name_ = names;
    last_authorization_ =
        has_one ? std::string(authorization->second.data(), authorization->second.size()) : std::string();
  }

  int calls() const {
    absl::MutexLock lock(&mutex_);
    return calls_;
  }
  std::string last_name() const {
    absl::MutexLock lock(&mutex_);
    return last_name_;
  }
  std::string last_authorization() const {
    absl::MutexLock lock(&mutex_);
    return last_authorization_;
  }

 private:
  mutable absl::Mutex mutex_;
  int calls_ ABSL_GUARDED_BY(mutex_) = 0;
  std::string last_name_ ABSL_GUARDED_BY(mutex_);
  std::string last_authorization_ ABSL_GUARDED_BY(mutex_);
};

// Calls `step` until it returns true; false: it did not within a time that is long for anything that happens by itself
// once a second.
template <typename Step>
bool Eventually(Step step) {
  const absl::Time end = absl::Now() + absl::Seconds(60);
  while (!step()) {
    if (absl::Now() > end) return false;
    absl::SleepFor(absl::Milliseconds(20));
  }
  return true;
}

}  // namespace tranche
