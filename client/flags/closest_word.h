// "Did you mean": guesses which word a mistyped one was meant to be.
#pragma once

#include <algorithm>
#include <cstddef>
#include <string>
#include <vector>

#include "absl/strings/match.h"

namespace tranche {

// Optimal string alignment distance: insertions, deletions, substitutions, and exchanges of neighbours.
inline size_t SlipsBetween(const std::string& a, const std::string& b) {
  std::vector<std::vector<size_t>> d(a.size() + 1, std::vector<size_t>(b.size() + 1));
  for (size_t i = 0; i <= a.size(); ++i) {
    for (size_t j = 0; j <= b.size(); ++j) {
      if (i == 0 || j == 0) {
        d[i][j] = i + j;
        continue;
      }
      d[i][j] = std::min({d[i - 1][j] + 1, d[i][j - 1] + 1, d[i - 1][j - 1] + (a[i - 1] == b[j - 1] ? 0 : 1)});
      const bool exchanged = i > 1 && j > 1 && a[i - 1] == b[j - 2] && a[i - 2] == b[j - 1];
      if (exchanged) d[i][j] = std::min(d[i][j], d[i - 2][j - 2] + 1);
    }
  }
  return d[a.size()][b.size()];
}

// The one of `words` that is closest to `typed`, if it is close enough: at most one slip (a letter wrong, missing, too
// many, or two exchanged), or two in a word of eight letters or more; or `typed` is the beginning of only one word.
// Otherwise empty. Costs the product of the lengths for each word: keep `typed` short.
inline std::string ClosestWord(const std::string& typed, const std::vector<std::string>& words) {
  constexpr size_t kLongWord = 8;
  std::string closest;
  // In a short word two slips leave little of what was typed: "tcsh" is no "bash".
  size_t fewest = (typed.size() < kLongWord ? 1 : 2) + 1;
  for (const std::string& word : words) {
    const size_t slips = SlipsBetween(typed, word);
    if (slips < fewest) fewest = slips, closest = word;
  }
  if (!closest.empty() || typed.empty()) return closest;
  const auto begins = [&](const std::string& word) { return absl::StartsWith(word, typed); };
  const auto only = std::find_if(words.begin(), words.end(), begins);
  return std::count_if(words.begin(), words.end(), begins) == 1 ? *only : "";
}

}  // namespace tranche
