// Turns what a leader sees of the SKUs, one look after the other, into the events of their sales: opened, sold out, on
// sale again, closed, ended.
//
// Pure logic. A new leader learns silently: what it sees of a SKU for the first time, before it has seen all of them
// once, is no news. After that a SKU that it has not seen is a new one.
#pragma once

#include <cstddef>
#include <cstdint>
#include <map>
#include <optional>
#include <set>
#include <string>
#include <utility>
#include <vector>

#include "absl/time/time.h"
#include "storage/ledger/sku_ledger.h"

namespace tranche::quota {

enum class SaleState { kNotYet, kOnSale, kSoldOut, kClosed, kEnded };

// One look at a SKU.
struct SaleSight {
  std::string sku_id;
  SaleState state = SaleState::kNotYet;
  int64_t stock = 0;
  int64_t unsold = 0;
  bool held = false;  // some of what is reserved is not paid, and may come back
  absl::Time opens_at = absl::InfinitePast();
  absl::Time closes_at = absl::InfiniteFuture();
};

SaleSight SightOf(const storage::Sku& sku, absl::Time now);

struct SaleEvent {
  const char* name;  // sale.opened, sale.sold_out, ...
  std::string sku_id;
  int64_t units = 0;  // that may ever be sold
  int64_t unsold = 0;
  bool held = false;
  std::optional<absl::Duration> since_opened = std::nullopt;  // if it is known when it opened
};

// Used by one thread. Takes a few hundred bytes for each SKU whose sale is not over.
class SaleEvents {
 public:
  static constexpr size_t kMostSkus = 100'000;
  // What a SKU with few units may do many times a second is told so often at most.
  static constexpr absl::Duration kQuiet = absl::Seconds(10);
  // Bounds the work of one Tick.
  static constexpr size_t kMostPerTick = 200;

  // SKUs beyond `most_skus` are passed over.
  explicit SaleEvents(size_t most_skus = kMostSkus) : most_skus_(most_skus) {}

  // Begin and end of a look at all SKUs; between them others may be seen, too. Those that were not seen have gone.
  void BeginPass();
  void EndPass();

  // Looks come in the order in which they were taken.
  std::vector<SaleEvent> See(const SaleSight& sight, absl::Time now);
  // Openings and ends whose time has come, by what was seen last.
  std::vector<SaleEvent> Tick(absl::Time now);

  // Learns silently again.
  void Forget();

  size_t size() const { return skus_.size(); }
  bool full() const { return skus_.size() >= most_skus_; }

 private:
  struct Known {
    SaleSight seen;
    SaleState told = SaleState::kNotYet;
    bool told_held = false;
    absl::Time opened_at = absl::InfinitePast();  // InfinitePast: not known
    absl::Time quiet_until = absl::InfinitePast();
    absl::Time due = absl::InfiniteFuture();  // its place in due_
    uint64_t pass = 0;                        // in which it was seen last
  };
  using Skus = std::map<std::string, Known>;

  Skus::iterator Learn(const SaleSight& sight);
  void Follow(Skus::iterator sku, absl::Time now, std::vector<SaleEvent>& events);
  bool IsNews(const Known& known, absl::Time now) const;
  void Tell(const char* name, Known& known, absl::Time now, std::vector<SaleEvent>& events);
  void SetDue(Skus::iterator sku);
  void Drop(Skus::iterator sku);

  const size_t most_skus_;
  Skus skus_;
  std::set<std::pair<absl::Time, std::string>> due_;
  bool learning_ = true;
  bool in_pass_ = false;
  uint64_t pass_ = 1;
};

}  // namespace tranche::quota
