#include "server/access/access_control.h"

#include "absl/strings/ascii.h"
#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "server/errors.h"

namespace tranche::server {
namespace {

constexpr absl::string_view kScheme = "Bearer ";

// "" if the header has none.
absl::string_view TokenIn(absl::string_view authorization) {
  if (!absl::StartsWithIgnoreCase(authorization, kScheme)) return "";
  return absl::StripAsciiWhitespace(authorization.substr(kScheme.size()));
}

std::shared_ptr<const Principal> CallerBy(const AccessPolicy& policy, const CallerCredentials& credentials) {
  if (credentials.authorization.has_value()) return policy.FindToken(TokenIn(*credentials.authorization));
  if (credentials.certificate) return policy.FindCertificate(credentials.names);
  return policy.anonymous();
}

absl::string_view WhyUnknown(const CallerCredentials& credentials) {
  if (credentials.authorization.has_value()) return "This node does not know the token";
  if (credentials.certificate) return "This node knows no subject alternative name of the certificate";
  return "This call has no credentials";
}

absl::Status CallerUnknown(const CallerCredentials& credentials, Permission permission, const char* method) {
  const Roles roles = RolesWith(permission);
  return MakeError(
      v1::ERROR_REASON_CALLER_UNKNOWN,
      absl::StrCat(WhyUnknown(credentials), ". ", method, " needs a principal with one of the roles ", roles.Join(),
                   ": send its token (authorization: Bearer TOKEN) or show its certificate. "
                   "Principals are in the file of --access-file."),
      {{"method", method}, {"roles", roles.Join(",")}});
}

absl::Status RoleMissing(const Principal& caller, Permission permission, const char* method) {
  const Roles roles = RolesWith(permission);
  return MakeError(v1::ERROR_REASON_ROLE_MISSING,
                   absl::StrCat(caller.name, " may not call ", method, ", which needs one of the roles ", roles.Join(),
                                ". Whoever keeps the file of --access-file can give it one; nodes read it again within "
                                "a second."),
                   {{"method", method}, {"roles", roles.Join(",")}, {"principal", caller.name}});
}

}  // namespace

AccessControl::Verdict AccessControl::Judge(const CallerCredentials& credentials, Permission permission,
                                            const char* method) const {
  const AccessFile::Snapshot& now = file_->Current();
  Verdict verdict{absl::OkStatus(), CallerBy(*now.policy, credentials), now.generation};
  if (verdict.caller != nullptr && verdict.caller->roles.HasOneOf(RolesWith(permission))) return verdict;
  const bool anonymous = verdict.caller == now.policy->anonymous();
  if (anonymous) verdict.caller = nullptr;
  verdict.allowed = verdict.caller == nullptr ? CallerUnknown(credentials, permission, method)
                                              : RoleMissing(*verdict.caller, permission, method);
  return verdict;
}

}  // namespace tranche::server
