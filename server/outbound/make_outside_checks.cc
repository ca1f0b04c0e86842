#include "server/outbound/make_outside_checks.h"

#include <string>
#include <utility>

#include "absl/strings/str_cat.h"
#include "server/outbound/grpc_risk_scorer.h"
#include "server/outbound/http_captcha_verifier.h"
#include "storage/base/certificate_files.h"
#include "storage/base/certificate_log.h"
#include "storage/base/status_macros.h"
#include "storage/base/token_file.h"

namespace tranche::server {
namespace {

absl::Status AboutFlag(const std::string& flag, const absl::Status& status) {
  return absl::Status(status.code(), absl::StrCat(flag, ": ", status.message()));
}

// Null: there is no file.
absl::StatusOr<std::shared_ptr<CertificateFiles>> OpenAuthorities(const std::string& flag, const std::string& path) {
  if (path.empty()) return nullptr;
  auto files = CertificateFiles::Open({.authorities = path}, LoggedCertificates());
  if (!files.ok()) return AboutFlag(flag, files.status());
  return std::shared_ptr<CertificateFiles>(*std::move(files));
}

// Null: there is no file.
absl::StatusOr<std::shared_ptr<TokenFile>> OpenSecret(const std::string& flag, const std::string& path) {
  if (path.empty()) return nullptr;
  auto file = TokenFile::Open(path, LoggedCertificates());
  if (!file.ok()) return AboutFlag(flag, file.status());
  return std::shared_ptr<TokenFile>(*std::move(file));
}

}  // namespace

absl::StatusOr<OutsideChecks> MakeOutsideChecks(const ServerOptions& options, storage::Clock* clock) {
  OutsideChecks checks;
  if (!options.risk_scorer.empty()) {
    GrpcRiskScorerOptions scorer;
    scorer.address = options.risk_scorer;
    scorer.tls = options.risk_scorer_tls;
    ASSIGN_OR_RETURN(scorer.certificates, OpenAuthorities("--risk-scorer-ca-file", options.risk_scorer_ca_file));
    ASSIGN_OR_RETURN(scorer.token, OpenSecret("--risk-scorer-token-file", options.risk_scorer_token_file));
    auto made = std::make_unique<GrpcRiskScorer>(std::move(scorer), clock);
    checks.scorer_counts = &made->counts();
    checks.scorer = std::move(made);
  }
  if (!options.captcha_url.empty()) {
    HttpCaptchaOptions captcha;
    captcha.url = options.captcha_url;
    captcha.site_key = options.captcha_site_key;
    ASSIGN_OR_RETURN(captcha.secret, OpenSecret("--captcha-secret-file", options.captcha_secret_file));
    ASSIGN_OR_RETURN(captcha.certificates, OpenAuthorities("--captcha-ca-file", options.captcha_ca_file));
    auto made = std::make_unique<HttpCaptchaVerifier>(std::move(captcha), clock);
    checks.captcha_counts = &made->counts();
    checks.captcha = std::move(made);
  }
  return checks;
}

}  // namespace tranche::server
