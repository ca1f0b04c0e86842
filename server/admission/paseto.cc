#include "server/admission/paseto.h"

#include <sodium.h>

#include <cstdint>
#include <initializer_list>
#include <utility>

#include "absl/strings/escaping.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/strip.h"
#include "glog/logging.h"
#include "server/admission/keyed_hash.h"
#include "server/admission/strict_base64.h"

namespace tranche::server {
namespace {

constexpr absl::string_view kPasetoHeader = "v4.local.";
constexpr size_t kPasetoNonceBytes = 32;
constexpr size_t kPasetoTagBytes = 32;

// Derived anew for each nonce.
struct PasetoKeys {
  std::string encryption;  // the stream's key, and behind it the stream's nonce
  std::string authentication;
};

PasetoKeys DerivePasetoKeys(absl::string_view key, absl::string_view nonce) {
  return {.encryption = KeyedBlake2b(key, absl::StrCat("paseto-encryption-key", nonce),
                                     crypto_stream_xchacha20_KEYBYTES + crypto_stream_xchacha20_NONCEBYTES),
          .authentication = KeyedBlake2b(key, absl::StrCat("paseto-auth-key-for-aead", nonce), 32)};
}

// Encrypts and decrypts.
std::string WithPasetoStream(const PasetoKeys& keys, absl::string_view text) {
  std::string other(text.size(), '\0');
  const unsigned char* const key = SodiumBytes(keys.encryption);
  crypto_stream_xchacha20_xor(reinterpret_cast<unsigned char*>(other.data()), SodiumBytes(text), text.size(),
                              key + crypto_stream_xchacha20_KEYBYTES, key);
  return other;
}

// The standard's "pre-authentication encoding": all lengths in 8 bytes, little-endian.
std::string PreAuthentication(std::initializer_list<absl::string_view> pieces) {
  std::string all;
  const auto append = [&all](uint64_t number) {
    for (int shift = 0; shift < 64; shift += 8) all.push_back(static_cast<char>(number >> shift));
  };
  append(pieces.size());
  for (const absl::string_view piece : pieces) {
    append(piece.size());
    all.append(piece.data(), piece.size());
  }
  return all;
}

struct PasetoParts {
  std::string nonce;
  std::string cipher;
  std::string tag;
  std::string footer;
};

std::string TagOfPaseto(const PasetoKeys& keys, const PasetoParts& parts, absl::string_view assertion) {
  return KeyedBlake2b(keys.authentication,
                      PreAuthentication({kPasetoHeader, parts.nonce, parts.cipher, parts.footer, assertion}),
                      kPasetoTagBytes);
}

std::optional<PasetoParts> SplitPaseto(absl::string_view token) {
  if (!absl::ConsumePrefix(&token, kPasetoHeader)) return std::nullopt;
  const size_t dot = token.find('.');
  PasetoParts parts;
  if (dot != absl::string_view::npos) {
    std::optional<std::string> footer = FromBase64Url(token.substr(dot + 1));
    // A dot without a footer would be a second form of a token without one.
    if (!footer.has_value() || footer->empty()) return std::nullopt;
    parts.footer = *std::move(footer);
  }
  const std::optional<std::string> body = FromBase64Url(token.substr(0, dot));
  if (!body.has_value() || body->size() < kPasetoNonceBytes + kPasetoTagBytes) return std::nullopt;
  parts.nonce = body->substr(0, kPasetoNonceBytes);
  parts.cipher = body->substr(kPasetoNonceBytes, body->size() - kPasetoNonceBytes - kPasetoTagBytes);
  parts.tag = body->substr(body->size() - kPasetoTagBytes);
  return parts;
}

}  // namespace

std::string SealPaseto(absl::string_view key, absl::string_view message, absl::string_view footer,
                       absl::string_view assertion) {
  return SealPasetoWithNonce(key, RandomBytes(kPasetoNonceBytes), message, footer, assertion);
}

std::string SealPasetoWithNonce(absl::string_view key, absl::string_view nonce, absl::string_view message,
                                absl::string_view footer, absl::string_view assertion) {
  CHECK_EQ(key.size(), kPasetoKeyBytes);
  CHECK_EQ(nonce.size(), kPasetoNonceBytes);
  const PasetoKeys keys = DerivePasetoKeys(key, nonce);
  PasetoParts parts = {
      .nonce = std::string(nonce), .cipher = WithPasetoStream(keys, message), .tag = {}, .footer = std::string(footer)};
  parts.tag = TagOfPaseto(keys, parts, assertion);
  std::string token =
      absl::StrCat(kPasetoHeader, absl::WebSafeBase64Escape(absl::StrCat(parts.nonce, parts.cipher, parts.tag)));
  if (!footer.empty()) absl::StrAppend(&token, ".", absl::WebSafeBase64Escape(footer));
  return token;
}

std::optional<std::string> PasetoFooter(absl::string_view token) {
  std::optional<PasetoParts> parts = SplitPaseto(token);
  if (!parts.has_value()) return std::nullopt;
  return std::move(parts->footer);
}

std::optional<std::string> OpenPaseto(absl::string_view key, absl::string_view token, absl::string_view assertion) {
  CHECK_EQ(key.size(), kPasetoKeyBytes);
  const std::optional<PasetoParts> parts = SplitPaseto(token);
  if (!parts.has_value()) return std::nullopt;
  const PasetoKeys keys = DerivePasetoKeys(key, parts->nonce);
  if (!SameBytes(TagOfPaseto(keys, *parts, assertion), parts->tag)) return std::nullopt;
  return WithPasetoStream(keys, parts->cipher);
}

}  // namespace tranche::server
