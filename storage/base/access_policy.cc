#include "storage/base/access_policy.h"

#include <openssl/crypto.h>

#include <algorithm>
#include <initializer_list>
#include <nlohmann/json.hpp>
#include <optional>
#include <set>
#include <utility>

#include "absl/algorithm/container.h"
#include "absl/strings/ascii.h"
#include "absl/strings/escaping.h"
#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/strip.h"
#include "storage/base/status_macros.h"

namespace tranche {
namespace {

using nlohmann::json;

// SPIFFE's bound for its URIs, RFC 1035's for names, and RFC 5321's for addresses (64 + 1 + 255).
constexpr size_t kMaxUriBytes = 2048, kMaxDnsBytes = 253, kMaxEmailBytes = 320;

absl::Status Fault(absl::string_view place, absl::string_view what) {
  return absl::InvalidArgumentError(absl::StrCat(place, ": ", what));
}

// Of text that is no credential.
std::string Quoted(absl::string_view text) {
  constexpr size_t kMost = 64;
  return absl::StrCat("\"", absl::CHexEscape(text.substr(0, kMost)), text.size() > kMost ? "..." : "", "\"");
}

std::string LineAndColumn(absl::string_view text, size_t byte) {
  const absl::string_view before = text.substr(0, byte == 0 ? 0 : byte - 1);
  const size_t line_begin = before.rfind('\n');
  const size_t column = line_begin == absl::string_view::npos ? before.size() + 1 : before.size() - line_begin;
  return absl::StrCat("line ", absl::c_count(before, '\n') + 1, ", column ", column);
}

// Looks at a text before it becomes a tree. It must be JSON, and name no member of an object twice: the library takes
// the last of two, and says nothing. (A callback of the tree's own parser sees both, too, but each object then costs a
// look at all before it in its list.)
class JsonCheck final : public nlohmann::json_sax<json> {
 public:
  explicit JsonCheck(absl::string_view text) : text_(text) {}

  absl::Status Run() {
    if (!json::sax_parse(text_.begin(), text_.end(), this, json::input_format_t::json, /*strict=*/true,
                         /*ignore_comments=*/true)) {
      fault_.Update(Fault("file", "is no JSON"));
    }
    return fault_;
  }

  bool null() override { return true; }
  bool boolean(bool) override { return true; }
  bool number_integer(number_integer_t) override { return true; }
  bool number_unsigned(number_unsigned_t) override { return true; }
  bool number_float(number_float_t, const string_t&) override { return true; }
  bool string(string_t&) override { return true; }
  bool binary(binary_t&) override { return true; }
  bool start_array(std::size_t) override { return true; }
  bool end_array() override { return true; }
  bool start_object(std::size_t) override {
    open_.emplace_back();
    return true;
  }
  bool end_object() override {
    open_.pop_back();
    return true;
  }
  bool key(string_t& name) override {
    if (open_.back().insert(name).second) return true;
    fault_ = Fault(Quoted(name), "is there twice in one object");
    return false;
  }
  // Also of a number that is too large. Its own text may repeat a piece of the file.
  bool parse_error(std::size_t byte, const std::string&, const nlohmann::detail::exception&) override {
    fault_ = Fault(LineAndColumn(text_, byte), "is no JSON");
    return false;
  }

