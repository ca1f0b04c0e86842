// Reads the announcements of an incarnation's slices and of their SKUs, and applies them to the node's slices. Reading
// the same announcement twice changes nothing.
#pragma once

#include <set>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "quota/coordination/coordination.h"
#include "quota/slices/slice_table.h"
#include "storage/clock.h"
#include "storage/ledger/incarnation_id.h"

namespace tranche::quota {

// Used in the agent's turns. Every read leaves a watch.
class SliceReader {
 public:
  // Dependencies outlive it.
  SliceReader(SliceTable* slices, storage::Clock* clock) : slices_(slices), clock_(clock) {}

  // Which SKUs are read, of those of which the incarnation has a slice or was asked for the terms: all of them; those
  // that are not followed yet; or these and, in case an event was lost, some of the others in turn.
  enum class Which { kAll, kNew, kNewAndInTurn };
  // `held`: the SKUs of which it has a slice.
  absl::Status ReadFollowed(Coordination& session, storage::IncarnationId incarnation,
                            const std::vector<std::string>& held, Which which);
  // Reads the terms of these SKUs, and these slices. From then on ReadFollowed reads them, too, also where the
  // incarnation has no slice and where this fails.
  absl::Status ReadChanged(Coordination& session, storage::IncarnationId incarnation,
                           const std::vector<std::string>& skus, const std::vector<std::string>& slices);

 private:
  absl::Status Read(Coordination& session, storage::IncarnationId incarnation, const std::vector<std::string>& skus,
                    const std::vector<std::string>& slices);
  std::vector<std::string> Choose(const std::set<std::string>& has_slice, Which which);
  absl::Status ApplySku(const std::string& sku_id, const absl::StatusOr<Znode>& read);
  absl::Status ApplySlice(const std::string& path, const std::string& sku_id, const absl::StatusOr<Znode>& read);

  SliceTable* const slices_;
  storage::Clock* const clock_;
  std::set<std::string> by_terms_;  // SKUs whose terms were asked for: read again without a slice, too
  std::set<std::string> followed_;  // SKUs whose slice was read, and whose watches report changes
  std::string reread_after_;        // how far the reading in turn has come
};

}  // namespace tranche::quota
