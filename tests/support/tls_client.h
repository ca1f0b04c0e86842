// A TLS client that looks at what servers show.
#pragma once

#include <openssl/ssl.h>

#include <memory>
#include <string>

#include "absl/status/statusor.h"
#include "tests/support/test_certificates.h"

namespace tranche::testing {

struct TlsCall {
  std::string authority_pem;                      // the server's certificate must be of it, and of 127.0.0.1
  IssuedCertificate own = {};                     // shown if the server asks; empty: none
  std::string alpn = "";                          // such as "h2"; "": none
  std::string send = "";                          // once the handshake is done
  bool read_all = true;                           // until the server closes; otherwise only what comes first
  std::shared_ptr<SSL_SESSION> resume = nullptr;  // of an answer before; the server may not agree
};

struct TlsAnswer {
  std::string server_serial;  // of its certificate, in hex
  std::string alpn;           // agreed on
  std::string bytes;
  bool resumed = false;
  std::shared_ptr<SSL_SESSION> session;
};

// Connects to this port of 127.0.0.1. An error if the handshake fails, or if the server then ends the connection
// without a word, which is how TLS 1.3 refuses a client's certificate. Lets this process ignore SIGPIPE.
absl::StatusOr<TlsAnswer> CallTls(int port, const TlsCall& call);

}  // namespace tranche::testing
