#include "server/handlers/lottery_round_handler.h"

#include <algorithm>
#include <utility>

#include "server/errors.h"
#include "server/handlers/field_checks.h"
#include "server/handlers/front_policy_messages.h"

namespace tranche::server {
namespace {

// 100 rounds have some 20 KiB.
ReadCacheOptions RoundCacheOptions() {
  ReadCacheOptions options;
  options.max_entries = 1'000;
  options.max_waiting = LotteryRoundHandler::kMaxWaiting;
  options.max_reads = 1;
  return options;
}

LotteryRoundHandler::Rounds RoundsIn(const LotteryRoundHandler::RoundCache::Entry& entry) {
  return entry.value == nullptr ? LotteryRoundHandler::Rounds() : *entry.value;
}

}  // namespace

LotteryRoundHandler::LotteryRoundHandler(RoundCache::Read read, storage::Clock* clock)
    : rounds_(std::move(read), clock, RoundCacheOptions()) {}

void LotteryRoundHandler::List(const v1::ListLotteryRoundsRequest& request, absl::Time deadline, Done done) {
  if (const absl::Status valid = CheckSkuId(request.sku_id()); !valid.ok()) return done(valid);
  rounds_.Get(
      request.sku_id(), deadline,
      [this, sku_id = request.sku_id(), deadline, done = std::move(done)](const RoundCache::Found& own) mutable {
        if (!own.ok()) return done(LedgerError(own.status(), sku_id, Repeatable::kYes));
        AddRoundsOfEverySku(sku_id, RoundsIn(*own), deadline, std::move(done));
      });
}

void LotteryRoundHandler::AddRoundsOfEverySku(const std::string& sku_id, Rounds own, absl::Time deadline, Done done) {
  rounds_.Get(storage::kEverySku, deadline,
              [sku_id, rounds = std::move(own), done = std::move(done)](const RoundCache::Found& of_every_sku) mutable {
                if (!of_every_sku.ok()) return done(LedgerError(of_every_sku.status(), sku_id, Repeatable::kYes));
                const Rounds others = RoundsIn(*of_every_sku);
                rounds.insert(rounds.end(), others.begin(), others.end());
                std::stable_sort(rounds.begin(), rounds.end(),
                                 [](const auto& a, const auto& b) { return a.started_at > b.started_at; });
                v1::ListLotteryRoundsResponse response;
                for (const storage::LotteryRound& round : rounds) {
                  if (response.rounds_size() == storage::kMaxRoundsTold) break;
                  *response.add_rounds() = RoundToMessage(round);
                }
                done(std::move(response));
              });
}

}  // namespace tranche::server
