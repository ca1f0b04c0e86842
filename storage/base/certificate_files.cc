#include "storage/base/certificate_files.h"

#include <fcntl.h>
#include <openssl/bio.h>
#include <openssl/err.h>
#include <openssl/evp.h>
#include <openssl/pem.h>
#include <openssl/ssl.h>
#include <openssl/x509.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <chrono>
#include <ctime>
#include <system_error>
#include <utility>

#include "absl/strings/str_cat.h"
#include "absl/strings/string_view.h"
#include "absl/time/clock.h"
#include "storage/base/secret_file.h"
#include "storage/base/status_macros.h"

namespace tranche {
namespace {

template <auto free_it>
struct Free {
  template <typename T>
  void operator()(T* it) const {
    free_it(it);
  }
};
using Bio = std::unique_ptr<BIO, Free<BIO_free_all>>;
using Certificate = std::unique_ptr<X509, Free<X509_free>>;
using Key = std::unique_ptr<EVP_PKEY, Free<EVP_PKEY_free>>;

int64_t MonotonicNanos() {
  return std::chrono::duration_cast<std::chrono::nanoseconds>(std::chrono::steady_clock::now().time_since_epoch())
      .count();
}

std::string ErrnoText(int error) { return std::error_code(error, std::generic_category()).message(); }

absl::Status CannotRead(const std::string& path, absl::string_view why) {
  return absl::InvalidArgumentError(
      absl::StrCat("cannot read ", path, " (", why, "): give a PEM file that this user may read"));
}

// OpenSSL's errors are kept per thread: none of ours may be found by who uses it next, such as gRPC.
class ClearedErrors {
 public:
  ClearedErrors() { ERR_clear_error(); }
  ~ClearedErrors() { ERR_clear_error(); }
  ClearedErrors(const ClearedErrors&) = delete;
  ClearedErrors& operator=(const ClearedErrors&) = delete;
};

class OpenFile {
 public:
  // Without waiting for a writer, if it is a pipe.
  explicit OpenFile(const std::string& path) : number_(open(path.c_str(), O_RDONLY | O_CLOEXEC | O_NONBLOCK)) {}
  ~OpenFile() {
    if (number_ >= 0) close(number_);
  }
  OpenFile(const OpenFile&) = delete;
  OpenFile& operator=(const OpenFile&) = delete;
  int number() const { return number_; }

