// How large the coordination tree is, and whether it agrees with the ledger.
#pragma once

#include <cstdint>
#include <map>
#include <string>

#include "quota/coordination/coordination.h"
#include "storage/ledger/stock_ledger.h"

namespace tranche::testing {

// The content of one folder of the first level.
struct FolderSize {
  int64_t znodes = 0;
  int64_t bytes = 0;  // of data
  int64_t largest_znode = 0;
  // The longest list of children, and the size of the server's reply with it.
  std::string longest_list;
  int64_t longest_list_names = 0;
  int64_t longest_list_bytes = 0;
};

// By folder.
std::map<std::string, FolderSize> MeasureTree(quota::Coordination& session);

// Slices in the ledger whose announcement is missing or older, and znodes of incarnations that are not live.
struct Differences {
  int64_t unannounced = 0;
  int64_t left_over = 0;
};
Differences CompareWithLedger(quota::Coordination& session, storage::StockLedger& ledger);

}  // namespace tranche::testing
