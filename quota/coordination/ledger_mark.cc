#include "quota/coordination/ledger_mark.h"

#include <optional>
#include <vector>

#include "absl/status/statusor.h"
#include "absl/strings/cord.h"
#include "absl/strings/str_cat.h"
#include "quota/coordination/coordination_paths.h"
#include "storage/base/status_macros.h"
#include "tranche/internal/v1/coordination.pb.h"

namespace tranche::quota {
namespace {

constexpr char kAnotherLedgerUrl[] = "tranche/another-ledger";

// A mark of no ledger, if there is none.
absl::StatusOr<storage::LedgerMark> MarkOf(Coordination& session, const std::string& shard) {
  const auto znode = session.Get(LedgerMarkPath(shard), Watch::kNo);
  if (absl::IsNotFound(znode.status())) return storage::LedgerMark{};
  if (!znode.ok()) return znode.status();
  return ReadLedgerMark(znode->data);
}

}  // namespace

std::string ToZnodeData(const storage::LedgerMark& mark) {
  internal::v1::LedgerMark message;
  message.set_line(mark.line);
  message.set_count(mark.count);
  return message.SerializeAsString();
}

storage::LedgerMark ReadLedgerMark(const std::string& data) {
  internal::v1::LedgerMark message;
  if (!message.ParseFromString(data)) return {};
  return {.line = message.line(), .count = message.count()};
}

absl::Status RequireSameLedger(const std::string& shard, const storage::LedgerMark& remembered,
                               const storage::LedgerMark& own) {
  const std::optional<storage::Uuid> its = LedgerIdOf(remembered), ours = LedgerIdOf(own);
  if (!its.has_value() || !ours.has_value() || *its == *ours) return absl::OkStatus();
  absl::Status another = absl::FailedPreconditionError(absl::StrCat(
      LedgerMarkPath(shard), " in ZooKeeper is of the database with ledger_id ", its->ToString(),
      ", and the database of this process is another one, ", ours->ToString(),
      ": correct --postgres, --zookeeper or --zookeeper-root. Or if it is to replace that one: give all processes a "
      "new --zookeeper-root, or run tranchectl zk rebuild --new-history --yes at a node that still runs"));
  another.SetPayload(kAnotherLedgerUrl, absl::Cord("1"));
  return another;
}

absl::Status RequireTreeOf(Coordination& session, const std::string& shard, const storage::LedgerMark& own) {
  ASSIGN_OR_RETURN(const storage::LedgerMark remembered, MarkOf(session, shard));
  return RequireSameLedger(shard, remembered, own);
}

absl::Status RequireTreeOf(Coordination& session, const std::string& shard, storage::HistoryLedger& ledger) {
  ASSIGN_OR_RETURN(const storage::LedgerMark remembered, MarkOf(session, shard));
  if (!LedgerIdOf(remembered).has_value()) return absl::OkStatus();
  // No ledger goes on from this mark, so ours only says where it stands.
  ASSIGN_OR_RETURN(const storage::LedgerMark own, ledger.Mark(storage::LedgerMark{}));
  return RequireSameLedger(shard, remembered, own);
}

bool IsAnotherLedgersTree(const absl::Status& status) { return status.GetPayload(kAnotherLedgerUrl).has_value(); }

absl::Status RequestNewHistory(Coordination& session) {
  const std::string path = LedgerMarkPath();
  absl::Status written = session.Set(path, "", kAnyVersion);
  if (!absl::IsNotFound(written)) return written;
  written = session.Create(path, "", CreateMode::kPersistent);
  if (!absl::IsNotFound(written)) return written;
  // The folder is missing: the tree was made by an earlier version, or deleted.
  const absl::Status made = session.EnsureFixedPaths();
  return made.ok() ? session.Create(path, "", CreateMode::kPersistent) : made;
}

// Their leaders write them anew. A mark like home's would let each of them ask for a new history once more.
absl::Status RequestNewHistoryOfAnyLedger(Coordination& session) {
  const auto shards = session.List(kLedgerPath, Watch::kNo);
  if (!shards.ok() && !absl::IsNotFound(shards.status())) return shards.status();
  for (const std::string& shard : shards.value_or(std::vector<std::string>())) {
    if (shard == storage::kHomeShard) continue;
    const absl::Status deleted = session.Delete(LedgerMarkPath(shard), kAnyVersion);
    if (!deleted.ok() && !absl::IsNotFound(deleted)) return deleted;
  }
  return RequestNewHistory(session);
}

}  // namespace tranche::quota
