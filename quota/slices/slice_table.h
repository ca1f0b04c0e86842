// The slices that a node holds, by SKU. The agent writes it, the seller reads it.
#pragma once

#include <atomic>
#include <functional>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "absl/base/thread_annotations.h"
#include "absl/container/flat_hash_map.h"
#include "absl/strings/string_view.h"
#include "absl/synchronization/mutex.h"
#include "quota/slices/pool_pacing.h"
#include "quota/slices/sku_terms.h"
#include "quota/slices/slice_counter.h"
#include "storage/ledger/incarnation_id.h"
#include "storage/ledger/quota_ledger.h"

namespace tranche::quota {

// What one incarnation holds of one SKU. Lives as long as a claim is in flight, even after the table forgot it.
// Thread-safe.
class Slice {
 public:
  Slice(std::string sku_id, storage::IncarnationId incarnation)
      : sku_id_(std::move(sku_id)), incarnation_(incarnation) {}

  const std::string& sku_id() const { return sku_id_; }
  storage::IncarnationId incarnation() const { return incarnation_; }
  SliceCounter& counter() { return counter_; }
  const SliceCounter& counter() const { return counter_; }

  // When its SKU's pool may be asked for units.
  PoolPacing& pool_pacing() { return pool_pacing_; }

  // Null until the SKU's announcement has been read.
  std::shared_ptr<const SkuTerms> terms() const {
    absl::ReaderMutexLock lock(&mutex_);
    return terms_;
  }
  void SetTerms(SkuTerms terms) {
    auto fresh = std::make_shared<const SkuTerms>(std::move(terms));
    absl::MutexLock lock(&mutex_);
    terms_.swap(fresh);
  }
  // The terms of a look-up in the ledger: those that were announced since it began stay. Earlier ones do not, whatever
  // their version: they may have been written by hand. Where the SKU was announced stays known.
  void OfferTerms(SkuTerms terms) {
    std::shared_ptr<const SkuTerms> replaced;
    absl::MutexLock lock(&mutex_);
    if (terms_ != nullptr) {
      if (terms_->read_at > terms.read_at) return;
      if (terms_->announced && terms_->shard == terms.shard) {
        terms.announced = true;
        terms.version = terms_->version;
      }
    }
    replaced = std::exchange(terms_, std::make_shared<const SkuTerms>(std::move(terms)));
  }

  // Demand in units, for the report to the balancer.
  void CountGranted(int64_t units) { granted_.fetch_add(units, std::memory_order_relaxed); }
  void CountDenied(int64_t units) { denied_.fetch_add(units, std::memory_order_relaxed); }
  // Units that no node has. They are no demand, and drive nothing.
  void CountRefused(int64_t units) { refused_.fetch_add(units, std::memory_order_relaxed); }
  // Units whose claims go to a queue: no demand here, but the SKU is in use.
  void CountDiverted(int64_t units) { diverted_.fetch_add(units, std::memory_order_relaxed); }
  int64_t diverted() const { return diverted_.load(std::memory_order_relaxed); }
  int64_t refused() const { return refused_.load(std::memory_order_relaxed); }
  int64_t granted() const { return granted_.load(std::memory_order_relaxed); }
  int64_t denied() const { return denied_.load(std::memory_order_relaxed); }
  // Units that were granted and are not settled yet.
  void CountInFlight(int64_t units) { in_flight_.fetch_add(units, std::memory_order_relaxed); }
  int64_t in_flight() const { return in_flight_.load(std::memory_order_relaxed); }

