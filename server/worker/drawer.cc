#include "server/worker/drawer.h"

#include <algorithm>
#include <atomic>
#include <cstddef>

#include "absl/strings/escaping.h"
#include "absl/strings/str_cat.h"
#include "glog/logging.h"
#include "server/admission/draw_rank.h"
#include "server/admission/merkle_tree.h"
#include "storage/base/status_macros.h"
#include "storage/ledger/ledger_error.h"

namespace tranche::server {
namespace {

// When another worker ranks the same draw just now. Long, compared with its rests: otherwise two workers would take
// turns, each in the other's rest.
constexpr absl::Duration kOthersAtDraw = absl::Seconds(1);
// An award that had nothing to give, although there seemed to be something.
constexpr absl::Duration kNothingGiven = absl::Milliseconds(100);
// A draw that fails, for example because its SKU is locked, is left alone for longer each time, so that waiting for its
// lock holds up others little.
constexpr BackoffBounds kDrawFails = {absl::Milliseconds(200), absl::Seconds(10)};
constexpr absl::Duration kLeastDrawPause = absl::Milliseconds(50);
// A race that another worker has won, a lock of a sale, a hold that lapses soon: all are over before.
constexpr absl::Duration kTellOfDrawAfter = absl::Seconds(5);
constexpr absl::Duration kTellOfDrawEvery = absl::Minutes(10);

std::string NameText(const storage::DrawKey& key) { return absl::StrCat("draw ", key.number, " of ", key.sku_id); }

absl::string_view ReasonText(storage::Refusal refusal) {
  for (const storage::RefusalWord& word : storage::kRefusalWords) {
    if (word.refusal == refusal) return word.reason;
  }
  return "a reason that this version does not know";
}

// Probably of no draw in particular.
bool LedgerFails(const absl::Status& status) {
  return absl::IsUnavailable(status) && !storage::LedgerIsUp(status) && !storage::IsSkuMoving(status);
}

// What is done of each entry, and not only of those that win.
bool IsOfEveryEntry(storage::DrawState state) {
  return state == storage::DrawState::kClosing || state == storage::DrawState::kSeeded;
}

int32_t FreePlaces(const storage::Draw& draw) {
  if (draw.state != storage::DrawState::kDrawn) return 0;
  return std::max(draw.winners - draw.pending - draw.confirmed, 0);
}

// Payments and lapses are not the work of workers: among them, free places may wait for long.
bool WentOn(const storage::Draw& before, const storage::Draw& now) {
  const auto awards = [](const storage::Draw& draw) { return int64_t{draw.pending} + draw.confirmed + draw.lapsed; };
  return before.state != now.state || awards(before) != awards(now);
}

// `entries` begin with the chunk at `index`.
std::vector<storage::DrawChunk> ChunksOf(absl::Span<const storage::Uuid> entries, size_t index) {
  std::vector<storage::DrawChunk> chunks;
  while (!entries.empty()) {
    const absl::Span<const storage::Uuid> own =
        entries.first(std::min<size_t>(entries.size(), storage::kDrawChunkEntries));
    chunks.push_back({.index = static_cast<int64_t>(index++),
                      .first = own.front(),
                      .last = own.back(),
                      .entries = static_cast<int32_t>(own.size()),
                      .hash = ChunkHash(own)});
    entries.remove_prefix(own.size());
  }
  return chunks;
}

}  // namespace

Drawer::Drawer(storage::DrawLedger* ledger, storage::Clock* clock, RandomSource random, const DrawerOptions& options)
    : ledger_(ledger),
      clock_(clock),
      random_(random),
      options_(options),
      trouble_("carrying on draws", clock, random),
      purge_trouble_("deleting removed draws", clock, random) {
  CHECK_LE(options.chunks * storage::kDrawChunkEntries, storage::kMaxDrawPage);
}

absl::Duration Drawer::Step() {
  absl::Duration wait;
  if (turn_.empty()) {
    wait = Look();
  } else {
    Course& course = courses_.at(turn_.front());
    turn_.pop_front();
    wait = GoOn(&course);
  }
  Publish();
  return wait;
}

absl::Duration Drawer::Look() {
  const absl::StatusOr<std::vector<storage::Draw>> listed = ledger_->ListDrawWork();
  if (!listed.ok()) return trouble_.Failed(listed.status());
  trouble_.Answered();
  Note(*listed);
  const absl::Time now = clock_->Now();
  for (const auto& [name, course] : courses_) {
    if (course.next_at <= now) turn_.push_back(name);
  }
  if (purge_at_ <= now) Purge();
  return UntilNext();
}

void Drawer::Note(const std::vector<storage::Draw>& listed) {
  const absl::Time now = clock_->Now();
  std::map<Name, Course> found;
  for (const storage::Draw& draw : listed) {
    const Name name = {draw.key.sku_id, draw.key.number};
    const auto known = courses_.find(name);
    const bool is_new = known == courses_.end();
    Course course = is_new ? Course() : std::move(known->second);
    if (is_new || WentOn(course.draw, draw)) {
      course.progress_at = now;
      course.open_places = FreePlaces(draw);
    }
    if (is_new || course.draw.state != draw.state) {
      course.next_at = now;
      course.failures = 0;
      course.idle = false;
      course.list.reset();
    }
    course.draw = draw;
    found.emplace(name, std::move(course));
  }
  courses_ = std::move(found);
}

void Drawer::Purge() {
  const absl::Time begun = clock_->Now();
  const absl::StatusOr<int64_t> deleted = ledger_->PurgeDraws(options_.purged);
  absl::Duration wait = options_.purge_every;
  if (!deleted.ok()) {
    wait = std::max(wait, purge_trouble_.Failed(deleted.status()));
  } else {
    purge_trouble_.Answered();
    if (*deleted >= options_.purged) wait = std::max(options_.pause, RestAfter(begun));
  }
  purge_at_ = clock_->Now() + wait;
}

absl::Duration Drawer::GoOn(Course* course) {
  const absl::Time begun = clock_->Now();
  const bool of_every_entry = IsOfEveryEntry(course->draw.state);
  const absl::StatusOr<Piece> piece = Do(course);
  if (!piece.ok()) return Failed(course, piece.status());
  const absl::Time now = clock_->Now();
  course->failures = 0;
  course->idle = piece->idle;
  if (piece->progress || piece->idle) course->progress_at = now;
  if (!piece->more) {
    course->next_at = now + options_.poll;
  } else {
    course->next_at = piece->progress ? now : now + (of_every_entry ? kOthersAtDraw : kNothingGiven);
  }
  if (piece->waits_for != storage::Refusal::kNone) {
    Tell(course, absl::StrCat("waits: ", ReasonText(piece->waits_for), "; free places: ", course->open_places));
  }
  // The worker rests, and not only this draw: several large ones would keep the database as busy as one.
  return std::max(UntilNext(), of_every_entry ? RestAfter(begun) : absl::ZeroDuration());
}

// Never negative, also if the clock was set back.
absl::Duration Drawer::RestAfter(absl::Time begun) const {
  return std::clamp(clock_->Now() - begun, absl::ZeroDuration(), options_.longest_rest);
}

absl::StatusOr<Drawer::Piece> Drawer::Do(Course* course) {
  switch (course->draw.state) {
    case storage::DrawState::kClosing:
      return Hash(course);
    case storage::DrawState::kSeeded:
      return Rank(course->draw);
    case storage::DrawState::kDrawn:
      return Award(course);
    case storage::DrawState::kOpen:
    case storage::DrawState::kClosed:
    case storage::DrawState::kFinished:
    case storage::DrawState::kCancelled:
      break;
  }
  return Piece{.idle = true};
}

absl::StatusOr<Drawer::Piece> Drawer::Hash(Course* course) {
  const storage::DrawKey& key = course->draw.key;
  if (!course->list.has_value()) {
    ASSIGN_OR_RETURN(course->list, ReadHashed(key));
  }
  HashedList& list = *course->list;
  const int limit = options_.chunks * storage::kDrawChunkEntries;
  ASSIGN_OR_RETURN(const std::vector<storage::Uuid> page, ledger_->ListDrawEntries(key, list.last, limit));
  if (!page.empty()) {
    // The list is complete once the draw closes, so only the last chunk is short.
    if (list.entries % storage::kDrawChunkEntries != 0) {
      return absl::InternalError("entries have come after the last chunk: they are in no sealed list");
    }
    const std::vector<storage::DrawChunk> chunks = ChunksOf(page, list.chunks.size());
    RETURN_IF_ERROR(ledger_->AddDrawChunks(key, chunks));
    for (const storage::DrawChunk& chunk : chunks) list.chunks.push_back(chunk.hash);
    list.entries += static_cast<int64_t>(page.size());
    list.last = page.back();
  }
  if (static_cast<int>(page.size()) == limit) return Piece{.progress = true, .more = true};
  const std::string root = MerkleRoot(list.chunks);
  RETURN_IF_ERROR(ledger_->SealDraw(key, list.entries, root));
  LOG(INFO) << NameText(key) << " is closed: entries " << list.entries << ", Merkle root "
            << absl::BytesToHexString(root) << ". It waits for its seed";
  course->list.reset();
  return Piece{.progress = true, .idle = true};
}

absl::StatusOr<Drawer::HashedList> Drawer::ReadHashed(const storage::DrawKey& key) {
  ASSIGN_OR_RETURN(const std::vector<storage::DrawChunk> chunks, ledger_->ReadDrawChunks(key));
  HashedList list;
  for (const storage::DrawChunk& chunk : chunks) {
    // Behind a gap they are hashed again, which gives the same.
    if (chunk.index != static_cast<int64_t>(list.chunks.size())) break;
    list.chunks.push_back(chunk.hash);
    list.entries += chunk.entries;
    list.last = chunk.last;
  }
  return list;
}

absl::StatusOr<Drawer::Piece> Drawer::Rank(const storage::Draw& draw) {
  ASSIGN_OR_RETURN(const storage::RankProgress done,
                   ledger_->RankDraw(draw.key, DrawHmacBlocks(DrawRankKey(draw)), options_.ranks));
  // Another worker may have ranked the last ones.
  const bool by_this = done.ranked > 0 || draw.entries == 0;
  if (done.drawn && by_this) LOG(INFO) << NameText(draw.key) << " is drawn: entries " << draw.entries;
  return Piece{.progress = done.drawn || done.ranked > 0, .more = true};
}

absl::StatusOr<Drawer::Piece> Drawer::Award(Course* course) {
  ASSIGN_OR_RETURN(const storage::AwardProgress done, ledger_->AwardDraw(course->draw.key, options_.awards));
  counts_.awarded.Add(done.awarded);
  counts_.passed_over.Add(done.passed_over);
  course->open_places = done.finished ? 0 : done.open_places;
  if (done.finished) TellOfEnd(course->draw);
  const bool has_work = !done.finished && done.open_places > 0 && done.entries_left;
  return Piece{.progress = done.awarded > 0 || done.passed_over > 0 || done.finished,
               .more = has_work && done.waits_for == storage::Refusal::kNone,
               .idle = !has_work,
               .waits_for = has_work ? done.waits_for : storage::Refusal::kNone};
}

absl::Duration Drawer::Failed(Course* course, const absl::Status& status) {
  const absl::Time now = clock_->Now();
  // What was stored, and by whom, is not known any more.
  course->list.reset();
  course->idle = false;
  ++course->failures;
  course->next_at = now + std::max(kLeastDrawPause, Backoff(kDrawFails, course->failures, random_()));
  Tell(course, absl::StrCat("does not go on, trying again: ", status.ToString()));
  if (!LedgerFails(status)) return UntilNext();
  // The next look finds out whether it is only this draw. If so, the others come first then.
  turn_.clear();
  return kLeastDrawPause;
}

void Drawer::Tell(Course* course, const std::string& what) {
  const absl::Time now = clock_->Now();
  if (now - course->progress_at < kTellOfDrawAfter || now < course->tell_at) return;
  LOG(WARNING) << NameText(course->draw.key) << " " << what << ". Other draws go on";
  course->tell_at = now + kTellOfDrawEvery;
  ++told_;
}

void Drawer::TellOfEnd(const storage::Draw& draw) {
  const absl::StatusOr<storage::Draw> ended = ledger_->GetDraw(draw.key);
  if (!ended.ok()) {
    LOG(INFO) << NameText(draw.key) << " is finished";
    return;
  }
  LOG(INFO) << NameText(draw.key) << " is finished: winners " << ended->confirmed << " of " << ended->winners
            << ", units " << int64_t{ended->confirmed} * ended->quantity;
}

absl::Duration Drawer::UntilNext() const {
  if (!turn_.empty()) return absl::ZeroDuration();
  absl::Time next = purge_at_;
  for (const auto& [name, course] : courses_) next = std::min(next, course.next_at);
  return std::clamp(next - clock_->Now(), options_.pause, options_.poll);
}

void Drawer::Publish() {
  int64_t closing = 0, seeded = 0, drawn = 0, open_places = 0;
  absl::Time waits_since = absl::InfiniteFuture();
  for (const auto& [name, course] : courses_) {
    switch (course.draw.state) {
      case storage::DrawState::kClosing:
        ++closing;
        break;
      case storage::DrawState::kSeeded:
        ++seeded;
        break;
      default:
        ++drawn;
    }
    open_places += course.open_places;
    if (!course.idle) waits_since = std::min(waits_since, course.progress_at);
  }
  counts_.closing.store(closing, std::memory_order_relaxed);
  counts_.seeded.store(seeded, std::memory_order_relaxed);
  counts_.drawn.store(drawn, std::memory_order_relaxed);
  counts_.open_places.store(open_places, std::memory_order_relaxed);
  counts_.waits_since.Set(waits_since == absl::InfiniteFuture() ? absl::InfinitePast() : waits_since);
}

}  // namespace tranche::server
