// Seeds of draws as people keep them: in hex, alone in a file that only they can read.
#pragma once

#include <string>

#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"

namespace tranche::ctl {

// 16 to 64 bytes in hex. Errors do not quote the text, which may be a secret.
absl::StatusOr<std::string> ParseSeed(absl::string_view hex);

// The seed in the only line of this file, in hex. The file is refused if others can read it.
absl::StatusOr<std::string> ReadSeedFile(const std::string& path);

// SHA-256 of the seed: 32 bytes.
std::string CommitmentOf(absl::string_view seed);

// Such a commitment in hex.
absl::StatusOr<std::string> ParseCommitment(absl::string_view hex);

// 32 bytes from OpenSSL's generator for private values. Thread-safe.
std::string NewSeed();

}  // namespace tranche::ctl
