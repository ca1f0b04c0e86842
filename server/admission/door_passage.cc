#include "server/admission/door_passage.h"

#include <algorithm>
#include <utility>

#include "server/admission/door_refusals.h"
#include "server/admission/lottery.h"
#include "server/admission/network_refusals.h"
#include "storage/mutation.h"

namespace tranche::server {

using quota::GateVerdict;

namespace {

// That by address would count what many people at one network do.
bool IsLimitOfOne(DoorCheck check) { return check == DoorCheck::kLimitUser || check == DoorCheck::kLimitToken; }

}  // namespace

GateVerdict DoorPassage::Go(DoorCounts& counts) {
  // Of a cart, all lines are one buyer's.
  const AccessVerdict access = view_.state->access->Find(lines_[0].claim->user_id, lines_[0].visitor->address, now_);
  if (access == AccessVerdict::kDeny) {
    counts.Refused(DoorCheck::kAccessList);
    return {.refused = DeniedAtTheDoor()};
  }
  FindPolicies();
  if (asked_.empty()) {
    if (purpose_ == DoorPurpose::kClaim) return {};
    counts.Refused(DoorCheck::kDraw);
    return {.refused = NoDrawToEnter()};
  }
  if (std::optional<Stop> stop = CheckAll(access)) {
    counts.Refused(stop->check);
    CountAtNetwork(*stop);
    if (stop->no_room) counts.parked_full.fetch_add(1, std::memory_order_relaxed);
    return {.refused = std::move(stop->refused), .line = stop->line};
  }
  counts.admitted.fetch_add(1, std::memory_order_relaxed);
  if (tries_.wait() > absl::ZeroDuration()) tries_.CountWaits(counts);
  return {.refused = std::nullopt, .wait = tries_.wait(), .has_token = AllHaveTokens()};
}

std::optional<DoorPassage::Stop> DoorPassage::CheckAll(AccessVerdict access) {
  if (std::optional<Stop> stop = CheckReadable()) return stop;
  // Before the keys: what a draw decides, it decides at every node. Also for those on the list.
  if (std::optional<Stop> stop = CheckDraws()) return stop;
  if (std::optional<Stop> stop = CheckKeys()) return stop;
  const bool listed = access == AccessVerdict::kAllow;
  std::optional<Stop> stop;
  if (!listed) stop = TakeTries(LimitPart::kBuyer);
  if (!listed && !stop.has_value()) stop = CheckLottery();
  if (!stop.has_value()) stop = CheckTokens();
  // Last: who has no luck or no token must not use up what all buyers of the SKU share.
  if (!listed && !stop.has_value()) stop = TakeTries(LimitPart::kSku);
  return stop;
}

void DoorPassage::FindPolicies() {
  line_states_.resize(lines_.size());
  for (size_t i = 0; i < lines_.size(); ++i) {
    const DoorPolicy* const policy = view_.state->PolicyOf(lines_[i].claim->sku_id);
    if (policy == nullptr) continue;
    const auto known =
        std::find_if(asked_.begin(), asked_.end(), [policy](const Asked& asked) { return asked.policy == policy; });
    line_states_[i].asked = known - asked_.begin();
    if (known == asked_.end()) asked_.push_back({policy, i});
  }
}

std::optional<DoorPassage::Stop> DoorPassage::CheckReadable() const {
  for (const Asked& asked : asked_) {
    if (!asked.policy->unreadable.empty()) return Stop{DoorCheck::kPolicy, NotJudgedHere(), asked.first_line};
  }
  return std::nullopt;
}

std::optional<DoorPassage::Stop> DoorPassage::CheckDraws() const {
  const bool enters = purpose_ == DoorPurpose::kDrawEntry;
  for (const Asked& asked : asked_) {
    if (asked.policy->draw == enters) continue;
    return Stop{DoorCheck::kDraw, enters ? NoDrawToEnter() : DrawDecides(), asked.first_line};
  }
  return std::nullopt;
}

std::optional<DoorPassage::Stop> DoorPassage::CheckKeys() const {
  const bool has_keys = view_.state->keys->current() != nullptr;
  for (const Asked& asked : asked_) {
    // Without a key each good token would look like a bad one. Another node may have read the keys.
    if (asked.policy->token_lifetime.has_value() && !has_keys) {
      return Stop{DoorCheck::kPurchaseToken, NotJudgedHere(), asked.first_line};
    }
  }
  return std::nullopt;
}

std::optional<DoorPassage::Stop> DoorPassage::TakeTries(LimitPart part) {
  for (size_t i = 0; i < asked_.size(); ++i) {
    const quota::GateLine& line = lines_[asked_[i].first_line];
    const auto token_ids = [this, i] { return TokenIdsOf(i); };
    const std::optional<LimitTries::Refusal> refusal =
        tries_.Take(*asked_[i].policy, {line.claim->user_id, line.visitor->address, token_ids}, part);
    if (!refusal.has_value()) continue;
    return Stop{CheckOfLimit(refusal->kind), RateLimited(refusal->kind, refusal->retry_after), asked_[i].first_line,
                refusal->no_room};
  }
  return std::nullopt;
}

// Whoever holds a good token was admitted when they got it, by this round or by one before.
std::optional<DoorPassage::Stop> DoorPassage::CheckLottery() {
  for (size_t i = 0; i < lines_.size(); ++i) {
    const DoorPolicy* const policy = PolicyOf(line_states_[i]);
    if (policy == nullptr || !policy->lottery.has_value()) continue;
    const DoorLottery& lottery = *policy->lottery;
    std::optional<uint64_t>& rank = asked_[*line_states_[i].asked].rank;
    if (!rank.has_value()) rank = Rank(lottery.key, policy->sku_id, lottery.round, lines_[i].claim->user_id);
    if (Admits(lottery.threshold, *rank) || HasGoodToken(i)) continue;
    if (storage::Mutated(storage::Mutation::kLotteryNotAsked)) continue;
    return Stop{DoorCheck::kLottery, NotAdmitted(*rank), i};
  }
  return std::nullopt;
}

std::optional<DoorPassage::Stop> DoorPassage::CheckTokens() {
  for (size_t i = 0; i < lines_.size(); ++i) {
    const DoorPolicy* const policy = PolicyOf(line_states_[i]);
    if (policy == nullptr || !policy->token_lifetime.has_value() || HasGoodToken(i)) continue;
    const std::optional<TokenReading>& token = line_states_[i].token;
    return Stop{DoorCheck::kPurchaseToken, token.has_value() ? TokenInvalid(token->problem) : TokenMissing(), i};
  }
  return std::nullopt;
}

bool DoorPassage::AllHaveTokens() const {
  return std::all_of(line_states_.begin(), line_states_.end(), [this](const Line& line) {
    const DoorPolicy* const policy = PolicyOf(line);
    return policy != nullptr && policy->token_lifetime.has_value();
  });
}

// What buyers' luck or other buyers refuse does not count, nor what this node cannot judge. Old tokens, and those of
// keys that are gone, are honest buyers', too.
void DoorPassage::CountAtNetwork(const Stop& stop) const {
  const Line& line = line_states_[stop.line];
  const bool wrong_token = stop.check == DoorCheck::kPurchaseToken && line.token.has_value() &&
                           line.token->problem == TokenProblem::kNotForThis;
  if (!wrong_token && (!IsLimitOfOne(stop.check) || stop.no_room)) return;
  if (const DoorPolicy* const policy = PolicyOf(line)) {
    CountNetworkRefusal(view_, *policy, lines_[stop.line].visitor->address, now_);
  }
}

const DoorPolicy* DoorPassage::PolicyOf(const Line& line) const {
  return line.asked.has_value() ? asked_[*line.asked].policy : nullptr;
}

// Where the policy asks for none, a token says nothing. Each is read once.
bool DoorPassage::HasGoodToken(size_t line) {
  const DoorPolicy* const policy = PolicyOf(line_states_[line]);
  const std::string& text = lines_[line].visitor->purchase_token;
  if (policy == nullptr || !policy->token_lifetime.has_value() || text.empty()) return false;
  std::optional<TokenReading>& token = line_states_[line].token;
  if (!token.has_value()) {
    const storage::ReservationClaim& claim = *lines_[line].claim;
    token = ReadPurchaseToken(*view_.state->keys, text, claim.sku_id, claim.user_id, now_);
  }
  return token->problem == TokenProblem::kNone;
}

std::vector<std::string> DoorPassage::TokenIdsOf(size_t asked) {
  std::vector<std::string> ids;
  for (size_t i = 0; i < lines_.size(); ++i) {
    if (line_states_[i].asked != asked || !HasGoodToken(i)) continue;
    const std::string& id = line_states_[i].token->id;
    if (std::find(ids.begin(), ids.end(), id) == ids.end()) ids.push_back(id);
  }
  return ids;
}

}  // namespace tranche::server
