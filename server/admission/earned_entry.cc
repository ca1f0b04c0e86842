#include "server/admission/earned_entry.h"

#include <atomic>
#include <cstdint>
#include <optional>
#include <string>
#include <utility>

#include "absl/strings/string_view.h"
#include "server/admission/challenge.h"
#include "server/admission/delay_ticket.h"
#include "storage/mutation.h"

namespace tranche::server {
namespace {

void AddOne(std::atomic<uint64_t>& count) { count.fetch_add(1, std::memory_order_relaxed); }

EarnedEntry EarnByChallenge(const FrontKeys& keys, const DoorPolicy& policy, int bits, ChallengeRole role,
                            const DoorVisit& visit, absl::Time now, DoorCounts& counts, DoorEntry* entry) {
  EarnedEntry result;
  if (!visit.challenge_solution.empty()) {
    // A plain one, too: while a captcha cannot be asked for, it is no cheaper than what is asked.
    entry->challenge_problem = ChallengeProblem(keys, visit.challenge_solution, visit.sku_id, visit.user_id, bits, now);
    if (entry->challenge_problem.empty()) {
      AddOne(counts.challenges_solved);
      return {.earned = true};
    }
    AddOne(counts.challenges_refused);
    result.wrong = entry->challenge_problem == "wrong" || entry->challenge_problem == "not_for_this";
  }
  // There is a current key: who calls has looked.
  if (std::optional<IssuedChallenge> issued =
          IssueChallenge(keys, visit.sku_id, visit.user_id, bits, policy.challenge->lifetime, now, role)) {
    entry->challenge = std::move(issued->json);
    entry->challenge_expires_at = issued->expires_at;
    AddOne(counts.challenges_issued);
  }
  return result;
}

bool MayWait(const DoorPolicy& policy, bool without_scripts) {
  return without_scripts && policy.challenge->delay.has_value();
}

// Tickets tell whole milliseconds: who comes back when they are told must not be too early.
absl::Time WholeMillis(absl::Time time) { return absl::FromUnixMillis(absl::ToUnixMillis(time)); }

EarnedEntry EarnByDelay(const FrontKeys& keys, const DoorPolicy& policy, const DoorVisit& visit, absl::Time now,
                        DoorCounts& counts, DoorEntry* entry) {
  if (!visit.delay_ticket.empty()) {
    const DelayReading reading = ReadDelayTicket(keys, visit.delay_ticket, visit.sku_id, visit.user_id, now);
    if (reading.state == DelayReading::State::kReady) {
      AddOne(counts.delays_waited);
      return {.earned = true};
    }
    if (reading.state == DelayReading::State::kEarly) {
      entry->delay_ticket = std::string(visit.delay_ticket);
      entry->delay = reading.ticket;
      entry->retry_after = reading.ticket.ready_at - now;
      return {};
    }
  }
  const absl::Time ready_at = WholeMillis(now + *policy.challenge->delay);
  entry->delay = {.ready_at = ready_at, .expires_at = ready_at + policy.challenge->lifetime};
  entry->delay_ticket = MakeDelayTicket(keys, visit.sku_id, visit.user_id, entry->delay);
  entry->retry_after = ready_at - now;
  AddOne(counts.delays_given);
  return {};
}

absl::string_view CaptchaProblem(CaptchaVerdict verdict) {
  switch (verdict) {
    case CaptchaVerdict::kRefused:
      return "refused";
    case CaptchaVerdict::kExpired:
      return "expired";
    case CaptchaVerdict::kUnknown:
    case CaptchaVerdict::kBusy:
      return "unknown";
    case CaptchaVerdict::kNone:
    case CaptchaVerdict::kSolved:
      break;
  }
  return "";
}

// Who was given a challenge in the captcha's place has solved it, though a captcha can be asked for again.
bool HasSolvedStandIn(const FrontKeys& keys, int bits, const DoorVisit& visit, absl::Time now) {
  return !visit.challenge_solution.empty() && ChallengeProblem(keys, visit.challenge_solution, visit.sku_id,
                                                               visit.user_id, bits, now, ChallengeRole::kStandsIn)
                                                  .empty();
}

// No other solved challenge earns anything here while the provider can be asked: it would be the cheaper way. So one
// answer that is late leads to another captcha, not to a challenge.
EarnedEntry EarnByCaptcha(const FrontKeys& keys, const DoorPolicy& policy, int bits, const DoorVisit& visit,
                          absl::Time now, DoorCounts& counts, DoorEntry* entry) {
  const bool shown = visit.captcha != CaptchaVerdict::kNone;
  if (visit.captcha == CaptchaVerdict::kSolved || (shown && storage::Mutated(storage::Mutation::kCaptchaNotAsked))) {
    AddOne(counts.captchas_solved);
    return {.earned = true};
  }
  const bool refused = visit.captcha == CaptchaVerdict::kRefused;
  if (refused) AddOne(counts.captchas_refused);
  if (visit.captcha == CaptchaVerdict::kExpired) AddOne(counts.captchas_expired);
  entry->captcha_problem = std::string(CaptchaProblem(visit.captcha));
  if (!visit.captcha_available) {
    EarnedEntry instead = EarnByChallenge(keys, policy, bits, ChallengeRole::kStandsIn, visit, now, counts, entry);
    if (!entry->challenge.empty()) AddOne(counts.captchas_replaced);
    instead.wrong = instead.wrong || refused;
    return instead;
  }
  if (HasSolvedStandIn(keys, bits, visit, now)) {
    AddOne(counts.challenges_solved);
    return {.earned = true};
  }
  entry->captcha = true;
  AddOne(counts.captchas_asked);
  return {.earned = false, .wrong = refused};
}

}  // namespace

EntryTask TaskOf(const DoorPolicy& policy, const DoorTier* tier, bool without_scripts) {
  if (!policy.challenge.has_value()) return {};
  const DoorChallenge& rule = *policy.challenge;
  int bits = rule.bits;
  const bool has_own = tier != nullptr && tier->challenge_bits.has_value();
  if (has_own && !storage::Mutated(storage::Mutation::kTierAsksForNoMore)) bits = *tier->challenge_bits;
  const bool captcha = tier != nullptr && tier->captcha;
  if (bits == 0 && !captcha) return {};
  // A delay replaces no captcha: whoever asks for one wants a person, and a program can say without_scripts.
  if (!captcha && MayWait(policy, without_scripts)) return {EntryTask::Kind::kDelay, 0};
  if (!captcha) return {EntryTask::Kind::kChallenge, bits};
  // A tier that has its captcha alone must not get in for nothing while the provider fails.
  return {EntryTask::Kind::kCaptcha, bits == 0 ? rule.bits : bits};
}

EarnedEntry EarnEntry(const FrontKeys& keys, const DoorPolicy& policy, const DoorTier* tier, const DoorVisit& visit,
                      absl::Time now, DoorCounts& counts, DoorEntry* entry) {
  const EntryTask task = TaskOf(policy, tier, visit.without_scripts);
  switch (task.kind) {
    case EntryTask::Kind::kNothing:
      break;
    case EntryTask::Kind::kChallenge:
      return EarnByChallenge(keys, policy, task.bits, ChallengeRole::kPlain, visit, now, counts, entry);
    case EntryTask::Kind::kCaptcha:
      return EarnByCaptcha(keys, policy, task.bits, visit, now, counts, entry);
    case EntryTask::Kind::kDelay:
      return EarnByDelay(keys, policy, visit, now, counts, entry);
  }
  return {.earned = true};
}

}  // namespace tranche::server
