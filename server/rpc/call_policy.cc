#include "server/rpc/call_policy.h"

#include "server/rpc/open_calls.h"

namespace tranche::server {

bool OnlyReads(const CallPolicy& policy) {
  return policy.permission == Permission::kObserve || policy.counted_as == CallKind::kGet ||
         policy.counted_as == CallKind::kList;
}

bool SettlesReservation(const CallPolicy& policy) {
  return policy.permission == Permission::kPay || policy.permission == Permission::kGiveBack;
}

}  // namespace tranche::server
