#include "storage/postgres/dsn_password.h"

#include <libpq-fe.h>

#include <memory>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_replace.h"
#include "absl/strings/string_view.h"
#include "storage/base/secret_file.h"
#include "storage/base/status_macros.h"

namespace tranche::storage {
namespace {

constexpr absl::string_view kPassword = "password";

std::string Quoted(const std::string& value) {
  return absl::StrCat("'", absl::StrReplaceAll(value, {{"\\", "\\\\"}, {"'", "\\'"}}), "'");
}

}  // namespace

absl::StatusOr<std::string> WithPassword(const std::string& dsn, const std::string& password) {
  // Without its message, which quotes the string.
  const std::unique_ptr<PQconninfoOption, decltype(&PQconninfoFree)> options(PQconninfoParse(dsn.c_str(), nullptr),
                                                                             &PQconninfoFree);
  if (options == nullptr) return absl::InvalidArgumentError("libpq cannot read the connection string");
  std::string full = absl::StrCat(kPassword, "=", Quoted(password));
  for (const PQconninfoOption* option = options.get(); option->keyword != nullptr; ++option) {
    if (option->val == nullptr || option->keyword == kPassword) continue;
    absl::StrAppend(&full, " ", option->keyword, "=", Quoted(option->val));
  }
  return full;
}

absl::StatusOr<std::string> WithPasswordOf(const std::string& file, const std::string& dsn) {
  if (file.empty()) return dsn;
  const absl::StatusOr<std::string> password = ReadSecretLine(file);
  if (!password.ok()) {
    const bool lacks_descriptor = absl::IsResourceExhausted(password.status());
    return absl::Status(lacks_descriptor ? absl::StatusCode::kResourceExhausted : absl::StatusCode::kUnavailable,
                        absl::StrCat("--postgres-password-file: ", std::string(password.status().message())));
  }
  return WithPassword(dsn, *password);
}

}  // namespace tranche::storage
