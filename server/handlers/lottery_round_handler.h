// FrontDoorService.ListLotteryRounds, without gRPC: what anybody needs to recompute a rank, from a cache.
#pragma once

#include <cstddef>
#include <string>
#include <vector>

#include "absl/functional/any_invocable.h"
#include "absl/status/statusor.h"
#include "absl/time/time.h"
#include "server/handlers/read_cache.h"
#include "storage/clock.h"
#include "storage/ledger/front_ledger.h"
#include "tranche/v1/front_door_service.pb.h"

namespace tranche::server {

// Thread-safe. Outlived by its clock and by what the reads use.
class LotteryRoundHandler {
 public:
  using Rounds = std::vector<storage::LotteryRound>;
  using RoundCache = ReadCache<Rounds>;
  // Called exactly once, inline or on another thread; must not block.
  using Done = absl::AnyInvocable<void(absl::StatusOr<v1::ListLotteryRoundsResponse>)>;

  // When all are answered, each has its own copy of the answer.
  static constexpr size_t kMaxWaiting = 500;

  // `read` reads the rounds of the policy that the key names, the newest first.
  LotteryRoundHandler(RoundCache::Read read, storage::Clock* clock);

  // The rounds of the SKU's own policy and of that of all SKUs, the newest first: of a sale that is over, the policy
  // may be gone. `request` is not used after this returns. Nothing is read for those whose
  // deadlines have passed when its turn comes. At most kMaxWaiting wait; others are told at once that the node has too
  // much to do.
  void List(const v1::ListLotteryRoundsRequest& request, absl::Time deadline, Done done);

 private:
  void AddRoundsOfEverySku(const std::string& sku_id, Rounds own, absl::Time deadline, Done done);

  RoundCache rounds_;
};

}  // namespace tranche::server
