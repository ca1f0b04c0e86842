#include "tests/scale/tree_size.h"

#include <algorithm>
#include <iterator>
#include <set>
#include <vector>

#include "absl/strings/str_cat.h"
#include "quota/coordination/coordination_paths.h"
#include "tests/scale/counting_coordination.h"
#include "tranche/internal/v1/coordination.pb.h"

namespace tranche::testing {
namespace {

using quota::Coordination;
using quota::Watch;

void Measure(Coordination& session, const std::string& path, FolderSize* size) {
  const auto znode = session.Get(path, Watch::kNo);
  const auto names = session.List(path, Watch::kNo);
  if (!znode.ok() || !names.ok()) return;
  const auto bytes = static_cast<int64_t>(znode->data.size());
  ++size->znodes;
  size->bytes += bytes;
  size->largest_znode = std::max(size->largest_znode, bytes);
  if (names->empty()) return;
  if (const int64_t reply = ListReplyBytes(*names); reply > size->longest_list_bytes) {
    size->longest_list = path;
    size->longest_list_names = static_cast<int64_t>(names->size());
    size->longest_list_bytes = reply;
  }
  for (const std::string& name : *names) Measure(session, absl::StrCat(path, "/", name), size);
}

}  // namespace

std::map<std::string, FolderSize> MeasureTree(Coordination& session) {
  std::map<std::string, FolderSize> sizes;
  for (const char* folder : quota::kFixedPaths) Measure(session, folder, &sizes[folder]);
  return sizes;
}

Differences CompareWithLedger(Coordination& session, storage::StockLedger& ledger) {
  Differences differences;
  std::set<storage::IncarnationId> live;
  const auto incarnations = ledger.ListLiveIncarnations();
  for (const storage::Incarnation& incarnation : *incarnations) {
    live.insert(incarnation.id);
    const auto slices = ledger.ListSlices(incarnation.id);
    for (const auto& [sku_id, slice] : *slices) {
      internal::v1::SliceAnnouncement announced;
      const auto znode = session.Get(quota::SlicePath(incarnation.id, sku_id), Watch::kNo);
      const bool current = znode.ok() && announced.ParseFromString(znode->data) &&
                           announced.version() == slice.version && announced.allotted() == slice.allotted;
      if (!current) ++differences.unannounced;
    }
  }
  for (const char* folder : {quota::kNodesPath, quota::kSlicesPath, quota::kDemandPath, quota::kDrainPath}) {
    const auto names = session.List(folder, Watch::kNo);
    differences.left_over += std::count_if(names->begin(), names->end(), [&](const std::string& name) {
      return !live.contains(quota::ParseIncarnation(name));
    });
  }
  return differences;
}

}  // namespace tranche::testing
