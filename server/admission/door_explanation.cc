#include "server/admission/door_explanation.h"

#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <utility>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "server/admission/buyer_address.h"
#include "server/admission/door_refusals.h"
#include "server/admission/door_risk.h"
#include "server/admission/door_rooms.h"
#include "server/admission/earned_entry.h"
#include "server/admission/limit_tries.h"
#include "server/admission/lottery.h"
#include "server/admission/purchase_token.h"
#include "server/admission/room_rank.h"

namespace tranche::server {
namespace {

using Verdict = DoorOpinion::Verdict;

DoorOpinion Passes(DoorCheck check, std::string detail) { return {check, Verdict::kPass, {}, std::move(detail)}; }
DoorOpinion Skips(DoorCheck check, std::string detail) { return {check, Verdict::kSkip, {}, std::move(detail)}; }
DoorOpinion Refuses(DoorCheck check, quota::Refused refused, std::string detail) {
  return {check, Verdict::kRefuse, std::move(refused), std::move(detail)};
}

std::string ChallengeText(int bits) { return absl::StrCat("a challenge of ", bits, " bits"); }

std::string TaskText(const DoorPolicy& policy, const EntryTask& task) {
  switch (task.kind) {
    case EntryTask::Kind::kNothing:
      break;
    case EntryTask::Kind::kChallenge:
      return ChallengeText(task.bits);
    case EntryTask::Kind::kCaptcha:
      return absl::StrCat("a captcha, or ", ChallengeText(task.bits), " while its provider cannot be asked");
    case EntryTask::Kind::kDelay:
      return absl::StrCat("a delay of ", absl::FormatDuration(*policy.challenge->delay));
  }
  return "nothing to solve";
}

// Of a tier that does not refuse.
std::string EffectsOf(const DoorPolicy& policy, const DoorTier& tier, bool without_scripts) {
  std::string text = TaskText(policy, TaskOf(policy, &tier, without_scripts));
  if (tier.tries > 1) absl::StrAppend(&text, "; an EnterSale counts as ", tier.tries, " tries");
  if (tier.lottery_percent < kWholeLottery) {
    absl::StrAppend(&text, "; ", tier.lottery_percent, " % of those whom the lottery admits");
  }
  return text;
}

// One explanation in the making.
class DoorExplanation {
 public:
  DoorExplanation(const DoorView& view, const DoorQuestion& question, absl::Time now)
      : view_(view),
        question_(question),
        now_(now),
        access_(view.state->access->Find(question.user_id, question.address, now)),
        policy_(view.state->PolicyOf(question.sku_id)) {}

  std::vector<DoorOpinion> All() {
    std::vector<DoorOpinion> opinions = {AccessList(), Policy(), Draw(), Risk()};
    for (const RateKeyKind kind : {RateKeyKind::kUser, RateKeyKind::kAddress, RateKeyKind::kToken}) {
      opinions.push_back(Limit(kind));
    }
    opinions.push_back(Lottery());
    opinions.push_back(Room());
    opinions.push_back(Token());
    opinions.push_back(Limit(RateKeyKind::kSku));
    return opinions;
  }

 private:
  bool readable() const { return policy_ != nullptr && policy_->unreadable.empty(); }
  bool listed() const { return access_ == AccessVerdict::kAllow; }
  // Where the policy asks for none, a token says nothing.
  bool AsksForToken() const { return readable() && policy_->token_lifetime.has_value(); }

  DoorOpinion AccessList() const {
    switch (access_) {
      case AccessVerdict::kDeny:
        return Refuses(DoorCheck::kAccessList, DeniedAtTheDoor(), "on the list of those who are not let in");
      case AccessVerdict::kAllow:
        return Passes(DoorCheck::kAccessList, "on the list of those who skip limits, lottery, room and challenge");
      case AccessVerdict::kNone:
        break;
    }
    return Passes(DoorCheck::kAccessList, "not on the list");
  }

  DoorOpinion Policy() const {
    if (policy_ == nullptr) return Skips(DoorCheck::kPolicy, "this SKU has no policy");
    const std::string which = absl::StrCat("the policy of ", policy_->sku_id, ", version ", policy_->version);
    if (readable()) return Passes(DoorCheck::kPolicy, which);
    return Refuses(DoorCheck::kPolicy, NotJudgedHere(), absl::StrCat(which, ": ", policy_->unreadable));
  }

