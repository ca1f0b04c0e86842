// How a process shows who it is to those who connect, and what it asks of them.
#pragma once

#include <string>

#include "storage/base/certificate_files.h"

namespace tranche::server {

struct TlsOptions {
  CertificatePaths files;                   // no certificate: everything is served in plain text
  bool require_client_certificate = false;  // otherwise one is verified if it is presented; files.authorities say whose

  bool enabled() const { return !files.certificate.empty(); }
};

// "" if they fit together; otherwise one line that says what does not, by the names of the flags.
std::string CheckTls(const TlsOptions& options);

}  // namespace tranche::server
