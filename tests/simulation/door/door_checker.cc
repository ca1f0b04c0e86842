#include "tests/simulation/door/door_checker.h"

#include <algorithm>

#include "absl/strings/str_cat.h"
#include "server/admission/rate_key.h"
#include "storage/ledger/refusal.h"

namespace tranche::simulation {
namespace {

using storage::Refusal;

Refusal DoorAnswerOf(const std::optional<quota::Refused>& refused) {
  return refused.has_value() ? refused->refusal : Refusal::kNone;
}

}  // namespace

std::string DoorChecker::NameOf(Refusal refusal) {
  for (const storage::RefusalWord& word : storage::kRefusalWords) {
    if (word.refusal == refusal) return std::string(word.reason);
  }
  return "let in";
}

DoorChecker::DoorChecker(int nodes, bool roomy, Scheduler* scheduler)
    : roomy_(roomy), scheduler_(scheduler), nodes_(static_cast<size_t>(nodes)), limits_(nodes) {}

void DoorChecker::Violated(std::string rule, std::string detail) {
  if (violation_.has_value()) return;
  violation_ = Violation{.rule = std::move(rule), .detail = std::move(detail)};
  scheduler_->Stop();
}

void DoorChecker::OnHeard(int node, std::shared_ptr<const DoorBooks> books) {
  if (nodes_[static_cast<size_t>(node)].books == books) return;
  for (const auto& [sku_id, terms] : books->skus) limits_.SetRules(node, sku_id, terms.limits);
  nodes_[static_cast<size_t>(node)].books = std::move(books);
}

void DoorChecker::OnTold(int node, const std::string& sku_id, int64_t round, uint64_t threshold) {
  Node& told = nodes_[static_cast<size_t>(node)];
  const DoorTerms* const terms = told.books->TermsOf(sku_id);
  // Of another round it knows nothing.
  if (terms == nullptr || !terms->room || terms->round != round) return;
  uint64_t& largest = told.told[{sku_id, round}];
  largest = std::max(largest, threshold);
}

void DoorChecker::OnSolved(const std::string& challenge, const std::string& solution) {
  // After a violation, nothing is taken down any more.
  const auto solved = challenges_.find(challenge);
  if (solved != challenges_.end()) solutions_[solution] = solved->second;
}

std::string DoorChecker::Told(const Case& about) const {
  return absl::StrCat("node ", about.node, ", ", about.asks.sku_id, ", ", about.asks.user_id, " at '",
                      about.asks.address, "'");
}

std::optional<DoorChecker::Case> DoorChecker::CaseOf(int node, const DoorTry& asks,
                                                     const std::optional<quota::Refused>& refused, bool enters) {
  const DoorBooks& books = *nodes_[static_cast<size_t>(node)].books;
  const absl::Time now = scheduler_->Now();
  const DoorAccess access = books.AccessOf(asks.user_id, asks.address, now);
  const Refusal answer = DoorAnswerOf(refused);
  ++answers_[NameOf(answer)];
  const bool denied = access == DoorAccess::kDeny;
  const DoorTerms* const terms = books.TermsOf(asks.sku_id);
  // By its tier, EnterSale denies more than the list does: CheckRefusedEntry says whom.
  const bool by_tier = enters && !denied && terms != nullptr && terms->risk.has_value();
  if (denied != (answer == Refusal::kDenied) && !by_tier) {
    Violated("access list", absl::StrCat("node ", node, ", ", asks.user_id, " at '", asks.address,
                                         "': ", NameOf(answer), denied ? ", who is denied" : ", who is not denied"));
  }
  if (denied || terms == nullptr || violation_.has_value()) return std::nullopt;
  return Case{node, asks, books, *terms, access == DoorAccess::kAllow, now};
}

bool DoorChecker::IsGood(const DoorPapers& papers, const std::string& text, const Case& about) const {
  const auto paper = papers.find(text);
  return paper != papers.end() && paper->second.sku_id == about.asks.sku_id &&
         paper->second.user_id == about.asks.user_id && about.now < paper->second.expires_at &&
         about.books.keys.contains(paper->second.key);
}

bool DoorChecker::IsOfAnother(const DoorPapers& papers, const std::string& text, const Case& about) {
  const auto paper = papers.find(text);
  return paper != papers.end() && about.books.keys.contains(paper->second.key) &&
         (paper->second.sku_id != about.asks.sku_id || paper->second.user_id != about.asks.user_id);
}

Refusal DoorChecker::RightAnswer(const Case& about) const {
  const DoorTerms& terms = about.terms;
  const bool good_token = terms.token_lifetime.has_value() && IsGood(tokens_, about.asks.token, about);
  const bool drawn =
      !terms.admitted_per_million.has_value() || terms.Admits(terms.RankOf(about.asks.sku_id, about.asks.user_id));
  if (!about.listed && !drawn && !good_token) return Refusal::kNotAdmitted;
  if (!terms.token_lifetime.has_value() || good_token) return Refusal::kNone;
  return about.asks.token.empty() ? Refusal::kPurchaseTokenRequired : Refusal::kPurchaseTokenInvalid;
}

void DoorChecker::OnClaim(int node, const DoorTry& asks, const quota::GateVerdict& verdict) {
  const std::optional<Case> about = CaseOf(node, asks, verdict.refused, /*enters=*/false);
  if (!about.has_value()) return;
  const Refusal right = RightAnswer(*about);
  const bool good_token = about->terms.token_lifetime.has_value() && IsGood(tokens_, asks.token, *about);
  const Refusal answer = DoorAnswerOf(verdict.refused);
  if (answer == Refusal::kRateLimited) {
    return CheckLimited(*about, *verdict.refused, good_token, /*passes_rest=*/right == Refusal::kNone);
  }
  // Whether an altered token still looks like one is open.
  if (answer == Refusal::kPurchaseTokenInvalid && (asks.altered || IsOfAnother(tokens_, asks.token, *about))) {
    CountRefusal(*about, /*certain=*/!about->listed && !asks.altered);
  }
  if (answer != right) {
    const char* const rule = answer == Refusal::kNone ? "let in" : right == Refusal::kNone ? "kept out" : "reason";
    return Violated(rule, absl::StrCat(Told(*about), ": ", NameOf(answer), " instead of ", NameOf(right)));
  }
  CountTry(*about, good_token, /*by_sku=*/right == Refusal::kNone);
}

std::optional<DoorLimitKey> DoorChecker::KeyOf(const Case& about, const DoorLimitTerms& limit, bool good_token) const {
  DoorLimitKey key = {.sku_id = about.asks.sku_id, .kind = limit.kind, .subject = {}};
  switch (limit.kind) {
    case server::RateKeyKind::kUser:
      key.subject = about.asks.user_id;
      break;
    case server::RateKeyKind::kAddress:
      key.subject = DoorNetworkOf(about.asks.address);
      if (key.subject.empty()) return std::nullopt;
      break;
    case server::RateKeyKind::kToken:
      if (!good_token) return std::nullopt;
      key.subject = about.asks.token;
      break;
    case server::RateKeyKind::kSku:
      key.subject = about.asks.sku_id;
      break;
  }
  return key;
}

// A tier's tries count at the limits by user and address.
int DoorChecker::TriesAt(const DoorLimitTerms& limit, int tries) {
  return limit.kind == server::RateKeyKind::kUser || limit.kind == server::RateKeyKind::kAddress ? tries : 1;
}

void DoorChecker::CountRefusal(const Case& about, bool certain) {
  if (!about.terms.risk.has_value()) return;
  const int32_t many = DoorManyRefusals(*about.terms.risk);
  const std::string network = DoorNetworkOf(about.asks.address);
  if (many == 0 || network.empty()) return;
  refusals_.Add(about.node, about.asks.sku_id, network, many, about.now, certain);
}

void DoorChecker::CountTry(const Case& about, bool good_token, bool by_sku, int tries) {
  if (about.listed) return;
  for (const DoorLimitTerms& limit : about.terms.limits) {
    if (limit.kind == server::RateKeyKind::kSku && !by_sku) continue;
    const std::optional<DoorLimitKey> key = KeyOf(about, limit, good_token);
    const int counted = TriesAt(limit, tries);
    if (!key.has_value() || limits_.Count(about.node, limit, *key, about.now, counted)) continue;
    Violated("limit", absl::StrCat(Told(about), ": more than twice the limit by ",
                                   std::string(server::RateKeyName(limit.kind)), " have passed"));
  }
}

void DoorChecker::CheckLimited(const Case& about, const quota::Refused& refused, bool good_token, bool passes_rest,
                               int tries) {
  const auto limit =
      std::find_if(about.terms.limits.begin(), about.terms.limits.end(), [&refused](const DoorLimitTerms& asked) {
        return refused.about == std::string(server::RateKeyName(asked.kind));
      });
  const std::string told = absl::StrCat(Told(about), ": refused by the limit by ", refused.about);
  if (about.listed || limit == about.terms.limits.end()) return Violated("reason", told + ", which is none of theirs");
  if (refused.retry_after <= absl::ZeroDuration()) return Violated("reason", told + " for no time");
  // It is asked last, so that no tries are used up by those who would not be let in.
  if (limit->kind == server::RateKeyKind::kSku && !passes_rest) return Violated("reason", told + ", asked too early");
  const std::optional<DoorLimitKey> key = KeyOf(about, *limit, good_token);
  if (!key.has_value()) return Violated("reason", told + " for nothing that it counts");
  if (roomy_ && !limits_.MayRefuse(about.node, *limit, *key, about.now, TriesAt(*limit, tries))) {
    Violated("counted", told + ", which has not counted so much");
  }
  // That by address would count what others at the network do.
  const bool of_one = limit->kind == server::RateKeyKind::kUser || limit->kind == server::RateKeyKind::kToken;
  if (of_one) CountRefusal(about, /*certain=*/true);
}

}  // namespace tranche::simulation
