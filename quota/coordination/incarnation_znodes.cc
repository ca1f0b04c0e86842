#include "quota/coordination/incarnation_znodes.h"

#include <string>
#include <vector>

#include "quota/coordination/coordination_paths.h"

namespace tranche::quota {

void RemoveIncarnationZnodes(Coordination& session, storage::IncarnationId incarnation) {
  std::vector<WriteOp> deletes;
  const auto remove = [&](std::string path) {
    deletes.push_back({WriteOp::Kind::kDelete, std::move(path), "", kAnyVersion});
  };
  if (const auto skus = session.List(SlicesPath(incarnation), Watch::kNo); skus.ok()) {
    for (const std::string& sku : *skus) remove(SlicePath(incarnation, sku));
  }
  remove(SlicesPath(incarnation));
  remove(DemandPath(incarnation));
  remove(DrainPath(incarnation));
  session.Apply(deletes);
  session.Delete(NodePath(incarnation), kAnyVersion).IgnoreError();
}

}  // namespace tranche::quota