  DoorOpinion Draw() const {
    if (!readable() || !policy_->draw) return Skips(DoorCheck::kDraw, "no draw");
    return Refuses(DoorCheck::kDraw, DrawDecides(), "units go to the winners of a draw; this is about a claim");
  }

  // Null: no risk rules say anything of this buyer.
  const DoorTier* Tier() {
    if (!readable() || listed() || !policy_->risk.has_value()) return nullptr;
    if (!judged_.has_value()) {
      const RiskFacts facts = {.hints = question_.hints, .scored = {}, .without_scripts = question_.without_scripts};
      judged_ = JudgeRisk(view_, *policy_, facts, question_.address, now_);
    }
    return judged_->tier;
  }

  // Only EnterSale asks it.
  DoorOpinion Risk() {
    if (!readable() || !policy_->risk.has_value()) return Skips(DoorCheck::kRisk, "no risk rules");
    const DoorTier* const tier = Tier();
    if (tier == nullptr) return Skips(DoorCheck::kRisk, "on the list");
    std::string detail =
        absl::StrCat("score ", judged_->score, ": tier ", tier->number, " of ", policy_->risk->tiers.size());
    const bool scored = question_.hints != nullptr && question_.hints->has_risk_score();
    if (policy_->risk->ask_scorer && !scored) absl::StrAppend(&detail, ", without the scorer, which is not asked here");
    absl::StrAppend(&detail, "; ", tier->refuse ? "refused" : EffectsOf(*policy_, *tier, question_.without_scripts));
    if (HasGoodToken()) return Skips(DoorCheck::kRisk, absl::StrCat(detail, "; judged when the token was given"));
    if (tier->refuse) return Refuses(DoorCheck::kRisk, DeniedAtTheDoor(), std::move(detail));
    return Passes(DoorCheck::kRisk, std::move(detail));
  }

  const DoorLimit* LimitOf(RateKeyKind kind) const {
    if (!readable()) return nullptr;
    for (const DoorLimit& limit : policy_->limits) {
      if (limit.kind == kind) return &limit;
    }
    return nullptr;
  }

  // "": there is nobody whom the limit could count.
  std::string SubjectOf(RateKeyKind kind) {
    switch (kind) {
      case RateKeyKind::kUser:
        return std::string(question_.user_id);
      case RateKeyKind::kAddress:
        return NetworkOf(question_.address);
      case RateKeyKind::kToken:
        return HasGoodToken() ? token_->id : "";
      case RateKeyKind::kSku:
        return policy_->sku_id;
    }
    return "";
  }

  // Whoever has no good token has to enter first.
  int WeightAt(RateKeyKind kind) {
    if (kind != RateKeyKind::kUser && kind != RateKeyKind::kAddress) return 1;
    const DoorTier* const tier = Tier();
    return tier == nullptr || HasGoodToken() ? 1 : tier->tries;
  }

  DoorOpinion Limit(RateKeyKind kind) {
    const DoorCheck check = CheckOfLimit(kind);
    const DoorLimit* const limit = LimitOf(kind);
    if (limit == nullptr) return Skips(check, "no such limit");
    if (listed()) return Skips(check, "on the list");
    const std::string subject = SubjectOf(kind);
    if (subject.empty()) {
      return Skips(check, kind == RateKeyKind::kToken ? "no good purchase token" : "no address is known");
    }
    const int weight = WeightAt(kind);
    const RateVerdict verdict = LookAtLimit(view_, *policy_, *limit, subject, now_, weight);
    const bool home = view_.homes->IsHome(kind, policy_->sku_id, subject);
    std::string rate = absl::StrCat("one try in ", absl::FormatDuration(view_.homes->Share(limit->rule, home).interval),
                                    home ? " at this node" : " at this node, which has a share of the limit");
    if (weight > 1) absl::StrAppend(&rate, "; an EnterSale counts as ", weight);
    if (!verdict.taken) {
      return Refuses(check, RateLimited(kind, verdict.wait),
                     absl::StrCat(rate, "; the next after ", absl::FormatDuration(RoundedUp(verdict.wait))));
    }
    if (verdict.wait == absl::ZeroDuration()) return Passes(check, rate);
    return {check, Verdict::kWait, {}, absl::StrCat(rate, "; waits ", absl::FormatDuration(RoundedUp(verdict.wait)))};
  }

