#include "storage/postgres/server_connection.h"

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <memory>
#include <new>

#include "absl/strings/ascii.h"
#include "absl/strings/match.h"
#include "absl/strings/string_view.h"
#include "glog/logging.h"
#include "storage/postgres/sql_state.h"

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

// A field of a notice; "" if it lacks it.
absl::string_view FieldOf(const PGresult* notice, int field) {
  const char* const text = PQresultErrorField(notice, field);
  return text == nullptr ? "" : text;
}

}  // namespace

ServerConnectionPolicy::handle ServerConnectionPolicy::do_completeconnect(handle connected) {
  PQsetNoticeReceiver(connected, &Receive, this);
  connected_ = connected;
  return connected;
}

ServerConnectionPolicy::handle ServerConnectionPolicy::do_disconnect(handle present) noexcept {
  connected_ = nullptr;
  return pqxx::connect_direct::do_disconnect(present);
}

void ServerConnectionPolicy::Receive(void* self, const PGresult* notice) {
  // The SQLSTATE does not tell: this warning shares 01000 with others. The source file does.
  if (FieldOf(notice, PG_DIAG_SOURCE_FILE) == "syncrep.c") {
    static_cast<ServerConnectionPolicy*>(self)->not_replicated_ = true;
    return;
  }
  // Some come with every transaction, such as the alarm before transaction ids run out.
  LOG_EVERY_T(WARNING, 60) << "PostgreSQL says: " << FieldOf(notice, PG_DIAG_MESSAGE_PRIMARY);
}

ServerConnectionPolicy::handle ServerConnectionPolicy::do_startconnect(handle present) {
  if (present != nullptr) return present;
  Handle connection(PQconnectdb(options().c_str()), &PQfinish);
  if (connection == nullptr) throw std::bad_alloc();
  if (PQstatus(connection.get()) == CONNECTION_OK) return connection.release();
  const std::string message = PQerrorMessage(connection.get());
  // libpq has only this text for it. The server is well, and the connections that exist serve.
  if (absl::StrContains(message, strerrordesc_np(EMFILE)))
    throw pqxx::sql_error(message, "", std::string(kNoDescriptor).c_str());
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
