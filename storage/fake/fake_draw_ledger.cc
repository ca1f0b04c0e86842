// FakeDrawLedger's part for operators and entries. The rest is in fake_draw_work.cc.
#include "storage/fake/fake_draw_ledger.h"

#include <openssl/sha.h>

#include <algorithm>

#include "absl/strings/str_cat.h"
#include "glog/logging.h"
#include "storage/base/status_macros.h"
#include "storage/ledger/ledger_error.h"

namespace tranche::storage {

std::string FakeDrawLedger::Digest(absl::string_view text) {
  std::string digest(SHA256_DIGEST_LENGTH, '\0');
  SHA256(reinterpret_cast<const unsigned char*>(text.data()), text.size(),
         reinterpret_cast<unsigned char*>(digest.data()));
  return digest;
}

const char* FakeDrawLedger::NameOf(DrawState state) {
  switch (state) {
    case DrawState::kOpen:
      return "OPEN";
    case DrawState::kClosing:
      return "CLOSING";
    case DrawState::kClosed:
      return "CLOSED";
    case DrawState::kSeeded:
      return "SEEDED";
    case DrawState::kDrawn:
      return "DRAWN";
    case DrawState::kFinished:
      return "FINISHED";
    case DrawState::kCancelled:
      return "CANCELLED";
  }
  LOG(FATAL) << "no state " << static_cast<int>(state);
}

absl::Status FakeDrawLedger::StateError(const Draw& draw, absl::string_view detail) {
  return DrawStateError(
      {.number = draw.key.number, .state = NameOf(draw.state)},
      absl::StrCat("draw ", draw.key.number, " of ", draw.key.sku_id, " is ", NameOf(draw.state), ": ", detail));
}

bool FakeDrawLedger::IsOver(const Draw& draw) {
  return draw.state == DrawState::kFinished || draw.state == DrawState::kCancelled;
}

absl::Time FakeDrawLedger::DatabaseNow() const { return absl::FromUnixMicros(absl::ToUnixMicros(clock_->Now())); }

absl::Status FakeDrawLedger::Enter() {
  if (fail_next_ == 0) return absl::OkStatus();
  --fail_next_;
  return NotReachedError("the fake draws' ledger was told to fail");
}

void FakeDrawLedger::FailNext(int calls) {
  absl::MutexLock lock(&mutex_);
  fail_next_ = calls;
}

// In no order, as by chance; of version 4.
Uuid FakeDrawLedger::RandomId() {
  const std::string digest = Digest(absl::StrCat("id-", ++chances_));
  Uuid id;
  std::copy_n(digest.begin(), id.bytes.size(), id.bytes.begin());
  id.bytes[6] = static_cast<uint8_t>(0x40 | (id.bytes[6] & 0x0f));
  id.bytes[8] = static_cast<uint8_t>(0x80 | (id.bytes[8] & 0x3f));
  return id;
}

absl::StatusOr<FakeDrawLedger::Stored*> FakeDrawLedger::Find(const DrawKey& key) {
  RETURN_IF_ERROR(ledger_->GetSku(key.sku_id).status());
  const auto of_sku = draws_.find(key.sku_id);
  if (of_sku == draws_.end() || of_sku->second.empty()) return NoDrawError();
  if (key.number == 0) return &of_sku->second.rbegin()->second;
  const auto found = of_sku->second.find(key.number);
  if (found == of_sku->second.end()) return NoDrawError();
  return &found->second;
}

Draw FakeDrawLedger::Told(const Stored& stored) {
  Draw draw = stored.draw;
  for (const DrawAward& award : stored.awards) {
    if (award.outcome == AwardOutcome::kPending) {
      ++draw.pending;
    } else if (award.outcome == AwardOutcome::kConfirmed) {
      ++draw.confirmed;
    } else {
      ++draw.lapsed;
    }
  }
  return draw;
}

void FakeDrawLedger::Audit(const Actor& actor, const char* action, const std::string& before, const Draw& after) {
  ledger_->AddAuditEntry(
      {.at = DatabaseNow(),
       .actor = actor.name,
       .action = action,
       .sku_id = after.key.sku_id,
       .before = before,
       .after = absl::StrCat("{\"draw\": ", after.key.number, ", \"state\": \"", NameOf(after.state), "\"}"),
       .reason = actor.reason,
       .automatic = actor.automatic,
       .nodes = {}});
}

absl::Status FakeDrawLedger::CheckNew(const NewDraw& asked) {
  if (asked.winners < 1 || asked.winners > kMaxDrawWinners)
    return absl::InvalidArgumentError("too many winners or none");
  if (asked.quantity < 1 || asked.quantity > 1'000) return absl::InvalidArgumentError("a winner gets 1 to 1,000 units");
  if (asked.public_source.size() > 200) return absl::InvalidArgumentError("too long a source");
  if (asked.seed_commitment.empty() == asked.public_source.empty()) {
    return absl::InvalidArgumentError("a draw has either a commitment or a public source");
  }
  const bool commits = !asked.seed_commitment.empty();
  if (commits && asked.seed_commitment.size() != SHA256_DIGEST_LENGTH) {
    return absl::InvalidArgumentError("a commitment has 32 bytes");
  }
  return absl::OkStatus();
}

bool FakeDrawLedger::IsAsAsked(const Draw& draw, const NewDraw& asked) {
  return draw.winners == asked.winners && draw.quantity == asked.quantity &&
         draw.seed_commitment == asked.seed_commitment && draw.public_source == asked.public_source;
}

absl::StatusOr<Draw> FakeDrawLedger::CreateDraw(const NewDraw& asked, bool preview, const Actor& actor) {
  absl::MutexLock lock(&mutex_);
  RETURN_IF_ERROR(Enter());
  RETURN_IF_ERROR(CheckNew(asked));
  ASSIGN_OR_RETURN(const Sku sku, ledger_->GetSku(asked.sku_id));
  DrawsOfSku& of_sku = draws_[asked.sku_id];
  const int64_t next = last_numbers_[asked.sku_id] + 1;
  if (asked.expected_number.value_or(next) != next) {
    const auto there = of_sku.find(*asked.expected_number);
    if (there != of_sku.end() && IsAsAsked(there->second.draw, asked)) return Told(there->second);
    const std::string detail = absl::StrCat("the next draw would be number ", next);
    return of_sku.empty() ? DrawStateError({}, detail) : StateError(of_sku.rbegin()->second.draw, detail);
  }
  if (!of_sku.empty() && !IsOver(of_sku.rbegin()->second.draw)) {
    return StateError(of_sku.rbegin()->second.draw, "a SKU has one draw at a time");
  }
  if (asked.quantity > sku.per_user_limit) return absl::InvalidArgumentError("more than a buyer may have");
  Stored stored;
  stored.draw = Draw{.key = {asked.sku_id, next},
                     .winners = asked.winners,
                     .quantity = asked.quantity,
                     .seed_commitment = asked.seed_commitment,
                     .public_source = asked.public_source,
                     .created_at = DatabaseNow()};
  if (preview) return stored.draw;
  last_numbers_[asked.sku_id] = next;
  Audit(actor, "create_draw", "{}", stored.draw);
  ledger_->NoteDraw(asked.sku_id, true);
  return of_sku.emplace(next, std::move(stored)).first->second.draw;
}

absl::StatusOr<bool> FakeDrawLedger::TakeSeed(Draw& draw, const std::string& seed, absl::Time now) {
  if (seed.size() < kLeastSeedBytes || seed.size() > kMostSeedBytes) {
    return absl::InvalidArgumentError("a seed has 16 to 64 bytes");
  }
  const bool told =
      draw.state == DrawState::kSeeded || draw.state == DrawState::kDrawn || draw.state == DrawState::kFinished;
  if (!told && draw.state != DrawState::kClosed) return StateError(draw, "a seed is told when the list is sealed");
  if (!draw.seed_commitment.empty() && Digest(seed) != draw.seed_commitment) return SeedMismatchError();
  if (told && draw.seed != seed) return StateError(draw, "it has another seed");
  if (told) return false;
  draw.state = DrawState::kSeeded;
  draw.seed = seed;
  draw.seeded_at = now;
  return true;
}

absl::StatusOr<bool> FakeDrawLedger::TakeStep(Draw& draw, DrawStep step, const std::string& seed, absl::Time now) {
  switch (step) {
    case DrawStep::kClose:
      if (draw.state == DrawState::kCancelled) return StateError(draw, "it cannot be closed");
      if (draw.state != DrawState::kOpen) return false;
      draw.state = DrawState::kClosing;
      draw.closed_at = now;
      return true;
    case DrawStep::kSeed:
      return TakeSeed(draw, seed, now);
    case DrawStep::kFinish:
      if (draw.state == DrawState::kFinished) return false;
      if (draw.state != DrawState::kDrawn) return StateError(draw, "it cannot be finished");
      draw.state = DrawState::kFinished;
      draw.finished_at = now;
      return true;
    case DrawStep::kCancel:
      if (draw.state == DrawState::kCancelled) return false;
      if (draw.state == DrawState::kDrawn || IsOver(draw)) return StateError(draw, "it cannot be cancelled");
      draw.state = DrawState::kCancelled;
      draw.finished_at = now;
      return true;
    case DrawStep::kRemove:
      if (!IsOver(draw)) return StateError(draw, "it is not over");
      return true;
  }
  LOG(FATAL) << "no step " << static_cast<int>(step);
}

absl::StatusOr<Draw> FakeDrawLedger::ChangeDraw(const DrawKey& key, DrawStep step, const std::string& seed,
                                                bool preview, const Actor& actor) {
  static constexpr const char* kActions[] = {"close_draw", "seed_draw", "finish_draw", "cancel_draw", "remove_draw"};
  absl::MutexLock lock(&mutex_);
  RETURN_IF_ERROR(Enter());
  const auto removed = removed_.find({key.sku_id, key.number});
  if (step == DrawStep::kRemove && removed != removed_.end()) return removed->second;
  ASSIGN_OR_RETURN(Stored* const stored, Find(key));
  if (key.number == 0) return NoDrawError();
  Draw after = stored->draw;
  ASSIGN_OR_RETURN(const bool changes, TakeStep(after, step, seed, DatabaseNow()));
  Draw told = Told(*stored);
  told.state = after.state;
  told.seed = after.seed;
  told.closed_at = after.closed_at;
  told.seeded_at = after.seeded_at;
  told.finished_at = after.finished_at;
  if (preview || !changes) return told;
  Audit(actor, kActions[static_cast<size_t>(step)],
        absl::StrCat("{\"draw\": ", key.number, ", \"state\": \"", NameOf(stored->draw.state), "\"}"), after);
  stored->draw = std::move(after);
  if (step == DrawStep::kFinish || step == DrawStep::kCancel) ledger_->NoteDraw(key.sku_id, false);
  if (step == DrawStep::kRemove) {
    removed_rows_ += stored->rows();
    removed_[{key.sku_id, key.number}] = told;
    draws_.at(key.sku_id).erase(key.number);
  }
  return told;
}

absl::StatusOr<std::vector<Draw>> FakeDrawLedger::ListDraws(const std::string& sku_id) {
  absl::MutexLock lock(&mutex_);
  RETURN_IF_ERROR(Enter());
  if (!sku_id.empty()) RETURN_IF_ERROR(ledger_->GetSku(sku_id).status());
  std::vector<Draw> draws;
  for (const auto& [id, of_sku] : draws_) {
    if (!sku_id.empty() && id != sku_id) continue;
    for (const auto& [_, stored] : of_sku) {
      draws.push_back(Told(stored));
      draws.back().entries = static_cast<int64_t>(stored.entries.size());
    }
  }
  std::sort(draws.begin(), draws.end(), [](const Draw& a, const Draw& b) {
    if (a.created_at != b.created_at) return a.created_at > b.created_at;
    return a.key.number > b.key.number;
  });
  if (draws.size() > static_cast<size_t>(kMaxDrawsTold)) draws.erase(draws.begin() + kMaxDrawsTold, draws.end());
  return draws;
}

DrawEntryResult FakeDrawLedger::EnterOne(const DrawEntryClaim& claim) {
  DrawsOfSku& of_sku = draws_[claim.sku_id];
  if (of_sku.empty()) return {.refusal = Refusal::kDrawNotOpen};
  Stored& newest = of_sku.rbegin()->second;
  DrawEntryResult result{.draw_number = newest.draw.key.number};
  const auto entered = newest.by_buyer.find(claim.user_id);
  if (entered != newest.by_buyer.end()) {
    result.entry_id = entered->second;
    result.replayed = true;
    return result;
  }
  if (newest.draw.state != DrawState::kOpen) return {.refusal = Refusal::kDrawNotOpen, .state = newest.draw.state};
  if (newest.entries.size() >= static_cast<size_t>(kMaxDrawEntries)) return {.refusal = Refusal::kDrawFull};
  result.entry_id = RandomId();
  newest.entries[result.entry_id] = claim.user_id;
  newest.by_buyer[claim.user_id] = result.entry_id;
  return result;
}

// Nothing is ever locked here.
absl::StatusOr<std::vector<DrawEntryResult>> FakeDrawLedger::EnterDraws(LockMode,
                                                                        absl::Span<const DrawEntryClaim> claims) {
  CHECK_LE(claims.size(), static_cast<size_t>(kMaxBatch));
  absl::MutexLock lock(&mutex_);
  RETURN_IF_ERROR(Enter());
  std::vector<bool> known;
  std::set<std::pair<std::string, std::string>> distinct;
  for (const DrawEntryClaim& claim : claims) {
    const bool malformed = claim.user_id.empty() || claim.user_id.size() > 128;
    if (malformed) return absl::InvalidArgumentError("malformed user id");
    if (!distinct.emplace(claim.sku_id, claim.user_id).second) {
      return absl::InvalidArgumentError("a buyer of a SKU is in a batch once");
    }
    const absl::Status found = ledger_->GetSku(claim.sku_id).status();
    if (!found.ok() && !absl::IsNotFound(found)) return found;
    known.push_back(found.ok());
  }
  std::vector<DrawEntryResult> results;
  for (size_t i = 0; i < claims.size(); ++i) {
    results.push_back(known[i] ? EnterOne(claims[i]) : DrawEntryResult{.refusal = Refusal::kSkuNotFound});
  }
  return results;
}

}  // namespace tranche::storage
