// The audit entry of a change that no transaction of the ledger audits: of a reservation, or of the coordination tree.
//
// The entry is written before the change is made, with the outcome UNKNOWN, and completed afterwards:
//   - The entry cannot be written: its error is returned, and the change must not be made.
//   - The change is made, and the node or the ledger fails before the entry is complete: its outcome stays UNKNOWN.
//     What was asked for is in it; what came of it is in the reservation, or in the tree.
//   - The entry was written, and its answer is lost: nothing was changed, and its outcome stays UNKNOWN.
// So there may be an entry without a change, and never a change without an entry.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "google/protobuf/struct.pb.h"
#include "storage/ledger/audit_ledger.h"

namespace tranche::server {

// The members of a JSON object.
class Members {
 public:
  Members& Add(const std::string& name, const std::string& text);
  // As text if readers of JSON, which have doubles, could not tell it from its neighbours: beyond 2^53.
  Members& Add(const std::string& name, int64_t number);
  Members& Add(const std::string& name, bool value);
  Members& Add(const std::string& name, const std::vector<std::string>& texts);
  // Takes over the members of the other one; its values hold where both have one.
  void Merge(const Members& other) { members_.MergeFrom(other.members_); }
  std::string ToJson() const;

 private:
  google::protobuf::Struct members_;
};

// Blocks in Begin and in the ends. Not thread-safe.
class AuditedAction {
 public:
  struct What {
    storage::Actor actor;
    std::string action;
    std::string sku_id;
    Members before;
    Members asked;
  };
  static absl::StatusOr<AuditedAction> Begin(storage::AuditLedger* log, const What& what);

  // It was done: `result` says more about it. Without an "outcome" in it, that is DONE.
  void EndDone(Members result);
  // It was refused, or failed. If that leaves open whether it was done, the outcome stays UNKNOWN.
  void EndFailed(const absl::Status& error);
  // It was not even begun, because of this error of something else.
  void EndRefused(const absl::Status& why);

 private:
  AuditedAction(storage::AuditLedger* log, int64_t id) : log_(log), id_(id) {}
  void End(const Members& result);

  storage::AuditLedger* log_;
  int64_t id_;
};

}  // namespace tranche::server
