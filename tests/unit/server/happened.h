// What was counted.
#pragma once

#include <cstdint>
#include <map>
#include <string>

#include "server/handlers/outcome_counts.h"

namespace tranche::server {

// The outcomes that have happened.
inline std::map<std::string, int64_t> Happened(const OutcomeCounts& outcomes) {
  std::map<std::string, int64_t> happened;
  outcomes.ForEach([&](const std::string& outcome, int64_t count) {
    if (count > 0) happened[outcome] = count;
  });
  return happened;
}

}  // namespace tranche::server
