// Whether the copy of a SKU that a shard has is the one that counts, or an older one that a restore to before a move
// has brought back. An older one is given up, so that the SKU is sold at one shard only.
//
// Of two shards that have a SKU, the one to which more moves have brought it has the newer copy. Its version does not
// say so: that grows in each copy by itself.
//
// The newer copy is the one that is announced, so a shard only asks about a SKU that it has and that is announced as
// being at another shard. Whoever has one shard, or SKUs that rest where they are announced, is never asked.
#pragma once

#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <set>
#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "absl/time/time.h"
#include "storage/clock.h"
#include "storage/ledger/sku_move_ledger.h"
#include "storage/ledger/whereabouts_ledger.h"
#include "storage/shards/sku_places.h"

namespace tranche::storage {

// Used by one thread.
class CopyCheck {
 public:
  enum class Verdict {
    kCounts,   // no shard has a newer copy
    kGivenUp,  // it was the older one; it sells nothing any more
    kOpen,     // not known yet: ask again in the next pass
  };
  virtual ~CopyCheck() = default;

  // From here on, shards that did not answer are asked again.
  virtual void BeginPass() = 0;
  // Of a SKU that this shard has, and that is announced as being at the shard `announced_at`. Blocks. Returns an error
  // only for this shard's own ledger: if another one does not answer, it is open.
  virtual absl::StatusOr<Verdict> Judge(const std::string& sku_id, const std::string& announced_at) = 0;
};

class OlderCopies : public CopyCheck {
 public:
  struct OtherShard {
    std::string name;
    std::shared_ptr<WhereaboutsLedger> ledger;
  };
  // All shards of this system besides this one. Blocks. An error: it is not known which there are.
  using ListOthers = std::function<absl::StatusOr<std::vector<OtherShard>>()>;

  // `ledger` is that of the shard `shard`; it and the clock outlive this.
  OlderCopies(std::string shard, SkuMoveLedger* ledger, ListOthers list_others, Clock* clock)
      : shard_(std::move(shard)), ledger_(*ledger), list_others_(std::move(list_others)), clock_(*clock) {}

  void BeginPass() override;
  absl::StatusOr<Verdict> Judge(const std::string& sku_id, const std::string& announced_at) override;

 private:
  bool KnowsOthers();
  // What the others say that answer; those that do not, or that have been slow, are silent for the rest of the pass.
  SkuPlaces AskOthers(const std::string& sku_id);
  void NoteTime(const std::string& shard, absl::Duration took);
  void NoteSilent(const std::string& shard, const std::string& why);
  bool MayBeAtASilentOne(const SkuPlaces& others, const std::string& announced_at) const;
  absl::StatusOr<Verdict> GiveUp(const std::string& sku_id, const SkuWhereabouts& own, const SkuPlace& newer);

  const std::string shard_;
  SkuMoveLedger& ledger_;
  const ListOthers list_others_;
  Clock& clock_;

  // Of this pass.
  std::optional<absl::StatusOr<std::vector<OtherShard>>> others_;
  std::set<std::string> silent_;
  std::map<std::string, absl::Duration> lost_;  // by slow answers of each
  int told_ = 0;
};

}  // namespace tranche::storage
