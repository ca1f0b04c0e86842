#include "storage/postgres/server_connection.h"

#include <libpq-fe.h>

#include <algorithm>
#include <memory>
#include <new>

#include "absl/strings/ascii.h"
#include "absl/strings/match.h"
#include "absl/strings/string_view.h"

namespace tranche::storage {
namespace {

using Handle = std::unique_ptr<PGconn, decltype(&PQfinish)>;

// In libpq's messages two spaces follow the severity that a server sent, in every language.
constexpr absl::string_view kAfterSeverity = ":  ";
constexpr size_t kSqlStateSize = 5;

// From a verbose message: "...: FATAL:  53300: sorry, too many clients already ...". "" if there is none.
std::string SqlStateIn(absl::string_view verbose) {
  for (size_t at = verbose.find(kAfterSeverity); at != verbose.npos; at = verbose.find(kAfterSeverity, at + 1)) {
    const absl::string_view rest = verbose.substr(at + kAfterSeverity.size());
    const absl::string_view state = rest.substr(0, kSqlStateSize);
    const bool plain = std::all_of(state.begin(), state.end(), [](char c) {
      return absl::ascii_isupper(static_cast<unsigned char>(c)) || absl::ascii_isdigit(static_cast<unsigned char>(c));
    });
    if (plain && absl::StartsWith(rest.substr(state.size()), ": ")) return std::string(state);
  }
  return "";
}

}  // namespace

ServerConnectionPolicy::handle ServerConnectionPolicy::do_startconnect(handle present) {
  if (present != nullptr) return present;
  Handle connection(PQconnectdb(options().c_str()), &PQfinish);
  if (connection == nullptr) throw std::bad_alloc();
  if (PQstatus(connection.get()) == CONNECTION_OK) return connection.release();
  const std::string message = PQerrorMessage(connection.get());
  if (!absl::StrContains(message, kAfterSeverity)) throw pqxx::broken_connection(message);
  // The server itself said no. libpq tells the SQLSTATE of that only in a verbose message, which can only be asked for
  // once there is a handle: so the same again.
  PQsetErrorVerbosity(connection.get(), PQERRORS_VERBOSE);
  PQreset(connection.get());
  PQsetErrorVerbosity(connection.get(), PQERRORS_DEFAULT);
  if (PQstatus(connection.get()) == CONNECTION_OK) return connection.release();
  const std::string state = SqlStateIn(PQerrorMessage(connection.get()));
  if (state.empty()) throw pqxx::broken_connection(message);
  throw pqxx::sql_error(message, "", state.c_str());
}

}  // namespace tranche::storage
