// Solves challenges as a browser does.
#pragma once

#include <gtest/gtest.h>
#include <openssl/evp.h>

#include <cstdint>
#include <string>

#include "absl/strings/escaping.h"
#include "absl/strings/match.h"
#include "nlohmann/json.hpp"

namespace tranche::server {

// From what the challenge says.
inline std::string DerivedKeyOf(const nlohmann::json& parameters, uint32_t counter) {
  std::string password = absl::HexStringToBytes(parameters["nonce"].get<std::string>());
  for (int shift = 24; shift >= 0; shift -= 8) password.push_back(static_cast<char>(counter >> shift));
  const std::string salt = absl::HexStringToBytes(parameters["salt"].get<std::string>());
  std::string key(parameters["keyLength"].get<size_t>(), '\0');
  EXPECT_EQ(PKCS5_PBKDF2_HMAC(password.data(), static_cast<int>(password.size()),
                              reinterpret_cast<const unsigned char*>(salt.data()), static_cast<int>(salt.size()),
                              parameters["cost"].get<int>(), EVP_sha256(), static_cast<int>(key.size()),
                              reinterpret_cast<unsigned char*>(key.data())),
            1);
  return absl::BytesToHexString(key);
}

inline std::string EncodeSolution(const nlohmann::json& solution) { return absl::Base64Escape(solution.dump()); }

inline nlohmann::json SolveAsBrowser(const std::string& challenge) {
  nlohmann::json solved;
  solved["challenge"] = nlohmann::json::parse(challenge);
  const nlohmann::json& parameters = solved["challenge"]["parameters"];
  for (uint32_t counter = 0;; ++counter) {
    const std::string key = DerivedKeyOf(parameters, counter);
    if (!absl::StartsWith(key, parameters["keyPrefix"].get<std::string>())) continue;
    solved["solution"] = {{"counter", counter}, {"derivedKey", key}, {"time", 1.5}};
    return solved;
  }
}

}  // namespace tranche::server
