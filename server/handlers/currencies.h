// The currencies there are.
#pragma once

#include "absl/strings/string_view.h"

namespace tranche::server {

// Whether it is a code of ISO 4217. XXX (no currency) and XTS (for tests) are; funds and metals that nothing is sold
// for are not.
bool IsKnownCurrency(absl::string_view code);

}  // namespace tranche::server
