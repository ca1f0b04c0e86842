// Not part of any program: ctest compiles it with and without WITH_PERMISSION. A method's permission cannot be
// forgotten.
#include "server/rpc/call_policy.h"

namespace tranche::server {

#ifdef WITH_PERMISSION
constexpr CallPolicy kPolicy{"Deliver", Permission::kPay, RunsOn::kInline, Repeatable::kYes};
static_assert(kPolicy.permission == Permission::kPay);
#else
constexpr CallPolicy kPolicy{"Deliver", RunsOn::kInline, Repeatable::kYes};
#endif

}  // namespace tranche::server
