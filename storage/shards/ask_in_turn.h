// Asks one shard after the other until one has the thing in question; blocks.
#pragma once

#include "absl/status/statusor.h"
#include "storage/ledger/ledger_error.h"
#include "storage/shards/shard_set.h"

namespace tranche::storage {

// May the next shard be asked? Not when this one has done something, or may have. A shard that the SKU is leaving
// (kUnavailable, IsSkuMoving) has done nothing, and the SKU may have arrived at another one.
inline bool MayBeElsewhere(const absl::Status& status) {
  if (absl::IsNotFound(status)) return true;
  const bool silent =
      absl::IsUnavailable(status) || absl::IsResourceExhausted(status) || absl::IsPermissionDenied(status);
  return silent && !IsUnknownCommit(status);
}

inline const absl::Status& StatusOf(const absl::Status& answer) { return answer; }
template <typename T>
const absl::Status& StatusOf(const absl::StatusOr<T>& answer) {
  return answer.status();
}

// How often all shards are asked when none has it: it may have moved from a shard that was asked late to one that was
// asked early.
inline int RoundsOver(const ShardList& shards) { return shards.size() > 1 ? 2 : 1; }

// The first answer, a StatusOr or a Status, that is not kNotFound. When no shard has it and some shard does not answer,
// that shard's error.
template <typename Ask>
auto AskInTurn(const ShardSet& shards, const Ask& ask) -> decltype(ask(shards.home())) {
  const ShardList all = shards.All();
  absl::Status error;
  for (int round = 0; round < RoundsOver(all); ++round) {
    decltype(ask(shards.home())) last = absl::NotFoundError("on no shard");
    for (const auto& shard : all) {
      if (all.size() > 1 && !shard->Answers()) {
        error = SilentShard(*shard);
        continue;
      }
      last = ask(*shard);
      if (last.ok() || !MayBeElsewhere(StatusOf(last)) || all.size() == 1) return last;
      if (!absl::IsNotFound(StatusOf(last))) error = StatusOf(last);
    }
    if (!error.ok()) return error;
  }
  return absl::NotFoundError("on no shard");
}

}  // namespace tranche::storage
