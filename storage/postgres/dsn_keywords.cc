#include "storage/postgres/dsn_keywords.h"

#include <libpq-fe.h>

#include <map>
#include <memory>

#include "absl/status/status.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_replace.h"

namespace tranche::storage {
namespace {

std::string Quoted(const std::string& value) {
  return absl::StrCat("'", absl::StrReplaceAll(value, {{"\\", "\\\\"}, {"'", "\\'"}}), "'");
}

}  // namespace

absl::StatusOr<std::string> WithKeywords(const std::string& dsn,
                                         const std::vector<std::pair<std::string, std::string>>& keywords,
                                         OwnKeyword own) {
  // Without its message, which quotes the string.
  const std::unique_ptr<PQconninfoOption, decltype(&PQconninfoFree)> options(PQconninfoParse(dsn.c_str(), nullptr),
                                                                             &PQconninfoFree);
  if (options == nullptr) return absl::InvalidArgumentError("libpq cannot read the connection string");
  std::map<std::string, std::string> all(keywords.begin(), keywords.end());
  for (const PQconninfoOption* option = options.get(); option->keyword != nullptr; ++option) {
    if (option->val == nullptr || (own == OwnKeyword::kReplaced && all.contains(option->keyword))) continue;
    all[option->keyword] = option->val;
  }
  std::string full;
  for (const auto& [keyword, value] : all) absl::StrAppend(&full, full.empty() ? "" : " ", keyword, "=", Quoted(value));
  return full;
}

}  // namespace tranche::storage
