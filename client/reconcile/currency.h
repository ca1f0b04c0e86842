// Decimals of currencies.
#pragma once

#include "absl/strings/string_view.h"

namespace tranche::reconcile {

// The number of decimals by ISO 4217; 2 for currencies that are not listed.
int DecimalsOf(absl::string_view currency);

}  // namespace tranche::reconcile
