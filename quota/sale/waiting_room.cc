#include "quota/sale/waiting_room.h"

#include <algorithm>
#include <limits>

#include "storage/mutation.h"

namespace tranche::quota {

WaitingRoom::WaitingRoom(SliceTable* slices, storage::Clock* clock, WaitingOptions options, PoolTaker* pools)
    : slices_(slices), clock_(clock), options_(options), pools_(pools) {
  slices_->SetChangeListener([this](const std::string& sku_id) { Serve(sku_id); });
}

WaitingRoom::~WaitingRoom() {
  slices_->SetChangeListener({});
  SetOpen(false);
}

void WaitingRoom::Enter(std::unique_ptr<Waiter> waiter, absl::Time deadline) {
  const absl::Time now = clock_->Now();
  waiter->wait_until_ = std::min(now + options_.exhausted_wait, deadline);
  NewDemand demand;
  std::vector<Leaving> leaving;
  {
    absl::MutexLock lock(&mutex_);
    if (!open_) {
      leaving.push_back({std::move(waiter), Answer::kSentAway});
    } else if (waiter->TryToGo(now, demand)) {
      leaving.push_back({std::move(waiter), Answer::kGoesOn});
    } else if (size_ >= options_.max_waiting || waiter->wait_until() <= now) {
      leaving.push_back({std::move(waiter), Answer::kGivesUp});
    } else {
      Line& line = by_sku_[waiter->sku_id()];
      line.emplace(++last_number_, std::move(waiter));
      ++size_;
    }
  }
  Dismiss(demand, std::move(leaving));
}

// Always with the lock: whoever enters either finds the units or is found here.
void WaitingRoom::Serve(const std::string& sku_id) {
  if (storage::Mutated(storage::Mutation::kWaitersNeverWoken)) return;
  const absl::Time now = clock_->Now();
  NewDemand demand;
  std::vector<Leaving> leaving;
  {
    absl::MutexLock lock(&mutex_);
    const auto found = by_sku_.find(sku_id);
    if (found == by_sku_.end()) return;
    ServeLine(found->second, sku_id, now, demand, &leaving);
    if (found->second.empty()) by_sku_.erase(found);
  }
  Dismiss(demand, std::move(leaving));
}

// Who must wait for another SKU now goes to that line. It needs no further look: the lock is held, so units that come
// to that SKU from now on find it there.
void WaitingRoom::ServeLine(Line& line, const std::string& sku_id, absl::Time now, NewDemand& demand,
                            std::vector<Leaving>* leaving) {
  for (auto next = line.begin(); next != line.end();) {
    const auto here = next++;
    if (here->second->TryToGo(now, demand)) {
      leaving->push_back({std::move(here->second), Answer::kGoesOn});
      line.erase(here);
      --size_;
    } else if (here->second->sku_id() != sku_id) {
      Line& other = by_sku_[here->second->sku_id()];
      other.insert(line.extract(here));
    }
  }
}

void WaitingRoom::AnswerOverdue() {
  if (size_.load(std::memory_order_relaxed) == 0) return;
  if (storage::Mutated(storage::Mutation::kWaitersForgotten)) return;
  const absl::Time now = clock_->Now();
  NewDemand demand;
  // One by one: each may find what the one before gives back. Units that were given back after an error have woken
  // nobody.
  for (std::unique_ptr<Waiter>& waiter : TakeOverdue(now)) {
    bool goes;
    {
      absl::MutexLock lock(&mutex_);
      goes = waiter->TryToGo(now, demand);
    }
    goes ? waiter->GoOn() : waiter->GiveUp();
  }
  Bring(demand);
  AskForWaiting();
}

// The pool may have been empty when they came.
void WaitingRoom::AskForWaiting() {
  if (pools_ == nullptr) return;
  std::vector<std::pair<std::string, int64_t>> waited_for;
  {
    absl::MutexLock lock(&mutex_);
    for (const auto& [sku_id, line] : by_sku_) {
      int64_t least = std::numeric_limits<int64_t>::max();
      for (const auto& [_, waiter] : line) least = std::min(least, waiter->wanted());
      waited_for.emplace_back(sku_id, least);
    }
  }
  for (const auto& [sku_id, wanted] : waited_for) {
    if (const std::shared_ptr<Slice> slice = slices_->Find(sku_id); slice != nullptr) pools_->Ask(slice, wanted);
  }
}

void WaitingRoom::NoteRefused(const std::shared_ptr<Slice>& slice, const SkuTerms& terms, int64_t units) {
  if (pools_ == nullptr || !terms.holds_may_lapse) return;
  // Of a SKU of which nothing was announced here, the ledger is asked before each refusal.
  if (slice->counter().version() > 0) pools_->Doubt(slice, units);
}

void WaitingRoom::NoteShort(const std::shared_ptr<Slice>& slice, int64_t ledger_version, int64_t units) {
  if (pools_ != nullptr) pools_->Overtaken(slice, ledger_version, units);
}

std::vector<std::unique_ptr<Waiter>> WaitingRoom::TakeOverdue(absl::Time now) {
  std::vector<std::unique_ptr<Waiter>> overdue;
  absl::MutexLock lock(&mutex_);
  for (auto& [_, line] : by_sku_) {
    for (auto next = line.begin(); next != line.end();) {
      const auto here = next++;
      if (here->second->wait_until() > now) continue;
      overdue.push_back(std::move(here->second));
      line.erase(here);
      --size_;
    }
  }
  std::erase_if(by_sku_, [](const auto& line) { return line.second.empty(); });
  return overdue;
}

void WaitingRoom::SetOpen(bool open) {
  std::vector<Leaving> leaving;
  {
    absl::MutexLock lock(&mutex_);
    open_ = open;
    if (open) return;
    for (auto& [_, line] : by_sku_) {
      for (auto& [number, waiter] : line) leaving.push_back({std::move(waiter), Answer::kSentAway});
    }
    by_sku_.clear();
    size_ = 0;
  }
  Dismiss(NewDemand(), std::move(leaving));
}

void WaitingRoom::Dismiss(const NewDemand& demand, std::vector<Leaving> leaving) {
  for (const Leaving& one : leaving) {
    switch (one.answer) {
      case Answer::kGoesOn:
        one.waiter->GoOn();
        break;
      case Answer::kGivesUp:
        one.waiter->GiveUp();
        break;
      case Answer::kSentAway:
        one.waiter->SendAway();
        break;
    }
  }
  Bring(demand);
}

void WaitingRoom::Bring(const NewDemand& demand) {
  bool all_asked = pools_ != nullptr;
  for (const NewDemand::Dry& dry : demand.dry()) {
    if (pools_ != nullptr && !pools_->Ask(dry.slice, dry.wanted)) all_asked = false;
  }
  if (demand.is_news() && !all_asked) slices_->NoteExhausted();
}

size_t WaitingRoom::waiting(const std::string& sku_id) const {
  absl::MutexLock lock(&mutex_);
  const auto found = by_sku_.find(sku_id);
  return found == by_sku_.end() ? 0 : found->second.size();
}

}  // namespace tranche::quota
