#include "tests/simulation/door/door_solver.h"

#include <openssl/evp.h>

#include <array>
#include <cstdint>

#include "absl/strings/escaping.h"
#include "absl/strings/match.h"
#include "nlohmann/json.hpp"

namespace tranche::simulation {

// Tries counters until the derived key has the prefix.
std::string SolveDoorChallenge(const std::string& challenge) {
  nlohmann::json solved;
  solved["challenge"] = nlohmann::json::parse(challenge);
  const nlohmann::json parameters = solved["challenge"]["parameters"];
  const std::string salt = absl::HexStringToBytes(parameters["salt"].get<std::string>());
  const std::string nonce = absl::HexStringToBytes(parameters["nonce"].get<std::string>());
  const std::string prefix = parameters["keyPrefix"].get<std::string>();
  for (uint32_t counter = 0;; ++counter) {
    std::string password = nonce;
    for (int shift = 24; shift >= 0; shift -= 8) password.push_back(static_cast<char>(counter >> shift));
    std::array<unsigned char, 32> key = {};
    PKCS5_PBKDF2_HMAC(password.data(), static_cast<int>(password.size()),
                      reinterpret_cast<const unsigned char*>(salt.data()), static_cast<int>(salt.size()),
                      parameters["cost"].get<int>(), EVP_sha256(), static_cast<int>(key.size()), key.data());
    const std::string hex = absl::BytesToHexString({reinterpret_cast<const char*>(key.data()), key.size()});
    if (!absl::StartsWith(hex, prefix)) continue;
    solved["solution"] = {{"counter", counter}, {"derivedKey", hex}};
    return absl::Base64Escape(solved.dump());
  }
}

int DoorChallengeBits(const std::string& challenge) {
  const nlohmann::json parameters = nlohmann::json::parse(challenge)["parameters"];
  int bits = 4 * static_cast<int>(parameters["keyPrefix"].get<std::string>().size());
  int cost = parameters["cost"].get<int>();
  if (cost <= 0) return -1;
  for (; cost < 320; cost *= 2) --bits;
  return cost == 320 ? bits : -1;
}

}  // namespace tranche::simulation
