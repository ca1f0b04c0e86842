// A record of what happened: a hash of everything, and the last lines as text.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "absl/strings/string_view.h"
#include "absl/time/time.h"

namespace tranche::simulation {

// Who does something. Small numbers, so that a line costs no allocation.
using ActorId = int32_t;

class Trace {
 public:
  // `print` writes every line to stdout at once.
  explicit Trace(bool print) : print_(print) {}

  ActorId AddActor(std::string name);
  // `what` is a literal.
  void Add(absl::Time at, ActorId actor, const char* what, int64_t a = 0, int64_t b = 0, int64_t c = 0);

  // The same for the same seed and code, on every machine.
  uint64_t hash() const { return hash_; }
  // The last lines, oldest first.
  std::string LastLines(size_t count) const;

 private:
  struct Line {
    int64_t at_us;
    ActorId actor;
    const char* what;
    int64_t a, b, c;
  };
  static constexpr size_t kKept = 4096;

  std::string Format(const Line& line) const;

  const bool print_;
  std::vector<std::string> actors_;
  std::vector<Line> lines_;  // a ring
  size_t next_ = 0;
  uint64_t hash_ = 0xCBF29CE484222325;
};

}  // namespace tranche::simulation
