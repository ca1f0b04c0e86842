// Who may call a node: principals, how they prove who they are, and their roles. Read from JSON, with // and /* */ as
// comments (docs/security.md):
//
//   { "anonymous": [],
//     "principals": [ { "name": "shop-web", "roles": ["storefront"],
//                       "certificates": ["URI:spiffe://shop/web"], "tokens_sha256": ["<64 hex digits>"] } ] }
#pragma once

#include <memory>
#include <string>
#include <vector>

#include "absl/container/flat_hash_map.h"
#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"
#include "absl/types/span.h"
#include "storage/base/access_token.h"
#include "storage/base/role.h"

namespace tranche {

inline constexpr size_t kMaxAccessFileBytes = size_t{1} << 20;
inline constexpr size_t kMaxPrincipals = 10000;
inline constexpr size_t kMaxPrincipalNameBytes = 64;
// Of callers without credentials; no principal of the file may have it.
inline constexpr char kAnonymousName[] = "anonymous";

// A subject alternative name of a certificate. Common names are never used: anybody's CA may have signed any.
struct SubjectName {
  enum class Kind : uint8_t { kUri, kDns, kEmail };
  Kind kind;
  absl::string_view value;
};

// Somebody who may call. Immutable.
struct Principal {
  std::string name;  // for logs and the audit log: 1 to kMaxPrincipalNameBytes of [A-Za-z0-9._:/@-]
  Roles roles;
  std::vector<std::string> certificates = {};  // as in the file, such as "DNS:web.shop.internal"
  size_t tokens = 0;                           // how many
};

// Immutable, so thread-safe.
class AccessPolicy {
 public:
  using PrincipalPtr = std::shared_ptr<const Principal>;

  // InvalidArgument names the place in the text and says what must be there; it never repeats a credential.
  static absl::StatusOr<std::shared_ptr<const AccessPolicy>> Parse(absl::string_view json);
  // Knows nobody, and callers without credentials have no role.
  AccessPolicy();

  // The principal of the first name that is one's; null if none is. The names match exactly, DNS names in any case.
  // Names with wildcards are only themselves.
  PrincipalPtr FindCertificate(absl::Span<const SubjectName> names) const;
  // Null if nobody has this token, or if it has not the form of one.
  //
  // Looks the token's digest up in a hash table, and then compares it in constant time. What the look-up's time tells
  // is about the digest, and nobody can choose a token by its digest; and whoever knows a digest whole, as readers of
  // the file do, still does not know the token.
  PrincipalPtr FindToken(absl::string_view token) const;
  // Stands for callers who show no credentials; never null. Its name is kAnonymousName.
  const PrincipalPtr& anonymous() const { return anonymous_; }

  // As in the file.
  const std::vector<PrincipalPtr>& principals() const { return principals_; }

  // The roles of callers without credentials by which strangers could do more than sell: pay, see everybody's
  // reservations, or run the sale. A node that other machines reach refuses such a policy.
  Roles DangerousForStrangers() const;
  // Whether anybody, with credentials or without, has one of `roles`.
  bool SomebodyHas(Roles roles) const;
  // Whether a principal is known by a certificate.
  bool NamesCertificates() const;

 private:
  friend class AccessPolicyReader;
  using ByName = absl::flat_hash_map<std::string, PrincipalPtr>;

  PrincipalPtr anonymous_;
  std::vector<PrincipalPtr> principals_;
  ByName certificates_[3];  // by SubjectName::Kind; DNS names in small letters
  absl::flat_hash_map<TokenDigest, PrincipalPtr> tokens_;
};

}  // namespace tranche
