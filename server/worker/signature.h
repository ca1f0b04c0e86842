// Proves to a webhook's receiver that a message is from us, and when it was sent.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"

namespace tranche::server {

// The value of the header Tranche-Signature: "t=<unix seconds>,v1=<hex>", with a v1 for each secret: the HMAC-SHA256 of
// "<t>.<body>". A receiver accepts the message when any v1 is right for a secret that it knows and t is recent; two
// secrets at once let it change from one to the other.
std::string SignatureHeader(const std::vector<std::string>& secrets, int64_t unix_seconds, absl::string_view body);

// The secrets in the file, one per line; empty lines are skipped. Fails if others than owner and group may open the
// file, or if a secret is too short. The message is for the operator and reveals nothing of the content.
absl::StatusOr<std::vector<std::string>> ReadSecrets(const std::string& path);

}  // namespace tranche::server
