#include "tests/simulation/trace.h"

#include <algorithm>
#include <cstdio>
#include <utility>

#include "absl/strings/str_format.h"

namespace tranche::simulation {
namespace {

uint64_t Mix(uint64_t hash, uint64_t value) {
  hash = (hash ^ value) * 0x9E3779B97F4A7C15;
  return hash ^ (hash >> 32);
}

}  // namespace

ActorId Trace::AddActor(std::string name) {
  actors_.push_back(std::move(name));
  return static_cast<ActorId>(actors_.size()) - 1;
}

void Trace::Add(absl::Time at, ActorId actor, const char* what, int64_t a, int64_t b, int64_t c) {
  const Line line{absl::ToUnixMicros(at) % 1'000'000'000'000, actor, what, a, b, c};
  hash_ = Mix(hash_, static_cast<uint64_t>(line.at_us));
  hash_ = Mix(hash_, static_cast<uint64_t>(actor));
  for (const char* character = what; *character != 0; ++character)
    hash_ = (hash_ ^ static_cast<uint8_t>(*character)) * 31;
  hash_ = Mix(hash_, static_cast<uint64_t>(a));
  hash_ = Mix(hash_, static_cast<uint64_t>(b));
  hash_ = Mix(hash_, static_cast<uint64_t>(c));
  if (lines_.size() < kKept) {
    lines_.push_back(line);
  } else {
    lines_[next_ % kKept] = line;
  }
  ++next_;
  if (print_) std::puts(Format(line).c_str());
}

std::string Trace::Format(const Line& line) const {
  return absl::StrFormat("%12.6f  %-14s %-34s %6d %6d %6d", static_cast<double>(line.at_us % 100'000'000'000) / 1e6,
                         actors_[static_cast<size_t>(line.actor)], line.what, line.a, line.b, line.c);
}

std::string Trace::LastLines(size_t count) const {
  std::string text;
  const size_t kept = std::min({count, lines_.size(), next_});
  for (size_t i = next_ - kept; i < next_; ++i) text += Format(lines_[i % kKept]) + "\n";
  return text;
}

}  // namespace tranche::simulation
