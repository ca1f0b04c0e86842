// TLS for gRPC's listeners, with certificates that change while the server runs.
#pragma once

#include <grpcpp/security/server_credentials.h>

#include <memory>

#include "absl/time/time.h"
#include "server/process/served_certificates.h"

namespace tranche::server {

// A session that is resumed shows no certificate again, so this bounds how long one that has expired, or is trusted no
// more, still gets in.
inline constexpr absl::Duration kSessionsLast = absl::Minutes(1);

// For one listener of one server: each handshake takes the newest certificates, and connections that stand stay as they
// are. Only HTTP/2 is agreed on (ALPN), and TLS 1.2 at least. Callers are asked for a certificate as `certificates`
// say; then no TLS session is resumed for longer than `sessions_last` and the time to the handshake after it.
// `certificates` outlive the server.
//
// gRPC's file watcher (TlsServerCredentials) is not used: it takes a certificate and a key that do not belong together.
std::shared_ptr<grpc::ServerCredentials> MakeServerCredentials(ServedCertificates* certificates,
                                                               absl::Duration sessions_last = kSessionsLast);

}  // namespace tranche::server
