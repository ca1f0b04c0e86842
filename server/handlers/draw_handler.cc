#include "server/handlers/draw_handler.h"

#include <cstdint>
#include <utility>
#include <vector>

#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_split.h"
#include "glog/logging.h"
#include "server/errors.h"
#include "server/handlers/draw_errors.h"
#include "server/handlers/draw_messages.h"
#include "server/handlers/field_checks.h"
#include "server/handlers/reservation_messages.h"
#include "storage/base/status_macros.h"
#include "storage/ledger/ledger_error.h"

namespace tranche::server {
namespace {

ReadCacheOptions DrawCacheOptions() {
  ReadCacheOptions options;
  options.max_entries = 1'000;
  options.max_waiting = DrawHandler::kMostWaitForDraws;
  options.max_reads = 1;
  return options;
}

// The key of the cache: "NUMBER/SKU".
std::string DrawName(const storage::DrawKey& key) { return absl::StrCat(key.number, "/", key.sku_id); }
storage::DrawKey DrawKeyOf(const std::string& number, const std::string& sku_id) {
  storage::DrawKey key{.sku_id = sku_id};
  CHECK(absl::SimpleAtoi(number, &key.number)) << number;
  return key;
}

// That there is no such draw is remembered like any other answer: as an error it would be hidden behind the last draw.
DrawHandler::DrawCache::Read DrawReader(DrawHandler::ReadDraw read) {
  return [read = std::move(read)](const std::string& name, DrawHandler::DrawCache::ReadDone done) {
    const std::vector<std::string> parts = absl::StrSplit(name, absl::MaxSplits('/', 1));
    read(DrawKeyOf(parts[0], parts[1]), [done = std::move(done)](absl::StatusOr<storage::Draw> draw) mutable {
      if (storage::IsNoDraw(draw.status())) return done(absl::NotFoundError("no such draw"));
      done(std::move(draw));
    });
  };
}

DrawHandler::EntryReads::Read EntryReader(DrawHandler::ReadEntry read) {
  return [read = std::move(read)](const DrawHandler::EntryOf& entry, absl::Time deadline,
                                  DrawHandler::EntryReads::Done done) {
    read(entry.draw, entry.user_id, deadline, std::move(done));
  };
}

absl::Status CheckDrawNumber(int64_t number) {
  if (number >= 0) return absl::OkStatus();
  return InvalidField("draw_number", "must be the number of a draw, or 0 for the newest");
}

absl::Status CheckEntryRequest(const v1::GetDrawEntryRequest& request) {
  RETURN_IF_ERROR(CheckSkuId(request.sku_id()));
  RETURN_IF_ERROR(CheckDrawNumber(request.draw_number()));
  return CheckUserId(request.user_id());
}

v1::GetDrawEntryResponse::Outcome OutcomeOfEntry(const storage::DrawEntry& entry) {
  if (entry.award.has_value()) return ToOutcome(entry.award->outcome);
  const storage::DrawState state = entry.draw.state;
  const bool over = state == storage::DrawState::kFinished || state == storage::DrawState::kCancelled;
  return over ? v1::GetDrawEntryResponse::OUTCOME_NOT_DRAWN : v1::GetDrawEntryResponse::OUTCOME_WAITING;
}

v1::GetDrawEntryResponse ProvenEntryToMessage(const ProvenEntry& found) {
  v1::GetDrawEntryResponse message;
  message.set_entry_id(found.entry.entry_id.ToString());
  message.set_outcome(OutcomeOfEntry(found.entry));
  if (found.entry.award.has_value() && found.entry.award->reservation_id.has_value()) {
    message.set_reservation_id(found.entry.award->reservation_id->ToString());
  }
  message.set_rank(found.rank);
  message.set_leaf_index(found.leaf_index);
  for (const std::string& hash : found.audit_path) message.add_audit_path(hash);
  *message.mutable_draw() = DrawToMessage(found.entry.draw);
  return message;
}

}  // namespace

DrawHandler::DrawHandler(ReadDraw read_draw, ReadEntry read_entry, storage::Clock* clock)
    : draws_(DrawReader(std::move(read_draw)), clock, DrawCacheOptions()),
      entries_(EntryReader(std::move(read_entry)), clock, kMostWaitForEntries, kMostReadsOfEntries) {}

void DrawHandler::GetDraw(const v1::GetDrawRequest& request, absl::Time deadline, DrawDone done) {
  absl::Status valid = CheckSkuId(request.sku_id());
  if (valid.ok()) valid = CheckDrawNumber(request.draw_number());
  if (!valid.ok()) return done(std::move(valid));
  draws_.Get(DrawName({request.sku_id(), request.draw_number()}), deadline,
             [sku_id = request.sku_id(), done = std::move(done)](const DrawCache::Found& found) mutable {
               if (!found.ok()) return done(LedgerError(found.status(), sku_id, Repeatable::kYes));
               if (found->value == nullptr) return done(DrawNotFound(sku_id));
               v1::GetDrawResponse response;
               *response.mutable_draw() = DrawToMessage(*found->value);
               done(std::move(response));
             });
}

void DrawHandler::GetEntry(const v1::GetDrawEntryRequest& request, absl::Time deadline, EntryDone done) {
  if (absl::Status valid = CheckEntryRequest(request); !valid.ok()) return done(std::move(valid));
  const storage::DrawKey key{request.sku_id(), request.draw_number()};
  entries_.Get({key, request.user_id()}, deadline,
               [this, key, done = std::move(done)](const absl::StatusOr<ProvenEntry>& found) mutable {
                 if (found.ok()) return done(ProvenEntryToMessage(*found));
                 if (storage::IsNoDrawEntry(found.status())) return AnswerNoEntry(key, std::move(done));
                 if (absl::IsNotFound(found.status())) return done(DrawNotFound(key.sku_id));  // nor is there the SKU
                 done(DrawError(found.status(), key, "", Repeatable::kYes));
               });
}

void DrawHandler::AnswerNoEntry(const storage::DrawKey& key, EntryDone done) {
  if (key.number > 0) return done(DrawEntryNotFound(key));
  draws_.Get(DrawName(key), [key, done = std::move(done)](const DrawCache::Found& found) mutable {
    const bool known = found.ok() && found->value != nullptr;
    done(DrawEntryNotFound(known ? found->value->key : key));
  });
}

}  // namespace tranche::server
