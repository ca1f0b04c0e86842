#include "server/admission/door_explanation.h"

#include <cstdint>
#include <memory>
#include <string>
#include <utility>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "server/admission/buyer_address.h"
#include "server/admission/door_refusals.h"
#include "server/admission/door_rooms.h"
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
    std::vector<DoorOpinion> opinions = {AccessList(), Policy(), Draw()};
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

  DoorOpinion Limit(RateKeyKind kind) {
    const DoorCheck check = CheckOfLimit(kind);
    const DoorLimit* const limit = LimitOf(kind);
    if (limit == nullptr) return Skips(check, "no such limit");
    if (listed()) return Skips(check, "on the list");
    const std::string subject = SubjectOf(kind);
    if (subject.empty()) {
      return Skips(check, kind == RateKeyKind::kToken ? "no good purchase token" : "no address is known");
    }
    const RateVerdict verdict = LookAtLimit(view_, *policy_, *limit, subject, now_);
    const bool home = view_.homes->IsHome(kind, policy_->sku_id, subject);
    const std::string rate =
        absl::StrCat("one try in ", absl::FormatDuration(view_.homes->Share(limit->rule, home).interval),
                     home ? " at this node" : " at this node, which has a share of the limit");
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
    const std::string place =
        absl::StrFormat("round %d: rank %016x, threshold %016x", lottery.round, rank, lottery.threshold);
    if (listed()) return Skips(DoorCheck::kLottery, absl::StrCat(place, "; on the list"));
    if (Admits(lottery.threshold, rank)) return Passes(DoorCheck::kLottery, place);
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
};

}  // namespace

std::vector<DoorOpinion> ExplainDoor(const DoorView& view, const DoorQuestion& question, absl::Time now) {
  return DoorExplanation(view, question, now).All();
}

}  // namespace tranche::server
