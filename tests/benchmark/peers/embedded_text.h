// The SQL and Lua files of this folder's subfolders, embedded in the program.
#pragma once

#include <string>

#include "absl/strings/string_view.h"

namespace tranche::peers {

// The text of a file, such as EmbeddedText("postgres/schema.sql"). There must be one: the process ends otherwise.
std::string EmbeddedText(absl::string_view file);

}  // namespace tranche::peers
