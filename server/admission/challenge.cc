#include "server/admission/challenge.h"

#include <openssl/evp.h>

#include <algorithm>
#include <array>
#include <cstdint>

#include "absl/algorithm/container.h"
#include "absl/strings/ascii.h"
#include "absl/strings/escaping.h"
#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "glog/logging.h"
#include "nlohmann/json.hpp"
#include "server/admission/keyed_hash.h"
#include "server/admission/strict_base64.h"
#include "storage/mutation.h"

namespace tranche::server {
namespace {

constexpr size_t kNonceBytes = 16;  // and as many of the salt and the binding
constexpr int kDerivedBytes = 32;   // and as many of the signature

// ALTCHA asks for a prefix in hex digits. A number of bits between two digits is made of the larger prefix and fewer
// iterations for each key.
struct ChallengeWork {
  size_t digits = 0;
  int iterations = 0;
};

ChallengeWork WorkOf(int bits) {
  const int digits = (bits + 3) / 4;
  return {.digits = static_cast<size_t>(digits), .iterations = kChallengeIterations >> (4 * digits - bits)};
}

// What makes a challenge; all the rest of it follows from these. Texts are lower-case hex.
struct ChallengeTerms {
  int64_t key_id = 0;
  int bits = 0;
  int64_t expires_at_s = 0;
  std::string nonce;
  std::string salt;
  std::string binding;
};

struct ClaimedSolution {
  ChallengeTerms terms;
  std::string signature;
  uint32_t counter = 0;
  std::string derived_key;
};

// Byte for byte what altcha-lib signs: members in the order of their names, without spaces.
std::string ParametersOf(const ChallengeTerms& terms) {
  const ChallengeWork work = WorkOf(terms.bits);
  return absl::StrCat(R"({"algorithm":"PBKDF2/SHA-256","cost":)", work.iterations, R"(,"data":{"binding":")",
                      terms.binding, R"(","bits":)", terms.bits, R"(,"key":)", terms.key_id, R"(},"expiresAt":)",
                      terms.expires_at_s, R"(,"keyLength":)", kDerivedBytes, R"(,"keyPrefix":")",
                      std::string(work.digits, '0'), R"(","nonce":")", terms.nonce, R"(","salt":")", terms.salt,
                      R"("})");
}

// altcha-lib takes its secret as a text, so ours is the key in hex.
std::string SignatureOf(const FrontKeys::Key& key, absl::string_view parameters) {
  const std::array<unsigned char, 32> hash = HmacSha256(absl::BytesToHexString(key.challenge_key), parameters);
  return absl::BytesToHexString({reinterpret_cast<const char*>(hash.data()), hash.size()});
}

std::string BindingOf(const FrontKeys::Key& key, absl::string_view sku_id, absl::string_view user_id,
                      ChallengeRole role) {
  const absl::string_view purpose =
      role == ChallengeRole::kStandsIn ? "tranche-challenge-stands-in-v1" : "tranche-challenge-binding-v1";
  return absl::BytesToHexString(
      KeyedBlake2b(key.challenge_key, LengthDelimited({purpose, sku_id, user_id}), kNonceBytes));
}

bool IsBoundTo(const FrontKeys::Key& key, absl::string_view binding, absl::string_view sku_id,
               absl::string_view user_id, ChallengeRole role) {
  const bool stands_in = SameBytes(BindingOf(key, sku_id, user_id, ChallengeRole::kStandsIn), binding);
  if (stands_in || role == ChallengeRole::kStandsIn) return stands_in;
  return SameBytes(BindingOf(key, sku_id, user_id, ChallengeRole::kPlain), binding);
}

// Null: it is no object, or has no such member.
const nlohmann::json* ChallengeMember(const nlohmann::json* object, const char* name) {
  if (object == nullptr || !object->is_object()) return nullptr;
  const auto found = object->find(name);
  return found == object->end() ? nullptr : &*found;
}

bool ReadChallengeHex(const nlohmann::json* member, size_t digits, std::string* text) {
  if (member == nullptr || !member->is_string()) return false;
  *text = member->get_ref<const std::string&>();
  return text->size() == digits && absl::c_all_of(*text, [](char digit) {
           return absl::ascii_isdigit(static_cast<unsigned char>(digit)) || (digit >= 'a' && digit <= 'f');
         });
}

template <typename Number>
bool ReadChallengeNumber(const nlohmann::json* member, uint64_t least, uint64_t most, Number* number) {
  if (member == nullptr || !member->is_number_unsigned()) return false;
  const uint64_t value = member->get<uint64_t>();
  *number = static_cast<Number>(value);
  return value >= least && value <= most;
}

