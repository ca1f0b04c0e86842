#include "server/process/options_outside.h"

#include <algorithm>

#include "absl/strings/ascii.h"
#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/string_view.h"
#include "absl/strings/strip.h"
#include "server/process/options_shared.h"
#include "storage/base/loopback.h"

namespace tranche::server {
namespace {

// The host and port of what follows "http://".
absl::string_view AuthorityOf(absl::string_view rest) { return rest.substr(0, rest.find_first_of("/?#")); }

// The port may be missing.
bool IsThisMachine(absl::string_view authority) {
  return IsLoopbackHost(authority) || IsLoopbackEndpoint(std::string(authority));
}

std::string CheckCaptchaUrl(const std::string& text) {
  constexpr char kWhat[] =
      "must be the provider's https:// URL for verification, such as https://challenges.cloudflare.com/turnstile/v0/"
      "siteverify";
  absl::string_view rest = text;
  const bool https = absl::ConsumePrefix(&rest, "https://");
  if (!https && !absl::ConsumePrefix(&rest, "http://")) return kWhat;
  const absl::string_view authority = AuthorityOf(rest);
  const bool plain = std::all_of(text.begin(), text.end(), [](unsigned char c) { return absl::ascii_isgraph(c); });
  if (!plain || authority.empty() || absl::StrContains(authority, "@")) return kWhat;
  if (https || IsThisMachine(authority)) return "";
  return absl::StrCat("must begin with https://: in plaintext, everybody between here and ", authority,
                      " could read the secret");
}

}  // namespace

void AddOutsideChecks(OptionsParser& parser, ServerOptions* options) {
  parser
      .Add("risk-scorer", &options->risk_scorer, "HOST:PORT",
           "The shop's tranche.v1.RiskScorerService: how far is a buyer trusted who asks to enter a sale? It is asked "
           "where a policy's risk rule says so, and has 20 ms [default: nobody is asked]")
      ->check(CheckAddressWithPort, "");
  parser.AddSwitch("risk-scorer-tls", &options->risk_scorer_tls, "Ask it over TLS");
  parser.Add("risk-scorer-ca-file", &options->risk_scorer_ca_file, "FILE",
             "PEM file of the authorities that may vouch for its certificate [default: those of this machine]. Read "
             "again when it changes, as the next one");
  parser
      .Add("risk-scorer-token-file", &options->risk_scorer_token_file, "FILE",
           "File whose only line is the token that says to it who calls (authorization: Bearer); only its owner may "
           "read it")
      ->check(CheckSecretFile, "");
  parser
      .Add("captcha-url", &options->captcha_url, "URL",
           "Where the captcha's provider says whether a buyer has solved one (siteverify of Turnstile, hCaptcha or "
           "reCAPTCHA); with the next two. It has 200 ms [default: no captchas; where a policy asks for one, the "
           "challenge is asked for]")
      ->check(CheckCaptchaUrl, "");
  parser.Add("captcha-site-key", &options->captcha_site_key, "KEY", "What the provider's widget needs; buyers see it")
      ->check(CheckName, "");
  parser
      .Add("captcha-secret-file", &options->captcha_secret_file, "FILE",
           "File whose only line is the secret that belongs to it; only its owner may read it. Read again when it "
           "changes")
      ->check(CheckSecretFile, "");
  parser.Add("captcha-ca-file", &options->captcha_ca_file, "FILE",
             "PEM file of the authorities that may vouch for the provider's certificate [default: those of this "
             "machine]. Read again when it changes");
}

std::string CheckOutsideFlags(const ServerOptions& options) {
  const bool scorer = !options.risk_scorer.empty(), tls = options.risk_scorer_tls;
  if (!scorer && (tls || !options.risk_scorer_ca_file.empty() || !options.risk_scorer_token_file.empty())) {
    return "--risk-scorer-tls, --risk-scorer-ca-file and --risk-scorer-token-file need --risk-scorer";
  }
  if (!options.risk_scorer_ca_file.empty() && !tls) return "--risk-scorer-ca-file needs --risk-scorer-tls on";
  if (!options.risk_scorer_token_file.empty() && !tls && !IsLoopbackEndpoint(options.risk_scorer)) {
    return absl::StrCat("--risk-scorer-token-file: in plaintext, everybody between here and ", options.risk_scorer,
                        " could read the token; give --risk-scorer-tls on");
  }
  const bool url = !options.captcha_url.empty();
  if (url == options.captcha_site_key.empty() || url == options.captcha_secret_file.empty()) {
    return "--captcha-url, --captcha-site-key and --captcha-secret-file belong together: give all three, or none";
  }
  if (!options.captcha_ca_file.empty() && !absl::StartsWith(options.captcha_url, "https://")) {
    return "--captcha-ca-file needs a --captcha-url that begins with https://";
  }
  return "";
}

}  // namespace tranche::server
