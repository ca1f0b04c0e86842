#include "storage/shards/sku_move.h"

#include <algorithm>
#include <optional>
#include <random>
#include <utility>

#include "absl/strings/str_cat.h"
#include "glog/logging.h"
#include "storage/base/status_macros.h"
#include "storage/shards/sku_places.h"
#include "storage/uuid.h"

namespace tranche::storage {
namespace {

using Place = SkuWhereabouts::Place;
using Stage = SkuMoveProgress::Stage;

constexpr int kTries = 3;

// What there may be much of is copied while it sells; then changes of it are fetched. The rest only comes in the pause.
constexpr SkuPart kCopiedEarly[] = {SkuPart::kLapsed, SkuPart::kLive, SkuPart::kGroups, SkuPart::kGroupMembers};
constexpr SkuPart kCopiedInThePause[] = {SkuPart::kLapsed,       SkuPart::kLive,        SkuPart::kGroups,
                                         SkuPart::kGroupMembers, SkuPart::kGroupOffers, SkuPart::kLatePayments,
                                         SkuPart::kOutbox};

std::string NewToken() {
  std::random_device random;
  Uuid token;
  for (uint8_t& byte : token.bytes) byte = static_cast<uint8_t>(random());
  return token.ToString();
}

// Temporary failures are tried again.
template <typename Call>
absl::Status Persist(const Call& call) {
  absl::Status status;
  for (int attempt = 0; attempt < kTries; ++attempt) {
    status = call();
    if (!absl::IsUnavailable(status)) return status;
  }
  return status;
}

}  // namespace

// What all shards say about the SKU.
struct SkuMove::Found {
  struct At {
    Participant shard;
    SkuWhereabouts where;
  };

  std::string sku_id, target_name;
  Actor actor;
  At target;
  SkuPlaces seen;                   // of all that answered
  std::vector<At> others;           // likewise, but for the target
  std::optional<size_t> owner;      // the one of `others` that has the SKU
  std::vector<std::string> silent;  // that did not answer

