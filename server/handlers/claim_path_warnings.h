// What an operator should know when a SKU's claims are to be queued and something is missing for that, in the words of
// whoever types it.
#pragma once

#include <string>
#include <vector>

#include "storage/ledger/front_ledger.h"
#include "storage/ledger/sku_ledger.h"

namespace tranche::server {

// Thread-safe.
class ClaimPathWarnings {
 public:
  // `has_broker`: this node has one. `front`: home's, which has the keys that tickets are made with; outlives this.
  ClaimPathWarnings(bool has_broker, storage::FrontLedger* front) : has_broker_(has_broker), front_(front) {}

  // None for kDirect. Blocks.
  std::vector<std::string> Of(storage::ClaimPath path) const;

 private:
  const bool has_broker_;
  storage::FrontLedger* const front_;
};

// Adds them to an answer. `warnings` may be null: then there are none.
template <typename Response>
void WarnOfClaimPath(const ClaimPathWarnings* warnings, storage::ClaimPath path, Response& response) {
  if (warnings == nullptr) return;
  const std::vector<std::string> texts = warnings->Of(path);
  for (const std::string& text : texts) response.add_warnings(text);
}

}  // namespace tranche::server
