// Text that may go into logs, tables and answers unchanged.
#pragma once

#include "absl/strings/string_view.h"

namespace tranche::server {

// UTF-8 (no overlong forms, no surrogates) without control characters (C0, DEL, C1).
bool IsPlainUtf8(absl::string_view text);

}  // namespace tranche::server
