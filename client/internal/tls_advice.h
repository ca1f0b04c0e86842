// What gRPC's words about a failed handshake mean.
#pragma once

#include "absl/status/status.h"
#include "absl/strings/string_view.h"

namespace tranche::internal {

enum class TlsTrouble {
  kNone,            // none that can be told
  kNodeNotTrusted,  // the node's certificate is of no trusted authority, or has expired
  kOtherName,       // the node's certificate is for other names
  kNodeSpeaksPlaintext,
  kClientNotTrusted,  // the node does not accept the client's certificate
  // The node closed the connection: it expects TLS, or misses the client's certificate or does not accept it. (In TLS
  // 1.3 a server looks at that after the client is done.) Or it has just died.
  kClosedAtOnce,
};

// By the message of an error of gRPC's own. If gRPC ever words these errors differently, kNone.
TlsTrouble TlsTroubleIn(absl::string_view message);

// With what to check, if that can be told, after the message.
absl::Status WithTlsAdvice(const absl::Status& status);

}  // namespace tranche::internal
