#include "server/handlers/room_warnings.h"

#include <algorithm>
#include <string>
#include <utility>

#include "absl/strings/str_cat.h"
#include "server/admission/front_policy.h"
#include "server/proto_time.h"

namespace tranche::server {
namespace {

// Near their turn buyers ask once a second, and no more.
constexpr absl::Duration kShortestRetry = absl::Seconds(1);
// So much more often is of no use to anybody who waits.
constexpr int kMuchOftener = 5;

// Who is refused by a limit is not counted as somebody who waits, and nobody lets them in. "": it fits.
std::string WhyUserLimitIsUnfit(absl::Duration interval, absl::Duration poll) {
  const absl::Duration unit = interval > poll ? absl::Seconds(1) : absl::Milliseconds(100);
  const std::string once = absl::StrCat("user: one try every ", absl::FormatDuration(absl::Ceil(interval, unit)));
  if (interval > poll) {
    return absl::StrCat(once, " is less than who waits in the room needs: they ask about every ",
                        absl::FormatDuration(poll), ", and whoever the limit refuses loses time.");
  }
  if (interval > kShortestRetry) {
    return absl::StrCat(once,
                        " is less than who waits in the room needs near their turn, when they ask once a second: "
                        "10/10s refuses nobody.");
  }
  if (interval * kMuchOftener < kShortestRetry) {
    return "user: this is far more than who waits in the room needs, which is a try a second at most: 10/10s keeps one "
           "buyer from making the calls of many.";
  }
  return "";
}

void WarnAboutUserLimit(const v1::FrontPolicy& policy, std::vector<std::string>& warnings) {
  const absl::Duration poll = PollIntervalOf(policy.room());
  for (const v1::RateLimit& limit : policy.limits()) {
    if (limit.key() != v1::RateLimit::KEY_USER || limit.tries() <= 0) continue;
    const absl::Duration interval = FromDuration(limit.per()).value_or(absl::ZeroDuration()) / limit.tries();
    std::string why = WhyUserLimitIsUnfit(interval, poll);
    if (!why.empty()) warnings.push_back(std::move(why));
  }
}

// Of a round that begins: who joins it before the opening is shuffled.
void WarnAboutOpening(const std::optional<storage::Sku>& sku, absl::Time now, std::vector<std::string>& warnings) {
  if (!sku.has_value() || now < sku->opens_at) return;
  warnings.push_back(
      "room: the sale has opened, so nobody is shuffled: buyers are let in in the order in which they come.");
}

}  // namespace

std::vector<std::string> WarningsOfRoom(const RoomChange& change, const std::optional<storage::Sku>& sku,
                                        absl::Time now) {
  std::vector<std::string> warnings;
  const bool had_room = change.before.has_room();
  if (!change.after.has_room()) {
    if (had_room) {
      warnings.push_back("room: nobody waits in a room from now on, and all places in it are gone.");
    }
    return warnings;
  }
  const v1::RoomRule& room = change.after.room();
  if (room.buyers_per_second() == 0) {
    warnings.push_back("room: 0 buyers a second are let in, that is nobody, until you set more.");
  }
  WarnAboutUserLimit(change.after, warnings);
  if (!had_room || change.new_round) WarnAboutOpening(sku, now, warnings);
  if (change.new_round && had_room) {
    warnings.push_back("room: a new round ends all places, and that cannot be taken back: whoever waits joins anew.");
  }
  if (change.before.has_lottery()) {
    warnings.push_back(
        "room: a new round begins with the room, so that nobody knows their rank before: the lottery's ends, and its "
        "key is told.");
  }
  if (had_room && !change.new_round && PollIntervalOf(room) != PollIntervalOf(change.before.room())) {
    // Each buyer's own interval is up to a tenth longer.
    const absl::Duration longest = std::max(PollIntervalOf(room), PollIntervalOf(change.before.room())) * 11 / 10;
    warnings.push_back(
        absl::StrCat("room: with another poll interval nodes count anew who waits, and for as long fewer are counted "
                     "than wait: for ",
                     absl::FormatDuration(longest), " nobody new is let in."));
  }
  return warnings;
}

}  // namespace tranche::server
