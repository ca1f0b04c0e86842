#include "tests/simulation/door/door_checker.h"

#include <algorithm>

#include "absl/strings/str_cat.h"
#include "server/admission/rate_key.h"
#include "storage/ledger/refusal.h"

namespace tranche::simulation {
namespace {

using storage::Refusal;

constexpr uint64_t kFirstRankOfTheLate = uint64_t{1} << 63;

Refusal DoorAnswerOf(const std::optional<quota::Refused>& refused) {
  return refused.has_value() ? refused->refusal : Refusal::kNone;
}

std::string DoorAnswerName(Refusal refusal) {
  for (const storage::RefusalWord& word : storage::kRefusalWords) {
    if (word.refusal == refusal) return std::string(word.reason);
  }
  return "let in";
}

}  // namespace

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
                                                     const std::optional<quota::Refused>& refused) {
  const DoorBooks& books = *nodes_[static_cast<size_t>(node)].books;
  const absl::Time now = scheduler_->Now();
  const DoorAccess access = books.AccessOf(asks.user_id, asks.address, now);
  const Refusal answer = DoorAnswerOf(refused);
  ++answers_[DoorAnswerName(answer)];
  const bool denied = access == DoorAccess::kDeny;
  if (denied != (answer == Refusal::kDenied)) {
    Violated("access list", absl::StrCat("node ", node, ", ", asks.user_id, " at '", asks.address, "': ",
                                         DoorAnswerName(answer), denied ? ", who is denied" : ", who is not denied"));
  }
  const DoorTerms* const terms = books.TermsOf(asks.sku_id);
  if (denied || terms == nullptr || violation_.has_value()) return std::nullopt;
  return Case{node, asks, books, *terms, access == DoorAccess::kAllow, now};
}

