#include "storage/postgres/dsn_password.h"

#include "absl/strings/str_cat.h"
#include "storage/base/secret_file.h"
#include "storage/postgres/dsn_keywords.h"

namespace tranche::storage {

absl::StatusOr<std::string> WithPassword(const std::string& dsn, const std::string& password) {
  return WithKeywords(dsn, {{"password", password}}, OwnKeyword::kReplaced);
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