 private:
  const absl::string_view text_;
  std::vector<std::set<std::string>> open_;
  absl::Status fault_;
};

absl::StatusOr<json> ParseJson(absl::string_view text) {
  RETURN_IF_ERROR(JsonCheck(text).Run());
  json root =
      json::parse(text.begin(), text.end(), /*cb=*/nullptr, /*allow_exceptions=*/false, /*ignore_comments=*/true);
  if (root.is_discarded()) return Fault("file", "is no JSON");
  return root;
}

absl::Status OnlyMembers(const json& object, absl::string_view place, std::initializer_list<absl::string_view> known) {
  if (!object.is_object()) return Fault(place, "must be an object");
  for (const auto& [key, _] : object.items()) {
    if (!absl::c_linear_search(known, absl::string_view(key))) {
      std::string expected;
      for (const absl::string_view name : known) absl::StrAppend(&expected, expected.empty() ? "" : ", ", name);
      return Fault(place, absl::StrCat("has the unknown member ", Quoted(key), "; known are ", expected));
    }
  }
  return absl::OkStatus();
}

// The texts of a list; none if there is no such member.
absl::StatusOr<std::vector<std::string>> TextsOf(const json& object, const char* member, absl::string_view place) {
  std::vector<std::string> texts;
  const auto found = object.find(member);
  if (found == object.end()) return texts;
  const std::string list = absl::StrCat(place, ".", member);
  if (!found->is_array()) return Fault(list, "must be a list of texts");
  for (const json& text : *found) {
    if (!text.is_string()) return Fault(absl::StrCat(list, "[", texts.size(), "]"), "must be a text");
    texts.push_back(text.get<std::string>());
  }
  return texts;
}

absl::StatusOr<Roles> RolesOf(const json& object, const char* member, absl::string_view place) {
  ASSIGN_OR_RETURN(const std::vector<std::string> names, TextsOf(object, member, place));
  Roles roles;
  for (size_t i = 0; i < names.size(); ++i) {
    const std::string at = absl::StrCat(place, ".", member, "[", i, "]");
    const std::optional<Role> role = RoleNamed(names[i]);
    if (!role.has_value()) {
      Roles all;
      for (const RoleWord& word : kRoleWords) all.Add(word.role);
      return Fault(at, absl::StrCat(Quoted(names[i]), " is no role; there are ", all.Join()));
    }
    if (roles.Has(*role)) return Fault(at, absl::StrCat(Quoted(names[i]), " is there twice"));
    roles.Add(*role);
  }
  return roles;
}

bool IsPrincipalName(absl::string_view name) {
  return !name.empty() && name.size() <= kMaxPrincipalNameBytes && absl::c_all_of(name, [](char c) {
    return absl::ascii_isalnum(static_cast<unsigned char>(c)) || absl::StrContains("._:/@-", absl::string_view(&c, 1));
  });
}

bool IsGraphic(absl::string_view text, size_t max_bytes) {
  return !text.empty() && text.size() <= max_bytes &&
         absl::c_all_of(text, [](char c) { return absl::ascii_isgraph(static_cast<unsigned char>(c)); });
}

bool IsDnsName(absl::string_view name) {
  return IsGraphic(name, kMaxDnsBytes) && absl::c_all_of(name, [](char c) {
           return absl::ascii_isalnum(static_cast<unsigned char>(c)) ||
                  absl::StrContains(".-_*", absl::string_view(&c, 1));
         });
}

// As the file writes it; the value is a part of `text`.
std::optional<SubjectName> ParseSubjectName(absl::string_view text) {
  if (absl::ConsumePrefix(&text, "URI:")) {
    if (!IsGraphic(text, kMaxUriBytes) || !absl::StrContains(text, ":")) return std::nullopt;
    return SubjectName{SubjectName::Kind::kUri, text};
  }
  if (absl::ConsumePrefix(&text, "DNS:")) {
    if (!IsDnsName(text)) return std::nullopt;
    return SubjectName{SubjectName::Kind::kDns, text};
  }
  if (absl::ConsumePrefix(&text, "EMAIL:")) {
    if (!IsGraphic(text, kMaxEmailBytes) || !absl::StrContains(text, "@")) return std::nullopt;
    return SubjectName{SubjectName::Kind::kEmail, text};
  }
  return std::nullopt;
}

std::optional<TokenDigest> ParseDigest(absl::string_view hex) {
  TokenDigest digest;
  const bool good = hex.size() == 2 * digest.size() &&
                    absl::c_all_of(hex, [](char c) { return absl::ascii_isxdigit(static_cast<unsigned char>(c)); });
  if (!good) return std::nullopt;
  const std::string bytes = absl::HexStringToBytes(hex);
  std::copy(bytes.begin(), bytes.end(), digest.begin());
  return digest;
}

std::string KeyOf(const SubjectName& name) {
  return name.kind == SubjectName::Kind::kDns ? absl::AsciiStrToLower(name.value) : std::string(name.value);
}

}  // namespace

// Fills a policy while it is read.
class AccessPolicyReader {
 public:
  absl::StatusOr<std::shared_ptr<const AccessPolicy>> Read(absl::string_view text) {
    if (text.size() > kMaxAccessFileBytes) return Fault("file", "must be at most 1 MiB");
    ASSIGN_OR_RETURN(const json root, ParseJson(text));
    RETURN_IF_ERROR(OnlyMembers(root, "file", {"anonymous", "principals"}));
    ASSIGN_OR_RETURN(const Roles roles, RolesOf(root, "anonymous", "file"));
    policy_->anonymous_ = std::make_shared<const Principal>(Principal{kAnonymousName, roles});
    const auto principals = root.find("principals");
    if (principals == root.end() || !principals->is_array()) return Fault("principals", "must be there, as a list");
    if (principals->size() > kMaxPrincipals) return Fault("principals", "must be at most 10,000");
    for (size_t i = 0; i < principals->size(); ++i) {
      RETURN_IF_ERROR(ReadPrincipal((*principals)[i], absl::StrCat("principals[", i, "]")));
    }
    return std::shared_ptr<const AccessPolicy>(std::move(policy_));
  }

