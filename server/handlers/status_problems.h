// From what was found about the cluster to what is wrong with it, and what to do. Pure: the rules of the status.
#pragma once

#include <vector>

#include "absl/time/time.h"
#include "tranche/v1/admin_service.pb.h"

namespace tranche::server {

// Heartbeats come every 5 s: after four that did not come, their process is missed.
inline constexpr absl::Duration kMissedAfter = absl::Seconds(20);
// Expiry looks every 0.2 s, and works off a burst of 100,000 holds within this time.
inline constexpr absl::Duration kOverdueAfter = absl::Seconds(10);
// While a worker expires with success, holds are only late: a sale of a million ends in a burst that takes a minute.
inline constexpr absl::Duration kLongOverdueAfter = absl::Seconds(60);
// A worker that expires looks at least every 2 s, also after errors.
inline constexpr absl::Duration kNoExpiryAfter = absl::Seconds(30);
// A leader has a round every 0.1 s, and gives up after 3 s without the ledger; a long round takes seconds.
inline constexpr absl::Duration kNoRoundAfter = absl::Seconds(30);
// A leading balancer hands out what is in a pool within a second; the first split of 250 SKUs over 1,000 nodes took it
// half a minute.
inline constexpr absl::Duration kPoolStuckAfter = absl::Seconds(60);
// A draw goes on within a second. As long as the alert TrancheDrawStalled waits.
inline constexpr absl::Duration kDrawStalledAfter = absl::Minutes(5);
// More for each million of entries: ranking them takes a worker half a minute, and longer beside a sale.
inline constexpr absl::Duration kMillionRankedAfter = absl::Minutes(1);
// Nodes report every second.
inline constexpr absl::Duration kNodeSilentAfter = absl::Seconds(30);
// A node registers in ZooKeeper right after the ledger has numbered it; balancers end those that do not after as long.
inline constexpr absl::Duration kUnregisteredAfter = absl::Seconds(30);
// A refused message is tried again at least every 5 minutes, so by now it was refused twice, or nobody takes it.
inline constexpr absl::Duration kMessageOldAfter = absl::Minutes(10);
// A refund is seen in a statement of the payment provider, and these usually come once a day.
inline constexpr absl::Duration kRefundLateAfter = absl::Hours(36);
// A process that starts opens up to 28 connections; with less than this part left, some will soon not get theirs.
inline constexpr int kFewConnectionsPercent = 5;

// The problems of a status whose other fields are filled in; the critical ones first.
std::vector<v1::Problem> ProblemsOf(const v1::GetStatusResponse& found);

}  // namespace tranche::server
