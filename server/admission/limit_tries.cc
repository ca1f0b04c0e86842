#include "server/admission/limit_tries.h"

#include "server/admission/buyer_address.h"

namespace tranche::server {
namespace {

// The limit as this node applies it to the subject.
RateRule RuleHere(const DoorView& view, const DoorPolicy& policy, const DoorLimit& limit, absl::string_view subject) {
  return view.homes->Share(limit.rule, view.homes->IsHome(limit.kind, policy.sku_id, subject));
}

}  // namespace

std::optional<LimitTries::Refusal> LimitTries::TakeOne(const DoorPolicy& policy, const DoorLimit& limit,
                                                       absl::string_view subject) {
  const Counted counted{view_.hasher->Of(limit.kind, policy.sku_id, subject), RuleHere(view_, policy, limit, subject)};
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
      return TakeOne(policy, limit, subjects.user_id);
    case RateKeyKind::kAddress: {
      const std::string network = NetworkOf(subjects.address);
      return network.empty() ? std::nullopt : TakeOne(policy, limit, network);
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
                        absl::string_view subject, absl::Time now) {
  return view.table->Look(view.hasher->Of(limit.kind, policy.sku_id, subject), RuleHere(view, policy, limit, subject),
                          now);
}

}  // namespace tranche::server