 private:
  const int number_;
};

enum class Secrecy { kPublic, kSecret };

absl::StatusOr<std::string> ReadFile(const std::string& path, Secrecy secrecy = Secrecy::kPublic) {
  const OpenFile file(path);
  struct stat status {};
  if (file.number() < 0 || fstat(file.number(), &status) != 0) return CannotRead(path, ErrnoText(errno));
  if (!S_ISREG(status.st_mode)) return CannotRead(path, "it is not a file");
  if (secrecy == Secrecy::kSecret && IsOpenToOthers(status)) {
    return absl::InvalidArgumentError(OpenToOthersFault(path));
  }
  std::string contents;
  char piece[16 * 1024];
  while (contents.size() <= kMostCertificateFileBytes) {
    const ssize_t got = read(file.number(), piece, sizeof(piece));
    if (got < 0 && errno == EINTR) continue;
    if (got < 0) return CannotRead(path, ErrnoText(errno));
    if (got == 0) return contents;
    contents.append(piece, static_cast<size_t>(got));
  }
  return CannotRead(path, absl::StrCat("it has more than ", kMostCertificateFileBytes, " bytes"));
}

Bio BioOf(const std::string& pem) { return Bio(BIO_new_mem_buf(pem.data(), static_cast<int>(pem.size()))); }

// All of a file, in its order; at least one.
absl::StatusOr<std::vector<Certificate>> ParseCertificates(const std::string& path, const std::string& pem) {
  const ClearedErrors cleared;
  const Bio bio = BioOf(pem);
  std::vector<Certificate> found;
  while (true) {
    Certificate certificate(PEM_read_bio_X509(bio.get(), nullptr, nullptr, nullptr));
    if (certificate == nullptr) break;
    found.push_back(std::move(certificate));
  }
  const bool at_end = ERR_GET_REASON(ERR_peek_last_error()) == PEM_R_NO_START_LINE;
  if (at_end && !found.empty()) return found;
  return absl::InvalidArgumentError(
      absl::StrCat(path, at_end ? " holds no certificate" : " holds a damaged certificate",
                   ": give a file with certificates as PEM, beginning with -----BEGIN CERTIFICATE-----"));
}

// Nobody is asked for a password.
int NoPassword(char*, int, int, void*) { return -1; }

absl::StatusOr<Key> ParseKey(const std::string& path, const std::string& pem) {
  const ClearedErrors cleared;
  Key key(PEM_read_bio_PrivateKey(BioOf(pem).get(), nullptr, &NoPassword, nullptr));
  if (key != nullptr) return key;
  return absl::InvalidArgumentError(
      absl::StrCat(path, " holds no readable private key: give a file with one as PEM that is not encrypted"));
}

bool IsKeyOf(const Key& key, const Certificate& certificate) {
  const ClearedErrors cleared;
  return X509_check_private_key(certificate.get(), key.get()) == 1;
}

absl::Status Refused(const std::string& path) {
  const char* const why = ERR_reason_error_string(ERR_peek_last_error());
  return absl::InvalidArgumentError(absl::StrCat("OpenSSL refuses ", path, " (", why == nullptr ? "no reason" : why,
                                                 "): give one that is strong enough for its security level"));
}

// What parses may still be too weak for OpenSSL. Then no connection would use it.
absl::Status CheckUse(const CertificatePaths& paths, const std::vector<Certificate>& chain, const Key& key) {
  const ClearedErrors cleared;
  const std::unique_ptr<SSL_CTX, Free<SSL_CTX_free>> context(SSL_CTX_new(TLS_method()));
  if (context == nullptr) return absl::ResourceExhaustedError("OpenSSL has no memory");
  for (size_t i = 0; i < chain.size(); ++i) {
    const bool used = i == 0 ? SSL_CTX_use_certificate(context.get(), chain[i].get()) == 1
                             : SSL_CTX_add1_chain_cert(context.get(), chain[i].get()) == 1;
    if (!used) return Refused(paths.certificate);
  }
  return SSL_CTX_use_PrivateKey(context.get(), key.get()) == 1 ? absl::OkStatus() : Refused(paths.key);
}

absl::Time ExpiryOf(const Certificate& certificate) {
  tm when{};
  // What cannot be read has expired, as far as anybody can tell.
  if (ASN1_TIME_to_tm(X509_get0_notAfter(certificate.get()), &when) != 1) return absl::InfinitePast();
  return absl::FromTM(when, absl::UTCTimeZone());
}

// Who a certificate is about, in one line that cannot break a log's line; "" for one that names nobody.
std::string SubjectOf(const Certificate& certificate) {
  const Bio bio(BIO_new(BIO_s_mem()));
  X509_NAME_print_ex(bio.get(), X509_get_subject_name(certificate.get()), 0, XN_FLAG_ONELINE);
  char* text = nullptr;
  const long size = BIO_get_mem_data(bio.get(), &text);
  constexpr long kMostShown = 256;
  return std::string(text, static_cast<size_t>(std::min(std::max(size, 0L), kMostShown)));
}

absl::Status CheckPaths(const CertificatePaths& paths) {
  if (paths.certificate.empty() == paths.key.empty()) return absl::OkStatus();
  return absl::InvalidArgumentError(absl::StrCat(paths.key.empty() ? "the certificate " : "the key ",
                                                 paths.key.empty() ? paths.certificate : paths.key, " comes without a ",
                                                 paths.key.empty() ? "key" : "certificate", ": give both or neither"));
}

absl::Status ReadOwn(const CertificatePaths& paths, Certificates* into) {
  ASSIGN_OR_RETURN(into->certificate_pem, ReadFile(paths.certificate));
  ASSIGN_OR_RETURN(into->key_pem, ReadFile(paths.key, Secrecy::kSecret));
  ASSIGN_OR_RETURN(const std::vector<Certificate> chain, ParseCertificates(paths.certificate, into->certificate_pem));
  ASSIGN_OR_RETURN(const Key key, ParseKey(paths.key, into->key_pem));
  if (!IsKeyOf(key, chain.front())) {
    return absl::InvalidArgumentError(absl::StrCat(paths.key, " is not the key of the first certificate in ",
                                                   paths.certificate, ": give the two that belong together"));
  }
  RETURN_IF_ERROR(CheckUse(paths, chain, key));
  for (const Certificate& certificate : chain) into->expires_at = std::min(into->expires_at, ExpiryOf(certificate));
  return absl::OkStatus();
}

// What a set is, for the log.
std::string Describe(const CertificatePaths& paths, const Certificates& certificates) {
  std::string line = "TLS: new files are in use";
  if (!certificates.certificate_pem.empty()) {
    const auto chain = ParseCertificates(paths.certificate, certificates.certificate_pem);
    absl::StrAppend(&line, "; ", paths.certificate, " is of \"", chain.ok() ? SubjectOf(chain->front()) : "", "\", ",
                    certificates.expires_at <= absl::Now() ? "HAS EXPIRED at " : "expires at ",
                    absl::FormatTime(absl::RFC3339_sec, certificates.expires_at, absl::UTCTimeZone()));
  }
  if (!certificates.authorities_pem.empty()) absl::StrAppend(&line, "; authorities from ", paths.authorities);
  return line;
}

std::string StampOf(const std::string& path) {
  struct stat status {};
  if (path.empty()) return "";
  if (stat(path.c_str(), &status) != 0) return ErrnoText(errno);
  return absl::StrCat(status.st_dev, " ", status.st_ino, " ", status.st_size, " ", status.st_mtim.tv_sec, " ",
                      status.st_mtim.tv_nsec);
}

}  // namespace

absl::StatusOr<Certificates> ReadCertificates(const CertificatePaths& paths) {
  RETURN_IF_ERROR(CheckPaths(paths));
  Certificates certificates;
  if (!paths.certificate.empty()) RETURN_IF_ERROR(ReadOwn(paths, &certificates));
  if (!paths.authorities.empty()) {
    ASSIGN_OR_RETURN(certificates.authorities_pem, ReadFile(paths.authorities));
    RETURN_IF_ERROR(ParseCertificates(paths.authorities, certificates.authorities_pem).status());
  }
  return certificates;
}

absl::StatusOr<std::unique_ptr<CertificateFiles>> CertificateFiles::Open(CertificatePaths paths,
                                                                         CertificateWatch watch) {
  // If they change meanwhile, the next look sees it.
  Stamps stamps = StampsOf(paths);
  ASSIGN_OR_RETURN(Certificates first, ReadCertificates(paths));
  std::unique_ptr<CertificateFiles> files(new CertificateFiles(std::move(paths), std::move(watch)));
  absl::MutexLock looking(&files->looking_);
  files->stamps_ = std::move(stamps);
  absl::MutexLock lock(&files->mutex_);
  files->current_ = std::make_shared<const Certificates>(std::move(first));
  return files;
}

CertificateFiles::CertificateFiles(CertificatePaths paths, CertificateWatch watch)
    : paths_(std::move(paths)), watch_(std::move(watch)) {}

std::shared_ptr<const Certificates> CertificateFiles::Current() const {
  absl::MutexLock lock(&mutex_);
  return current_;
}

bool CertificateFiles::faulty() const {
  absl::MutexLock lock(&mutex_);
  return faulty_;
}

std::shared_ptr<const Certificates> CertificateFiles::Refresh() {
  News news;
  {
    absl::MutexLock looking(&looking_);
    const int64_t now = MonotonicNanos();
    if (now >= next_look_ns_) {
      next_look_ns_ = now + absl::ToInt64Nanoseconds(watch_.look_every);
      news = Look();
    }
  }
  if (!news.line.empty() && watch_.tell != nullptr) watch_.tell(news.fault, news.line);
  return Current();
}

CertificateFiles::Stamps CertificateFiles::StampsOf(const CertificatePaths& paths) {
  return {StampOf(paths.certificate), StampOf(paths.key), StampOf(paths.authorities)};
}

// A faulty set is read again at each look: it may have been caught half-written.
CertificateFiles::News CertificateFiles::Look() {
  Stamps stamps = StampsOf(paths_);
  if (stamps == stamps_) {
    NoteFault("");
    return {};
  }
  absl::StatusOr<Certificates> read = ReadCertificates(paths_);
  // Somebody is writing: the next look will find what they have written.
  if (StampsOf(paths_) != stamps) return {};
  if (!read.ok()) return Keep(std::string(read.status().message()));
  stamps_ = std::move(stamps);
  NoteFault("");
  return Take(*std::move(read));
}

void CertificateFiles::NoteFault(const std::string& fault) {
  fault_ = fault;
  absl::MutexLock lock(&mutex_);
  faulty_ = !fault.empty();
}

CertificateFiles::News CertificateFiles::Take(Certificates certificates) {
  const std::shared_ptr<const Certificates> old = Current();
  const bool same = certificates.certificate_pem == old->certificate_pem && certificates.key_pem == old->key_pem &&
                    certificates.authorities_pem == old->authorities_pem;
  if (same) return {};
  const auto taken = std::make_shared<const Certificates>(std::move(certificates));
  {
    absl::MutexLock lock(&mutex_);
    current_ = taken;
  }
  return {.fault = false, .line = Describe(paths_, *taken)};
}

CertificateFiles::News CertificateFiles::Keep(const std::string& fault) {
  if (fault == fault_) return {};
  NoteFault(fault);
  return {.fault = true, .line = absl::StrCat("TLS: the files that were read before stay in use: ", fault)};
}

}  // namespace tranche
