// The ids of many SKUs that a program makes and another one buys.
#pragma once

#include <string>

#include "absl/strings/str_format.h"
#include "absl/strings/string_view.h"

namespace tranche::benchmark {

// "sku-000041" for the prefix "sku" and the number 41. open_skus.sql has the same.
inline std::string SkuOfMany(absl::string_view prefix, int number) {
  return absl::StrFormat("%s-%06d", prefix, number);
}

}  // namespace tranche::benchmark
