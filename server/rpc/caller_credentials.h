// What a call shows of who makes it, as gRPC has it.
#pragma once

#include <grpcpp/server_context.h>

#include "server/access/access_control.h"

namespace tranche::server {

// Views into the context. gRPC keeps the certificate that it verified in the handshake; without TLS there is none. Not
// for two threads of one call at once.
CallerCredentials CredentialsOf(const grpc::CallbackServerContext& context);

}  // namespace tranche::server
