// The ledger's mark in the coordination tree: how far the ledger's history had come when a balancer last looked, and
// which ledger that is. A process whose database is another one must neither lead nor serve with that tree.
#pragma once

#include <string>

#include "absl/status/status.h"
#include "quota/coordination/coordination.h"
#include "storage/ledger/history_ledger.h"

namespace tranche::quota {

std::string ToZnodeData(const storage::LedgerMark& mark);
// A mark that no ledger goes on from, if it is none.
storage::LedgerMark ReadLedgerMark(const std::string& data);

// An error of IsAnotherLedgersTree, with what an operator can do, if `remembered` is the mark of another ledger than
// `own`. A mark that names no ledger is no obstacle.
absl::Status RequireSameLedger(const std::string& shard, const storage::LedgerMark& remembered,
                               const storage::LedgerMark& own);
// The same for what the tree remembers of the shard. Other errors are the session's, or the ledger's: it is asked only
// if there is a mark.
absl::Status RequireTreeOf(Coordination& session, const std::string& shard, const storage::LedgerMark& own);
absl::Status RequireTreeOf(Coordination& session, const std::string& shard, storage::HistoryLedger& ledger);
bool IsAnotherLedgersTree(const absl::Status& status);

// Lets home's leading balancer begin a new history within about a second, as if the ledger had been restored: replaces
// home's mark by one that no ledger goes on from.
absl::Status RequestNewHistory(Coordination& session);
// The same for an operator, who may have replaced databases: forgets which ledgers the other shards had, too.
absl::Status RequestNewHistoryOfAnyLedger(Coordination& session);

}  // namespace tranche::quota