// What else the JSON says is not read, so it cannot change what is checked.
std::optional<ClaimedSolution> ReadSolution(absl::string_view text) {
  if (text.size() > kMaxSolutionBytes) return std::nullopt;
  const std::optional<std::string> decoded = FromPaddedBase64(text);
  if (!decoded.has_value()) return std::nullopt;
  const nlohmann::json root = nlohmann::json::parse(*decoded, /*cb=*/nullptr, /*allow_exceptions=*/false);
  const nlohmann::json* const challenge = ChallengeMember(&root, "challenge");
  const nlohmann::json* const parameters = ChallengeMember(challenge, "parameters");
  const nlohmann::json* const data = ChallengeMember(parameters, "data");
  const nlohmann::json* const solution = ChallengeMember(&root, "solution");
  ClaimedSolution claimed;
  ChallengeTerms& terms = claimed.terms;
  if (ReadChallengeNumber(ChallengeMember(data, "key"), 1, INT64_MAX, &terms.key_id) &&
      ReadChallengeNumber(ChallengeMember(data, "bits"), kLeastChallengeBits, kMostChallengeBits, &terms.bits) &&
      ReadChallengeHex(ChallengeMember(data, "binding"), 2 * kNonceBytes, &terms.binding) &&
      // So many that a time can hold it.
      ReadChallengeNumber(ChallengeMember(parameters, "expiresAt"), 1, UINT32_MAX, &terms.expires_at_s) &&
      ReadChallengeHex(ChallengeMember(parameters, "nonce"), 2 * kNonceBytes, &terms.nonce) &&
      ReadChallengeHex(ChallengeMember(parameters, "salt"), 2 * kNonceBytes, &terms.salt) &&
      ReadChallengeHex(ChallengeMember(challenge, "signature"), 2 * kDerivedBytes, &claimed.signature) &&
      ReadChallengeNumber(ChallengeMember(solution, "counter"), 0, UINT32_MAX, &claimed.counter) &&
      ReadChallengeHex(ChallengeMember(solution, "derivedKey"), 2 * kDerivedBytes, &claimed.derived_key)) {
    return claimed;
  }
  return std::nullopt;
}

// The only check that costs more than a few microseconds.
bool IsSolved(const ClaimedSolution& claimed) {
  const ChallengeWork work = WorkOf(claimed.terms.bits);
  if (!absl::StartsWith(claimed.derived_key, std::string(work.digits, '0'))) return false;
  std::string password = absl::HexStringToBytes(claimed.terms.nonce);
  for (int shift = 24; shift >= 0; shift -= 8) password.push_back(static_cast<char>(claimed.counter >> shift));
  const std::string salt = absl::HexStringToBytes(claimed.terms.salt);
  std::array<unsigned char, kDerivedBytes> derived;
  CHECK_EQ(
      PKCS5_PBKDF2_HMAC(password.data(), static_cast<int>(password.size()), SodiumBytes(salt),
                        static_cast<int>(salt.size()), work.iterations, EVP_sha256(), kDerivedBytes, derived.data()),
      1);
  return SameBytes(absl::BytesToHexString({reinterpret_cast<const char*>(derived.data()), derived.size()}),
                   claimed.derived_key);
}

}  // namespace

std::optional<IssuedChallenge> IssueChallenge(const FrontKeys& keys, absl::string_view sku_id,
                                              absl::string_view user_id, int bits, absl::Duration lifetime,
                                              absl::Time now, ChallengeRole role) {
  const FrontKeys::Key* const key = keys.current();
  if (key == nullptr) return std::nullopt;
  const std::string random = absl::BytesToHexString(RandomBytes(2 * kNonceBytes));
  const ChallengeTerms terms = {.key_id = key->id,
                                .bits = std::clamp(bits, kLeastChallengeBits, kMostChallengeBits),
                                .expires_at_s = absl::ToUnixSeconds(now + lifetime),
                                .nonce = random.substr(0, 2 * kNonceBytes),
                                .salt = random.substr(2 * kNonceBytes),
                                .binding = BindingOf(*key, sku_id, user_id, role)};
  const std::string parameters = ParametersOf(terms);
  return IssuedChallenge{.json = absl::StrCat(R"({"parameters":)", parameters, R"(,"signature":")",
                                              SignatureOf(*key, parameters), R"("})"),
                         .expires_at = absl::FromUnixSeconds(terms.expires_at_s)};
}

std::string ChallengeProblem(const FrontKeys& keys, absl::string_view solution, absl::string_view sku_id,
                             absl::string_view user_id, int bits, absl::Time now, ChallengeRole role) {
  const std::optional<ClaimedSolution> claimed = ReadSolution(solution);
  if (!claimed.has_value()) return "unreadable";
  const FrontKeys::Key* const key = keys.Find(claimed->terms.key_id);
  if (key == nullptr || !SameBytes(SignatureOf(*key, ParametersOf(claimed->terms)), claimed->signature)) {
    return "unreadable";
  }
  if (now >= absl::FromUnixSeconds(claimed->terms.expires_at_s)) return "expired";
  if (!IsBoundTo(*key, claimed->terms.binding, sku_id, user_id, role) &&
      !storage::Mutated(storage::Mutation::kChallengeForAnybody)) {
    return "not_for_this";
  }
  if (claimed->terms.bits < std::clamp(bits, kLeastChallengeBits, kMostChallengeBits)) return "too_easy";
  return IsSolved(*claimed) ? "" : "wrong";
}

}  // namespace tranche::server
