#include "client/internal/tls_advice.h"

#include "absl/strings/cord.h"
#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"

namespace tranche::internal {
namespace {

const char* AdviceFor(TlsTrouble trouble) {
  switch (trouble) {
    case TlsTrouble::kNone:
      return "";
    case TlsTrouble::kNodeNotTrusted:
      return "the node's certificate is of no authority that is trusted here, or has expired: check tls.ca_file, and "
             "the "
             "node's certificate";
    case TlsTrouble::kOtherName:
      return "the node's certificate is for other names: use one of them as the endpoint or as tls.server_name";
    case TlsTrouble::kNodeSpeaksPlaintext:
      return "the node does not speak TLS at this port: use its port for TLS, or leave tls out";
    case TlsTrouble::kClientNotTrusted:
      return "the node does not accept the client's certificate: check that tls.certificate_file is of an authority "
             "that "
             "the node trusts, and has not expired";
    case TlsTrouble::kClosedAtOnce:
      return "the node closed the connection at once: if it goes on, the node expects TLS, or a client's certificate "
             "that "
             "is of an authority that it trusts and has not expired";
  }
  return "";
}

}  // namespace

// The words are those of gRPC 1.51 with OpenSSL 3.
TlsTrouble TlsTroubleIn(absl::string_view message) {
  if (!absl::StrContains(message, "failed to connect")) return TlsTrouble::kNone;
  if (absl::StrContains(message, "certificate verify failed")) return TlsTrouble::kNodeNotTrusted;
  if (absl::StrContains(message, "is not in peer certificate")) return TlsTrouble::kOtherName;
  if (absl::StrContains(message, "wrong version number")) return TlsTrouble::kNodeSpeaksPlaintext;
  if (absl::StrContains(message, "SSL routines::") && absl::StrContains(message, " alert ")) {
    return TlsTrouble::kClientNotTrusted;
  }
  for (const char* closed : {"Socket closed", "Connection reset by peer", "Broken pipe"}) {
    if (absl::StrContains(message, closed)) return TlsTrouble::kClosedAtOnce;
  }
  return TlsTrouble::kNone;
}

absl::Status WithTlsAdvice(const absl::Status& status) {
  const TlsTrouble trouble = absl::IsUnavailable(status) ? TlsTroubleIn(status.message()) : TlsTrouble::kNone;
  if (trouble == TlsTrouble::kNone) return status;
  absl::Status advised(status.code(), absl::StrCat(status.message(), " (", AdviceFor(trouble), ")"));
  status.ForEachPayload([&](absl::string_view url, const absl::Cord& payload) { advised.SetPayload(url, payload); });
  return advised;
}

}  // namespace tranche::internal
