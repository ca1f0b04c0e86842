#include "client/ctl/door_view.h"

#include <cstdint>
#include <map>
#include <nlohmann/json.hpp>

#include "absl/algorithm/container.h"
#include "absl/strings/ascii.h"
#include "absl/strings/escaping.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "absl/strings/strip.h"
#include "client/ctl/access_file.h"
#include "client/ctl/change_view.h"
#include "client/ctl/door_policy_arguments.h"
#include "client/ctl/parse.h"
#include "client/ctl/risk_arguments.h"
#include "client/ctl/risk_view.h"
#include "client/ctl/room_arguments.h"

namespace tranche::ctl {
namespace {

using tranche::v1::AccessEntry;
using tranche::v1::AdmissionCheck;
using tranche::v1::FrontKey;
using tranche::v1::FrontPolicy;
using tranche::v1::RateLimit;
using tranche::v1::StoredFrontPolicy;

constexpr char kNothingAsked[] = "none";
constexpr char kNotReadable[] = "UNREADABLE";
// What a claim without a purchase token is told.
constexpr char kTokenRequired[] = "PURCHASE_TOKEN_REQUIRED";

// "user=5/1s,burst=3" is shown as "5/1s,burst=3" where its key is said already.
std::string LimitWithoutKey(const RateLimit& limit) {
  const std::string text = DescribeRateLimit(limit);
  return text.substr(text.find('=') + 1);
}

std::string LimitOf(const FrontPolicy& policy, RateLimit::Key key) {
  for (const RateLimit& limit : policy.limits()) {
    if (limit.key() == key) return LimitWithoutKey(limit);
  }
  return kNothingAsked;
}

std::string DrawOf(const FrontPolicy& policy) { return policy.has_draw() ? "decides" : kNothingAsked; }

std::string RoomOf(const FrontPolicy& policy) {
  return policy.has_room() ? DescribeRoom(policy.room()) : kNothingAsked;
}

std::string LotteryOf(const FrontPolicy& policy) {
  return policy.has_lottery() ? FormatShare(policy.lottery().admitted_per_million()) : kNothingAsked;
}

// By what it chooses among buyers, briefly. A policy has no more than one of the three.
std::string ChoiceOf(const FrontPolicy& policy) {
  if (policy.has_draw()) return "a draw";
  if (policy.has_room()) return absl::StrCat("room ", policy.room().buyers_per_second(), "/s");
  return LotteryOf(policy);
}

std::string TokenOf(const FrontPolicy& policy) {
  return policy.has_purchase_token() ? FormatTokenRule(policy.purchase_token()) : kNothingAsked;
}

// `brief`: how hard it is.
std::string ChallengeOf(const FrontPolicy& policy, bool brief) {
  if (!policy.has_challenge()) return kNothingAsked;
  return brief ? absl::StrCat(policy.challenge().bits(), " bits") : FormatChallenge(policy.challenge());
}

// With a term for each tier, for changes: `door show` has a table of them.
std::vector<std::pair<std::string, std::string>> TermsAndTiers(const StoredFrontPolicy* stored) {
  auto terms = PolicyTerms(stored);
  for (auto& tier : TierTerms(stored == nullptr ? FrontPolicy() : stored->policy())) terms.push_back(std::move(tier));
  return terms;
}

// `brief`: the rates alone.
std::string LimitsOf(const FrontPolicy& policy, bool brief) {
  std::vector<std::string> texts;
  for (RateLimit limit : policy.limits()) {
    if (brief) {
      limit.clear_burst();
      limit.clear_max_wait();
    }
    texts.push_back(FormatRateLimit(limit));
  }
  return texts.empty() ? kNothingAsked : absl::StrJoin(texts, brief ? "," : " ");
}

void WarnOfUnreadable(Session& session, const StoredFrontPolicy& stored) {
  if (stored.unreadable().empty()) return;
  session.err() << "warning: the node that was asked cannot read the policy of " << stored.sku_id() << ": "
                << stored.unreadable() << ". Such nodes send its buyers to others.\n";
}

std::string TimeOr(bool known, const google::protobuf::Timestamp& time, const char* otherwise) {
  return known ? FormatTime(time) : otherwise;
}

std::string SubjectOf(const AccessEntry& entry) { return entry.has_user_id() ? entry.user_id() : entry.address(); }

std::string VerdictOf(const AccessEntry& entry) {
  if (entry.verdict() == AccessEntry::VERDICT_ALLOW) return "allow";
  return entry.verdict() == AccessEntry::VERDICT_DENY ? "deny" : "?";
}

// "next", "current", "previous".
std::string UseOf(const FrontKey& key) {
  return absl::AsciiStrToLower(absl::StripPrefix(FrontKey::Use_Name(key.use()), "USE_"));
}

std::string VerdictOf(const AdmissionCheck& check) {
  switch (check.verdict()) {
    case AdmissionCheck::VERDICT_PASS:
      return "passes";
    case AdmissionCheck::VERDICT_WAIT:
      return "waits";
    case AdmissionCheck::VERDICT_REFUSE:
      return "REFUSES";
    case AdmissionCheck::VERDICT_SKIP:
      return "not asked";
    default:
      return "?";
  }
}

// Nobody gave a token to the question, which says nothing about the buyer: EnterSale would give them one.
bool LacksToken(const AdmissionCheck& check) { return check.reason() == kTokenRequired; }

// What this version does not understand would come back as something else.
void PrintAccessLines(Session& session, const tranche::v1::ListAccessEntriesResponse& entries) {
  session.out() << AccessLineHeader() << "\n";
  int left_out = 0;
  for (const AccessEntry& entry : entries.entries()) {
    if (entry.subject_case() == AccessEntry::SUBJECT_NOT_SET || VerdictOf(entry) == "?") {
      ++left_out;
    } else {
      session.out() << FormatAccessLine(entry) << "\n";
    }
  }
  if (left_out > 0) session.err() << "warning: this version does not know " << left_out << " of them\n";
}

// By its id, in their order.
std::map<int64_t, std::string> UsesOf(const google::protobuf::RepeatedPtrField<FrontKey>& keys) {
  std::map<int64_t, std::string> uses;
  for (const FrontKey& key : keys) uses[key.key_id()] = UseOf(key);
  return uses;
}

nlohmann::ordered_json KeysJson(const google::protobuf::RepeatedPtrField<FrontKey>& keys) {
  nlohmann::ordered_json json = nlohmann::ordered_json::array();
  for (const FrontKey& key : keys) json.push_back(ToJson(key));
  return json;
}

nlohmann::ordered_json JsonOrNull(bool there, const google::protobuf::Message& message) {
  return there ? ToJson(message) : nlohmann::ordered_json(nullptr);
}

}  // namespace

void PrintPolicies(Session& session, const tranche::v1::ListFrontPoliciesResponse& policies) {
  for (const StoredFrontPolicy& stored : policies.policies()) WarnOfUnreadable(session, stored);
  if (session.json()) return session.PrintJson(policies);
  std::vector<std::string> headers = {"SKU", "LIMITS", "LOTTERY", "TOKEN", "CHALLENGE", "VERSION"};
  if (session.wide()) headers.insert(headers.end(), {"RISK", "ROUND", "CHANGED", "BY"});
  Table table(headers);
  for (const StoredFrontPolicy& stored : policies.policies()) {
    const FrontPolicy& policy = stored.policy();
    const bool readable = stored.unreadable().empty();
    std::vector<std::string> row = {stored.sku_id(), readable ? LimitsOf(policy, !session.wide()) : kNotReadable};
    row.push_back(readable ? ChoiceOf(policy) : "?");
    row.push_back(readable ? TokenOf(policy) : "?");
    row.push_back(readable ? ChallengeOf(policy, !session.wide()) : "?");
    row.push_back(absl::StrCat(stored.version()));
    if (session.wide()) {
      row.push_back(!readable ? "?" : policy.has_risk() ? DescribeRisk(policy.risk()) : kNothingAsked);
      row.insert(row.end(), {stored.has_round() ? absl::StrCat(stored.round().round()) : kNothingAsked,
                             FormatTime(stored.change_time()), stored.changed_by()});
    }
    table.AddRow(row);
  }
  session.Print(table);
}

std::vector<std::pair<std::string, std::string>> PolicyTerms(const StoredFrontPolicy* stored) {
  const bool readable = stored != nullptr && stored->unreadable().empty();
  const FrontPolicy policy = readable ? stored->policy() : FrontPolicy();
  std::vector<std::pair<std::string, std::string>> terms = {{"policy", stored == nullptr ? kNothingAsked
                                                                       : readable        ? "set"
                                                                                         : kNotReadable}};
  for (const RateLimit::Key key : RateLimitKeys()) {
    terms.emplace_back(absl::StrCat("limit ", RateLimitKeyName(key)), LimitOf(policy, key));
  }
  terms.emplace_back("lottery", LotteryOf(policy));
  terms.emplace_back("room", RoomOf(policy));
  // Of the lottery, or of the room.
  const bool ranks = stored != nullptr && stored->has_round();
  terms.emplace_back("round", ranks ? absl::StrCat(stored->round().round()) : kNothingAsked);
  terms.emplace_back("draw", DrawOf(policy));
  terms.emplace_back("token", TokenOf(policy));
  terms.emplace_back("challenge", ChallengeOf(policy, /*brief=*/false));
  terms.emplace_back("risk", policy.has_risk() ? DescribeRisk(policy.risk()) : kNothingAsked);
  return terms;
}

void PrintPolicy(Session& session, const StoredFrontPolicy& stored) {
  WarnOfUnreadable(session, stored);
  Table table({"FIELD", "VALUE"});
  table.AddRow({"sku", stored.sku_id()});
  for (const auto& [name, text] : PolicyTerms(&stored)) table.AddRow({name, text});
  if (stored.has_round()) table.AddRow({"commitment", absl::BytesToHexString(stored.round().commitment())});
  table.AddRow({"version", absl::StrCat(stored.version())});
  table.AddRow({"changed", FormatTime(stored.change_time())});
  table.AddRow({"by", stored.changed_by()});
  session.Print(table);
  if (!stored.policy().has_risk()) return;
  session.out() << "\n";
  PrintRisk(session, stored.policy().risk());
}

void PrintPolicyChange(Session& session, const std::string& sku_id, const tranche::v1::SetFrontPolicyResponse& change,
                       bool preview) {
  PrintWarnings(session, change);
  const auto before = TermsAndTiers(change.has_before() ? &change.before() : nullptr);
  const auto after = TermsAndTiers(change.has_policy() ? &change.policy() : nullptr);
  const auto points = PointChanges(change.before().policy(), change.policy().policy());
  if (session.json()) {
    nlohmann::ordered_json more = nlohmann::ordered_json::object();
    more["sku_id"] = sku_id;
    more["warnings"] = WarningsJson(change);
    PrintChangeJson(session, JsonOrNull(change.has_before(), change.before()),
                    JsonOrNull(change.has_policy(), change.policy()), preview, more);
  } else {
    Table table({"FIELD", "VALUE"});
    table.AddRow({"sku", sku_id});
    for (size_t i = 0; i < before.size(); ++i) {
      if (before[i].second != after[i].second) {
        table.AddRow({after[i].first, Arrow(before[i].second, after[i].second)});
      }
    }
    for (const auto& [name, text] : points) table.AddRow({name, text});
    session.Print(table);
  }
  if (!preview) return;
  if (before == after && points.empty()) return SayNothingWouldChange(session);
  SayHowToApply(session, absl::StrCat("--expect-version ", change.before().version()));
}

void PrintRounds(Session& session, const tranche::v1::ListLotteryRoundsResponse& rounds) {
  if (session.json()) return session.PrintJson(rounds);
  std::vector<std::string> headers = {"ROUND", "POLICY OF", "ADMITTED", "STARTED", "ENDED"};
  if (session.wide()) headers.insert(headers.end(), {"COMMITMENT", "KEY"});
  Table table(headers);
  for (const tranche::v1::LotteryRound& round : rounds.rounds()) {
    std::vector<std::string> row = {absl::StrCat(round.round()), round.policy_sku_id(),
                                    FormatShare(round.admitted_per_million()), FormatTime(round.start_time()),
                                    TimeOr(round.has_end_time(), round.end_time(), "runs")};
    if (session.wide()) {
      const std::string key = absl::BytesToHexString(round.key());
      row.insert(row.end(), {absl::BytesToHexString(round.commitment()), key.empty() ? "not yet told" : key});
    }
    table.AddRow(row);
  }
  session.Print(table);
}

void PrintAccessEntries(Session& session, const tranche::v1::ListAccessEntriesResponse& entries) {
  if (session.json()) return session.PrintJson(entries);
  if (session.csv()) return PrintAccessLines(session, entries);
  std::vector<std::string> headers = {"VERDICT", "KIND", "SUBJECT", "EXPIRES", "REASON"};
  if (session.wide()) headers.insert(headers.end(), {"CHANGED", "BY"});
  Table table(headers);
  for (const AccessEntry& entry : entries.entries()) {
    std::vector<std::string> row = {VerdictOf(entry), entry.has_user_id() ? "user" : "address", SubjectOf(entry),
                                    TimeOr(entry.has_expire_time(), entry.expire_time(), "never"), entry.reason()};
    if (session.wide()) row.insert(row.end(), {FormatTime(entry.change_time()), entry.changed_by()});
    table.AddRow(row);
  }
  session.Print(table);
}

void PrintFrontKeys(Session& session, const tranche::v1::ListFrontKeysResponse& keys) {
  if (session.json()) return session.PrintJson(keys);
  Table table({"KEY", "USE", "SINCE"});
  for (const FrontKey& key : keys.keys()) {
    table.AddRow({absl::StrCat(key.key_id()), UseOf(key), FormatTime(key.since_time())});
  }
  session.Print(table);
}

void PrintKeyRotation(Session& session, const tranche::v1::ListFrontKeysResponse& before,
                      const tranche::v1::RotateFrontKeyResponse& after, bool preview) {
  if (session.json()) {
    nlohmann::ordered_json more = nlohmann::ordered_json::object();
    more["rotated"] = after.rotated();
    return PrintChangeJson(session, KeysJson(before.keys()), KeysJson(after.keys()), preview, more);
  }
  const std::map<int64_t, std::string> old_uses = UsesOf(before.keys());
  const std::map<int64_t, std::string> new_uses = UsesOf(after.keys());
  std::map<int64_t, std::string> all = old_uses;
  all.insert(new_uses.begin(), new_uses.end());
  const auto use_in = [](const std::map<int64_t, std::string>& uses, int64_t id, const char* otherwise) {
    const auto found = uses.find(id);
    return found == uses.end() ? std::string(otherwise) : found->second;
  };
  Table table({"KEY", "USE"});
  for (const auto& [id, use] : all) {
    table.AddRow({absl::StrCat(id), Arrow(use_in(old_uses, id, "new"), use_in(new_uses, id, "gone"))});
  }
  session.Print(table);
}

bool WantsToken(const tranche::v1::ExplainAdmissionResponse& opinion) {
  return absl::c_any_of(opinion.checks(), LacksToken);
}

bool LetsIn(const tranche::v1::ExplainAdmissionResponse& opinion) {
  return absl::c_none_of(opinion.checks(), [](const AdmissionCheck& check) {
    return check.verdict() == AdmissionCheck::VERDICT_REFUSE && !LacksToken(check);
  });
}

void PrintAdmission(Session& session, const tranche::v1::ExplainAdmissionResponse& opinion) {
  if (session.json()) return session.PrintJson(opinion);
  if (opinion.policy_sku_id().empty()) {
    session.out() << "no policy";
  } else {
    session.out() << "policy of " << opinion.policy_sku_id() << ", version " << opinion.policy_version();
  }
  const absl::Duration age =
      absl::Seconds(opinion.door_age().seconds()) + absl::Nanoseconds(opinion.door_age().nanos());
  session.out() << "; " << opinion.node() << " answers, with what the ledger said " << FormatAge(age) << " ago\n";
  Table table({"CHECK", "VERDICT", "REASON", "DETAIL"});
  for (const AdmissionCheck& check : opinion.checks()) {
    if (LacksToken(check)) {
      table.AddRow({check.check(), "not given", "", "would be asked for"});
    } else {
      table.AddRow({check.check(), VerdictOf(check), check.reason(), check.detail()});
    }
  }
  session.Print(table);
}

}  // namespace tranche::ctl
