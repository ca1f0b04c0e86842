#include "server/admission/entry_passage.h"

#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "server/admission/door_refusals.h"
#include "server/admission/door_risk.h"
#include "server/admission/earned_entry.h"
#include "server/admission/lottery.h"
#include "server/admission/network_refusals.h"
#include "server/admission/purchase_token.h"
#include "storage/mutation.h"

namespace tranche::server {
namespace {

// Who must come again so that the scorer can be asked about them.
constexpr absl::Duration kScoredNextTime = absl::Milliseconds(250);

// A ticket's times are cut to microseconds: who comes back as it says is not too early.
constexpr absl::Duration kTicketRounding = absl::Milliseconds(1);

// For WaitToCount, by what this node counted. A table that is too full to tell buyers apart says nothing: somebody who
// counts twice does less harm than many who are not counted.
absl::Duration UntilCountable(const DoorView& view, const DoorPolicy& policy, absl::string_view user_id,
                              absl::Duration interval, absl::Time now) {
  if (view.table == nullptr) return absl::ZeroDuration();
  const RateFingerprint key = view.hasher->OfWaiting(policy.sku_id, policy.room->round, user_id);
  const RateVerdict verdict = view.table->Try(key, {.interval = interval, .tolerance = kTicketRounding}, now);
  return verdict.taken || verdict.by_shared ? absl::ZeroDuration() : verdict.wait;
}

// Tells the buyer's place in the lottery, and the threshold that counts for them: their tier's part, so that the answer
// is consistent. Who compares thresholds can find out tiers. True: there is room for them, or there is no lottery.
bool Draw(const DoorPolicy& policy, const DoorTier* tier, absl::string_view user_id, DoorEntry* entry) {
  if (!policy.lottery.has_value()) return true;
  entry->lottery = policy.lottery;
  entry->lottery->key.clear();
  entry->rank = Rank(policy.lottery->key, policy.sku_id, policy.lottery->round, user_id);
  if (tier != nullptr) entry->lottery->threshold = PartOfThreshold(policy.lottery->threshold, tier->lottery_percent);
  return Admits(entry->lottery->threshold, entry->rank);
}

}  // namespace

DoorEntry EntryPassage::Refuse(DoorCheck check, quota::Refused refused) {
  counts_.Refused(check);
  return {.refused = std::move(refused)};
}

DoorEntry EntryPassage::Go() {
  const AccessVerdict access = view_.state->access->Find(visit_.user_id, visit_.address, now_);
  if (access == AccessVerdict::kDeny && !storage::Mutated(storage::Mutation::kEntryIgnoresDenials)) {
    return Refuse(DoorCheck::kAccessList, DeniedAtTheDoor());
  }
  const DoorPolicy* const policy = view_.state->PolicyOf(visit_.sku_id);
  if (policy == nullptr) return {};
  if (!policy->unreadable.empty()) return Refuse(DoorCheck::kPolicy, NotJudgedHere());
  // Another node may have read the keys.
  if (policy->token_lifetime.has_value() && view_.state->keys->current() == nullptr) {
    return Refuse(DoorCheck::kPurchaseToken, NotJudgedHere());
  }
  listed_ = access == AccessVerdict::kAllow;
  if (!listed_) {
    if (std::optional<DoorEntry> refused = JudgeByRisk(*policy)) return *std::move(refused);
    if (std::optional<DoorEntry> refused = TakeTries(*policy, LimitPart::kBuyer)) return *std::move(refused);
  }
  DoorEntry entry;
  if (tier_ != nullptr) entry.tier = tier_->number;
  entry.admitted = Admit(*policy, &entry);
  // Who was to be scored later: their turn has come in this moment.
  if (entry.admitted && LacksScore(*policy)) {
    tries_.GiveBack();
    return RefuseUnscored();
  }
  if (entry.admitted && TierRefuses()) return Refuse(DoorCheck::kRisk, DeniedAtTheDoor());
  if (entry.admitted && (listed_ || EarnsToken(*policy, &entry))) {
    if (!listed_) {
      if (std::optional<DoorEntry> refused = TakeTries(*policy, LimitPart::kSku)) return *std::move(refused);
    }
    GiveToken(*policy, &entry);
  }
  if (tries_.wait() > absl::ZeroDuration()) {
    tries_.CountWaits(counts_);
    entry.wait = tries_.wait();
  }
  return entry;
}

bool EntryPassage::LacksScore(const DoorPolicy& policy) const {
  return !listed_ && policy.risk.has_value() && visit_.can_score && !visit_.score_asked &&
         NeedsScore(*policy.risk, visit_);
}

DoorEntry EntryPassage::RefuseUnscored() {
  return Refuse(DoorCheck::kLimitUser, RateLimited(RateKeyKind::kUser, kScoredNextTime));
}

bool EntryPassage::TierRefuses() const {
  return tier_ != nullptr && tier_->refuse && !storage::Mutated(storage::Mutation::kRefusedTierEnters);
}

std::optional<DoorEntry> EntryPassage::JudgeByRisk(const DoorPolicy& policy) {
  if (!policy.risk.has_value()) return std::nullopt;
  // Whether it was needed has changed since the caller looked: buyers could time their visits so.
  if (LacksScore(policy) && NeedsOfVisit(view_, visit_, now_).score) return RefuseUnscored();
  tier_ = JudgeRisk(view_, policy, FactsOf(visit_), visit_.address, now_).tier;
  counts_.Judged(tier_->number);
  if (!TierRefuses() || IsScoredLater(view_, policy, visit_, now_)) return std::nullopt;
  return Refuse(DoorCheck::kRisk, DeniedAtTheDoor());
}

std::optional<DoorEntry> EntryPassage::TakeTries(const DoorPolicy& policy, LimitPart part) {
  const auto no_token_ids = [] { return std::vector<std::string>(); };
  const int weight = tier_ == nullptr ? 1 : tier_->tries;
  const std::optional<LimitTries::Refusal> refusal =
      tries_.Take(policy, {visit_.user_id, visit_.address, no_token_ids, weight}, part);
  if (!refusal.has_value()) return std::nullopt;
  if (refusal->no_room) {
    counts_.parked_full.fetch_add(1, std::memory_order_relaxed);
  } else if (refusal->kind == RateKeyKind::kUser || refusal->kind == RateKeyKind::kToken) {
    CountNetworkRefusal(view_, policy, visit_.address, now_);
  }
  return Refuse(CheckOfLimit(refusal->kind), RateLimited(refusal->kind, refusal->retry_after));
}

bool EntryPassage::Admit(const DoorPolicy& policy, DoorEntry* entry) {
  if (policy.room.has_value()) return AdmitFromRoom(policy, entry);
  if (Draw(policy, tier_, visit_.user_id, entry) || listed_) return true;
  counts_.Refused(DoorCheck::kLottery);
  entry->retry_after = ComeBackAfter(entry->rank);
  return false;
}

bool EntryPassage::AdmitFromRoom(const DoorPolicy& policy, DoorEntry* entry) {
  if (listed_ && visit_.may_enter) return true;
  entry->room = policy.room;
  entry->room->key.clear();
  // Who is on the list waits for nobody, so they are not counted as somebody who is waited for.
  const auto wait_to_count = [&](absl::Duration interval) {
    return listed_ ? interval : UntilCountable(view_, policy, visit_.user_id, interval, now_);
  };
  entry->place = EnterRoom(policy, *view_.state->keys, *view_.rooms, RoomVisitOf(visit_), now_, wait_to_count);
  if (entry->place->let_in) return true;
  counts_.Refused(DoorCheck::kRoom);
  entry->retry_after = entry->place->retry_after;
  return false;
}

bool EntryPassage::EarnsToken(const DoorPolicy& policy, DoorEntry* entry) {
  const EarnedEntry result = EarnEntry(*view_.state->keys, policy, tier_, visit_, now_, counts_, entry);
  if (result.wrong) CountNetworkRefusal(view_, policy, visit_.address, now_);
  return result.earned;
}

void EntryPassage::GiveToken(const DoorPolicy& policy, DoorEntry* entry) {
  if (!policy.token_lifetime.has_value()) return;
  PurchaseToken token =
      MakePurchaseToken(*view_.state->keys, visit_.sku_id, visit_.user_id, *policy.token_lifetime, now_);
  entry->purchase_token = std::move(token.text);
  entry->token_expires_at = token.expires_at;
  counts_.tokens_issued.fetch_add(1, std::memory_order_relaxed);
}

}  // namespace tranche::server
