#include "server/handlers/group_read_handler.h"

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <optional>
#include <utility>

#include "absl/status/status.h"
#include "absl/strings/match.h"
#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/strip.h"
#include "glog/logging.h"
#include "server/errors.h"
#include "server/handlers/field_checks.h"
#include "server/handlers/group_messages.h"
#include "server/handlers/reservation_messages.h"
#include "storage/base/status_macros.h"

namespace tranche::server {
namespace {

struct GroupQuery {
  storage::GroupFilter filter;
  storage::GroupCursor after;
  int limit = 0;
};

absl::Status NoTokenOfThisList() {
  return InvalidField("page_token",
                      "must be the next_page_token of the page before, with the same sku_id, offer_id and states");
}

// What the token of a list begins with: neither SKUs nor offers have a slash in their ids.
std::string ListName(const storage::GroupFilter& filter) {
  std::string name = absl::StrCat(filter.sku_id, "/", filter.offer_id, "/");
  for (const storage::GroupState state : filter.states) absl::StrAppend(&name, static_cast<int>(state));
  return absl::StrCat(name, "/");
}

absl::StatusOr<storage::GroupFilter> CheckGroupFilter(const v1::ListGroupsRequest& request) {
  RETURN_IF_ERROR(CheckSkuId(request.sku_id()));
  if (!request.offer_id().empty()) RETURN_IF_ERROR(CheckOfferId(request.offer_id()));
  storage::GroupFilter filter{.sku_id = request.sku_id(), .offer_id = request.offer_id()};
  for (const int number : request.states()) {
    const std::optional<storage::GroupState> state = StateOf(static_cast<v1::GroupState>(number));
    if (!state.has_value()) return InvalidField("states", "must be states of a group");
    filter.states.push_back(*state);
  }
  if (filter.states.empty()) filter.states.push_back(storage::GroupState::kForming);
  std::sort(filter.states.begin(), filter.states.end());
  filter.states.erase(std::unique(filter.states.begin(), filter.states.end()), filter.states.end());
  return filter;
}

absl::StatusOr<GroupQuery> CheckGroupQuery(const v1::ListGroupsRequest& request) {
  ASSIGN_OR_RETURN(storage::GroupFilter filter, CheckGroupFilter(request));
  ASSIGN_OR_RETURN(const int limit, CheckPageSize(request.page_size()));
  ASSIGN_OR_RETURN(const storage::GroupCursor after, DecodeGroupCursor(filter, request.page_token()));
  return GroupQuery{std::move(filter), after, limit};
}

absl::Status CheckGroupRequest(const v1::GetGroupRequest& request) {
  RETURN_IF_ERROR(CheckGroupId(request.group_id()).status());
  if (!request.user_id().empty()) RETURN_IF_ERROR(CheckUserId(request.user_id()));
  return request.sku_id().empty() ? absl::OkStatus() : CheckSkuId(request.sku_id());
}

// Of each kind of read, at a time: they are where lists are, which need a thread, too.
constexpr size_t kMostGroupReads = 1;
// Short, so that who looks after a change sees it; a group that thousands look at costs four reads a second all the
// same, and hundreds of groups that are looked at do not fill the one read.
constexpr absl::Duration kGroupsFreshFor = absl::Milliseconds(250);

// A group has some 300 bytes; so a page has up to 300 KiB, and a SKU's offers up to 30 KiB.
ReadCacheOptions GroupCacheOptions(size_t max_entries, size_t max_waiting = ReadCacheOptions{}.max_waiting) {
  ReadCacheOptions options;
  options.max_waiting = max_waiting;
  options.fresh_for = kGroupsFreshFor;
  options.max_entries = max_entries;
  options.max_reads = kMostGroupReads;
  return options;
}

// The key of the cache is the id as text, and the SKU, if it is named.
constexpr size_t kIdBytes = 36;

std::string KeyOfGroup(const storage::Uuid& id, const std::string& sku_id) {
  return absl::StrCat(id.ToString(), sku_id);
}

// Without members: they are nobody's to see here.
ReadCache<storage::Group>::Read GroupReader(decltype(GroupReadHandler::Reads::group) read) {
  return [read = std::move(read)](const std::string& key, ReadCache<storage::Group>::ReadDone done) {
    const std::optional<storage::Uuid> group_id = storage::Uuid::Parse(absl::string_view(key).substr(0, kIdBytes));
    CHECK(group_id.has_value()) << key;
    read(*group_id, {.sku_id = key.substr(kIdBytes)}, absl::InfiniteFuture(),
         [done = std::move(done)](absl::StatusOr<storage::GroupWithMembers> found) mutable {
           if (!found.ok()) return done(found.status());
           done(std::move(found->group));
         });
  };
}

// The key of the cache is a request for what was checked: two that mean the same page share one read.
std::string KeyOfPage(const GroupQuery& query) {
  v1::ListGroupsRequest request;
  request.set_sku_id(query.filter.sku_id);
  request.set_offer_id(query.filter.offer_id);
  for (const storage::GroupState state : query.filter.states) request.add_states(ToState(state));
  request.set_page_size(query.limit);
  if (query.after.deadline_at != absl::InfinitePast()) {
    request.set_page_token(EncodeGroupCursor(query.filter, query.after));
  }
  return request.SerializeAsString();
}

ReadCache<storage::GroupPage>::Read GroupPageReader(decltype(GroupReadHandler::Reads::page) read) {
  return [read = std::move(read)](const std::string& key, ReadCache<storage::GroupPage>::ReadDone done) {
    v1::ListGroupsRequest request;
    CHECK(request.ParseFromString(key));
    const absl::StatusOr<GroupQuery> query = CheckGroupQuery(request);
    CHECK(query.ok()) << query.status();
    read(query->filter, query->after, query->limit, std::move(done));
  };
}

storage::GroupLookup LookupOf(const v1::GetGroupRequest& request) {
  using Members = storage::GroupLookup::Members;
  storage::GroupLookup lookup{.sku_id = request.sku_id(), .user_id = request.user_id()};
  if (!request.user_id().empty()) lookup.members = Members::kOne;
  if (request.with_members()) lookup.members = Members::kAll;
  return lookup;
}

}  // namespace

std::string EncodeGroupCursor(const storage::GroupFilter& filter, const storage::GroupCursor& cursor) {
  return EncodePageToken(
      absl::StrCat(ListName(filter), absl::ToUnixMicros(cursor.deadline_at), "/", cursor.group_id.ToString()));
}

absl::StatusOr<storage::GroupCursor> DecodeGroupCursor(const storage::GroupFilter& filter, const std::string& token) {
  ASSIGN_OR_RETURN(const std::string key, DecodePageToken(token));
  if (key.empty()) return storage::GroupCursor{};
  absl::string_view rest = key;
  if (!absl::ConsumePrefix(&rest, ListName(filter))) return NoTokenOfThisList();
  const size_t slash = rest.find('/');
  int64_t micros = 0;
  if (slash == absl::string_view::npos || !absl::SimpleAtoi(rest.substr(0, slash), &micros)) return NoTokenOfThisList();
  const std::optional<storage::Uuid> id = storage::Uuid::Parse(rest.substr(slash + 1));
  if (!id.has_value()) return NoTokenOfThisList();
  return storage::GroupCursor{absl::FromUnixMicros(micros), *id};
}

GroupReadHandler::GroupReadHandler(Reads reads, storage::Clock* clock)
    : clock_(clock),
      groups_(GroupReader(reads.group), clock, GroupCacheOptions(10'000)),
      pages_(GroupPageReader(std::move(reads.page)), clock, GroupCacheOptions(100, kMostWaitForPages)),
      offers_(std::move(reads.offers), clock, GroupCacheOptions(1'000)),
      members_(
          [read = std::move(reads.group)](const MemberKey& key, absl::Time deadline, MemberReads::Done done) {
            read(key.group_id, key.lookup, deadline, std::move(done));
          },
          clock, kMostWaitForMembers, kMostGroupReads) {}

void GroupReadHandler::Get(const v1::GetGroupRequest& request, absl::Time deadline, Done<v1::GetGroupResponse> done) {
  if (absl::Status valid = CheckGroupRequest(request); !valid.ok()) return done(std::move(valid));
  const storage::Uuid id = *storage::Uuid::Parse(request.group_id());
  const storage::GroupLookup lookup = LookupOf(request);
  if (lookup.members != storage::GroupLookup::Members::kNone) {
    return GetWithMembers(id, lookup, deadline, std::move(done));
  }
  groups_.Get(KeyOfGroup(id, lookup.sku_id), deadline,
              [this, id, sku_id = lookup.sku_id, done = std::move(done)](const GroupCache::Found& found) mutable {
                if (!found.ok()) return done(LedgerError(found.status(), sku_id, Repeatable::kYes));
                if (found->value == nullptr) return done(GroupNotFound(id));
                v1::GetGroupResponse response;
                Fill(*found->value, clock_->Now(), response.mutable_group());
                done(std::move(response));
              });
}

void GroupReadHandler::GetWithMembers(const storage::Uuid& id, const storage::GroupLookup& lookup, absl::Time deadline,
                                      Done<v1::GetGroupResponse> done) {
  members_.Get({id, lookup}, deadline,
               [this, id, sku_id = lookup.sku_id,
                done = std::move(done)](const absl::StatusOr<storage::GroupWithMembers>& found) mutable {
                 if (absl::IsNotFound(found.status())) return done(GroupNotFound(id));
                 if (!found.ok()) return done(LedgerError(found.status(), sku_id, Repeatable::kYes));
                 v1::GetGroupResponse response;
                 Fill(found->group, clock_->Now(), response.mutable_group());
                 for (const storage::GroupMember& member : found->members) Fill(member, response.add_members());
                 done(std::move(response));
               });
}

void GroupReadHandler::List(const v1::ListGroupsRequest& request, absl::Time deadline,
                            Done<v1::ListGroupsResponse> done) {
  absl::StatusOr<GroupQuery> query = CheckGroupQuery(request);
  if (!query.ok()) return done(query.status());
  const std::string key = KeyOfPage(*query);
  pages_.Get(key, deadline,
             [this, filter = std::move(query->filter), done = std::move(done)](const PageCache::Found& found) mutable {
               if (!found.ok()) return done(LedgerError(found.status(), filter.sku_id, Repeatable::kYes));
               v1::ListGroupsResponse response;
               if (found->value == nullptr) return done(std::move(response));  // there is no such SKU
               for (const storage::Group& group : found->value->groups) {
                 Fill(group, clock_->Now(), response.add_groups());
               }
               const std::optional<storage::GroupCursor>& next = found->value->next;
               if (next.has_value()) response.set_next_page_token(EncodeGroupCursor(filter, *next));
               done(std::move(response));
             });
}

void GroupReadHandler::ListOffers(const v1::ListGroupOffersRequest& request, absl::Time deadline,
                                  Done<v1::ListGroupOffersResponse> done) {
  if (absl::Status valid = CheckSkuId(request.sku_id()); !valid.ok()) return done(std::move(valid));
  offers_.Get(request.sku_id(), deadline,
              [sku_id = request.sku_id(), done = std::move(done)](const OfferCache::Found& found) mutable {
                if (!found.ok()) return done(LedgerError(found.status(), sku_id, Repeatable::kYes));
                v1::ListGroupOffersResponse response;
                if (found->value == nullptr) return done(std::move(response));  // there is no such SKU
                for (const storage::GroupOffer& offer : *found->value) Fill(offer, response.add_offers());
                done(std::move(response));
              });
}

}  // namespace tranche::server
