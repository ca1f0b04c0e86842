// What suites about several callers at once share.
#pragma once

#include <gtest/gtest.h>

#include <functional>
#include <string>
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

// `body` in so many threads at once, each with its number. Returns when all have ended. Only in a suite that has "Race"
// in its name: with ThreadSanitizer no others run.
inline void RunThreads(int threads, const std::function<void(int)>& body) {
  const std::string suite = ::testing::UnitTest::GetInstance()->current_test_info()->test_suite_name();
  EXPECT_NE(suite.find("Race"), std::string::npos) << "ThreadSanitizer would not see this case of " << suite;
  std::vector<std::thread> running;
  for (int i = 0; i < threads; ++i) running.emplace_back(body, i);
  for (std::thread& thread : running) thread.join();
}

}  // namespace tranche::testing
