// The ledger's mark in the coordination tree: how far the ledger's history had come when a balancer last looked.
#pragma once

#include <string>

#include "absl/status/status.h"
#include "quota/coordination/coordination.h"
#include "storage/ledger/history_ledger.h"

namespace tranche::quota {

std::string ToZnodeData(const storage::LedgerMark& mark);
// A mark that no ledger goes on from, if it is none.
storage::LedgerMark ReadLedgerMark(const std::string& data);

// Lets home's leading balancer begin a new history within about a second, as if the ledger had been restored: replaces
// home's mark by one that no ledger goes on from.
absl::Status RequestNewHistory(Coordination& session);

}  // namespace tranche::quota
