#include "client/load/earlier_run.h"

#include <algorithm>
#include <fstream>
#include <iterator>
#include <utility>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_split.h"
#include "storage/base/status_macros.h"

namespace tranche::load {
namespace {

// As many as a node takes in one call.
constexpr size_t kLookUpAtOnce = 100;

}  // namespace

absl::StatusOr<std::vector<KnownReservation>> ReadReservations(const std::string& path) {
  std::ifstream file(path);
  if (!file) return absl::InvalidArgumentError(absl::StrCat("cannot read ", path));
  std::vector<KnownReservation> known;
  for (std::string line; std::getline(file, line);) {
    const std::vector<std::string> fields = absl::StrSplit(line, ' ');
    if (fields.size() != 2 || fields[0].empty() || fields[1].empty()) {
      return absl::InvalidArgumentError(
          absl::StrCat(path, ", line ", known.size() + 1, ": \"", line, "\" is not \"reservation_id sku_id\""));
    }
    known.push_back({fields[0], fields[1]});
  }
  if (file.bad()) return absl::InvalidArgumentError(absl::StrCat("cannot read ", path));
  if (known.empty()) return absl::InvalidArgumentError(absl::StrCat(path, " has no reservations"));
  return known;
}

absl::StatusOr<std::vector<Reservation>> LookUp(Client& client, const std::vector<KnownReservation>& known) {
  std::vector<Reservation> found;
  for (size_t first = 0; first < known.size(); first += kLookUpAtOnce) {
    std::vector<std::string> ids;
    for (size_t i = first; i < std::min(known.size(), first + kLookUpAtOnce); ++i)
      ids.push_back(known[i].reservation_id);
    ASSIGN_OR_RETURN(std::vector<Reservation> some, client.BatchGet(std::move(ids)));
    found.insert(found.end(), std::make_move_iterator(some.begin()), std::make_move_iterator(some.end()));
  }
  return found;
}

}  // namespace tranche::load
