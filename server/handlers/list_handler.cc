#include "server/handlers/list_handler.h"

#include <memory>
#include <vector>

#include "absl/container/flat_hash_map.h"
#include "absl/container/flat_hash_set.h"
#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_split.h"
#include "server/errors.h"
#include "server/handlers/field_checks.h"
#include "server/handlers/reservation_messages.h"
#include "storage/base/status_macros.h"
#include "storage/ledger/shard_ledger.h"

namespace tranche::server {
namespace {

using storage::ReservationCursor;

constexpr char kLive[] = "live";
constexpr char kLapsed[] = "lapsed";
constexpr int kMostIds = 100;

absl::Status BadToken() { return InvalidField("page_token", "must be the next_page_token of the page before"); }

absl::StatusOr<storage::ReservationFilter> CheckFilter(const v1::ListReservationsRequest& request) {
  if (request.user_id().empty() && request.sku_id().empty()) {
    return InvalidField("user_id", "is missing, and so is sku_id: give at least one");
  }
  storage::ReservationFilter filter{.sku_id = request.sku_id(), .user_id = request.user_id(), .states = {}};
  if (!filter.sku_id.empty()) {
    RETURN_IF_ERROR(CheckSkuId(filter.sku_id));
  }
  if (!filter.user_id.empty()) {
    RETURN_IF_ERROR(CheckUserId(filter.user_id));
  }
  for (const int number : request.states()) {
    const auto state = FromState(static_cast<v1::ReservationState>(number));
    if (!state.has_value()) return InvalidField("states", "must be states of a reservation");
    filter.states.push_back(*state);
  }
  return filter;
}

// A token of another list would silently skip some reservations.
bool Belongs(const ReservationCursor& cursor, const storage::ReservationFilter& filter) {
  const bool sku_fits = filter.sku_id.empty() || cursor.sku_id.empty() || cursor.sku_id == filter.sku_id;
  const bool user_fits = filter.user_id.empty() || cursor.user_id.empty() || cursor.user_id == filter.user_id;
  return sku_fits && user_fits;
}

absl::StatusOr<std::vector<storage::Uuid>> CheckIds(const v1::BatchGetReservationsRequest& request) {
  if (request.reservation_ids().empty() || request.reservation_ids_size() > kMostIds) {
    return InvalidField("reservation_ids", absl::StrCat("must be 1 to ", kMostIds, " ids"));
  }
  std::vector<storage::Uuid> ids;
  absl::flat_hash_set<storage::Uuid> seen;
  for (const std::string& text : request.reservation_ids()) {
    ASSIGN_OR_RETURN(const storage::Uuid id,
                     CheckReservationId(text, absl::StrCat("reservation_ids[", ids.size(), "]")));
    if (!seen.insert(id).second) return InvalidField("reservation_ids", absl::StrCat("names ", text, " twice"));
    ids.push_back(id);
  }
  return ids;
}

}  // namespace

std::string EncodeCursor(const ReservationCursor& cursor) {
  // The user comes last: only a user id may contain the separator.
  return EncodePageToken(absl::StrCat(cursor.shard, "/", cursor.sku_id, "/", cursor.lapsed ? kLapsed : kLive, "/",
                                      cursor.ordinal, "/", cursor.reservation_id.ToString(), "/", cursor.user_id));
}

absl::StatusOr<ReservationCursor> DecodeCursor(const std::string& token) {
  ASSIGN_OR_RETURN(const std::string key, DecodePageToken(token));
  ReservationCursor cursor;
  if (key.empty()) return cursor;
  const std::vector<std::string> parts = absl::StrSplit(key, absl::MaxSplits('/', 5));
  if (parts.size() != 6) return BadToken();
  const auto id = storage::Uuid::Parse(parts[4]);
  const bool shard = parts[0].empty() || parts[0] == storage::kHomeShard || storage::IsShardName(parts[0]);
  const bool good = shard && (parts[1].empty() || IsSkuId(parts[1])) && (parts[2] == kLive || parts[2] == kLapsed) &&
                    absl::SimpleAtoi(parts[3], &cursor.ordinal) && id.has_value() &&
                    (parts[5].empty() || IsUserId(parts[5]));
  if (!good) return BadToken();
  cursor.shard = parts[0];
  cursor.sku_id = parts[1];
  cursor.lapsed = parts[2] == kLapsed;
  cursor.reservation_id = *id;
  cursor.user_id = parts[5];
  return cursor;
}

absl::StatusOr<ListHandler::Query> ListHandler::Check(const v1::ListReservationsRequest& request,
                                                      absl::Time deadline) const {
  ASSIGN_OR_RETURN(storage::ReservationFilter filter, CheckFilter(request));
  ASSIGN_OR_RETURN(const int page_size, CheckPageSize(request.page_size()));
  ASSIGN_OR_RETURN(ReservationCursor after, DecodeCursor(request.page_token()));
  if (!Belongs(after, filter)) return BadToken();
  return Query{std::move(filter), std::move(after), page_size, deadline};
}

void ListHandler::List(const v1::ListReservationsRequest& request, absl::Time deadline, Done done) {
  absl::StatusOr<Query> query = Check(request, deadline);
  if (!query.ok()) return done(query.status());
  books_->List(query->filter, query->after, query->limit, query->deadline,
               [this, sku_id = query->filter.sku_id,
                done = std::move(done)](const absl::StatusOr<storage::ReservationPage>& page) mutable {
                 if (!page.ok()) return done(LedgerError(page.status(), sku_id, Repeatable::kYes));
                 done(Answer(*page));
               });
}

v1::ListReservationsResponse ListHandler::Answer(const storage::ReservationPage& page) const {
  v1::ListReservationsResponse response;
  for (const storage::Reservation& reservation : page.reservations) {
    Fill(reservation, clock_->Now(), response.add_reservations());
  }
  if (page.next.has_value()) response.set_next_page_token(EncodeCursor(*page.next));
  return response;
}

void ListHandler::BatchGet(const v1::BatchGetReservationsRequest& request, absl::Time deadline, BatchDone done) {
  const absl::StatusOr<std::vector<storage::Uuid>> ids = CheckIds(request);
  if (!ids.ok()) return done(ids.status());
  books_->ReadAll(*ids, deadline,
                  [this, ids = *ids,
                   done = std::move(done)](const absl::StatusOr<std::vector<storage::Reservation>>& found) mutable {
                    if (!found.ok()) return done(LedgerError(found.status(), "", Repeatable::kYes));
                    done(InOrder(ids, *found));
                  });
}

v1::BatchGetReservationsResponse ListHandler::InOrder(const std::vector<storage::Uuid>& ids,
                                                      const std::vector<storage::Reservation>& found) const {
  absl::flat_hash_map<storage::Uuid, const storage::Reservation*> by_id;
  for (const storage::Reservation& reservation : found) by_id.emplace(reservation.reservation_id, &reservation);
  v1::BatchGetReservationsResponse response;
  for (const storage::Uuid& id : ids) {
    const auto one = by_id.find(id);
    if (one != by_id.end()) Fill(*one->second, clock_->Now(), response.add_reservations());
  }
  return response;
}

}  // namespace tranche::server
