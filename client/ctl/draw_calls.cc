#include "client/ctl/draw_calls.h"

#include <ostream>

#include "absl/strings/str_cat.h"
#include "absl/time/clock.h"
#include "absl/time/time.h"
#include "client/ctl/draw_view.h"
#include "client/ctl/live_view.h"
#include "storage/base/status_macros.h"

namespace tranche::ctl {
namespace {

using tranche::v1::Draw;

// Nodes keep what they tell about a draw for a second.
constexpr absl::Duration kBetweenLooks = absl::Milliseconds(500);
// How often a long wait says that it goes on.
constexpr absl::Duration kBetweenReminders = absl::Seconds(10);

}  // namespace

absl::StatusOr<Draw> FindDraw(Session& session, const std::string& sku_id, int64_t number) {
  tranche::v1::ListDrawsRequest request;
  request.set_sku_id(sku_id);
  ASSIGN_OR_RETURN(const auto draws, session.Admin(&tranche::v1::AdminService::Stub::ListDraws, request));
  if (draws.draws().empty()) {
    return absl::NotFoundError(absl::StrCat(sku_id, " has no draw: `tranchectl draw create ", sku_id, "` begins one"));
  }
  if (number == 0) return draws.draws(0);
  for (const Draw& draw : draws.draws()) {
    if (draw.number() == number) return draw;
  }
  return absl::NotFoundError(
      absl::StrCat(sku_id, " has no draw ", number, ": `tranchectl draw list ", sku_id, "` shows those there are"));
}

absl::StatusOr<Draw> AwaitDraw(Session& session, const Draw& draw, absl::FunctionRef<bool(const Draw&)> goes_on) {
  tranche::v1::GetDrawRequest request;
  request.set_sku_id(draw.sku_id());
  request.set_draw_number(draw.number());
  Draw::State told = Draw::STATE_UNSPECIFIED;
  absl::Time reminded = absl::Now();
  while (true) {
    const auto look = session.FrontDoor(&tranche::v1::FrontDoorService::Stub::GetDraw, request);
    if (look.ok() && !goes_on(look->draw())) return look->draw();
    if (!look.ok() && !MayPass(look.status())) return look.status();
    if (!look.ok()) {
      session.err() << "asking again: " << DescribeError(look.status()) << std::endl;
    } else if (look->draw().state() != told) {
      told = look->draw().state();
      reminded = absl::Now();
      session.err() << draw.sku_id() << ", draw " << draw.number() << ", is " << DrawStateName(told)
                    << ": a worker does the rest" << std::endl;
    } else if (absl::Now() >= reminded + kBetweenReminders) {
      reminded = absl::Now();
      session.err() << "still " << DrawStateName(told) << "; `tranchectl status` says whether a worker runs"
                    << std::endl;
    }
    absl::SleepFor(kBetweenLooks);
  }
}

}  // namespace tranche::ctl
