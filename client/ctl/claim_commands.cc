// tranchectl reservation claim, and how `reservation create --accept-queued` waits.

#include <algorithm>
#include <memory>
#include <string>
#include <utility>

#include "absl/strings/str_cat.h"
#include "absl/time/clock.h"
#include "client/ctl/change_view.h"
#include "client/ctl/claim_wait.h"
#include "client/ctl/commands.h"
#include "client/ctl/parse.h"
#include "client/ctl/reservation_view.h"
#include "client/internal/status_translation.h"

namespace tranche::ctl {
namespace {

using tranche::v1::ReservationService;

constexpr absl::Duration kLeastClaimPause = absl::Milliseconds(100);
// What is not decided at its decide_time is refused: so long after it that is heard.
constexpr absl::Duration kClaimLastWord = absl::Seconds(5);

absl::StatusOr<tranche::v1::GetClaimResponse> AskForClaim(Session& session, const std::string& ticket) {
  tranche::v1::GetClaimRequest request;
  request.set_ticket(ticket);
  return session.Reservations(&ReservationService::Stub::GetClaim, request);
}

absl::Duration ClaimPauseOf(const tranche::v1::QueuedClaim& queued) {
  return std::max(kLeastClaimPause,
                  absl::Seconds(queued.poll_after().seconds()) + absl::Nanoseconds(queued.poll_after().nanos()));
}

// --timeout, or as long as the node says.
absl::StatusOr<absl::Time> EndOfClaimWait(const Session& session, const tranche::v1::QueuedClaim& queued) {
  if (session.timeout.empty()) {
    return absl::FromUnixSeconds(queued.decide_time().seconds()) + absl::Nanoseconds(queued.decide_time().nanos()) +
           kClaimLastWord;
  }
  const absl::StatusOr<absl::Duration> limit = ParseDuration(session.timeout);
  if (!limit.ok()) return limit.status();
  return absl::Now() + *limit;
}

bool ClaimMayBeToldLater(const absl::Status& error) {
  return absl::IsUnavailable(error) || absl::IsDeadlineExceeded(error);
}

// Shows a decision.
void PrintDecision(Session& session, const tranche::v1::GetClaimResponse& claim) {
  if (claim.has_refused()) return session.FailRemotely(internal::ToAbslStatus(claim.refused()));
  tranche::v1::CreateReservationsResponse created = claim.cart_created();
  if (claim.has_created()) {
    *created.add_reservations() = claim.created().reservation();
    created.set_replayed(claim.created().replayed());
  }
  if (session.json()) return session.PrintJson(created);
  PrintReservations(session, {created.reservations().begin(), created.reservations().end()});
}

void PrintQueued(Session& session, const tranche::v1::GetClaimResponse& claim) {
  if (session.json()) return session.PrintJson(claim);
  Table table({"FIELD", "VALUE"});
  table.AddRow({"state", "QUEUED"});
  table.AddRow({"ahead, about", absl::StrCat(claim.queued().ahead())});
  table.AddRow({"decided by", FormatTime(claim.queued().decide_time())});
  session.Print(table);
}

struct ClaimFlags {
  std::string ticket;
  bool wait = false;
};

void ShowClaim(Session& session, const ClaimFlags& flags) {
  const auto claim = AskForClaim(session, flags.ticket);
  if (!claim.ok()) return session.FailRemotely(claim.status());
  if (!claim->has_queued()) return PrintDecision(session, *claim);
  if (!flags.wait) return PrintQueued(session, *claim);
  AwaitQueuedClaim(session, claim->queued());
}

}  // namespace

void AwaitQueuedClaim(Session& session, const tranche::v1::QueuedClaim& first) {
  const absl::StatusOr<absl::Time> end = EndOfClaimWait(session, first);
  if (!end.ok()) return session.FailLocally(end.status().message());
  tranche::v1::QueuedClaim queued = first;
  session.err() << "Queued; decided by " << FormatTime(queued.decide_time()) << ". If this ends before: tranchectl "
                << "reservation claim --wait '" << queued.ticket() << "'" << std::endl;
  session.err() << "About " << queued.ahead() << " before it." << std::endl;
  bool told = false;
  while (true) {
    const absl::Duration left = *end - absl::Now();
    if (left <= absl::ZeroDuration()) {
      session.err() << "tranchectl: it is not decided yet; ask again\n";
      session.exit_code = kExitRemote;
      return;
    }
    absl::SleepFor(std::min(left, ClaimPauseOf(queued)));
    const auto claim = AskForClaim(session, queued.ticket());
    if (!claim.ok() && !ClaimMayBeToldLater(claim.status())) return session.FailRemotely(claim.status());
    if (!claim.ok()) {
      if (!std::exchange(told, true)) session.err() << "Asking again: " << DescribeError(claim.status()) << std::endl;
      continue;
    }
    if (!claim->has_queued()) return PrintDecision(session, *claim);
    told = false;
    if (claim->queued().ahead() != queued.ahead()) {
      session.err() << "About " << claim->queued().ahead() << " before it." << std::endl;
    }
    queued = claim->queued();
  }
}

void AddClaimCommand(CLI::App* reservation, Session& session) {
  auto flags = std::make_shared<ClaimFlags>();
  CLI::App* claim = reservation->add_subcommand("claim", "What became of a claim that was queued");
  claim->add_option("TICKET", flags->ticket, "What the answer to the claim gave")->required();
  claim->add_flag("--wait", flags->wait, "Until it is decided, --timeout at most");
  claim->footer(
      "Shows the reservation, or why it was refused (exit status 2), or that it is still queued.\n"
      "Examples:\n"
      "  tranchectl reservation claim \"$TICKET\"\n"
      "  tranchectl reservation claim --wait \"$TICKET\" -o json | jq -r .reservations[].reservation_id");
  claim->callback([&session, flags] { ShowClaim(session, *flags); });
}

}  // namespace tranche::ctl
