#include <gtest/gtest.h>

#include <thread>

#include "absl/time/time.h"
#include "server/queue/rabbit_claim_queue.h"

namespace tranche::server {
namespace {

TEST(AdminTurnsTest, OneAtATimeAndNobodyWaitsPastTheirDeadline) {
  AdminTurns turns;
  EXPECT_TRUE(turns.Begin(absl::InfinitePast()));
  EXPECT_FALSE(turns.Begin(absl::InfinitePast()));
  bool had_turn = false;
  std::thread next([&] { had_turn = turns.Begin(absl::InfiniteFuture()); });
  turns.End();
  next.join();
  EXPECT_TRUE(had_turn);
  EXPECT_FALSE(turns.Begin(absl::InfinitePast()));
}

}  // namespace
}  // namespace tranche::server
