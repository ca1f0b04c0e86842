// Certificates for tests: an authority, and what it signs.
#pragma once

#include <openssl/evp.h>
#include <openssl/x509.h>

#include <filesystem>
#include <memory>
#include <string>
#include <vector>

#include "absl/time/time.h"

namespace tranche::testing {

struct CertificateRequest {
  std::string name = "localhost";                                             // the common name
  std::vector<std::string> alternatives = {"DNS:localhost", "IP:127.0.0.1"};  // as OpenSSL's configuration has them
  absl::Duration valid_for = absl::Hours(24);                                 // from now; negative: it has expired
  bool weak = false;                                                          // has a key that OpenSSL does not take
};

struct IssuedCertificate {
  std::string certificate_pem, key_pem;
  std::string serial;  // in hex
};

// Thread-compatible. Checks that OpenSSL does what it is told.
class TestAuthority {
 public:
  explicit TestAuthority(const std::string& name = "Test authority");
  TestAuthority(const TestAuthority&) = delete;
  TestAuthority& operator=(const TestAuthority&) = delete;

  const std::string& certificate_pem() const { return certificate_pem_; }
  // For servers and clients alike. Each has a key and a serial number of its own.
  IssuedCertificate Issue(const CertificateRequest& request = {}) const;

 private:
  struct Free {
    void operator()(EVP_PKEY* key) const { EVP_PKEY_free(key); }
    void operator()(X509* certificate) const { X509_free(certificate); }
  };
  template <typename T>
  using Owned = std::unique_ptr<T, Free>;

  static Owned<EVP_PKEY> NewKey(bool weak = false);
  static Owned<X509> NewCertificate(const std::string& name, absl::Duration valid_for, EVP_PKEY* key);

  const Owned<EVP_PKEY> key_;
  const Owned<X509> certificate_;
  std::string certificate_pem_;
};

// In hex, as in IssuedCertificate.
std::string SerialOf(X509* certificate);

// Writes the file as those who renew certificates should: readers see the old one or the new one, whole. Only its
// owner may read it.
void ReplaceFile(const std::filesystem::path& path, const std::string& contents);

}  // namespace tranche::testing