bool DoorChecker::IsGood(const DoorPapers& papers, const std::string& text, const Case& about) const {
  const auto paper = papers.find(text);
  return paper != papers.end() && paper->second.sku_id == about.asks.sku_id &&
         paper->second.user_id == about.asks.user_id && about.now < paper->second.expires_at &&
         about.books.keys.contains(paper->second.key);
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
  const std::optional<Case> about = CaseOf(node, asks, verdict.refused);
  if (!about.has_value()) return;
  const Refusal right = RightAnswer(*about);
  const bool good_token = about->terms.token_lifetime.has_value() && IsGood(tokens_, asks.token, *about);
  const Refusal answer = DoorAnswerOf(verdict.refused);
  if (answer == Refusal::kRateLimited) {
    return CheckLimited(*about, *verdict.refused, good_token, /*passes_rest=*/right == Refusal::kNone);
  }
  if (answer != right) {
    const char* const rule = answer == Refusal::kNone ? "let in" : right == Refusal::kNone ? "kept out" : "reason";
    return Violated(rule,
                    absl::StrCat(Told(*about), ": ", DoorAnswerName(answer), " instead of ", DoorAnswerName(right)));
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

void DoorChecker::CountTry(const Case& about, bool good_token, bool by_sku) {
  if (about.listed) return;
  for (const DoorLimitTerms& limit : about.terms.limits) {
    if (limit.kind == server::RateKeyKind::kSku && !by_sku) continue;
    const std::optional<DoorLimitKey> key = KeyOf(about, limit, good_token);
    if (!key.has_value() || limits_.Count(about.node, limit, *key, about.now)) continue;
    Violated("limit", absl::StrCat(Told(about), ": more than twice the limit by ",
                                   std::string(server::RateKeyName(limit.kind)), " have passed"));
  }
}

void DoorChecker::CheckLimited(const Case& about, const quota::Refused& refused, bool good_token, bool passes_rest) {
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
  if (roomy_ && !limits_.MayRefuse(about.node, *limit, *key, about.now)) {
    Violated("counted", told + ", which has not counted so much");
  }
}

DoorChecker::Place DoorChecker::PlaceOf(const Case& about) const {
  Place place;
  const Node& node = nodes_[static_cast<size_t>(about.node)];
  if (const auto told = node.told.find({about.asks.sku_id, about.terms.round}); told != node.told.end()) {
    place.threshold = told->second;
  }
  const auto kept = tickets_.find(about.asks.ticket);
  if (IsGood(tickets_, about.asks.ticket, about) && kept->second.round == about.terms.round) {
    place.ticket = kept->second;
    place.ticket.shuffled = place.ticket.shuffled || !about.asks.sale_open;
  } else {
    place.ticket = {.sku_id = about.asks.sku_id,
                    .user_id = about.asks.user_id,
                    .round = about.terms.round,
                    .shuffled = !about.asks.sale_open,
                    .joined_at = about.now};
  }
  // It is sealed again at each try.
  place.ticket.key = about.books.current_key;
  place.rank = place.ticket.shuffled
                   ? about.terms.RankOf(about.asks.sku_id, about.asks.user_id) >> 1
                   : kFirstRankOfTheLate + static_cast<uint64_t>(absl::ToUnixMicros(place.ticket.joined_at));
  return place;
}

void DoorChecker::CheckPlace(const Case& about, const Place& right, const server::RoomPlace& place) {
  if (place.rank != right.rank || place.shuffled != right.ticket.shuffled) {
    return Violated("rank", absl::StrCat(Told(about), ": has rank ", place.rank, " instead of ", right.rank));
  }
  if (place.threshold != right.threshold) {
    return Violated("threshold", absl::StrCat(Told(about), ": goes by ", place.threshold, " after it was told ",
                                              right.threshold, " in this round"));
  }
  const bool let_in = about.asks.sale_open && right.rank < right.threshold;
  if (place.let_in != let_in) {
    return Violated(let_in ? "kept out" : "let in",
                    absl::StrCat(Told(about), ": rank ", right.rank, ", threshold ", right.threshold));
  }
  if (let_in != (place.retry_after == absl::ZeroDuration())) {
    return Violated("reason",
                    absl::StrCat(Told(about), ": told to come again after ", absl::FormatDuration(place.retry_after)));
  }
  tickets_[place.ticket] = right.ticket;
}

// Who is on the list does not wait; but before the opening, nobody is let in.
bool DoorChecker::Waits(const Case& about) { return about.terms.room && !(about.listed && about.asks.sale_open); }

bool DoorChecker::IsAdmitted(const Case& about) const {
  if (Waits(about)) {
    const Place place = PlaceOf(about);
    return about.asks.sale_open && place.rank < place.threshold;
  }
  return about.listed || !about.terms.admitted_per_million.has_value() ||
         about.terms.Admits(about.terms.RankOf(about.asks.sku_id, about.asks.user_id));
}

void DoorChecker::CheckAdmission(const Case& about, const server::DoorEntry& entry) {
  const bool waits = Waits(about);
  if (entry.place.has_value() != waits) {
    return Violated("reason", absl::StrCat(Told(about), waits ? ": has no place" : ": has a place in a room"));
  }
  if (waits) CheckPlace(about, PlaceOf(about), *entry.place);
  if (about.terms.admitted_per_million.has_value()) {
    const uint64_t rank = about.terms.RankOf(about.asks.sku_id, about.asks.user_id);
    if (entry.rank != rank) Violated("rank", absl::StrCat(Told(about), ": ", entry.rank, " instead of ", rank));
  }
  const bool admitted = IsAdmitted(about);
  if (entry.admitted == admitted) return;
  Violated(admitted ? "kept out" : "let in", absl::StrCat(Told(about), ": EnterSale goes by neither rank nor list"));
}

void DoorChecker::CheckGiven(const Case& about, const server::DoorEntry& entry, bool earned) {
  const bool gives_token = earned && about.terms.token_lifetime.has_value();
  if (entry.purchase_token.empty() == gives_token) {
    return Violated("token", absl::StrCat(Told(about), gives_token ? ": has earned a token, and got none"
                                                                   : ": got a token, and has not earned it"));
  }
  if (entry.challenge.empty() == (entry.admitted && !earned)) {
    return Violated("challenge", absl::StrCat(Told(about), ": ", entry.challenge.empty() ? "got none" : "got one"));
  }
  DoorPaper paper = {.sku_id = about.asks.sku_id, .user_id = about.asks.user_id, .key = about.books.current_key};
  if (gives_token) {
    paper.expires_at = absl::FromUnixMillis(absl::ToUnixMillis(about.now + *about.terms.token_lifetime));
    tokens_[entry.purchase_token] = paper;
    ++answers_["token"];
  }
  if (!entry.challenge.empty()) {
    paper.expires_at = absl::FromUnixSeconds(absl::ToUnixSeconds(about.now + *about.terms.challenge_lifetime));
    challenges_[entry.challenge] = paper;
    ++answers_["challenge"];
  }
}

void DoorChecker::OnEnter(int node, const DoorTry& asks, const server::DoorEntry& entry) {
  const std::optional<Case> about = CaseOf(node, asks, entry.refused);
  if (!about.has_value()) return;
  const bool no_work =
      about->listed || !about->terms.challenge_lifetime.has_value() || IsGood(solutions_, asks.solution, *about);
  // Before the answer is taken down: a ticket that it brings was not there when the node was asked.
  const bool earned = IsAdmitted(*about) && no_work;
  if (entry.refused.has_value()) {
    if (entry.refused->refusal != Refusal::kRateLimited) {
      return Violated("reason",
                      absl::StrCat(Told(*about), ": EnterSale says ", DoorAnswerName(entry.refused->refusal)));
    }
    return CheckLimited(*about, *entry.refused, /*good_token=*/false, earned);
  }
  CheckAdmission(*about, entry);
  if (violation_.has_value()) return;
  CheckGiven(*about, entry, earned);
  CountTry(*about, /*good_token=*/false, /*by_sku=*/earned);
}

}  // namespace tranche::simulation
