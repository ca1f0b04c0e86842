#include "client/load/challenge_solver.h"

#include <openssl/evp.h>

#include <array>
#include <cstdint>
#include <nlohmann/json.hpp>

#include "absl/strings/ascii.h"
#include "absl/strings/escaping.h"
#include "absl/strings/match.h"
#include "absl/time/clock.h"
#include "storage/base/status_macros.h"

namespace tranche::load {
namespace {

// More than any policy asks for: a node that is none must not keep this busy.
constexpr uint64_t kMostIterations = 100'000;
constexpr size_t kMostPrefixDigits = 8;
constexpr size_t kMostHexDigits = 256;
constexpr size_t kKeyBytes = 32;

struct ChallengeWork {
  std::string nonce = {};
  std::string salt = {};
  std::string prefix = {};  // hex
  int iterations = 0;
};

// "" if there is no such text.
std::string TextOf(const nlohmann::json& parameters, const char* name) {
  const auto found = parameters.find(name);
  return found != parameters.end() && found->is_string() ? found->get<std::string>() : "";
}

// 0 if there is no such number.
uint64_t NumberOf(const nlohmann::json& parameters, const char* name) {
  const auto found = parameters.find(name);
  return found != parameters.end() && found->is_number_unsigned() ? found->get<uint64_t>() : 0;
}

// "" if it is not hex.
std::string BytesOfHex(const std::string& hex) {
  if (hex.size() > kMostHexDigits || hex.size() % 2 != 0) return "";
  for (const char digit : hex) {
    if (!absl::ascii_isxdigit(static_cast<unsigned char>(digit))) return "";
  }
  return absl::HexStringToBytes(hex);
}

absl::StatusOr<ChallengeWork> ReadChallenge(const nlohmann::json& challenge) {
  const nlohmann::json none = nlohmann::json::object();
  const nlohmann::json& parameters =
      challenge.is_object() && challenge.contains("parameters") ? challenge["parameters"] : none;
  const uint64_t iterations = NumberOf(parameters, "cost");
  const std::string prefix = TextOf(parameters, "keyPrefix");
  ChallengeWork work = {.nonce = BytesOfHex(TextOf(parameters, "nonce")),
                        .salt = BytesOfHex(TextOf(parameters, "salt")),
                        .prefix = prefix};
  if (TextOf(parameters, "algorithm") != "PBKDF2/SHA-256" || NumberOf(parameters, "keyLength") != kKeyBytes ||
      iterations == 0 || work.nonce.empty() || work.salt.empty()) {
    return absl::InvalidArgumentError("a challenge of another kind");
  }
  if (iterations > kMostIterations || prefix.size() > kMostPrefixDigits) {
    return absl::InvalidArgumentError("a challenge of too much work");
  }
  work.iterations = static_cast<int>(iterations);
  return work;
}

absl::StatusOr<std::string> KeyOf(const ChallengeWork& work, uint32_t counter) {
  std::string password = work.nonce;
  for (int shift = 24; shift >= 0; shift -= 8) password.push_back(static_cast<char>(counter >> shift));
  std::array<unsigned char, kKeyBytes> key = {};
  const int done = PKCS5_PBKDF2_HMAC(
      password.data(), static_cast<int>(password.size()), reinterpret_cast<const unsigned char*>(work.salt.data()),
      static_cast<int>(work.salt.size()), work.iterations, EVP_sha256(), static_cast<int>(key.size()), key.data());
  if (done != 1) return absl::InternalError("OpenSSL cannot derive a key");
  return absl::BytesToHexString({reinterpret_cast<const char*>(key.data()), key.size()});
}

}  // namespace

absl::StatusOr<std::string> SolveChallenge(const std::string& challenge, absl::Time deadline, const StopFlag& stop) {
  nlohmann::json solved;
  solved["challenge"] = nlohmann::json::parse(challenge, /*cb=*/nullptr, /*allow_exceptions=*/false);
  ASSIGN_OR_RETURN(const ChallengeWork work, ReadChallenge(solved["challenge"]));
  for (uint32_t counter = 0; counter < UINT32_MAX; ++counter) {
    if (stop.IsSet()) return absl::CancelledError("the run was stopped");
    // A key costs about 0.1 ms, and the clock much less.
    if (absl::Now() >= deadline) return absl::DeadlineExceededError("the challenge expired");
    ASSIGN_OR_RETURN(const std::string key, KeyOf(work, counter));
    if (!absl::StartsWith(key, work.prefix)) continue;
    solved["solution"] = {{"counter", counter}, {"derivedKey", key}};
    return absl::Base64Escape(solved.dump());
  }
  return absl::DeadlineExceededError("no counter solves the challenge");
}

}  // namespace tranche::load
