// What suites about several callers at once share.
#pragma once

#include <functional>
#include <thread>
#include <vector>

#include "absl/status/status.h"
#include "storage/ledger/ledger_error.h"

namespace tranche::testing {

// Calls again, as servers do, while the database asks for it, or others have something locked for longer than the
// procedure waits: on a busy machine that is not long.
template <typename Call>
auto Retrying(Call call) -> decltype(call()) {
  for (int attempt = 0; attempt < 1000; ++attempt) {
    auto result = call();
    if (result.ok() || !(storage::IsRetryTransaction(result.status()) || storage::FoundLocked(result.status())))
      return result;
  }
  return absl::InternalError("others have it locked for ever");
}

// `body` in so many threads at once, each with its number. Returns when all have ended.
inline void RunThreads(int threads, const std::function<void(int)>& body) {
  std::vector<std::thread> running;
  for (int i = 0; i < threads; ++i) running.emplace_back(body, i);
  for (std::thread& thread : running) thread.join();
}

}  // namespace tranche::testing
