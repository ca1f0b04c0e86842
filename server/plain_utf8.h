// Text that may go into logs, tables and answers unchanged.
#pragma once

#include "absl/strings/string_view.h"

namespace tranche::server {

// UTF-8 (no overlong forms, no surrogates) without control characters (C0, DEL, C1).
bool IsPlainUtf8(absl::string_view text);

// For names that people compare by eye. Plain UTF-8 of which something is seen, and without characters that are not
// seen: joiners, marks of direction, variation selectors, fillers (Unicode's Default_Ignorable_Code_Point), separators
// of lines. Spaces are allowed, but not alone.
bool IsVisibleUtf8(absl::string_view text);

// Whether plain UTF-8 has characters that change the direction in which what follows is shown: a line of a table would
// say something else than it holds.
bool HasDirectionMarks(absl::string_view text);

}  // namespace tranche::server
