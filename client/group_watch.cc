#include "tranche/group_watch.h"

#include <utility>

#include "client/internal/watch_session.h"

namespace tranche {

GroupWatch::GroupWatch(std::shared_ptr<internal::GroupWatchSession> session) : session_(std::move(session)) {}

GroupWatch::~GroupWatch() { session_->Close(); }

absl::StatusOr<std::optional<Group>> GroupWatch::Next(absl::Duration timeout) { return session_->Next(timeout); }

void GroupWatch::Cancel() { session_->Cancel(); }

}  // namespace tranche
