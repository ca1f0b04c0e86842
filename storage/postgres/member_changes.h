// Changes of a batch that are about members of groups are made by procedures of their own, in a transaction after that
// of the others.
#pragma once

#include <cstddef>
#include <utility>
#include <vector>

#include "absl/status/statusor.h"
#include "absl/types/span.h"
#include "storage/ledger/ledger_error.h"
#include "storage/ledger/lifecycle_ledger.h"

namespace tranche::storage {

// `results`: the answer to the batch, with kInGroup for members. `change_members` is called with those, if there are
// any, in their order, and its results take the places of these refusals.
//
// If it fails, the others have been decided, so that the error cannot be the answer to them. The members are kBusy,
// whatever the mode of the call, or kInDoubt: they go again without the others.
template <typename Kind, typename ChangeMembers>
absl::StatusOr<std::vector<ChangeResult>> WithMembers(absl::Span<const Kind> batch,
                                                      absl::StatusOr<std::vector<ChangeResult>> results,
                                                      const ChangeMembers& change_members) {
  if (!results.ok()) return results;
  std::vector<Kind> members;
  std::vector<size_t> places;
  for (size_t i = 0; i < batch.size(); ++i) {
    if ((*results)[i].refusal != Refusal::kInGroup) continue;
    members.push_back(batch[i]);
    places.push_back(i);
  }
  if (members.empty()) return results;
  absl::StatusOr<std::vector<ChangeResult>> changed = change_members(absl::MakeConstSpan(members));
  const bool alone = members.size() == batch.size();
  if (!changed.ok() && alone) return changed.status();
  const ChangeOutcome without_answer =
      IsUnknownCommit(changed.status()) ? ChangeOutcome::kInDoubt : ChangeOutcome::kBusy;
  for (size_t i = 0; i < places.size(); ++i) {
    (*results)[places[i]] = changed.ok() ? std::move((*changed)[i]) : ChangeResult{.outcome = without_answer};
  }
  return results;
}

}  // namespace tranche::storage
