// PostgreSQL array literals ('{"a","b"}'), for passing a whole batch as one parameter.
#pragma once

#include <string>

#include "absl/strings/string_view.h"

namespace tranche::storage {

// Appends elements to a literal; the literal is complete after Finish.
class ArrayLiteral {
 public:
  ArrayLiteral() { text_.push_back('{'); }

  // Quoted and escaped: safe for any text without NUL.
  void AddText(absl::string_view element);
  void AddInt(int64_t element);
  // For elements known to need no quoting, such as UUIDs.
  void AddPlain(absl::string_view element);

  std::string Finish() &&;

 private:
  void Separate();
  std::string text_;
};

}  // namespace tranche::storage
