// Who waits in which room, by the reports of all nodes; and since when these are read without a gap.
#pragma once

#include <cstdint>
#include <map>
#include <optional>
#include <vector>

#include "absl/status/status.h"
#include "absl/time/time.h"
#include "quota/coordination/coordination.h"
#include "storage/clock.h"
#include "storage/ledger/incarnation_id.h"
#include "tranche/internal/v1/coordination.pb.h"

namespace tranche::server {

// Used by one thread. Outlived by its clock.
class RoomReports {
 public:
  // A report that has not changed for so long is that of a node that hangs. Nodes report twice a second. One that has
  // vanished counts for so long, too: its node's buyers come to other nodes, but not all at once.
  static constexpr absl::Duration kReportsLast = absl::Seconds(10);
  // Nodes need so long at most until all have a session again, and have reported.
  static constexpr absl::Duration kNodesReport = absl::Seconds(10);

  explicit RoomReports(storage::Clock* clock) : clock_(clock) {}

  // Blocks for ZooKeeper. If it fails, what was read before holds.
  absl::Status Read(quota::Coordination& session);
  // ZooKeeper has answered, and there is no room of which anybody could report.
  void NoteNoRooms(const quota::Coordination& session);
  // ZooKeeper does not answer.
  void NoteSilence() { silent_ = true; }
  // As if nothing had ever been read.
  void Forget();

  // Has ZooKeeper answered in one session, without a silence of more than kReportsLast, for so long that all nodes have
  // reported? Being slow to ask is no silence: nodes go on reporting.
  bool complete() const { return clock_->Now() - answers_since_ >= kNodesReport; }
  // Those of nodes that do not hang, by the last look; good until the next one. Not checked.
  std::vector<const internal::v1::RoomReport*> Living() const;
  // Also those of nodes that hang: how far a round was does not get old. Good until the next look. Not checked.
  std::vector<const internal::v1::RoomReport*> All() const;

 private:
  struct Heard {
    internal::v1::RoomReport report = {};
    absl::Time changed_at = absl::InfinitePast();  // by this process's clock
  };

  void NoteAnswer(const quota::Coordination& session, absl::Time now);
  static bool IsLive(const Heard& heard, absl::Time now) { return now - heard.changed_at < kReportsLast; }

  storage::Clock* const clock_;
  std::map<storage::IncarnationId, Heard> heard_;
  absl::Time answered_at_ = absl::InfinitePast();
  absl::Time answers_since_ = absl::InfiniteFuture();
  bool silent_ = false;  // since answered_at_
  std::optional<int64_t> session_id_ = {};
};

}  // namespace tranche::server
