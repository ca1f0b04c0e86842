#include "storage/postgres/connection_limits.h"

#include <algorithm>
#include <pqxx/pqxx>
#include <utility>

#include "absl/strings/str_cat.h"
#include "storage/base/status_macros.h"
#include "storage/postgres/call.h"

namespace tranche::storage {
namespace {

struct SessionView {
  std::vector<ConnectionLimit> limits;
  int backend = 0;
};

// Not prepared: behind a pooler this may come to another server than the last statement.
absl::StatusOr<SessionView> ViewOf(ConnectionPool::Lease& lease) {
  try {
    SessionView view;
    pqxx::nontransaction query(lease->pq);
    for (const pqxx::row& row : query.exec(CallText("connection_limits", 0))) {
      view.limits.push_back({row["scope"].c_str(), row["name"].c_str(), row["bound"].as<int>(), row["used"].as<int>()});
      view.backend = row["backend"].as<int>();
    }
    return view;
  } catch (const std::exception& error) {
    return lease.Failed(error);
  }
}

std::string HowToRaise(const ConnectionLimit& limit, int wanted) {
  if (limit.scope == "server") return absl::StrCat("raise max_connections by ", wanted, " and restart the server");
  return absl::StrCat("raise the CONNECTION LIMIT of the ", limit.scope, " ", limit.name, " to ", limit.bound + wanted);
}

}  // namespace

ConnectionVerdict Judge(const std::vector<ConnectionLimit>& limits, const ConnectionNeeds& needs) {
  ConnectionVerdict verdict;
  for (const ConnectionLimit& limit : limits) {
    const int left = limit.bound - limit.used;
    if (left >= needs.most) continue;
    const std::string facts = absl::StrCat("PostgreSQL gives ", limit.bound, " connections (", limit.scope, " ",
                                           limit.name, "), of which ", limit.used, " are taken");
    const std::string remedy = HowToRaise(limit, needs.most - left);
    if (limit.bound < needs.least) {
      verdict.refusal = absl::StrCat(facts, "; this process cannot work with fewer than ", needs.least, ": ", remedy);
    } else {
      verdict.warnings.push_back(
          absl::StrCat(facts, "; this process may want ", needs.most, ", and is slower with fewer: ", remedy));
    }
  }
  return verdict;
}

absl::StatusOr<std::vector<ConnectionLimit>> ReadConnectionLimits(ConnectionPool& pool) {
  ASSIGN_OR_RETURN(auto first, pool.Acquire());
  ASSIGN_OR_RETURN(SessionView view, ViewOf(first));
  int own = 1;
  // If the server gives no second connection, there is nothing to compare.
  if (auto second = pool.Acquire(); second.ok()) {
    own = 2;
    ASSIGN_OR_RETURN(const SessionView other, ViewOf(*second));
    ASSIGN_OR_RETURN(const SessionView again, ViewOf(first));
    // Which of the two shows depends on the order in which the pooler takes its servers.
    if (other.backend == view.backend || again.backend != view.backend) {
      return absl::FailedPreconditionError(ClassifySqlState("26000").remedy);
    }
    view = again;
  }
  for (ConnectionLimit& limit : view.limits) limit.used = std::max(0, limit.used - own);
  return std::move(view.limits);
}

}  // namespace tranche::storage
