#include "server/rpc/caller_credentials.h"

#include <grpc/grpc_security_constants.h>
#include <grpcpp/security/auth_context.h>

#include <iterator>
#include <utility>

namespace tranche::server {
namespace {

absl::string_view TextOfRef(const grpc::string_ref& text) { return {text.data(), text.size()}; }

}  // namespace

CallerCredentials CredentialsOf(const grpc::CallbackServerContext& context) {
  CallerCredentials credentials;
  const auto [first, last] = context.client_metadata().equal_range("authorization");
  if (first != last) {
    // Which of several counts is nobody's guess.
    credentials.authorization = std::next(first) == last ? TextOfRef(first->second) : absl::string_view();
    // It decides alone.
    return credentials;
  }
  // The context keeps it.
  const grpc::AuthContext* const peer = context.auth_context().get();
  if (peer == nullptr || !peer->IsPeerAuthenticated()) return credentials;
  credentials.certificate = true;
  using Kind = SubjectName::Kind;
  for (const auto& [property, kind] :
       {std::pair{GRPC_PEER_URI_PROPERTY_NAME, Kind::kUri}, std::pair{GRPC_PEER_DNS_PROPERTY_NAME, Kind::kDns},
        std::pair{GRPC_PEER_EMAIL_PROPERTY_NAME, Kind::kEmail}}) {
    for (const grpc::string_ref& value : peer->FindPropertyValues(property)) {
      credentials.names.push_back({kind, TextOfRef(value)});
    }
  }
  return credentials;
}

}  // namespace tranche::server