  bool decided() const { return HasSku(target.where); }
  const At& source() const { return others.at(*owner); }
};

SkuMove::SkuMove(std::vector<Participant> shards, Clock* clock, SkuMoveOptions options, Watch watch, Announce announce)
    : shards_(std::move(shards)),
      clock_(clock),
      options_(options),
      watch_(std::move(watch)),
      announce_(std::move(announce)) {}

absl::Status SkuMove::Run(const std::string& sku_id, const std::string& target, const Actor& actor) {
  ASSIGN_OR_RETURN(const auto found, Find(sku_id, target, actor));
  if (found.target.where.place == Place::kLeaving) {
    return absl::FailedPreconditionError(absl::StrCat(
        "it is on its way from ", target, " to ", found.target.where.other_shard, ": finish or abort that move first"));
  }
  if (found.decided()) return Complete(found);
  const SkuWhereabouts& source = found.source().where;
  if (source.place == Place::kLeaving && source.other_shard != target) {
    return absl::FailedPreconditionError(
        absl::StrCat("it is on its way to ", source.other_shard, ": finish or abort that move first"));
  }
  // What leaves now might be an older copy, and the move would make it look like the newest.
  if (!found.silent.empty()) return Silent(found);
  ASSIGN_OR_RETURN(const auto undone, Undo(found));
  if (undone) {
    RETURN_IF_ERROR(PurgeAt(*found.target.shard.ledger, sku_id));
    RETURN_IF_ERROR(Move(found));
  }
  ASSIGN_OR_RETURN(const auto decided, Find(sku_id, target, actor));
  return Complete(decided);
}

absl::Status SkuMove::Abort(const std::string& sku_id, const std::string& target, const Actor& actor) {
  ASSIGN_OR_RETURN(const auto found, Find(sku_id, target, actor));
  const auto refuse = [&](absl::string_view why) { return absl::FailedPreconditionError(why); };
  if (found.decided()) return refuse(absl::StrCat("it is at ", target, " already: move it back instead"));
  const SkuWhereabouts& source = found.source().where;
  if (source.place == Place::kLeaving && source.other_shard != target) {
    return refuse(absl::StrCat("it is on its way to ", source.other_shard));
  }
  ASSIGN_OR_RETURN(const auto undone, Undo(found));
  if (!undone) return refuse(absl::StrCat("it has just arrived at ", target, ": move it back instead"));
  announce_(found.source().shard.shard, found.silent.empty());
  RETURN_IF_ERROR(PurgeAt(*found.target.shard.ledger, sku_id));
  Tell(Stage::kDone);
  return absl::OkStatus();
}

absl::StatusOr<SkuMove::Found> SkuMove::Find(const std::string& sku_id, const std::string& target, const Actor& actor) {
  Found found{.sku_id = sku_id,
              .target_name = target,
              .actor = actor,
              .target = {},
              .seen = {},
              .others = {},
              .owner = {},
              .silent = {}};
  for (const Participant& shard : shards_) {
    auto where = shard.ledger->Where(sku_id);
    if (where.ok()) found.seen.push_back({shard.shard, *where});
    if (shard.shard == target) {
      if (!where.ok()) return where.status();
      found.target = {shard, *std::move(where)};
    } else if (!where.ok()) {
      found.silent.push_back(shard.shard);
    } else {
      // Two have it if it is leaving one of them for the other: that move must be finished before another one begins.
      const bool leaving = where->place == Place::kLeaving;
      if (leaving || (HasSku(*where) && !found.owner.has_value())) found.owner = found.others.size();
      found.others.push_back({shard, *std::move(where)});
    }
  }
  if (found.target.shard.ledger == nullptr) return absl::NotFoundError(absl::StrCat("no shard ", target));
  RETURN_IF_ERROR(CheckOneHasIt(found));
  if (found.decided() || found.owner.has_value()) return found;
  return found.silent.empty() ? absl::NotFoundError(absl::StrCat("no SKU ", sku_id)) : Silent(found);
}

absl::Status SkuMove::Silent(const Found& found) {
  return absl::UnavailableError(absl::StrCat("shard ", found.silent.front(), " does not answer, and may have it, too"));
}

// Nothing may be built on a SKU of which a shard has a copy besides: a restored one, which sells.
absl::Status SkuMove::CheckOneHasIt(const Found& found) {
  const auto look_again = [&]() -> absl::StatusOr<SkuPlaces> {
    SkuPlaces places;
    for (const Participant& shard : shards_) {
      if (std::count(found.silent.begin(), found.silent.end(), shard.shard) > 0) continue;
      ASSIGN_OR_RETURN(SkuWhereabouts where, shard.ledger->Where(found.sku_id));
      places.push_back({shard.shard, std::move(where)});
    }
    return places;
  };
  ASSIGN_OR_RETURN(const std::string several, OnSeveralShards(found.seen, look_again));
  return several.empty() ? absl::OkStatus() : OnSeveralShardsError(several);
}

// Restores "it sells at the source". The target first: after that, no step of the attempt can decide anything. False if
// the decision was already made.
absl::StatusOr<bool> SkuMove::Undo(const Found& found) {
  const Found::At& source = found.source();
  const auto cancel = [&](const Found::At& at) -> absl::StatusOr<bool> {
    absl::StatusOr<bool> cancelled = false;
    const absl::Status status = Persist([&] {
      cancelled = at.shard.ledger->CancelArrival(found.sku_id);
      return cancelled.status();
    });
    if (!status.ok()) return status;
    return cancelled;
  };
  const auto cancelled = cancel(found.target);
  if (!cancelled.ok() || !*cancelled) return cancelled;
  for (const Found::At& other : found.others) {
    if (other.where.place != Place::kArriving) continue;
    if (const auto there = cancel(other); !there.ok()) return there.status();
  }
  if (source.where.token.empty()) return true;
  Tell(Stage::kUndoing);
  const absl::Status back =
      Persist([&] { return source.shard.ledger->CancelLeave(found.sku_id, source.where.token, found.actor).status(); });
  if (!back.ok()) return back;
  return true;
}

absl::Status SkuMove::Move(const Found& found) {
  SkuMoveLedger& source = *found.source().shard.ledger;
  const std::string token = NewToken();
  ASSIGN_OR_RETURN(const auto prepared, source.PrepareLeave(found.sku_id, token));
  std::string since = prepared.since;
  absl::Status moved = found.target.shard.ledger->BeginArrival(prepared.sku_row, found.source().shard.shard, token);
  if (moved.ok()) moved = CopyWhileSelling(found, token, &since);
  if (moved.ok()) moved = Pause(found, token, since);
  if (moved.ok()) return moved;
  return AfterFailure(found, moved);
}

// The first round copies everything; each later one copies what has changed since the round before it began.
absl::Status SkuMove::CopyWhileSelling(const Found& found, const std::string& token, std::string* since) {
  Tell(Stage::kCopying);
  if (const auto all = CopyParts(found, token, kCopiedEarly, ""); !all.ok()) return all.status();
  absl::Duration took;
  for (int round = 0; round < options_.max_rounds; ++round) {
    ASSIGN_OR_RETURN(auto next, found.source().shard.ledger->Snapshot());
    Tell(Stage::kCatchingUp);
    const absl::Time began_at = clock_->Now();
    ASSIGN_OR_RETURN(const auto changed, CopyParts(found, token, kCopiedEarly, *since));
    *since = std::move(next);
    took = clock_->Now() - began_at;
    if (changed <= options_.few_changes) return absl::OkStatus();
  }
  if (took <= options_.max_pause) return absl::OkStatus();
  return absl::FailedPreconditionError(
      "it changes faster than it can be copied, or a transaction at its shard has been open for long: a pause would be "
      "too "
      "long now");
}

absl::Status SkuMove::Pause(const Found& found, const std::string& token, const std::string& since) {
  SkuMoveLedger& source = *found.source().shard.ledger;
  SkuMoveLedger& target = *found.target.shard.ledger;
  const absl::Time paused_at = clock_->Now();
  Tell(Stage::kPaused);
  const absl::Status left =
      Persist([&] { return source.BeginLeave(found.sku_id, token, found.target_name, found.actor); });
  if (!left.ok()) return left;
  ASSIGN_OR_RETURN(const auto rest, CopyParts(found, token, kCopiedInThePause, since));
  ASSIGN_OR_RETURN(const auto sku, source.ExportSku(found.sku_id, token));
  RETURN_IF_ERROR(target.FinishArrival(sku, token, found.actor));
  announce_(found.target_name, found.silent.empty());
  progress_.paused_for = clock_->Now() - paused_at;
  Tell(Stage::kSelling, rest);
  return absl::OkStatus();
}

// Sell at the source rather than stay paused. FinishArrival may have decided although its answer was lost; the undo
// shows it.
absl::Status SkuMove::AfterFailure(const Found& found, const absl::Status& failure) {
  LOG(WARNING) << "moving SKU " << found.sku_id << " to " << found.target_name << " failed: " << failure;
  const auto now = Find(found.sku_id, found.target_name, found.actor);
  absl::Status undone = now.status();
  if (now.ok()) {
    if (now->decided()) return absl::OkStatus();
    const auto undo = Undo(*now);
    if (undo.ok() && !*undo) return absl::OkStatus();
    undone = undo.status();
  }
  if (undone.ok()) {
    announce_(found.source().shard.shard, found.silent.empty());
    return failure;
  }
  return absl::UnavailableError(absl::StrCat(std::string(failure.message()), "; and it could not be undone (",
                                             std::string(undone.message()),
                                             "): it may be paused until the command is run again or --abort"));
}

absl::StatusOr<int64_t> SkuMove::CopyParts(const Found& found, const std::string& token,
                                           absl::Span<const SkuPart> parts, const std::string& since) {
  const Stage stage = progress_.stage;
  int64_t rows = 0;
  for (const SkuPart part : parts) {
    PageCursor after;
    while (true) {
      ASSIGN_OR_RETURN(const auto page,
                       found.source().shard.ledger->ExportPage(found.sku_id, part, since, after, options_.page_rows));
      if (page.count > 0) {
        const absl::Status taken = found.target.shard.ledger->ImportPage(found.sku_id, token, part, page.rows);
        if (!taken.ok()) return taken;
        rows += page.count;
        Tell(stage, rows);
      }
      if (page.count < options_.page_rows) break;
      after = page.last;
    }
  }
  return rows;
}

// The SKU is at the target and sells there.
absl::Status SkuMove::Complete(const Found& found) {
  announce_(found.target_name, found.silent.empty());
  absl::Status status;
  for (const Found::At& other : found.others) {
    if (other.where.place == Place::kLeaving && other.where.other_shard == found.target_name) {
      status.Update(other.shard.ledger->FinishLeave(found.sku_id, found.target_name, other.where.token, found.actor));
    }
  }
  status.Update(shards_.front().ledger->NoteWhereabouts(found.sku_id, found.target_name));
  Tell(Stage::kClearing);
  for (const Found::At& other : found.others) status.Update(PurgeAt(*other.shard.ledger, found.sku_id));
  if (status.ok() && !found.silent.empty()) {
    status = absl::UnavailableError(absl::StrCat("shard ", found.silent.front(), " does not answer"));
  }
  if (!status.ok()) {
    return absl::UnavailableError(absl::StrCat("it has moved and sells; but not all was cleared away (",
                                               std::string(status.message()), "): run the command again"));
  }
  Tell(Stage::kDone);
  return status;
}

absl::Status SkuMove::PurgeAt(SkuMoveLedger& ledger, const std::string& sku_id) {
  int64_t rows = 0;
  while (true) {
    ASSIGN_OR_RETURN(const auto purged, ledger.Purge(sku_id, options_.purge_rows));
    if (purged == 0) return absl::OkStatus();
    rows += purged;
    if (progress_.stage == Stage::kClearing) Tell(Stage::kClearing, rows);
  }
}

void SkuMove::Tell(Stage stage, int64_t rows) {
  progress_.stage = stage;
  progress_.rows = rows;
  watch_(progress_);
}

}  // namespace tranche::storage
