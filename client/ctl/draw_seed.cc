#include "client/ctl/draw_seed.h"

#include <openssl/evp.h>
#include <openssl/rand.h>

#include <cstddef>

#include "absl/algorithm/container.h"
#include "absl/strings/ascii.h"
#include "absl/strings/escaping.h"
#include "absl/strings/str_cat.h"
#include "glog/logging.h"
#include "storage/base/secret_file.h"
#include "storage/base/status_macros.h"

namespace tranche::ctl {
namespace {

// As the cluster takes them: admin_service.proto.
constexpr size_t kFewestSeedBytes = 16;
constexpr size_t kMostSeedBytes = 64;
constexpr size_t kNewSeedBytes = 32;
constexpr size_t kCommitmentBytes = 32;

bool IsHexOfBytes(absl::string_view text) {
  return text.size() % 2 == 0 &&
         absl::c_all_of(text, [](char c) { return absl::ascii_isxdigit(static_cast<unsigned char>(c)); });
}

unsigned char* BytesOf(std::string& text) { return reinterpret_cast<unsigned char*>(text.data()); }

}  // namespace

absl::StatusOr<std::string> ParseSeed(absl::string_view hex) {
  const size_t bytes = hex.size() / 2;
  if (!IsHexOfBytes(hex) || bytes < kFewestSeedBytes || bytes > kMostSeedBytes) {
    return absl::InvalidArgumentError(
        absl::StrCat("a seed is ", kFewestSeedBytes, " to ", kMostSeedBytes, " bytes in hex, two digits for each"));
  }
  return absl::HexStringToBytes(hex);
}

absl::StatusOr<std::string> ReadSeedFile(const std::string& path) {
  ASSIGN_OR_RETURN(const std::string line, ReadSecretLine(path));
  absl::StatusOr<std::string> seed = ParseSeed(line);
  if (seed.ok()) return seed;
  return absl::InvalidArgumentError(absl::StrCat(path, ": ", std::string(seed.status().message())));
}

std::string CommitmentOf(absl::string_view seed) {
  std::string digest(kCommitmentBytes, '\0');
  unsigned int size = 0;
  CHECK_EQ(EVP_Digest(seed.data(), seed.size(), BytesOf(digest), &size, EVP_sha256(), nullptr), 1);
  CHECK_EQ(size, digest.size());
  return digest;
}

absl::StatusOr<std::string> ParseCommitment(absl::string_view hex) {
  if (!IsHexOfBytes(hex) || hex.size() != 2 * kCommitmentBytes) {
    return absl::InvalidArgumentError(
        absl::StrCat("\"", hex, "\" is not the SHA-256 of a seed: ", 2 * kCommitmentBytes, " digits of hex"));
  }
  return absl::HexStringToBytes(hex);
}

std::string NewSeed() {
  std::string seed(kNewSeedBytes, '\0');
  CHECK_EQ(RAND_priv_bytes(BytesOf(seed), static_cast<int>(seed.size())), 1) << "this machine gives no randomness";
  return seed;
}

}  // namespace tranche::ctl
