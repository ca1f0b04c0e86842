// The flags with which the tools say how they are connected, and who calls.
#pragma once

#include <CLI/CLI.hpp>
#include <optional>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "absl/strings/str_cat.h"
#include "storage/base/loopback.h"
#include "tranche/options.h"

namespace tranche {

// As they were given. Empty: not given.
struct SecurityFlags {
  std::string ca;  // a file, or "system"
  std::string certificate;
  std::string key;
  std::string server_name;
  std::string token_file;
};

// The variables are not those of the servers' flags with the same names: what a shell has to call a cluster must not
// make a server that it starts serve with a person's certificate.
inline void AddSecurityFlags(CLI::App& app, SecurityFlags& flags) {
  app.add_option("--tls-ca", flags.ca,
                 "Turns TLS on: PEM file of the authorities that may vouch for a node's certificate, or \"system\" for "
                 "those that this machine trusts")
      ->type_name("FILE|system")
      ->envname("TRANCHE_CLIENT_TLS_CA");
  app.add_option("--tls-certificate", flags.certificate,
                 "PEM file with the certificate to show, which says who calls, and with its chain; with --tls-key")
      ->type_name("FILE")
      ->envname("TRANCHE_CLIENT_TLS_CERTIFICATE");
  app.add_option("--tls-key", flags.key, "PEM file with the key of --tls-certificate")
      ->type_name("FILE")
      ->envname("TRANCHE_CLIENT_TLS_KEY");
  app.add_option("--tls-server-name", flags.server_name,
                 "The name that a node's certificate must have, if it is not the host of --endpoint")
      ->type_name("NAME")
      ->envname("TRANCHE_CLIENT_TLS_SERVER_NAME");
  app.add_option("--token-file", flags.token_file,
                 "File with the token that says who calls, as one line; chmod 600. Only with --tls-ca, or to this "
                 "machine itself")
      ->type_name("FILE")
      ->envname("TRANCHE_TOKEN_FILE");
}

// INVALID_ARGUMENT says which flags do not go together.
inline absl::Status CheckSecurityFlags(const SecurityFlags& flags, const std::vector<std::string>& endpoints) {
  if (flags.certificate.empty() != flags.key.empty()) {
    return absl::InvalidArgumentError(absl::StrCat("give both --tls-certificate and --tls-key, or neither; missing is ",
                                                   flags.key.empty() ? "--tls-key" : "--tls-certificate"));
  }
  if (!flags.ca.empty()) return absl::OkStatus();
  if (!flags.certificate.empty() || !flags.server_name.empty()) {
    return absl::InvalidArgumentError(
        absl::StrCat(flags.certificate.empty() ? "--tls-server-name" : "--tls-certificate",
                     " needs TLS: give --tls-ca FILE, or --tls-ca system"));
  }
  const std::optional<std::string> other = FirstBeyondLoopback(endpoints);
  if (flags.token_file.empty() || !other.has_value()) return absl::OkStatus();
  return absl::InvalidArgumentError(absl::StrCat("--token-file: in plaintext, everybody between here and ", *other,
                                                 " could read the token; give --tls-ca FILE, or --tls-ca system"));
}

// nullopt: plaintext.
inline std::optional<TlsOptions> TlsOf(const SecurityFlags& flags) {
  if (flags.ca.empty()) return std::nullopt;
  TlsOptions tls;
  if (flags.ca != "system") tls.ca_file = flags.ca;
  tls.certificate_file = flags.certificate;
  tls.key_file = flags.key;
  tls.server_name = flags.server_name;
  return tls;
}

}  // namespace tranche
