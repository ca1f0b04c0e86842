// How many columns of a terminal a text takes.
#pragma once

#include <cstddef>

#include "absl/strings/string_view.h"

namespace tranche::ctl {

// Of UTF-8: East Asian wide characters and emoji take two columns, combining marks none. A byte that is no UTF-8 takes
// one.
size_t DisplayWidth(absl::string_view text);

}  // namespace tranche::ctl
