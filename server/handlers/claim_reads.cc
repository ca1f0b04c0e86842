#include "server/handlers/claim_reads.h"

#include <algorithm>
#include <utility>

#include "absl/container/flat_hash_map.h"
#include "absl/container/flat_hash_set.h"

namespace tranche::server {
namespace {

using RowsById = absl::flat_hash_map<storage::Uuid, const storage::Reservation*>;

absl::StatusOr<std::vector<storage::Reservation>> RowsOf(const std::vector<storage::Uuid>& ids, const RowsById& rows,
                                                         const absl::Status& rest) {
  std::vector<storage::Reservation> found;
  for (const storage::Uuid& id : ids) {
    if (const auto row = rows.find(id); row != rows.end()) found.push_back(*row->second);
  }
  // What was not found may be where nobody answered.
  if (!rest.ok() && found.size() < ids.size()) return rest;
  return found;
}

}  // namespace

void ClaimReads::Read(std::vector<storage::Uuid> ids, absl::Time deadline, Done done) {
  bool refused = false;
  {
    absl::MutexLock lock(&mutex_);
    refused = waiting_.size() >= kMostWaiting;
    if (!refused) {
      waiting_.push_back({std::move(ids), deadline, std::move(done)});
      if (std::exchange(under_way_, true)) return;
    }
  }
  if (refused) return done(absl::ResourceExhaustedError("too many ask what became of their claims"));
  ReadNext();
}

void ClaimReads::ReadNext() {
  std::vector<Waiting> batch = TakeBatch();
  if (batch.empty()) return;
  absl::flat_hash_set<storage::Uuid> ids;
  absl::Time deadline = absl::InfinitePast();
  for (const Waiting& one : batch) {
    ids.insert(one.ids.begin(), one.ids.end());
    deadline = std::max(deadline, one.deadline);
  }
  books_->ReadKnown(std::vector<storage::Uuid>(ids.begin(), ids.end()), deadline,
                    [this, batch = std::move(batch)](absl::StatusOr<storage::PartialRead> read) mutable {
                      RowsById rows;
                      if (read.ok()) {
                        for (const storage::Reservation& row : read->found) rows.emplace(row.reservation_id, &row);
                      }
                      const absl::Status rest = read.ok() ? read->rest : read.status();
                      for (Waiting& one : batch) one.done(RowsOf(one.ids, rows, rest));
                      ReadNext();
                    });
}

std::vector<ClaimReads::Waiting> ClaimReads::TakeBatch() {
  std::vector<Waiting> batch;
  std::vector<Waiting> late;
  {
    absl::MutexLock lock(&mutex_);
    const absl::Time now = clock_->Now();
    size_t ids = 0;
    while (!waiting_.empty()) {
      Waiting& next = waiting_.front();
      const bool in_time = now < next.deadline;
      if (in_time && ids + next.ids.size() > static_cast<size_t>(storage::kMaxBatch)) break;
      if (in_time) ids += next.ids.size();
      (in_time ? batch : late).push_back(std::move(next));
      waiting_.pop_front();
    }
    under_way_ = !batch.empty();
  }
  for (Waiting& one : late) one.done(absl::DeadlineExceededError("the deadline passed before it was read"));
  return batch;
}

}  // namespace tranche::server
