// Of DoorChecker: what EnterSale asks of a buyer and gives them, by what the risk rules make of them.
#include <algorithm>

#include "absl/strings/str_cat.h"
#include "tests/simulation/door/door_checker.h"
#include "tests/simulation/door/door_solver.h"

namespace tranche::simulation {
namespace {

using storage::Refusal;
using Due = DoorDues::Kind;

// Tickets say milliseconds, and waits are rounded up to seconds at most.
constexpr absl::Duration kDelayRounding = absl::Milliseconds(1);
const absl::Duration kDelayWaitRounding = absl::Seconds(1) + kDelayRounding;

absl::Time InWholeMillis(absl::Time time) { return absl::FromUnixMillis(absl::ToUnixMillis(time)); }

bool IsAboutThen(absl::Time time, absl::Time right) { return absl::AbsDuration(time - right) <= kDelayRounding; }

}  // namespace

bool DoorChecker::MayBeScoredLater(const Case& about) {
  const bool said = about.asks.hints.has_value() && about.asks.hints->has_risk_score();
  return about.terms.risk.has_value() && about.terms.risk->ask_scorer() && !said && !about.asks.scored.has_value();
}

std::vector<const v1::RiskTier*> DoorChecker::TiersOf(const Case& about) const {
  if (about.listed || !about.terms.risk.has_value()) return {nullptr};
  const v1::RiskRule& rule = *about.terms.risk;
  const int32_t many = DoorManyRefusals(rule);
  const std::string network = DoorNetworkOf(about.asks.address);
  DoorSuspicion suspicion;
  if (many > 0 && !network.empty()) {
    suspicion = refusals_.Of(about.node, about.asks.sku_id, network, many, about.now);
    // In a table where keys meet, others' refusals may count as theirs.
    if (!roomy_) suspicion = {.possible = true, .certain = false};
  }
  std::vector<const v1::RiskTier*> tiers;
  for (const bool suspected : {false, true}) {
    if (suspected ? !suspicion.possible : suspicion.certain) continue;
    tiers.push_back(&rule.tiers(DoorTierOf(rule, DoorScoreOf(rule, about.asks, suspected, about.now))));
  }
  return tiers;
}

const v1::RiskTier* DoorChecker::ChosenTier(const Case& about, const server::DoorEntry& entry) {
  const std::vector<const v1::RiskTier*> tiers = TiersOf(about);
  if (tiers.front() == nullptr) return nullptr;
  for (const v1::RiskTier* const tier : tiers) {
    const int number = DoorTierOf(*about.terms.risk, tier->from_score()) + 1;
    if (entry.tier != number) continue;
    const bool waits = !entry.admitted && MayBeScoredLater(about);
    if (tier->refuse() && !waits) Violated("refused tier", absl::StrCat(Told(about), ": is let in from tier ", number));
    return tier;
  }
  Violated("tier", absl::StrCat(Told(about), ": is put in tier ", entry.tier));
  return nullptr;
}

void DoorChecker::CheckRefusedEntry(const Case& about, const quota::Refused& refused) {
  bool may_be_refused = false;
  bool may_be_judged = false;
  bool earned = false;
  int tries = 1;
  for (const v1::RiskTier* const tier : TiersOf(about)) {
    if (tier != nullptr && tier->refuse()) {
      may_be_refused = true;
      may_be_judged = may_be_judged || MayBeScoredLater(about);
      continue;
    }
    may_be_judged = true;
    if (tier != nullptr) tries = std::max(tries, tier->tries());
    earned = earned || (IsAdmitted(about, tier) && HasEarned(about, DoorDuesOf(about.terms, tier, about.asks)));
  }
  if (refused.refusal == Refusal::kDenied) {
    ++answers_["refused tier"];
    if (!may_be_refused) Violated("tier", absl::StrCat(Told(about), ": denied, and of no tier that is refused"));
    return;
  }
  if (refused.refusal != Refusal::kRateLimited) {
    return Violated("reason", absl::StrCat(Told(about), ": EnterSale says ", NameOf(refused.refusal)));
  }
  if (!may_be_judged) {
    return Violated("refused tier", absl::StrCat(Told(about), ": is counted, and of a tier that is refused"));
  }
  CheckLimited(about, refused, /*good_token=*/false, earned, tries);
}

bool DoorChecker::IsSolved(const Case& about, int bits) const {
  return IsGood(solutions_, about.asks.solution, about) && solutions_.at(about.asks.solution).bits >= bits;
}

bool DoorChecker::HasEarned(const Case& about, const DoorDues& dues) const {
  if (about.listed) return true;
  switch (dues.kind) {
    case Due::kNothing:
      return true;
    case Due::kChallenge:
      return IsSolved(about, dues.bits);
    case Due::kCaptcha:
      return about.asks.captcha == server::CaptchaVerdict::kSolved ||
             (IsSolved(about, dues.bits) && solutions_.at(about.asks.solution).stands_in);
    case Due::kDelay:
      return IsGood(delays_, about.asks.delay_ticket, about) &&
             about.now >= delays_.at(about.asks.delay_ticket).ready_at;
  }
  return false;
}

// What did not earn anything.
void DoorChecker::CountWrongPapers(const Case& about, const DoorDues& dues) {
  if (about.listed) return;
  const std::string& solution = about.asks.solution;
  if (dues.kind == Due::kChallenge && IsOfAnother(solutions_, solution, about) &&
      about.now < solutions_.at(solution).expires_at) {
    CountRefusal(about, /*certain=*/true);
  }
  if (about.asks.captcha == server::CaptchaVerdict::kRefused) {
    CountRefusal(about, /*certain=*/dues.kind == Due::kCaptcha);
  }
}

void DoorChecker::CheckAsked(const Case& about, const DoorDues& dues, const server::DoorEntry& entry, bool asked) {
  const auto check = [&](const char* what, bool given, Due kind) {
    const bool right = asked && dues.kind == kind;
    if (given == right) return;
    Violated(what, absl::StrCat(Told(about), right ? ": is not asked for a " : ": is asked for a ", what));
  };
  check("challenge", !entry.challenge.empty(), Due::kChallenge);
  check("captcha", entry.captcha, Due::kCaptcha);
  check("delay", !entry.delay_ticket.empty(), Due::kDelay);
  if (asked && entry.captcha_problem != dues.captcha_problem) {
    Violated("captcha",
             absl::StrCat(Told(about), ": told '", entry.captcha_problem, "' instead of '", dues.captcha_problem, "'"));
  }
  if (entry.challenge.empty()) return;
  const int bits = DoorChallengeBits(entry.challenge);
  if (bits == dues.bits) return;
  Violated("challenge", absl::StrCat(Told(about), ": has one of ", bits, " bits instead of ", dues.bits));
}

void DoorChecker::CheckDelay(const Case& about, const server::DoorEntry& entry) {
  DoorPaper paper = {.sku_id = about.asks.sku_id, .user_id = about.asks.user_id, .key = about.books.current_key};
  if (IsGood(delays_, about.asks.delay_ticket, about)) {
    paper = delays_.at(about.asks.delay_ticket);
    if (entry.delay_ticket != about.asks.delay_ticket) {
      return Violated("delay", absl::StrCat(Told(about), ": must begin to wait anew"));
    }
  } else {
    paper.ready_at = InWholeMillis(entry.delay.ready_at);
    paper.expires_at = InWholeMillis(entry.delay.expires_at);
    const absl::Time ready = about.now + *about.terms.delay;
    const absl::Time expires = ready + *about.terms.challenge_lifetime;
    if (!IsAboutThen(paper.ready_at, ready) || !IsAboutThen(paper.expires_at, expires)) {
      const std::string wait = absl::FormatDuration(paper.ready_at - about.now);
      const std::string lasts = absl::FormatDuration(paper.expires_at - paper.ready_at);
      return Violated("delay", absl::StrCat(Told(about), ": must wait ", wait, " and come within ", lasts));
    }
    delays_[entry.delay_ticket] = paper;
  }
  const absl::Duration too_long = entry.retry_after - (paper.ready_at - about.now);
  if (too_long >= -kDelayRounding && too_long <= kDelayWaitRounding) return;
  Violated("delay", absl::StrCat(Told(about), ": told to come again after ", absl::FormatDuration(entry.retry_after)));
}

void DoorChecker::TakeDown(const Case& about, const DoorDues& dues, const server::DoorEntry& entry) {
  DoorPaper paper = {.sku_id = about.asks.sku_id, .user_id = about.asks.user_id, .key = about.books.current_key};
  if (!entry.purchase_token.empty()) {
    paper.expires_at = InWholeMillis(about.now + *about.terms.token_lifetime);
    tokens_[entry.purchase_token] = paper;
    ++answers_["token"];
  }
  if (!entry.challenge.empty()) {
    paper.expires_at = absl::FromUnixSeconds(absl::ToUnixSeconds(about.now + *about.terms.challenge_lifetime));
    paper.bits = dues.bits;
    paper.stands_in = dues.stands_in;
    challenges_[entry.challenge] = paper;
    ++answers_["challenge"];
  }
  if (!entry.delay_ticket.empty()) {
    CheckDelay(about, entry);
    ++answers_["delay"];
  }
  if (entry.captcha) ++answers_["captcha"];
}

void DoorChecker::CheckGiven(const Case& about, const DoorDues& dues, const server::DoorEntry& entry, bool earned) {
  const bool gives_token = earned && about.terms.token_lifetime.has_value();
  if (entry.purchase_token.empty() == gives_token) {
    return Violated("token", absl::StrCat(Told(about), gives_token ? ": has earned a token, and got none"
                                                                   : ": got a token, and has not earned it"));
  }
  if (gives_token && !about.listed) {
    if (dues.kind == Due::kDelay) ++answers_["waited"];
    const bool solved = about.asks.captcha == server::CaptchaVerdict::kSolved;
    if (dues.kind == Due::kCaptcha) ++answers_[solved ? "solved captcha" : "solved stand-in"];
  }
  CheckAsked(about, dues, entry, /*asked=*/entry.admitted && !earned);
  if (!violation_.has_value()) TakeDown(about, dues, entry);
}

void DoorChecker::OnEnter(int node, const DoorTry& asks, const server::DoorEntry& entry) {
  const std::optional<Case> about = CaseOf(node, asks, entry.refused, /*enters=*/true);
  if (!about.has_value()) return;
  if (asks.scored.has_value()) ++answers_["scored"];
  if (entry.refused.has_value()) return CheckRefusedEntry(*about, *entry.refused);
  const v1::RiskTier* const tier = ChosenTier(*about, entry);
  if (violation_.has_value()) return;
  const DoorDues dues = DoorDuesOf(about->terms, tier, asks);
  // Before the answer is taken down: a ticket that it brings was not there when the node was asked.
  const bool earned = IsAdmitted(*about, tier) && HasEarned(*about, dues);
  CheckAdmission(*about, tier, entry);
  if (violation_.has_value()) return;
  CheckGiven(*about, dues, entry, earned);
  if (entry.admitted && !earned) CountWrongPapers(*about, dues);
  CountTry(*about, /*good_token=*/false, /*by_sku=*/earned, tier == nullptr ? 1 : std::max(1, tier->tries()));
}

}  // namespace tranche::simulation
