// How the requests of one kind were decided, whichever way they came.
#pragma once

#include <array>
#include <cstddef>
#include <string>
#include <utility>
#include <vector>

#include "server/errors.h"
#include "storage/base/counter.h"
#include "storage/ledger/refusal.h"
#include "tranche/v1/error_reason.pb.h"

namespace tranche::server {

// Thread-safe. To count costs one addition, and for an error that its words must be read.
class OutcomeCounts {
 public:
  // `words`: what such a request may come to if it is not refused, at most kMostWords.
  explicit OutcomeCounts(std::vector<const char*> words) : words_(std::move(words)) {}

  // By the number of the word.
  void Done(size_t word) { done_.at(word).Add(); }
  void Refused(storage::Refusal refusal) { refused_.at(static_cast<size_t>(refusal)).Add(); }
  // `error`: made by errors.h.
  void Refused(const absl::Status& error) { refused_.at(static_cast<size_t>(ReasonOfError(error))).Add(); }

  // Calls `add(outcome, count)` for the words, for the reasons that nodes and ledger refuse for, whether or not it has
  // happened, and for the others that have.
  template <typename Add>
  void ForEach(const Add& add) const;

 private:
  static constexpr size_t kMostWords = 5;

  const std::vector<const char*> words_;
  std::array<Counter, kMostWords> done_;
  std::array<Counter, v1::ErrorReason_ARRAYSIZE> refused_;  // by the number of the reason
};

template <typename Add>
void OutcomeCounts::ForEach(const Add& add) const {
  for (size_t i = 0; i < words_.size(); ++i) add(std::string(words_[i]), done_.at(i).value());
  std::array<bool, v1::ErrorReason_ARRAYSIZE> told{};
  for (const storage::RefusalWord& word : storage::kRefusalWords) {
    const auto number = static_cast<size_t>(word.refusal);
    told.at(number) = true;
    add(std::string(word.reason), refused_.at(number).value());
  }
  for (size_t number = 0; number < refused_.size(); ++number) {
    const int64_t count = refused_.at(number).value();
    if (!told.at(number) && count > 0) add(ReasonName(static_cast<v1::ErrorReason>(number)), count);
  }
}

}  // namespace tranche::server