  // Remembers the smallest quantity that was refused for lack of units. True if that changed.
  bool MarkWanted(int64_t quantity) {
    int64_t wanted = wanted_.load(std::memory_order_relaxed);
    while (wanted == 0 || quantity < wanted) {
      if (wanted_.compare_exchange_weak(wanted, quantity, std::memory_order_relaxed)) return true;
    }
    return false;
  }
  // Forgets it once at least that many units have arrived.
  void ClearWantedIfMet() {
    if (counter_.free() >= wanted()) wanted_.store(0, std::memory_order_relaxed);
  }
  void ForgetWanted() { wanted_.store(0, std::memory_order_relaxed); }
  // 0: nothing was refused since units last arrived.
  int64_t wanted() const { return wanted_.load(std::memory_order_relaxed); }

 private:
  const std::string sku_id_;
  const storage::IncarnationId incarnation_;
  SliceCounter counter_;
  std::atomic<int64_t> granted_{0};
  std::atomic<int64_t> denied_{0};
  std::atomic<int64_t> refused_{0};
  std::atomic<int64_t> diverted_{0};
  std::atomic<int64_t> in_flight_{0};
  std::atomic<int64_t> wanted_{0};
  PoolPacing pool_pacing_;
  mutable absl::Mutex mutex_;
  std::shared_ptr<const SkuTerms> terms_ ABSL_GUARDED_BY(mutex_);
};

// What a slice learned from its SKU's pool, for announcing it.
struct PoolNews {
  storage::PoolTake take;
  bool about_sku = false;        // the number of unsold units is not the one that was known
  bool more_than_known = false;  // and it is higher
};

// Thread-safe.
class SliceTable {
 public:
  // What the agent wants to hear at once. Called on the seller's threads: must only take note.
  struct Listener {
    std::function<void()> exhausted;  // a slice has run dry, and its SKU's pool has too few units
    // The ledger says that this incarnation holds nothing any more.
    std::function<void(storage::IncarnationId)> incarnation_ended;
    std::function<void(PoolNews)> pool_news = {};
    // Where the SKU is was looked up, and not announced to this node yet.
    std::function<void(const std::string& sku_id)> terms_wanted = {};
  };
  void SetListener(Listener listener);
  // Called on the agent's thread, or on one of the books', when a SKU's slice got units or other terms: requests that
  // wait for it may go on.
  void SetChangeListener(std::function<void(const std::string& sku_id)> changed);

  // Forgets all slices: from now on the node sells as this incarnation.
  void Begin(storage::IncarnationId incarnation);

  // Null if the node knows nothing about the SKU.
  std::shared_ptr<Slice> Find(absl::string_view sku_id) const;
  // The shard that the SKU is believed to be on; "" if the node knows nothing about it.
  std::string ShardOf(absl::string_view sku_id) const;
  // The current incarnation's slice, created if necessary. An empty one records demand for a SKU of which the node
  // holds nothing. Null before the first incarnation.
  std::shared_ptr<Slice> FindOrAdd(const std::string& sku_id);
  void Remove(absl::string_view sku_id);
  std::vector<std::pair<std::string, std::shared_ptr<Slice>>> All() const;

  void NoteExhausted() const;
  void NoteIncarnationEnded(storage::IncarnationId incarnation) const;
  void NotePoolNews(PoolNews news) const;
  void NoteTermsWanted(const std::string& sku_id) const;
  // A claim for so many units goes to a queue. The SKU's terms are wanted, if they were not announced here yet: they
  // are all that the node can queue by while the ledger is away.
  void NoteDiverted(Slice& slice, int64_t units) const;
  void NoteChanged(const std::string& sku_id) const;

 private:
  mutable absl::Mutex mutex_;
  storage::IncarnationId incarnation_ ABSL_GUARDED_BY(mutex_) = storage::kPool;
  absl::flat_hash_map<std::string, std::shared_ptr<Slice>> slices_ ABSL_GUARDED_BY(mutex_);

  // A separate mutex, since listeners call back.
  mutable absl::Mutex listener_mutex_;
  Listener listener_ ABSL_GUARDED_BY(listener_mutex_);
  std::function<void(const std::string&)> changed_ ABSL_GUARDED_BY(listener_mutex_);
};

}  // namespace tranche::quota
