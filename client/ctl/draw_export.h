// What is published of a draw, as files that scripts/verify_draw.py reads:
//
//   draw.json     the draw itself; bytes are in hex
//   entries.txt   the sealed list: entry ids in their order, one a line
//   awards.csv    place,entry_id,outcome, by rank
//
// Who the buyers are is in none of them.
#pragma once

#include <cstdint>
#include <functional>
#include <string>

#include "absl/functional/function_ref.h"
#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "tranche/v1/admin_service.pb.h"

namespace tranche::ctl {

// Where the pages come from: AdminService.
struct DrawPages {
  std::function<absl::StatusOr<tranche::v1::ListDrawEntriesResponse>(const tranche::v1::ListDrawEntriesRequest&)>
      entries;
  std::function<absl::StatusOr<tranche::v1::ListDrawAwardsResponse>(const tranche::v1::ListDrawAwardsRequest&)> awards;
};

// How far it is.
struct DrawExported {
  int64_t entries = 0;
  int64_t awards = 0;
};

// Makes the folder if it is not there. An error if the draw's list is not sealed, or, without `force`, if one of the
// files is there.
absl::Status PrepareDrawExport(const tranche::v1::Draw& draw, const std::string& folder, bool force);

// Writes the files into the folder. They appear when all of them are complete; until then, or if it fails, those of
// before stay. Awards that are made meanwhile are left out, so that the three fit each other. Checks that the entries
// are in their order, and as many as were sealed. `show` is called after each page. Blocks.
absl::Status ExportDraw(const tranche::v1::Draw& draw, const std::string& folder, const DrawPages& pages,
                        absl::FunctionRef<void(const DrawExported&)> show);

}  // namespace tranche::ctl
