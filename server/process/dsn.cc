#include "server/process/dsn.h"

#include <libpq-fe.h>

#include <algorithm>
#include <cstdlib>
#include <cstring>
#include <memory>
#include <vector>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_split.h"
#include "storage/base/loopback.h"

namespace tranche::server {
namespace {

struct FreeOptions {
  void operator()(PQconninfoOption* options) const { PQconninfoFree(options); }
};

// The first of these that is set: the string's own value, libpq's environment variable, `fallback`.
std::string ValueOf(const PQconninfoOption* options, const char* keyword, const std::string& fallback) {
  for (const PQconninfoOption* option = options; option->keyword != nullptr; ++option) {
    if (std::strcmp(option->keyword, keyword) != 0) continue;
    if (option->val != nullptr && *option->val != '\0') return option->val;
    const char* environment = option->envvar == nullptr ? nullptr : std::getenv(option->envvar);
    if (environment != nullptr && *environment != '\0') return environment;
  }
  return fallback;
}

using Options = std::unique_ptr<PQconninfoOption, FreeOptions>;

// Whether a "/" or "@" of the password, written as it is, ended the user and password of a URI too early: then libpq
// takes the password's beginning for a port, or its end for a part of the database's name.
bool SplitsPassword(const PQconninfoOption* options) {
  for (const PQconninfoOption* option = options; option->keyword != nullptr; ++option) {
    const std::string keyword = option->keyword;
    const std::string value = option->val == nullptr ? "" : option->val;
    if (keyword == "port" && value.find_first_not_of("0123456789,") != std::string::npos) return true;
    if ((keyword == "dbname" || keyword == "host") && value.find('@') != std::string::npos) return true;
  }
  return false;
}

// Are all these hosts, of which none is the default, this machine or sockets on it?
bool IsLocal(const std::string& hosts) {
  const std::vector<std::string> each = absl::StrSplit(hosts, ',');
  return std::all_of(each.begin(), each.end(), [](const std::string& host) {
    return host.empty() || host.front() == '/' || host.front() == '@' || IsLoopbackHost(host) ||
           IsLoopbackHost(absl::StrCat("[", host, "]"));
  });
}

// Null if libpq cannot read it, or misreads a password.
Options Parse(const std::string& dsn) {
  // A text with neither keyword nor URI would be taken as empty.
  if (dsn.find('=') == std::string::npos && dsn.find("://") == std::string::npos) return nullptr;
  char* message = nullptr;
  Options options(PQconninfoParse(dsn.c_str(), &message));
  PQfreemem(message);
  if (options != nullptr && dsn.find("://") != std::string::npos && SplitsPassword(options.get())) return nullptr;
  return options;
}

}  // namespace

std::optional<std::string> DescribeDsn(const std::string& dsn) {
  const Options options = Parse(dsn);
  if (options == nullptr) return std::nullopt;
  const std::string user = ValueOf(options.get(), "user", "");
  return absl::StrCat(ValueOf(options.get(), "host", ValueOf(options.get(), "hostaddr", "localhost")), ":",
                      ValueOf(options.get(), "port", "5432"), "/",
                      ValueOf(options.get(), "dbname", user.empty() ? "(default)" : user));
}

std::string SecretKeywordOf(const std::string& dsn) {
  const Options options = Parse(dsn);
  if (options == nullptr) return "";
  for (const PQconninfoOption* option = options.get(); option->keyword != nullptr; ++option) {
    const std::string keyword = option->keyword;
    if (keyword != "password" && keyword != "sslpassword") continue;
    if (option->val != nullptr && *option->val != '\0') return keyword;
  }
  return "";
}

std::string ServerTrustWarning(const std::string& dsn) {
  const Options options = Parse(dsn);
  if (options == nullptr || IsLocal(ValueOf(options.get(), "hostaddr", ValueOf(options.get(), "host", "")))) return "";
  const std::string sslmode = ValueOf(options.get(), "sslmode", "");
  if (sslmode == "verify-full" || sslmode == "verify-ca") return "";
  // It proves that the server knows the password; one that asks for it in clear text is not told.
  if (ValueOf(options.get(), "channel_binding", "") == "require") return "";
  return "nothing proves that the right server answers: one in its place is told the password, and can read and change "
         "all that passes. Add sslmode=verify-full and sslrootcert=FILE to the connection string";
}

absl::Status CheckSharedDsn(const std::string& dsn) {
  constexpr size_t kLongest = 1024;
  const Options options = Parse(dsn);
  if (options == nullptr || dsn.size() > kLongest) {
    return absl::InvalidArgumentError(
        "must be a connection string or URI that libpq can read, of 1024 bytes at most; in a URI, write special "
        "characters "
        "of names as %XX");
  }
  const std::string secret = SecretKeywordOf(dsn);
  if (secret.empty()) return absl::OkStatus();
  return absl::InvalidArgumentError(
      absl::StrCat("must not hold a ", secret,
                   ": it is kept in the ledger and used by every server. Give each server its own credentials: a "
                   "password file (--postgres-password-file or PGPASSFILE) or a client certificate (PGSSLCERT)"));
}

}  // namespace tranche::server
