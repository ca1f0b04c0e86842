#include "storage/postgres/array_literal.h"

#include <utility>

#include "absl/strings/str_cat.h"

namespace tranche::storage {

void ArrayLiteral::Separate() {
  if (text_.size() > 1) text_.push_back(',');
}

void ArrayLiteral::AddText(absl::string_view element) {
  Separate();
  text_.push_back('"');
  for (const char c : element) {
    if (c == '"' || c == '\\') text_.push_back('\\');
    text_.push_back(c);
  }
  text_.push_back('"');
}

void ArrayLiteral::AddInt(int64_t element) {
  Separate();
  absl::StrAppend(&text_, element);
}

void ArrayLiteral::AddPlain(absl::string_view element) {
  Separate();
  text_.append(element.data(), element.size());
}

std::string ArrayLiteral::Finish() && {
  text_.push_back('}');
  return std::move(text_);
}

}  // namespace tranche::storage
