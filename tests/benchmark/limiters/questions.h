// What every limiter is asked. The answers have the same names whichever limiter it is, and whichever program asks:
// node/questions.mjs and scripts/lib/compare_limiter_nginx.py ask the same. All set `answer`, or return the
// limiter's error if it cannot be asked.
#pragma once

#include <cstdint>
#include <nlohmann/json.hpp>

#include "absl/status/status.h"
#include "absl/time/time.h"
#include "tests/benchmark/limiters/limiter.h"

namespace tranche::limiters {

struct QuestionTerms {
  LimitTerms limit;
  absl::Duration duration = absl::Seconds(1);
  int64_t keys = 1;
  int callers = 1;  // threads
  int batch = 1;    // tries of one caller that are sent together, and between two looks at the clock
  int nodes = 1;
  int64_t victims = 1;
  int64_t times = 10;  // as many keys as fit that come between
};

// Whether one key gets what it should: {"stream": F, "edge": F}, where F is {"tries", "taken", "allowed", "seconds"}.
// Stream: tries without a pause for the duration. Edge: one try, a pause that is a little shorter than the burst's
// period, and then tries without a pause until a little after it, which finds limits that count in fixed windows.
absl::Status AskExact(Limiter& limiter, const QuestionTerms& terms, nlohmann::json& answer);

// Random ones of the keys, each of which has been tried once before, for the duration:
// {"keys", "callers", "batch", "checks", "taken", "seconds", "cpu_seconds", "per_s"}. CPU: of the caller's process.
absl::Status AskSpeed(Limiter& limiter, const QuestionTerms& terms, nlohmann::json& answer);

// Each key is tried once: {"keys", "used_bytes", "resident_bytes", "refused"}. The limit ought to let one try through
// and no second one, so that what is refused is a key that another one was taken for.
absl::Status AskMemory(Limiter& limiter, const QuestionTerms& terms, nlohmann::json& answer);

// Victims use their burst up, then `times` as many other keys as fit try once, then the victims try a burst again:
// {"fit", "came", "came_refused", "victims", "burst", "above", "seconds"}. Above: tries of victims that were taken
// beyond what their limit allowed meanwhile, because they were forgotten.
absl::Status AskEvicted(Limiter& limiter, const QuestionTerms& terms, nlohmann::json& answer);

// One key at all nodes in turn, without a pause: {"nodes", "tries", "taken", "allowed", "seconds"}.
absl::Status AskSprayed(Limiter& limiter, const QuestionTerms& terms, nlohmann::json& answer);

}  // namespace tranche::limiters
