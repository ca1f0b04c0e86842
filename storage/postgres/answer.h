// Reading what a procedure answered.
//
// Procedures and servers are not of one version at every moment. An answer that this version cannot read is an error of
// that call and not of the process: all nodes would end at once, in mid-sale.
#pragma once

#include <stdexcept>
#include <string>

#include "absl/status/statusor.h"
#include "storage/postgres/call.h"

namespace tranche::storage {

// Whoever reads an answer throws it; ReadAnswer catches it.
class UnreadableAnswer : public std::runtime_error {
 public:
  using std::runtime_error::runtime_error;
};

inline void RequireOfAnswer(bool holds, const char* rule) {
  if (!holds) throw UnreadableAnswer(rule);
}

// Logs it. A change was made, but it is not known what came of it: an unknown commit. A read has failed: kInternal.
absl::Status UnreadableAnswerError(Repeat repeat, const std::exception& error);

// What `read` makes of an answer, or UnreadableAnswerError. `repeat` is that of the call.
template <typename Read>
auto ReadAnswer(Repeat repeat, const Read& read) -> absl::StatusOr<decltype(read())> {
  try {
    return read();
  } catch (const std::exception& error) {
    return UnreadableAnswerError(repeat, error);
  }
}

}  // namespace tranche::storage
