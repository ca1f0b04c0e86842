// Reading what a procedure answered.
//
// Procedures and servers are not of one version at every moment. An answer that this version cannot read is an error of
// that call and not of the process: all nodes would end at once, in mid-sale.
#pragma once

#include <pqxx/pqxx>
#include <stdexcept>
#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "storage/postgres/call.h"

namespace tranche::storage {

// Nothing of an answer is read outside ReadAnswer. Whoever reads it throws this, or what libpqxx throws: `at` where
// there is no such row or column, `as` for a value of another kind.
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

// The first column of the first row, where an answer is a single value.
template <typename Value>
absl::StatusOr<Value> ReadValue(Repeat repeat, const pqxx::result& rows) {
  return ReadAnswer(repeat, [&] { return rows.at(0).at(0).template as<Value>(); });
}

// The first column of every row.
inline absl::StatusOr<std::vector<std::string>> ReadTexts(Repeat repeat, const pqxx::result& rows) {
  return ReadAnswer(repeat, [&] {
    std::vector<std::string> texts;
    for (const pqxx::row& row : rows) texts.push_back(row.at(0).as<std::string>());
    return texts;
  });
}

}  // namespace tranche::storage