 private:
  absl::Status ReadPrincipal(const json& object, std::string place) {
    RETURN_IF_ERROR(OnlyMembers(object, place, {"name", "roles", "certificates", "tokens_sha256"}));
    const auto name = object.find("name");
    if (name == object.end() || !name->is_string() || !IsPrincipalName(name->get_ref<const std::string&>())) {
      return Fault(absl::StrCat(place, ".name"), "must be 1 to 64 letters, digits, and any of . _ : / @ -");
    }
    auto principal = std::make_shared<Principal>();
    principal->name = name->get<std::string>();
    absl::StrAppend(&place, " (", principal->name, ")");
    if (principal->name == kAnonymousName) return Fault(place, "this name is for callers without credentials");
    if (!names_.insert(principal->name).second) return Fault(place, "another principal has this name");
    if (!object.contains("roles")) return Fault(place, "needs the member roles, a list");
    ASSIGN_OR_RETURN(principal->roles, RolesOf(object, "roles", place));
    ASSIGN_OR_RETURN(principal->certificates, TextsOf(object, "certificates", place));
    ASSIGN_OR_RETURN(const std::vector<std::string> digests, TextsOf(object, "tokens_sha256", place));
    principal->tokens = digests.size();
    RETURN_IF_ERROR(AddCertificates(principal, place));
    RETURN_IF_ERROR(AddTokens(principal, digests, place));
    policy_->principals_.push_back(std::move(principal));
    return absl::OkStatus();
  }

  absl::Status AddCertificates(const AccessPolicy::PrincipalPtr& principal, const std::string& place) {
    for (size_t i = 0; i < principal->certificates.size(); ++i) {
      const std::string at = absl::StrCat(place, ".certificates[", i, "]");
      const std::optional<SubjectName> name = ParseSubjectName(principal->certificates[i]);
      if (!name.has_value()) {
        return Fault(at, "must be a subject alternative name: URI:spiffe://..., DNS:host.name or EMAIL:who@host");
      }
      const auto [other, added] =
          policy_->certificates_[static_cast<size_t>(name->kind)].try_emplace(KeyOf(*name), principal);
      if (!added) return Fault(at, absl::StrCat("is a certificate of ", other->second->name, " already"));
    }
    return absl::OkStatus();
  }

  absl::Status AddTokens(const AccessPolicy::PrincipalPtr& principal, const std::vector<std::string>& digests,
                         const std::string& place) {
    for (size_t i = 0; i < digests.size(); ++i) {
      const std::string at = absl::StrCat(place, ".tokens_sha256[", i, "]");
      const std::optional<TokenDigest> digest = ParseDigest(digests[i]);
      if (!digest.has_value()) {
        return Fault(at,
                     "must be the SHA-256 of a token in 64 hex digits, as `tranchectl token new` prints it; never "
                     "the token itself");
      }
      const auto [other, added] = policy_->tokens_.try_emplace(*digest, principal);
      if (!added) return Fault(at, absl::StrCat("is a token of ", other->second->name, " already"));
    }
    return absl::OkStatus();
  }

  std::shared_ptr<AccessPolicy> policy_ = std::make_shared<AccessPolicy>();
  std::set<std::string> names_;
};

AccessPolicy::AccessPolicy() : anonymous_(std::make_shared<const Principal>(Principal{kAnonymousName, Roles()})) {}

absl::StatusOr<std::shared_ptr<const AccessPolicy>> AccessPolicy::Parse(absl::string_view json) {
  return AccessPolicyReader().Read(json);
}

AccessPolicy::PrincipalPtr AccessPolicy::FindCertificate(absl::Span<const SubjectName> names) const {
  for (const SubjectName& name : names) {
    const ByName& known = certificates_[static_cast<size_t>(name.kind)];
    const auto found =
        name.kind == SubjectName::Kind::kDns ? known.find(absl::AsciiStrToLower(name.value)) : known.find(name.value);
    if (found != known.end()) return found->second;
  }
  return nullptr;
}

AccessPolicy::PrincipalPtr AccessPolicy::FindToken(absl::string_view token) const {
  if (!HasTokenForm(token)) return nullptr;
  const TokenDigest digest = DigestOfToken(token);
  const auto found = tokens_.find(digest);
  if (found == tokens_.end() || CRYPTO_memcmp(found->first.data(), digest.data(), digest.size()) != 0) return nullptr;
  return found->second;
}

Roles AccessPolicy::DangerousForStrangers() const {
  Roles dangerous;
  for (const Role role : {Role::kService, Role::kOperator, Role::kAdmin}) {
    if (anonymous_->roles.Has(role)) dangerous.Add(role);
  }
  return dangerous;
}

bool AccessPolicy::SomebodyHas(Roles roles) const {
  return anonymous_->roles.HasOneOf(roles) ||
         absl::c_any_of(principals_, [roles](const PrincipalPtr& one) { return one->roles.HasOneOf(roles); });
}

bool AccessPolicy::NamesCertificates() const {
  return absl::c_any_of(principals_, [](const PrincipalPtr& one) { return !one->certificates.empty(); });
}

}  // namespace tranche
