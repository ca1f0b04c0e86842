#include "server/balancer/room_reports.h"

#include <algorithm>
#include <utility>

#include "absl/status/statusor.h"
#include "quota/coordination/room_announcements.h"

namespace tranche::server {
namespace {

using internal::v1::RoomReport;

}  // namespace

absl::Status RoomReports::Read(quota::Coordination& session) {
  absl::StatusOr<std::map<storage::IncarnationId, RoomReport>> reports = quota::ReadRoomReports(session);
  if (!reports.ok()) {
    NoteSilence();
    return reports.status();
  }
  const absl::Time now = clock_->Now();
  NoteAnswer(session, now);
  // Nothing lasts longer because the clock was set back.
  for (auto& [node, heard] : heard_) heard.changed_at = std::min(heard.changed_at, now);
  std::erase_if(heard_,
                [&](const auto& heard) { return !reports->contains(heard.first) && !IsLive(heard.second, now); });
  for (auto& [node, report] : *reports) {
    const auto [heard, is_new] = heard_.try_emplace(node);
    // The node's clock says nothing here; only whether its report changes does.
    if (!is_new && heard->second.report.reported_at_us() == report.reported_at_us()) continue;
    heard->second.report = std::move(report);
    heard->second.changed_at = now;
  }
  return absl::OkStatus();
}

void RoomReports::NoteNoRooms(const quota::Coordination& session) {
  heard_.clear();
  NoteAnswer(session, clock_->Now());
}

void RoomReports::Forget() {
  heard_.clear();
  session_id_.reset();
  answers_since_ = absl::InfiniteFuture();
}

void RoomReports::NoteAnswer(const quota::Coordination& session, absl::Time now) {
  const bool was_silent = silent_ && now - answered_at_ > kReportsLast;
  if (was_silent || session_id_ != session.SessionId()) answers_since_ = now;
  silent_ = false;
  answered_at_ = now;
  session_id_ = session.SessionId();
}

std::vector<const RoomReport*> RoomReports::Living() const {
  const absl::Time now = clock_->Now();
  std::vector<const RoomReport*> living;
  for (const auto& [node, heard] : heard_) {
    if (IsLive(heard, now)) living.push_back(&heard.report);
  }
  return living;
}

std::vector<const RoomReport*> RoomReports::All() const {
  std::vector<const RoomReport*> all;
  all.reserve(heard_.size());
  for (const auto& [node, heard] : heard_) all.push_back(&heard.report);
  return all;
}

}  // namespace tranche::server
