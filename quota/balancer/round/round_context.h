// What the steps of a leader's round work with.
#pragma once

#include "quota/balancer/balancer_counts.h"
#include "quota/balancer/balancer_options.h"
#include "quota/balancer/demand_board.h"
#include "quota/balancer/inbox.h"
#include "quota/balancer/round/known_nodes.h"
#include "quota/balancer/round/repair_schedule.h"
#include "quota/balancer/round/round_mover.h"
#include "quota/coordination/announcer.h"
#include "storage/clock.h"
#include "storage/ledger/stock_ledger.h"

namespace tranche::quota {

// Owns nothing. Used only on the thread of the rounds.
struct RoundContext {
  storage::StockLedger& ledger;
  storage::Clock& clock;
  const BalancerOptions& options;
  Inbox& inbox;  // to ask for another round
  Announcer& announcer;
  KnownNodes& nodes;
  RepairSchedule& repair;
  RoundMover& mover;
  DemandBoard& board;
  BalancerCounts& counts;
};

}  // namespace tranche::quota
