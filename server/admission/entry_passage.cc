#include "server/admission/entry_passage.h"

#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "server/admission/challenge.h"
#include "server/admission/door_refusals.h"
#include "server/admission/lottery.h"
#include "server/admission/purchase_token.h"
#include "storage/mutation.h"

namespace tranche::server {
namespace {

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

// Tells the buyer's place in the lottery. True: there is room for them, or there is no lottery.
bool Draw(const DoorPolicy& policy, absl::string_view user_id, DoorEntry* entry) {
  if (!policy.lottery.has_value()) return true;
  entry->lottery = policy.lottery;
  entry->lottery->key.clear();
  entry->rank = Rank(policy.lottery->key, policy.sku_id, policy.lottery->round, user_id);
  return Admits(policy.lottery->threshold, entry->rank);
}

}  // namespace

DoorEntry EntryPassage::Refuse(DoorCheck check, quota::Refused refused) {
  counts_.Refused(check);
  return {.refused = std::move(refused)};
}

DoorEntry EntryPassage::Refuse(const LimitTries::Refusal& refusal) {
  if (refusal.no_room) counts_.parked_full.fetch_add(1, std::memory_order_relaxed);
  return Refuse(CheckOfLimit(refusal.kind), RateLimited(refusal.kind, refusal.retry_after));
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
  const auto no_token_ids = [] { return std::vector<std::string>(); };
  const LimitSubjects subjects = {visit_.user_id, visit_.address, no_token_ids};
  if (!listed_) {
    if (const auto refusal = tries_.Take(*policy, subjects, LimitPart::kBuyer)) return Refuse(*refusal);
  }
  DoorEntry entry;
  entry.admitted = Admit(*policy, &entry);
  if (entry.admitted && (listed_ || EarnsToken(*policy, &entry))) {
    if (!listed_) {
      if (const auto refusal = tries_.Take(*policy, subjects, LimitPart::kSku)) return Refuse(*refusal);
    }
    GiveToken(*policy, &entry);
  }
  if (tries_.wait() > absl::ZeroDuration()) {
    tries_.CountWaits(counts_);
    entry.wait = tries_.wait();
  }
  return entry;
}

bool EntryPassage::Admit(const DoorPolicy& policy, DoorEntry* entry) {
  if (policy.room.has_value()) return AdmitFromRoom(policy, entry);
  if (Draw(policy, visit_.user_id, entry) || listed_) return true;
  counts_.Refused(DoorCheck::kLottery);
  entry->retry_after = ComeBackAfter(entry->rank);
  return false;
}

bool EntryPassage::AdmitFromRoom(const DoorPolicy& policy, DoorEntry* entry) {
  if (listed_ && visit_.may_enter) return true;
  entry->room = policy.room;
  entry->room->key.clear();
  const RoomVisit asks = {.sku_id = visit_.sku_id,
                          .user_id = visit_.user_id,
                          .ticket = visit_.waiting_ticket,
                          .opened = visit_.opened,
                          .may_enter = visit_.may_enter,
                          .opens_in = visit_.opens_in};
  // Who is on the list waits for nobody, so they are not counted as somebody who is waited for.
  const auto wait_to_count = [&](absl::Duration interval) {
    return listed_ ? interval : UntilCountable(view_, policy, visit_.user_id, interval, now_);
  };
  entry->place = EnterRoom(policy, *view_.state->keys, *view_.rooms, asks, now_, wait_to_count);
  if (entry->place->let_in) return true;
  counts_.Refused(DoorCheck::kRoom);
  entry->retry_after = entry->place->retry_after;
  return false;
}

bool EntryPassage::EarnsToken(const DoorPolicy& policy, DoorEntry* entry) {
  if (!policy.challenge.has_value()) return true;
  const DoorChallenge& rule = *policy.challenge;
  const FrontKeys& keys = *view_.state->keys;
  if (!visit_.challenge_solution.empty()) {
    entry->challenge_problem =
        ChallengeProblem(keys, visit_.challenge_solution, visit_.sku_id, visit_.user_id, rule.bits, now_);
    if (entry->challenge_problem.empty()) {
      counts_.challenges_solved.fetch_add(1, std::memory_order_relaxed);
      return true;
    }
    counts_.challenges_refused.fetch_add(1, std::memory_order_relaxed);
  }
  // There is a current key: Enter has looked.
  if (std::optional<IssuedChallenge> issued =
          IssueChallenge(keys, visit_.sku_id, visit_.user_id, rule.bits, rule.lifetime, now_)) {
    entry->challenge = std::move(issued->json);
    entry->challenge_expires_at = issued->expires_at;
    counts_.challenges_issued.fetch_add(1, std::memory_order_relaxed);
  }
  return false;
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
