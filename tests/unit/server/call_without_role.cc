// Not part of any program: ctest compiles it with and without WITH_ROLE. A method's role cannot be forgotten.
#include "server/rpc/call_policy.h"

namespace tranche::server {

#ifdef WITH_ROLE
constexpr CallPolicy kPolicy{"Deliver", Role::kShop, RunsOn::kInline, Repeatable::kYes};
static_assert(kPolicy.role == Role::kShop);
#else
constexpr CallPolicy kPolicy{"Deliver", RunsOn::kInline, Repeatable::kYes};
#endif

}  // namespace tranche::server
