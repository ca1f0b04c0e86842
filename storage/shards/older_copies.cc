#include "storage/shards/older_copies.h"

#include <algorithm>
#include <utility>

#include "absl/strings/str_cat.h"
#include "glog/logging.h"
#include "storage/base/status_macros.h"
#include "storage/ledger/ledger_error.h"

namespace tranche::storage {
namespace {

constexpr char kCopyActor[] = "balancer";

// Given up in one pass and named in the log; the audit log names all of them.
constexpr int kMostTold = 50;

// What an answer may take, and how much longer than that all answers of a shard in one pass.
constexpr absl::Duration kUsualAnswer = absl::Milliseconds(20);
constexpr absl::Duration kMostLost = absl::Milliseconds(250);

// Has one of them had the SKU after more moves?
bool KnowMoreMoves(const SkuPlaces& others, int64_t moves) {
  return std::any_of(others.begin(), others.end(),
                     [moves](const SkuPlace& other) { return other.where.moves > moves; });
}

bool SayTheSame(const SkuPlaces& a, const SkuPlaces& b) {
  return std::equal(a.begin(), a.end(), b.begin(), b.end(), [](const SkuPlace& x, const SkuPlace& y) {
    return x.shard == y.shard && x.where.place == y.where.place && x.where.version == y.where.version;
  });
}

}  // namespace

void OlderCopies::BeginPass() {
  others_.reset();
  silent_.clear();
  lost_.clear();
  told_ = 0;
}

absl::StatusOr<CopyCheck::Verdict> OlderCopies::Judge(const std::string& sku_id, const std::string& announced_at) {
  if (!KnowsOthers() || silent_.contains(announced_at)) return Verdict::kOpen;
  // Before the others: if it moves away in between, they say more moves than we do, and GiveUpOlderCopy sees it.
  ASSIGN_OR_RETURN(const SkuWhereabouts own, ledger_.Where(sku_id));
  if (!HasSku(own)) return Verdict::kOpen;
  const SkuPlaces others = AskOthers(sku_id);
  const SkuPlace* newest = nullptr;
  for (const SkuPlace& other : others) {
    if (HasSku(other.where) && (newest == nullptr || other.where.moves > newest->where.moves)) newest = &other;
  }
  // A move that was abandoned after its decision: whoever finishes it clears ours away.
  const bool leaving_for_newest =
      newest != nullptr && own.place == SkuWhereabouts::Place::kLeaving && own.other_shard == newest->shard;
  if (leaving_for_newest) return Verdict::kOpen;
  if (newest != nullptr && newest->where.moves > own.moves) return GiveUp(sku_id, own, *newest);
  if (newest != nullptr && newest->where.moves == own.moves) {
    LOG_EVERY_T(WARNING, 60)
        << "SKU " << sku_id << " is on " << shard_ << " and on " << newest->shard
        << ", and the number of its moves does not say which copy is older. Take the older one out, as "
        << "\"An older copy came back\" in docs/operations.md says";
    return Verdict::kOpen;
  }
  if (MayBeAtASilentOne(others, announced_at)) return Verdict::kOpen;
  // The newer copy may have moved from a shard that was asked late to one that was asked early. Or it is lost.
  if (KnowMoreMoves(others, own.moves) && !SayTheSame(others, AskOthers(sku_id))) return Verdict::kOpen;
  return Verdict::kCounts;
}

bool OlderCopies::KnowsOthers() {
  if (others_.has_value()) return others_->ok();
  others_ = list_others_();
  if (others_->ok()) return true;
  LOG_EVERY_T(WARNING, 60) << "shard " << shard_
                           << " has SKUs that are announced at another one, and cannot ask whose copy "
                           << "is older: " << others_->status().message();
  return false;
}

SkuPlaces OlderCopies::AskOthers(const std::string& sku_id) {
  SkuPlaces places;
  for (const OtherShard& other : **others_) {
    if (silent_.contains(other.name)) continue;
    const absl::Time began_at = clock_.Now();
    auto where = other.ledger->Where(sku_id);
    NoteTime(other.name, clock_.Now() - began_at);
    if (where.ok()) {
      places.push_back({other.name, *std::move(where)});
    } else {
      NoteSilent(other.name, std::string(where.status().message()));
    }
  }
  return places;
}

// A shard that answers slowly must not hold up whoever asks for hundreds of SKUs.
void OlderCopies::NoteTime(const std::string& shard, absl::Duration took) {
  absl::Duration& lost = lost_[shard];
  lost += std::max(absl::ZeroDuration(), took - kUsualAnswer);
  if (lost > kMostLost) NoteSilent(shard, "it answers too slowly");
}

void OlderCopies::NoteSilent(const std::string& shard, const std::string& why) {
  silent_.insert(shard);
  LOG_EVERY_T(WARNING, 60) << "shard " << shard_ << " has SKUs that are announced at another one, and shard " << shard
                           << " does not say whose copy is older: " << why;
}

// The one where it is announced, or one that it has gone to, as another one says. Elsewhere nobody has seen it.
bool OlderCopies::MayBeAtASilentOne(const SkuPlaces& others, const std::string& announced_at) const {
  return silent_.contains(announced_at) || std::any_of(others.begin(), others.end(), [this](const SkuPlace& other) {
           return silent_.contains(other.where.other_shard);
         });
}

absl::StatusOr<CopyCheck::Verdict> OlderCopies::GiveUp(const std::string& sku_id, const SkuWhereabouts& own,
                                                       const SkuPlace& newer) {
  const auto given_up = ledger_.GiveUpOlderCopy(sku_id, newer.shard, newer.where.moves, Actor::Process(kCopyActor));
  if (FoundLocked(given_up.status())) return Verdict::kOpen;
  if (!given_up.ok()) return given_up.status();
  if (!*given_up) return Verdict::kOpen;  // it moves, and the mover ends that
  LOG_IF(WARNING, told_ < kMostTold) << "shard " << shard_ << " gave up its older copy of SKU " << sku_id
                                     << ", which a restore brought back: " << newer.shard
                                     << " has the newer one (moved " << newer.where.moves << " times, here "
                                     << own.moves
                                     << "). What was sold and paid of the older one since the restore is lost: "
                                     << "docs/operations.md, \"An older copy came back\", says how to list it";
  LOG_IF(WARNING, told_ == kMostTold)
      << "shard " << shard_
      << " gave up older copies of other SKUs, too: tranchectl audit --automatic --action give_up_copy";
  ++told_;
  return Verdict::kGivenUp;
}

}  // namespace tranche::storage
