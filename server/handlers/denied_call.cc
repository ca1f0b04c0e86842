#include "server/handlers/denied_call.h"

#include <string>

#include "server/handlers/audited_action.h"
#include "storage/base/status_macros.h"

namespace tranche::server {

absl::Status WriteDeniedCall(storage::AuditLedger* log, const Denial& denial) {
  Members asked;
  asked.Add("method", denial.method_name()).Add("roles", RolesWith(denial.permission).Join());
  ASSIGN_OR_RETURN(AuditedAction entry, AuditedAction::Begin(log, {.actor = {denial.actor, denial.reason},
                                                                   .action = "denied_call",
                                                                   .sku_id = "",
                                                                   .before = Members(),
                                                                   .asked = asked}));
  entry.EndDone(Members().Add("outcome", std::string("DENIED")));
  return absl::OkStatus();
}

}  // namespace tranche::server
