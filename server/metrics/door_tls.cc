#include "server/metrics/door_tls.h"

#include <openssl/bio.h>
#include <openssl/err.h>
#include <openssl/evp.h>
#include <openssl/pem.h>
#include <openssl/x509.h>

#include <string>
#include <utility>
#include <vector>

#include "absl/strings/str_cat.h"
#include "glog/logging.h"
#include "storage/base/status_macros.h"

namespace tranche::server {
namespace {

using DoorBio = std::unique_ptr<BIO, int (*)(BIO*)>;
using DoorCertificate = std::unique_ptr<X509, void (*)(X509*)>;

DoorBio Reading(const std::string& pem) {
  return {BIO_new_mem_buf(pem.data(), static_cast<int>(pem.size())), &BIO_free};
}

// They have been checked when they were read from their file.
std::vector<DoorCertificate> CertificatesIn(const std::string& pem) {
  const DoorBio bio = Reading(pem);
  std::vector<DoorCertificate> found;
  while (X509* const next = PEM_read_bio_X509(bio.get(), nullptr, nullptr, nullptr)) {
    found.emplace_back(next, &X509_free);
  }
  ERR_clear_error();
  return found;
}

absl::Status Refused(absl::string_view what) {
  const char* const why = ERR_reason_error_string(ERR_peek_last_error());
  absl::Status refused = absl::InvalidArgumentError(
      absl::StrCat("OpenSSL refuses ", what, " (", why == nullptr ? "without a reason" : why, "): give another one"));
  ERR_clear_error();
  return refused;
}

absl::Status UseOwn(const Certificates& certificates, SSL_CTX* context) {
  const std::vector<DoorCertificate> chain = CertificatesIn(certificates.certificate_pem);
  for (size_t i = 0; i < chain.size(); ++i) {
    const bool used = i == 0 ? SSL_CTX_use_certificate(context, chain[i].get()) == 1
                             : SSL_CTX_add1_chain_cert(context, chain[i].get()) == 1;
    if (!used) return Refused("a certificate of --tls-certificate");
  }
  const DoorBio bio = Reading(certificates.key_pem);
  const std::unique_ptr<EVP_PKEY, void (*)(EVP_PKEY*)> key(
      PEM_read_bio_PrivateKey(bio.get(), nullptr, nullptr, nullptr), &EVP_PKEY_free);
  if (key == nullptr || SSL_CTX_use_PrivateKey(context, key.get()) != 1) return Refused("the key of --tls-key");
  return absl::OkStatus();
}

absl::Status AskCallers(const std::string& authorities_pem, bool require, SSL_CTX* context) {
  for (const DoorCertificate& authority : CertificatesIn(authorities_pem)) {
    const bool added = X509_STORE_add_cert(SSL_CTX_get_cert_store(context), authority.get()) == 1 &&
                       SSL_CTX_add_client_CA(context, authority.get()) == 1;
    if (!added) return Refused("an authority of --tls-client-ca");
  }
  SSL_CTX_set_verify(context, SSL_VERIFY_PEER | (require ? SSL_VERIFY_FAIL_IF_NO_PEER_CERT : 0), nullptr);
  return absl::OkStatus();
}

absl::StatusOr<std::shared_ptr<SSL_CTX>> MakeContext(const Certificates& newest, const ServedCertificates& asked) {
  ERR_clear_error();
  std::shared_ptr<SSL_CTX> context(SSL_CTX_new(TLS_server_method()), &SSL_CTX_free);
  if (context == nullptr) return absl::ResourceExhaustedError("OpenSSL has no memory");
  SSL_CTX_set_min_proto_version(context.get(), TLS1_2_VERSION);
  SSL_CTX_set_options(context.get(), SSL_OP_NO_RENEGOTIATION | SSL_OP_NO_TICKET | SSL_OP_NO_COMPRESSION);
  SSL_CTX_set_session_cache_mode(context.get(), SSL_SESS_CACHE_OFF);
  SSL_CTX_set_num_tickets(context.get(), 0);
  // The chain is as its file has it, and is not completed with the authorities of callers.
  SSL_CTX_set_mode(context.get(), SSL_MODE_NO_AUTO_CHAIN);
  RETURN_IF_ERROR(UseOwn(newest, context.get()));
  if (asked.asks_callers())
    RETURN_IF_ERROR(AskCallers(newest.authorities_pem, asked.requires_callers(), context.get()));
  return context;
}

}  // namespace

absl::StatusOr<std::unique_ptr<DoorTls>> DoorTls::Make(ServedCertificates* certificates) {
  std::unique_ptr<DoorTls> door(new DoorTls(certificates));
  absl::MutexLock lock(&door->mutex_);
  RETURN_IF_ERROR(door->Refresh());
  return door;
}

DoorTls::Session DoorTls::NewSession(int socket) {
  std::shared_ptr<SSL_CTX> context;
  absl::Status refreshed;
  {
    absl::MutexLock lock(&mutex_);
    refreshed = Refresh();
    context = context_;
  }
  LOG_IF(ERROR, !refreshed.ok()) << "TLS: the metrics stay with the certificates before: " << refreshed.message();
  // A session keeps its context.
  Session session(SSL_new(context.get()));
  if (session != nullptr && SSL_set_fd(session.get(), socket) != 1) session.reset();
  if (session != nullptr) SSL_set_accept_state(session.get());
  return session;
}

absl::Status DoorTls::Refresh() {
  std::shared_ptr<const Certificates> newest = certificates_->Current();
  if (newest == taken_) return absl::OkStatus();
  taken_ = std::move(newest);
  ASSIGN_OR_RETURN(context_, MakeContext(*taken_, *certificates_));
  return absl::OkStatus();
}

}  // namespace tranche::server
