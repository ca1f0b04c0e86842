#include "storage/ledger/refusal.h"

#include "glog/logging.h"

namespace tranche::storage {

Refusal RefusalOfProcedure(absl::string_view word) {
  for (const RefusalWord& known : kRefusalWords) {
    if (!word.empty() && known.procedure == word) return known.refusal;
  }
  LOG_EVERY_N(ERROR, 1000) << "a stored procedure answers '" << word
                           << "', which this version does not know: it is of a newer schema";
  return Refusal::kInternal;
}

}  // namespace tranche::storage
