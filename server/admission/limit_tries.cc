#include "server/admission/limit_tries.h"

#include <algorithm>
#include <cstdint>

#include "server/admission/buyer_address.h"

namespace tranche::server {
namespace {

// So many tries at once are one that takes as many intervals, and that may be early only as far as the last of them
// may. So a try is judged, counted and given back as one, and a refusal says when all of it may come. The table keeps
// no rule beside a key's time, so tries of other weights at the same key count together. A node that is not the
// subject's home has a smaller burst: who weighs more than that would be refused there for ever.
RateRule Weighed(const RateRule& rule, int weight) {
  const int64_t at_once = rule.tolerance / rule.interval + 1;
  const int64_t tries = std::clamp<int64_t>(weight, 1, at_once);
  return {.interval = rule.interval * tries,
          .tolerance = rule.tolerance - rule.interval * (tries - 1),
          .max_wait = rule.max_wait};
}

// The limit as this node applies it to the subject.
RateRule RuleHere(const DoorView& view, const DoorPolicy& policy, const DoorLimit& limit, absl::string_view subject,
                  int weight) {
  const RateRule rule = view.homes->Share(limit.rule, view.homes->IsHome(limit.kind, policy.sku_id, subject));
  return weight == 1 ? rule : Weighed(rule, weight);
}

}  // namespace

std::optional<LimitTries::Refusal> LimitTries::TakeOne(const DoorPolicy& policy, const DoorLimit& limit,
                                                       absl::string_view subject, int weight) {
  const Counted counted{view_.hasher->Of(limit.kind, policy.sku_id, subject),
                        RuleHere(view_, policy, limit, subject, weight)};
  const RateVerdict verdict = view_.table->Try(counted.key, counted.rule, now_);
  if (!verdict.taken) return Refusal{limit.kind, verdict.wait};
  counted_.push_back(counted);
  if (verdict.wait > absl::ZeroDuration()) made_wait_.push_back(limit.kind);
  if (verdict.wait > wait_) {
    wait_ = verdict.wait;
    slowest_ = limit.kind;
  }
  return std::nullopt;
}

std::optional<LimitTries::Refusal> LimitTries::TakeAt(const DoorPolicy& policy, const DoorLimit& limit,
                                                      const LimitSubjects& subjects) {
  switch (limit.kind) {
    case RateKeyKind::kUser:
      return TakeOne(policy, limit, subjects.user_id, subjects.weight);
    case RateKeyKind::kAddress: {
      const std::string network = NetworkOf(subjects.address);
      return network.empty() ? std::nullopt : TakeOne(policy, limit, network, subjects.weight);
    }
    case RateKeyKind::kToken:
      for (const std::string& id : subjects.token_ids()) {
        if (const std::optional<Refusal> refusal = TakeOne(policy, limit, id)) return refusal;
      }
      return std::nullopt;
    case RateKeyKind::kSku:
      return TakeOne(policy, limit, policy.sku_id);
  }
  return std::nullopt;
}

std::optional<LimitTries::Refusal> LimitTries::CheckWait() const {
  if (now_ + wait_ >= bounds_.deadline) return Refusal{slowest_, wait_};
  if (!bounds_.turns->HasRoom()) return Refusal{slowest_, wait_, /*no_room=*/true};
  return std::nullopt;
}

std::optional<LimitTries::Refusal> LimitTries::Take(const DoorPolicy& policy, const LimitSubjects& subjects,
                                                    LimitPart part) {
  for (const DoorLimit& limit : policy.limits) {
    if ((limit.kind == RateKeyKind::kSku) != (part == LimitPart::kSku)) continue;
    const absl::Duration waited_before = wait_;
    std::optional<Refusal> refusal = TakeAt(policy, limit, subjects);
    if (!refusal.has_value() && wait_ > waited_before) refusal = CheckWait();
    if (!refusal.has_value()) continue;
    GiveBack();
    return refusal;
  }
  return std::nullopt;
}

void LimitTries::GiveBack() {
  for (const Counted& counted : counted_) view_.table->GiveBack(counted.key, counted.rule, now_);
  counted_.clear();
  made_wait_.clear();
  wait_ = absl::ZeroDuration();
}

void LimitTries::CountWaits(DoorCounts& counts) const {
  for (const RateKeyKind kind : made_wait_) counts.Waited(CheckOfLimit(kind));
}

RateVerdict LookAtLimit(const DoorView& view, const DoorPolicy& policy, const DoorLimit& limit,
                        absl::string_view subject, absl::Time now, int weight) {
  return view.table->Look(view.hasher->Of(limit.kind, policy.sku_id, subject),
                          RuleHere(view, policy, limit, subject, weight), now);
}

}  // namespace tranche::server
