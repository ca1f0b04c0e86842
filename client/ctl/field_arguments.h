// The API's names of fields and the command line's names for the same things: the cluster's errors speak of fields.
#pragma once

#include <string>

#include "absl/strings/string_view.h"
#include "absl/types/span.h"

namespace tranche::ctl {

struct FieldArgument {
  absl::string_view field;     // as an error of the cluster names it
  absl::string_view argument;  // as --help names it
};

// Those whose names differ.
absl::Span<const FieldArgument> FieldArguments();

// What to correct when the cluster refuses this field; "" if its name tells.
std::string ArgumentOf(absl::string_view field);

}  // namespace tranche::ctl
