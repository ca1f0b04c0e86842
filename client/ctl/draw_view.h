// Shows draws, what a step does with one, and what became of an entry.
#pragma once

#include <string>
#include <utility>
#include <vector>

#include "absl/time/time.h"
#include "client/ctl/session.h"
#include "tranche/v1/admin_service.pb.h"
#include "tranche/v1/front_door_service.pb.h"

namespace tranche::ctl {

// "OPEN", "CLOSING", ...; "?" for a state of a newer version.
std::string DrawStateName(tranche::v1::Draw::State state);
// "PENDING", "PASSED_OVER", ...; likewise.
std::string DrawOutcomeName(tranche::v1::GetDrawEntryResponse::Outcome outcome);

// All there is to say about a draw, by name, as text for people. The same names in the same order for every draw;
// "none" for what is not known yet.
std::vector<std::pair<std::string, std::string>> DrawTerms(const tranche::v1::Draw& draw);

// One draw, a row for each of its terms.
void PrintDraw(Session& session, const tranche::v1::Draw& draw);
// A row each.
void PrintDraws(Session& session, const tranche::v1::ListDrawsResponse& draws);
// Draws that have been over for so long keep who entered for no reason, unless somebody still objects.
inline constexpr absl::Duration kRemindToRemoveAfter = absl::Hours(30 * 24);
// Says which of them are (on stderr), or nothing: nobody removes them by themselves.
void RemindToRemoveDraws(Session& session, const tranche::v1::ListDrawsResponse& draws, absl::Time now);

// A draw that would begin or has begun; for a preview, also how to apply it (on stderr).
void PrintNewDraw(Session& session, const tranche::v1::CreateDrawResponse& created, bool preview);

// What a step would do or has done.
struct DrawChange {
  tranche::v1::Draw before;
  tranche::v1::Draw after;
  bool removes = false;  // `after` is as it was
  bool preview = false;
  std::string warning = {};  // of a preview: what the step means
};
// For a preview, also how to apply it (on stderr).
void PrintDrawChange(Session& session, const DrawChange& change);

// A buyer's entry, with what proves that it took part.
void PrintDrawEntry(Session& session, const tranche::v1::GetDrawEntryResponse& entry);

}  // namespace tranche::ctl
