// Calls one function of the schema `tranche` in autocommit mode: one round trip, one transaction; or in a transaction
// that is taken back, to see what the call would do. The servers send no other SQL, except to see a server's settings
// and its clock.
#pragma once

#include <exception>
#include <pqxx/pqxx>
#include <string>

#include "absl/status/statusor.h"
#include "absl/strings/str_cat.h"
#include "absl/time/time.h"
#include "storage/base/status_macros.h"
#include "storage/ledger/ledger_error.h"
#include "storage/ledger/reservation_ledger.h"
#include "storage/postgres/connection_pool.h"
#include "storage/postgres/steady_now.h"

namespace tranche::storage {

// May the call be repeated when its answer was lost?
enum class Repeat {
  kNever,
  kRead,  // it changes nothing: a lost answer leaves no doubt
  kIfAnswerLost,
};

// A hung server blocks each try until its connection is given up: after this long no other try is begun.
inline constexpr absl::Duration kBeginTriesFor = absl::Seconds(10);

// An argument that is NULL where there is no text. A view: not longer than the text.
inline const char* OrNull(const std::string& text) { return text.empty() ? nullptr : text.c_str(); }

// The setting lock_timeout for LockMode::kWaitBriefly.
inline std::string BriefLockTimeout() { return absl::StrCat(absl::ToInt64Milliseconds(kBriefLockWait), "ms"); }

// `p_wait`: the position of an argument that is true for the function, and sets the transaction's lock_timeout before
// it is called, without a round trip; 0 for none.
inline std::string CallText(const char* function, int arguments, int p_wait = 0) {
  std::string text = absl::StrCat("SELECT * FROM tranche.", function, "(");
  for (int i = 1; i <= arguments; ++i) {
    if (i > 1) text.push_back(',');
    absl::StrAppend(&text, i == p_wait ? "set_config('lock_timeout',$" : "$", i);
    if (i == p_wait) absl::StrAppend(&text, ",true) IS NOT NULL");
  }
  text.push_back(')');
  return text;
}

// Returns the prepared statement's name.
inline std::string PrepareOnce(ConnectionPool::Connection& connection, const char* function, int arguments,
                               int p_wait = 0) {
  std::string name = p_wait == 0 ? function : absl::StrCat(function, " briefly");
  if (connection.prepared.insert(name).second) connection.pq.prepare(name, CallText(function, arguments, p_wait));
  return name;
}

// Arguments are strings, integers, booleans or `const char*` where nullptr is NULL. `p_wait`: as for CallText, of an
// argument such as "100ms".
//
// A change that was committed, but whose wait for the synchronous standby was cancelled, is an unknown commit: it would
// be lost if the standby took over now.
template <typename... Args>
absl::StatusOr<pqxx::result> CallOnceWaiting(ConnectionPool& pool, int p_wait, const char* function,
                                             const Args&... args) {
  ASSIGN_OR_RETURN(auto lease, pool.Acquire());
  ConnectionPool::Connection& connection = *lease;
  try {
    const std::string name = PrepareOnce(connection, function, sizeof...(args), p_wait);
    pqxx::nontransaction transaction(connection.pq);
    pqxx::result rows = transaction.exec_prepared(name, args...);
    // In autocommit mode the server commits before it ends its answer, so the warning is here by now.
    if (connection.pq.TakeNotReplicated())
      return UnsettledCommitError("committed, but the wait for the synchronous standby was cancelled");
    return rows;
  } catch (const std::exception& error) {
    return lease.Failed(error);
  }
}

// Waits for locks as long as the pool's connections do.
template <typename... Args>
absl::StatusOr<pqxx::result> CallOnce(ConnectionPool& pool, const char* function, const Args&... args) {
  return CallOnceWaiting(pool, /*p_wait=*/0, function, args...);
}

// What CallOnce would do and answer: nothing of it stays. Other transactions may wait for its locks as for those of the
// call itself, until it is taken back, at once.
template <typename... Args>
absl::StatusOr<pqxx::result> CallAndTakeBack(ConnectionPool& pool, const char* function, const Args&... args) {
  ASSIGN_OR_RETURN(auto lease, pool.Acquire());
  ConnectionPool::Connection& connection = *lease;
  try {
    PrepareOnce(connection, function, sizeof...(args));
    pqxx::work transaction(connection.pq);
    pqxx::result rows = transaction.exec_prepared(function, args...);
    transaction.abort();
    return rows;
  } catch (const std::exception& error) {
    return lease.Failed(error);
  }
}

// Repeats `once` a few times when the database asks for it (deadlock) and, unless kNever, when the answer was lost. If
// a change loses its answer, the outcome is in doubt until a later try succeeds: any error of that later try, even
// "cannot connect" (nothing happened now), is returned as the unknown commit.
template <typename Once>
auto RepeatCall(Repeat repeat, const Once& once) -> decltype(once()) {
  constexpr int kTries = 4;
  const absl::Time last_begin = SteadyNow() + kBeginTriesFor;
  absl::Status doubt;
  for (int attempt = 1;; ++attempt) {
    auto result = once();
    if (result.ok()) return result;
    const bool lost = IsUnknownCommit(result.status());
    if (lost && repeat != Repeat::kRead) doubt = result.status();
    const bool again = IsRetryTransaction(result.status()) || (lost && repeat != Repeat::kNever);
    if (again && attempt < kTries && SteadyNow() < last_begin) continue;
    if (!doubt.ok()) return doubt;
    return result;
  }
}

// RepeatCall of CallOnce, which takes a fresh connection if the last one broke.
template <typename... Args>
absl::StatusOr<pqxx::result> Call(ConnectionPool& pool, Repeat repeat, const char* function, const Args&... args) {
  return RepeatCall(repeat, [&] { return CallOnce(pool, function, args...); });
}

}  // namespace tranche::storage
