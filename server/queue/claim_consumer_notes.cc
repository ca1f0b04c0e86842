// How a consumer has the ledger note what is refused for good.
#include <algorithm>
#include <utility>

#include "absl/container/flat_hash_set.h"
#include "quota/sale/grant.h"
#include "server/queue/claim_consumer.h"
#include "server/queue/final_refusals.h"
#include "storage/ledger/ledger_error.h"

namespace tranche::server {

using storage::RefuseOutcome;

void ClaimConsumer::BeginNoting(HeldClaim& held, Work& work) {
  SetStep(held, HeldClaim::Step::kNotes);
  std::vector<std::string> shards;
  for (size_t line = 0; line < held.lines.size(); ++line) {
    if (held.lines[line].noted) continue;
    ++held.noting;
    notes_[held.lines[line].shard].waiting.push_back({held.number, line});
    shards.push_back(held.lines[line].shard);
  }
  for (const std::string& shard : shards) SendNotes(shard, work);
}

void ClaimConsumer::SendNotes(const std::string& shard, Work& work) {
  Notes& notes = notes_[shard];
  if (notes.under_way) return;
  Work::Note call{.shard = shard, .lines = {}, .batch = {}};
  absl::flat_hash_set<storage::Uuid> ids;
  std::deque<LineName> left;
  while (!notes.waiting.empty() && call.lines.size() < notes.most) {
    const LineName name = notes.waiting.front();
    notes.waiting.pop_front();
    const HeldClaim* const held = held_.Find(name.number);
    if (held == nullptr) continue;
    const storage::ReservationClaim& line = held->claim.lines[name.line];
    // A batch has an id once. The other one is told what this one comes to.
    if (!ids.insert(line.reservation_id).second) {
      left.push_back(name);
      continue;
    }
    call.lines.push_back(name);
    call.batch.push_back({.claim = line, .refusal = held->refusal});
  }
  notes.waiting.insert(notes.waiting.begin(), left.begin(), left.end());
  if (call.lines.empty()) return;
  notes.under_way = true;
  work.notes.push_back(std::move(call));
}

void ClaimConsumer::OnNoted(const std::string& shard, const std::vector<LineName>& lines,
                            const absl::StatusOr<std::vector<storage::RefuseResult>>& results) {
  Work work;
  {
    absl::MutexLock lock(&mutex_);
    Notes& notes = notes_[shard];
    notes.under_way = false;
    if (results.ok() && results->size() == lines.size()) {
      if (shard == parts_.shard) NoteLedgerAnswers();
      notes.most = std::min<size_t>(storage::kMaxBatch, notes.most * 2);
      for (size_t i = 0; i < lines.size(); ++i) Noted(lines[i], (*results)[i], work);
      SendNotes(shard, work);
    } else {
      notes.most = std::max<size_t>(1, lines.size() / 2);
      NotNoted(
          shard, lines,
          results.ok() ? absl::InternalError("the ledger's answer is not about what it was told") : results.status(),
          work);
      // What waits is sent by the next tick: who fails at once would fail within this call, batch after batch.
    }
  }
  Do(std::move(work));
}

void ClaimConsumer::Noted(LineName name, const storage::RefuseResult& result, Work& work) {
  HeldClaim* const held = held_.Find(name.number);
  if (held == nullptr) return;
  if (result.outcome == RefuseOutcome::kSkuMoving) {
    // It counts as under way until its place is known.
    work.looks.push_back({.line = name, .sku_id = held->claim.lines[name.line].sku_id});
    return;
  }
  // Of a conflict the ledger can keep no row.
  held->lines[name.line].noted = true;
  if (result.outcome == RefuseOutcome::kSold) held->sold = true;
  if (result.outcome == RefuseOutcome::kSkuNotFound) held->foreign = true;
  EndNote(*held, absl::OkStatus(), work);
}

void ClaimConsumer::NotNoted(const std::string& shard, const std::vector<LineName>& lines, const absl::Status& error,
                             Work& work) {
  std::vector<LineName> failed = lines;
  // Those that wait would fare no better.
  const bool out = absl::IsUnavailable(error) && !storage::LedgerIsUp(error);
  if (out) {
    std::deque<LineName>& waiting = notes_[shard].waiting;
    failed.insert(failed.end(), waiting.begin(), waiting.end());
    waiting.clear();
  }
  // What is wrong with many may be the fault of one.
  const absl::Status told = lines.size() > 1 && !out ? absl::AbortedError(error.message()) : error;
  for (const LineName& name : failed) {
    HeldClaim* const held = held_.Find(name.number);
    if (held == nullptr) continue;
    // Another shard's silence says nothing about this one's ledger: the claim that asks for all has asked in vain.
    if (out && (shard == parts_.shard || probe_ == held->number)) NoteLedgerOut(*held);
    EndNote(*held, told, work);
  }
}

void ClaimConsumer::OnLooked(LineName line, const absl::StatusOr<storage::Sku>& sku) {
  Work work;
  {
    absl::MutexLock lock(&mutex_);
    HeldClaim* const held = held_.Find(line.number);
    if (held == nullptr || held->step != HeldClaim::Step::kNotes) return;
    if (sku.ok()) held->lines[line.line].shard = sku->shard;
    EndNote(*held, absl::OkStatus(), work);
  }
  Do(std::move(work));
}

void ClaimConsumer::EndNote(HeldClaim& held, const absl::Status& error, Work& work) {
  if (held.step != HeldClaim::Step::kNotes || --held.noting > 0) return;
  SetStep(held, HeldClaim::Step::kWaits);
  const bool all = std::all_of(held.lines.begin(), held.lines.end(), [](const auto& line) { return line.noted; });
  if (all) {
    if (held.foreign && !held.sold) return SettleForeign(held, work);
    if (held.sold) {
      counts_.replayed.Add();
    } else {
      counts_.Refused(held.refusal);
    }
    return Settle(held, Settlement::kDone, work);
  }
  if (probe_ == held.number) EndLedgerOut();
  const bool fault =
      !error.ok() && !absl::IsAborted(error) && MeaningOf(quota::RefusalOf(error)) == RefusalMeans::kInternal;
  if (fault) return NoteFault(held, work);
  TryAgain(held);
}

}  // namespace tranche::server
