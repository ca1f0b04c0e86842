#include "server/handlers/front_policy_handler.h"

#include <algorithm>
#include <cstdint>
#include <utility>
#include <vector>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "absl/time/time.h"
#include "glog/logging.h"
#include "server/admission/door_rooms.h"
#include "server/admission/front_policy.h"
#include "server/errors.h"
#include "server/handlers/field_checks.h"
#include "server/handlers/front_policy_messages.h"
#include "server/handlers/room_warnings.h"
#include "server/proto_time.h"
#include "storage/base/status_macros.h"
#include "storage/ledger/ledger_error.h"

namespace tranche::server {
namespace {

// A change that meets another one is made against what that has left, so often.
constexpr int kTriesToSetPolicy = 5;
// A burst that no buyer who means well runs into: they enter, claim, and try once more.
constexpr int64_t kBurstForBuyers = 3;

absl::Status CheckPolicySkuId(const std::string& sku_id) {
  return sku_id == storage::kEverySku ? absl::OkStatus() : CheckSkuId(sku_id);
}

// For messages.
std::string OfWhom(const std::string& sku_id) {
  return sku_id == storage::kEverySku ? "all SKUs (*)" : absl::StrCat("SKU ", sku_id);
}

absl::Status CheckSetPolicy(const v1::SetFrontPolicyRequest& request) {
  RETURN_IF_ERROR(CheckPolicySkuId(request.sku_id()));
  if (request.has_policy()) RETURN_IF_ERROR(CheckFrontPolicy(request.policy()));
  if (request.sku_id() == storage::kEverySku && request.policy().has_draw()) {
    return InvalidField("policy.draw", "cannot be in the policy of all SKUs (*): each draw is of one SKU");
  }
  if (request.sku_id() == storage::kEverySku && request.policy().has_room()) {
    return InvalidField("policy.room", "cannot be in the policy of all SKUs (*): each room is of one SKU");
  }
  if (request.has_expected_version() && request.expected_version() < 0) {
    return InvalidField("expected_version", "must not be negative");
  }
  return absl::OkStatus();
}

// Of the policy's round; nullopt: it has none. A room admits everybody, one after the other.
std::optional<int32_t> AdmittedInRound(const v1::FrontPolicy& policy) {
  if (policy.has_lottery()) return policy.lottery().admitted_per_million();
  if (policy.has_room()) return storage::kEverybody;
  return std::nullopt;
}

storage::FrontPolicyChange ChangeAskedFor(const v1::SetFrontPolicyRequest& request) {
  storage::FrontPolicyChange change;
  change.sku_id = request.sku_id();
  if (request.has_policy()) change.document = ToDocument(request.policy());
  change.admitted_per_million = AdmittedInRound(request.policy());
  if (request.has_expected_version()) change.expected_version = request.expected_version();
  return change;
}

// A repeated call would begin another round.
Repeatable IsRepeatable(const v1::SetFrontPolicyRequest& request) {
  const bool begins_round = request.new_lottery_round() && AdmittedInRound(request.policy()).has_value();
  return begins_round && !request.has_expected_version() ? Repeatable::kNo : Repeatable::kYes;
}

// Another change was faster, or the caller has not seen it.
bool MetAnotherVersion(const absl::Status& status) {
  return absl::IsAborted(status) && !storage::IsRetryTransaction(status);
}

// A policy that this version cannot read counts as one without.
bool HasRoom(const storage::FrontPolicyRow& row) {
  // Most documents need not be parsed.
  if (!absl::StrContains(row.document, "\"room\"")) return false;
  const absl::StatusOr<v1::FrontPolicy> policy = FromDocument(row.document);
  return policy.ok() && policy->has_room();
}

// A room begins with a round of its own: of one that runs, buyers know their ranks. A repeated call begins no other
// one, since the room is there then.
bool BeginsRound(const v1::SetFrontPolicyRequest& request, const std::optional<storage::FrontPolicyRow>& before) {
  if (!AdmittedInRound(request.policy()).has_value()) return false;
  const bool room_comes = request.policy().has_room() && before.has_value() && !HasRoom(*before);
  return request.new_lottery_round() || (room_comes && before->round.has_value());
}

int64_t VersionOf(const std::optional<storage::FrontPolicyRow>& policy) {
  return policy.has_value() ? policy->version : 0;
}

bool LimitsBy(const v1::FrontPolicy& policy, v1::RateLimit::Key key) {
  return std::any_of(policy.limits().begin(), policy.limits().end(),
                     [key](const v1::RateLimit& limit) { return limit.key() == key; });
}

bool CountsRefusalsByAddress(const v1::FrontPolicy& policy) {
  return std::any_of(policy.risk().points().begin(), policy.risk().points().end(),
                     [](const v1::RiskPoints& points) { return points.has_address_refusals(); });
}

// For limits of one buyer. A buyer's tries are claims and, where a token is asked for, each EnterSale before them;
// those of a token are claims alone.
void WarnAboutBurst(const v1::RateLimit& limit, bool asks_for_token, v1::SetFrontPolicyResponse& response) {
  const bool by_user = limit.key() == v1::RateLimit::KEY_USER;
  if (!by_user && limit.key() != v1::RateLimit::KEY_TOKEN) return;
  const bool enters = by_user && asks_for_token;
  const int64_t burst = BurstOf(limit);
  if (burst >= (enters ? kBurstForBuyers : kBurstForBuyers - 1)) return;
  const absl::Duration per = FromDuration(limit.per()).value_or(absl::ZeroDuration());
  const absl::Duration interval = absl::Ceil(per / limit.tries(), absl::Milliseconds(1));
  response.add_warnings(absl::StrCat(
      by_user ? "user" : "token", ": one try every ", absl::FormatDuration(interval),
      burst == 1 ? ", never two at once" : absl::StrCat(", never more than ", burst, " at once"),
      "; burst=", kBurstForBuyers,
      enters ? " lets a buyer enter, claim, and try once more at once." : " lets a buyer try three times in a row."));
}

// Of what is asked for, by itself. In the words of whoever types it.
void WarnAboutPolicy(const v1::SetFrontPolicyRequest& request, int trusted_proxies,
                     v1::SetFrontPolicyResponse& response) {
  const v1::FrontPolicy& policy = request.policy();
  for (const v1::RateLimit& limit : policy.limits()) WarnAboutBurst(limit, policy.has_purchase_token(), response);
  if (trusted_proxies == 0 && LimitsBy(policy, v1::RateLimit::KEY_ADDRESS)) {
    response.add_warnings(
        "address: a shop that calls for its buyers has one address: all its buyers share this limit, because this node "
        "runs with --trusted-proxies 0.");
  }
  if (trusted_proxies == 0 && CountsRefusalsByAddress(policy)) {
    response.add_warnings(
        "risk: a shop that calls for its buyers has one address: address_refusals holds for all its buyers or for "
        "none, because this node runs with --trusted-proxies 0.");
  }
  if (policy.has_purchase_token() && !response.before().policy().has_purchase_token()) {
    response.add_warnings("token: claims without a token are refused from now on. EnterSale gives it.");
  }
  if (policy.has_purchase_token() && !LimitsBy(policy, v1::RateLimit::KEY_USER)) {
    response.add_warnings(
        "token: there is no limit by user, so a buyer may get tokens and use them as often as they like.");
  }
  if (policy.has_draw() && !response.before().policy().has_draw()) {
    response.add_warnings("draw: claims of this SKU are refused from now on. Buyers enter the draw that you create.");
  }
  if (!policy.has_draw() && response.before().policy().has_draw()) {
    response.add_warnings(
        "draw: units of this SKU are sold to whoever claims them from now on, also those that a draw is to give away, "
        "and nobody can enter a draw.");
  }
  if (request.new_lottery_round() && !AdmittedInRound(policy).has_value()) {
    response.add_warnings("new_lottery_round: the policy has neither a lottery nor a room, so no round begins.");
  }
}

absl::Status LotteryCannotShrink(const std::string& sku_id, int32_t admitted_per_million, bool after_room) {
  const std::string message =
      after_room ? absl::StrCat(OfWhom(sku_id),
                                " has a waiting room, whose round admits everybody, and a lottery that goes on with it "
                                "cannot admit fewer: begin a new round.")
                 : absl::StrCat("The lottery of ", OfWhom(sku_id), " admits ", admitted_per_million,
                                " of a million buyers, and within a round it only admits more: begin a new round.");
  return MakeError(v1::ERROR_REASON_LOTTERY_CANNOT_SHRINK, message,
                   {{"sku_id", sku_id}, {"admitted_per_million", absl::StrCat(admitted_per_million)}});
}

}  // namespace

absl::StatusOr<v1::ListFrontPoliciesResponse> FrontPolicyHandler::List(const v1::ListFrontPoliciesRequest& request) {
  if (!request.sku_id().empty()) RETURN_IF_ERROR(CheckPolicySkuId(request.sku_id()));
  const auto policies = ledger_->ListFrontPolicies(request.sku_id());
  if (!policies.ok()) return LedgerError(policies.status(), request.sku_id(), Repeatable::kYes);
  v1::ListFrontPoliciesResponse response;
  for (const storage::FrontPolicyRow& row : *policies) {
    if (!row.document.empty()) *response.add_policies() = PolicyToMessage(row);
  }
  return response;
}

// Each try is against the version that was read, so that the answer's `before` is what was there just before. If
// another change came in between, it starts over, unless the caller insists on a version.
absl::StatusOr<v1::SetFrontPolicyResponse> FrontPolicyHandler::Set(const v1::SetFrontPolicyRequest& request,
                                                                   const storage::Actor& actor) {
  RETURN_IF_ERROR(CheckSetPolicy(request));
  storage::FrontPolicyChange change = ChangeAskedFor(request);
  for (int attempt = 0; attempt < kTriesToSetPolicy; ++attempt) {
    const absl::StatusOr<MaybePolicy> before = Find(request.sku_id());
    if (!before.ok()) return LedgerError(before.status(), request.sku_id(), Repeatable::kYes);
    RETURN_IF_ERROR(CheckMostRooms(request, *before));
    change.new_round = BeginsRound(request, *before);
    if (!request.has_expected_version()) change.expected_version = VersionOf(*before);
    const absl::StatusOr<storage::FrontPolicyRow> after = ledger_->SetFrontPolicy(change, request.preview(), actor);
    if (MetAnotherVersion(after.status()) && !request.has_expected_version()) continue;
    if (!after.ok()) return SetError(after.status(), request, *before);
    const bool changes = (before->has_value() || request.has_policy()) && after->version != VersionOf(*before);
    LOG_IF(INFO, !request.preview() && changes) << "the front door's policy of " << OfWhom(request.sku_id())
                                                << (request.has_policy() ? " is set by " : " is removed by ") << actor;
    return Answer(request, *before, *after);
  }
  return PolicyIsAnother(request.sku_id());
}

absl::StatusOr<FrontPolicyHandler::MaybePolicy> FrontPolicyHandler::Find(const std::string& sku_id) {
  absl::StatusOr<std::vector<storage::FrontPolicyRow>> found = ledger_->ListFrontPolicies(sku_id);
  if (!found.ok()) return found.status();
  for (storage::FrontPolicyRow& row : *found) {
    if (row.sku_id == sku_id && !row.document.empty()) return MaybePolicy(std::move(row));
  }
  return MaybePolicy();
}

v1::SetFrontPolicyResponse FrontPolicyHandler::Answer(const v1::SetFrontPolicyRequest& request,
                                                      const MaybePolicy& before, const storage::FrontPolicyRow& after) {
  v1::SetFrontPolicyResponse response;
  if (before.has_value()) *response.mutable_before() = PolicyToMessage(*before);
  if (!after.document.empty()) *response.mutable_policy() = PolicyToMessage(after);
  WarnAboutPolicy(request, trusted_proxies_, response);
  WarnAboutOthers(request, before, response);
  if (!request.preview() && !announcer_->Announce()) response.add_warnings(kDoorNotAnnounced);
  return response;
}

// The change may be made already: what cannot be read here makes no error, only a warning less.
void FrontPolicyHandler::WarnAboutOthers(const v1::SetFrontPolicyRequest& request, const MaybePolicy& before,
                                         v1::SetFrontPolicyResponse& response) {
  if (!response.before().unreadable().empty()) {
    response.add_warnings(
        "A newer version has stored the policy before, and this one cannot read it: what it asked for is not shown.");
  }
  if (request.sku_id() == storage::kEverySku) return;
  WarnAboutSku(request, response);
  // Which of the two policies counts changes only when the SKU's own one comes or goes.
  if (before.has_value() == request.has_policy()) return;
  const absl::StatusOr<MaybePolicy> of_all = Find(storage::kEverySku);
  if (!of_all.ok() || !of_all->has_value()) return;
  response.add_warnings(request.has_policy()
                            ? "The policy of all SKUs (*) counts no more for this SKU: its own replaces it wholly."
                            : "The policy of all SKUs (*) counts for this SKU without its own.");
}

void FrontPolicyHandler::WarnAboutSku(const v1::SetFrontPolicyRequest& request, v1::SetFrontPolicyResponse& response) {
  std::optional<storage::Sku> known;
  if (request.has_policy()) {
    const absl::StatusOr<storage::Sku> sku = skus_->GetSku(request.sku_id());
    if (sku.ok()) known = *sku;
    if (absl::IsNotFound(sku.status())) {
      response.add_warnings(absl::StrCat("There is no SKU ", request.sku_id(), " yet: check its id."));
    }
  }
  const RoomChange change{response.before().policy(), request.policy(), request.new_lottery_round()};
  for (std::string& warning : WarningsOfRoom(change, known, clock_->Now())) {
    response.add_warnings(std::move(warning));
  }
}

absl::Status FrontPolicyHandler::CheckMostRooms(const v1::SetFrontPolicyRequest& request, const MaybePolicy& before) {
  if (!request.policy().has_room() || (before.has_value() && HasRoom(*before))) return absl::OkStatus();
  const absl::StatusOr<std::vector<storage::FrontPolicyRow>> policies = ledger_->ListFrontPolicies("");
  if (!policies.ok()) return LedgerError(policies.status(), request.sku_id(), Repeatable::kYes);
  if (std::count_if(policies->begin(), policies->end(), HasRoom) < kMostRooms) return absl::OkStatus();
  return InvalidField("policy.room", absl::StrCat(kMostRooms,
                                                  " SKUs have a room already, and no more may: take it out of "
                                                  "another policy first"));
}

absl::Status FrontPolicyHandler::SetError(const absl::Status& status, const v1::SetFrontPolicyRequest& request,
                                          const MaybePolicy& before) {
  if (MetAnotherVersion(status)) return PolicyIsAnother(request.sku_id());
  if (const std::optional<int32_t> admitted = storage::LotteryShrinksTo(status); admitted.has_value()) {
    return LotteryCannotShrink(request.sku_id(), *admitted, before.has_value() && HasRoom(*before));
  }
  if (absl::IsResourceExhausted(status) && HasAllItMay()) {
    return InvalidField("sku_id", absl::StrCat("would have the ", storage::kMaxFrontPolicies + 1,
                                               "th policy, which is one too many: remove one first"));
  }
  return LedgerError(status, request.sku_id(), IsRepeatable(request));
}

// Read now: another change may have come after the one that was in the way.
absl::Status FrontPolicyHandler::PolicyIsAnother(const std::string& sku_id) {
  const absl::StatusOr<MaybePolicy> now = Find(sku_id);
  if (!now.ok()) return LedgerError(now.status(), sku_id, Repeatable::kYes);
  ErrorMetadata metadata = {{"sku_id", sku_id}, {"policy_version", absl::StrCat(VersionOf(*now))}};
  if (!now->has_value()) {
    return MakeError(v1::ERROR_REASON_POLICY_CHANGED,
                     absl::StrCat("There is no policy of ", OfWhom(sku_id), " now; look again before changing it."),
                     metadata);
  }
  const storage::FrontPolicyRow& row = **now;
  const std::string at = absl::FormatTime(absl::RFC3339_sec, row.changed_at, absl::UTCTimeZone());
  metadata.emplace_back("changed_by", row.changed_by);
  metadata.emplace_back("changed_at", at);
  return MakeError(v1::ERROR_REASON_POLICY_CHANGED,
                   absl::StrCat("The policy of ", OfWhom(sku_id), " is now at version ", row.version,
                                ", last changed by ", row.changed_by, " at ", at, "; look again before changing it."),
                   metadata);
}

bool FrontPolicyHandler::HasAllItMay() {
  const auto policies = ledger_->ListFrontPolicies("");
  return policies.ok() && policies->size() >= storage::kMaxFrontPolicies;
}

}  // namespace tranche::server
