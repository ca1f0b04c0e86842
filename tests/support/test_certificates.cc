#include "tests/support/test_certificates.h"

#include <openssl/bio.h>
#include <openssl/bn.h>
#include <openssl/ec.h>
#include <openssl/pem.h>
#include <openssl/rand.h>
#include <openssl/rsa.h>
#include <openssl/x509v3.h>

#include <algorithm>
#include <fstream>

#include "absl/strings/str_join.h"
#include "glog/logging.h"

namespace tranche::testing {
namespace {

constexpr int kSerialBits = 64;
constexpr size_t kWeakBits = 512;  // RSA
constexpr long kVersion3 = 2;

template <typename Write>
std::string PemOf(const Write& write) {
  const std::unique_ptr<BIO, int (*)(BIO*)> bio(BIO_new(BIO_s_mem()), &BIO_free);
  CHECK_EQ(write(bio.get()), 1);
  char* text = nullptr;
  const long size = BIO_get_mem_data(bio.get(), &text);
  return std::string(text, static_cast<size_t>(size));
}

std::string PemOfCertificate(X509* certificate) {
  return PemOf([certificate](BIO* bio) { return PEM_write_bio_X509(bio, certificate); });
}

void SetRandomSerial(X509* certificate) {
  BIGNUM* const number = BN_new();
  CHECK_EQ(BN_rand(number, kSerialBits, BN_RAND_TOP_ONE, BN_RAND_BOTTOM_ANY), 1);
  CHECK(BN_to_ASN1_INTEGER(number, X509_get_serialNumber(certificate)) != nullptr);
  BN_free(number);
}

void AddExtension(X509* certificate, X509* issuer, int kind, const std::string& value) {
  X509V3_CTX context;
  X509V3_set_ctx(&context, issuer, certificate, nullptr, nullptr, 0);
  X509_EXTENSION* const extension = X509V3_EXT_conf_nid(nullptr, &context, kind, value.c_str());
  CHECK(extension != nullptr) << value;
  CHECK_EQ(X509_add_ext(certificate, extension, -1), 1);
  X509_EXTENSION_free(extension);
}

}  // namespace

TestAuthority::Owned<EVP_PKEY> TestAuthority::NewKey(bool weak) {
  Owned<EVP_PKEY> key(weak ? EVP_RSA_gen(kWeakBits) : EVP_EC_gen("P-256"));
  CHECK(key != nullptr);
  return key;
}

// From an hour ago, because clocks differ.
TestAuthority::Owned<X509> TestAuthority::NewCertificate(const std::string& name, absl::Duration valid_for,
                                                         EVP_PKEY* key) {
  Owned<X509> made(X509_new());
  X509_set_version(made.get(), kVersion3);
  SetRandomSerial(made.get());
  X509_gmtime_adj(X509_getm_notBefore(made.get()), absl::ToInt64Seconds(std::min(-absl::Hours(1), 2 * valid_for)));
  X509_gmtime_adj(X509_getm_notAfter(made.get()), absl::ToInt64Seconds(valid_for));
  CHECK_EQ(X509_NAME_add_entry_by_txt(X509_get_subject_name(made.get()), "CN", MBSTRING_UTF8,
                                      reinterpret_cast<const unsigned char*>(name.c_str()), -1, -1, 0),
           1);
  CHECK_EQ(X509_set_pubkey(made.get(), key), 1);
  return made;
}

TestAuthority::TestAuthority(const std::string& name)
    : key_(NewKey()), certificate_(NewCertificate(name, absl::Hours(24), key_.get())) {
  X509* const own = certificate_.get();
  X509_set_issuer_name(own, X509_get_subject_name(own));
  AddExtension(own, own, NID_basic_constraints, "critical,CA:TRUE");
  AddExtension(own, own, NID_key_usage, "critical,keyCertSign,cRLSign");
  AddExtension(own, own, NID_subject_key_identifier, "hash");
  CHECK_GT(X509_sign(own, key_.get(), EVP_sha256()), 0);
  certificate_pem_ = PemOfCertificate(own);
}

IssuedCertificate TestAuthority::Issue(const CertificateRequest& request) const {
  const Owned<EVP_PKEY> key = NewKey(request.weak);
  const Owned<X509> made = NewCertificate(request.name, request.valid_for, key.get());
  X509_set_issuer_name(made.get(), X509_get_subject_name(certificate_.get()));
  AddExtension(made.get(), certificate_.get(), NID_basic_constraints, "critical,CA:FALSE");
  AddExtension(made.get(), certificate_.get(), NID_ext_key_usage, "serverAuth,clientAuth");
  AddExtension(made.get(), certificate_.get(), NID_subject_key_identifier, "hash");
  AddExtension(made.get(), certificate_.get(), NID_authority_key_identifier, "keyid:always");
  if (!request.alternatives.empty()) {
    AddExtension(made.get(), certificate_.get(), NID_subject_alt_name, absl::StrJoin(request.alternatives, ","));
  }
  CHECK_GT(X509_sign(made.get(), key_.get(), EVP_sha256()), 0);
  return {.certificate_pem = PemOfCertificate(made.get()),
          .key_pem = PemOf([&key](BIO* bio) {
            return PEM_write_bio_PrivateKey(bio, key.get(), nullptr, nullptr, 0, nullptr, nullptr);
          }),
          .serial = SerialOf(made.get())};
}

std::string SerialOf(X509* certificate) {
  BIGNUM* const number = ASN1_INTEGER_to_BN(X509_get_serialNumber(certificate), nullptr);
  char* const text = BN_bn2hex(number);
  std::string hex = text;
  OPENSSL_free(text);
  BN_free(number);
  return hex;
}

void ReplaceFile(const std::filesystem::path& path, const std::string& contents) {
  const std::filesystem::path beside = path.string() + ".new";
  {
    std::ofstream file(beside, std::ios::binary);
    file << contents;
    CHECK(file.flush()) << beside;
  }
  std::filesystem::permissions(beside, std::filesystem::perms::owner_read | std::filesystem::perms::owner_write);
  std::filesystem::rename(beside, path);
}

}  // namespace tranche::testing