  DoorOpinion Lottery() {
    if (!readable() || !policy_->lottery.has_value()) return Skips(DoorCheck::kLottery, "no lottery");
    const DoorLottery& lottery = *policy_->lottery;
    const uint64_t rank = Rank(lottery.key, policy_->sku_id, lottery.round, question_.user_id);
    const DoorTier* const tier = Tier();
    const int percent = tier == nullptr || HasGoodToken() ? kWholeLottery : tier->lottery_percent;
    const uint64_t threshold = PartOfThreshold(lottery.threshold, percent);
    std::string place = absl::StrFormat("round %d: rank %016x, threshold %016x", lottery.round, rank, threshold);
    if (percent < kWholeLottery) absl::StrAppend(&place, ", for ", percent, " % of those who are admitted");
    if (listed()) return Skips(DoorCheck::kLottery, absl::StrCat(place, "; on the list"));
    if (Admits(threshold, rank)) return Passes(DoorCheck::kLottery, place);
    if (HasGoodToken()) return Skips(DoorCheck::kLottery, absl::StrCat(place, "; admitted when the token was given"));
    return Refuses(DoorCheck::kLottery, NotAdmitted(rank), place);
  }

  // Only EnterSale asks it. Who is not let in yet is refused nothing, but waits.
  DoorOpinion Room() {
    if (!readable() || !policy_->room.has_value()) return Skips(DoorCheck::kRoom, "no waiting room");
    const DoorRoom& room = *policy_->room;
    const uint64_t rank = LateRank(now_);
    std::string place =
        absl::StrFormat("round %d: rank %016x for who joins now, %016x if the sale is not open yet", room.round, rank,
                        ShuffledRank(room.key, policy_->sku_id, room.round, question_.user_id));
    if (listed()) return Skips(DoorCheck::kRoom, absl::StrCat(place, "; on the list"));
    const std::shared_ptr<const RoomBoard> board = view_.rooms->Board(policy_->sku_id, room.round);
    if (board == nullptr) {
      absl::StrAppend(&place, "; this node knows no threshold, so nobody is let in");
    } else {
      const double before = rank > board->threshold ? board->waiting.Between(board->threshold, rank) : 0.0;
      absl::StrAppendFormat(&place, ", threshold %016x; %.0f wait before", board->threshold, before);
    }
    if (HasGoodToken()) return Skips(DoorCheck::kRoom, absl::StrCat(place, "; let in when the token was given"));
    if (board != nullptr && rank < board->threshold) return Passes(DoorCheck::kRoom, place);
    return {DoorCheck::kRoom, Verdict::kWait, {}, std::move(place)};
  }

  DoorOpinion Token() {
    if (!AsksForToken()) return Skips(DoorCheck::kPurchaseToken, "no token is asked for");
    if (view_.state->keys->current() == nullptr) {
      return Refuses(DoorCheck::kPurchaseToken, NotJudgedHere(), "this node has no key");
    }
    if (HasGoodToken()) return Passes(DoorCheck::kPurchaseToken, "good for this buyer and SKU");
    if (question_.purchase_token.empty()) return Refuses(DoorCheck::kPurchaseToken, TokenMissing(), "none was given");
    const quota::Refused refused = TokenInvalid(token_->problem);
    return Refuses(DoorCheck::kPurchaseToken, refused, refused.about);
  }

  bool HasGoodToken() {
    if (!AsksForToken() || question_.purchase_token.empty()) return false;
    if (!token_.has_value()) {
      token_ =
          ReadPurchaseToken(*view_.state->keys, question_.purchase_token, question_.sku_id, question_.user_id, now_);
    }
    return token_->problem == TokenProblem::kNone;
  }

  const DoorView& view_;
  const DoorQuestion& question_;
  const absl::Time now_;
  const AccessVerdict access_;
  const DoorPolicy* const policy_;
  std::optional<TokenReading> token_;  // once it was needed
  std::optional<JudgedRisk> judged_;   // the same
};

}  // namespace

std::vector<DoorOpinion> ExplainDoor(const DoorView& view, const DoorQuestion& question, absl::Time now) {
  return DoorExplanation(view, question, now).All();
}

}  // namespace tranche::server
