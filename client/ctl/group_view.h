// Shows groups and their members.
#pragma once

#include <string>
#include <vector>

#include "client/ctl/session.h"
#include "tranche/v1/group_service.pb.h"

namespace tranche::ctl {

// "FORMING", "FILLED", ...; "?" for a state of a newer version.
std::string GroupStateName(tranche::v1::GroupState state);

// A row each.
void PrintGroups(Session& session, const tranche::v1::ListGroupsResponse& groups);

// One group, a row for all that there is to say about it, and a table of its members.
void PrintGroup(Session& session, const tranche::v1::GetGroupResponse& group);

// A group that could not be cancelled.
struct UncancelledGroup {
  std::string group_id;
  std::string error;
};

// What became of the groups of an offer that were to be cancelled together.
struct CancelledGroups {
  tranche::v1::ListGroupsResponse groups;  // that are cancelled, or would be
  int over = 0;                            // others that had ended by then
  std::vector<UncancelledGroup> failures;
  bool preview = false;
};

// A row for each, and on stderr how many, what it means, and what has failed, which is exit status 2.
void PrintCancelledGroups(Session& session, const CancelledGroups& cancelled);

// What a cancellation would do or has done; for a preview, also what it means and how to apply it (on stderr).
void PrintCancelledGroup(Session& session, const tranche::v1::Group& before, const tranche::v1::Group& after,
                         bool preview);

}  // namespace tranche::ctl
