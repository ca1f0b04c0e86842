// GroupService.GetGroup, ListGroups and ListGroupOffers, without gRPC: groups as everybody may see them, from a cache,
// and members, who are read each time.
#pragma once

#include <cstddef>
#include <functional>
#include <string>
#include <vector>

#include "absl/functional/any_invocable.h"
#include "absl/status/statusor.h"
#include "absl/time/time.h"
#include "server/handlers/read_cache.h"
#include "server/handlers/read_queue.h"
#include "storage/clock.h"
#include "storage/ledger/group_ledger.h"
#include "storage/uuid.h"
#include "tranche/v1/group_service.pb.h"

namespace tranche::server {

// Thread-safe. Outlived by its clock and by what the reads use.
class GroupReadHandler {
 public:
  using Offers = std::vector<storage::GroupOffer>;
  template <typename Value>
  using ReadDone = absl::AnyInvocable<void(absl::StatusOr<Value>)>;
  // The calls of GroupLedger, or stand-ins for them, which must not block. What waits for a thread until its deadline
  // need not be read.
  struct Reads {
    std::function<void(const storage::Uuid& id, const storage::GroupLookup& lookup, absl::Time deadline,
                       ReadDone<storage::GroupWithMembers> done)>
        group;
    std::function<void(const storage::GroupFilter& filter, const storage::GroupCursor& after, int limit,
                       ReadDone<storage::GroupPage> done)>
        page;
    std::function<void(const std::string& sku_id, ReadDone<Offers> done)> offers;
  };
  // Called exactly once, inline or on another thread; must not block.
  template <typename Response>
  using Done = absl::AnyInvocable<void(absl::StatusOr<Response>)>;

  // Callers of members, each of whom is a read of some milliseconds.
  static constexpr size_t kMostWaitForMembers = 100;
  // Callers of pages, each of whom is answered with up to 300 KiB.
  static constexpr size_t kMostWaitForPages = 300;

  GroupReadHandler(Reads reads, storage::Clock* clock);

  // `request` is not used after these return. Whoever comes while too many wait is told at once that the node has too
  // much to do. Nothing is read for those whose deadlines have passed when its turn comes.
  //
  // A group may be a moment old, and up to a minute while the ledger does not answer in time. With `user_id` or
  // `with_members` it is read each time, from when it was asked for: a buyer who has just joined finds themself.
  // Whether the caller may see all members is not asked here.
  void Get(const v1::GetGroupRequest& request, absl::Time deadline, Done<v1::GetGroupResponse> done);
  // As old as groups may be.
  void List(const v1::ListGroupsRequest& request, absl::Time deadline, Done<v1::ListGroupsResponse> done);
  void ListOffers(const v1::ListGroupOffersRequest& request, absl::Time deadline,
                  Done<v1::ListGroupOffersResponse> done);

 private:
  using GroupCache = ReadCache<storage::Group>;
  using PageCache = ReadCache<storage::GroupPage>;
  using OfferCache = ReadCache<Offers>;
  struct MemberKey {
    storage::Uuid group_id;
    storage::GroupLookup lookup;
  };
  using MemberReads = ReadQueue<MemberKey, storage::GroupWithMembers>;

  void GetWithMembers(const storage::Uuid& id, const storage::GroupLookup& lookup, absl::Time deadline,
                      Done<v1::GetGroupResponse> done);

  storage::Clock* const clock_;
  GroupCache groups_;
  PageCache pages_;
  OfferCache offers_;
  MemberReads members_;
};

// Where a list goes on, as in page tokens; opaque to callers. A token of another list is refused.
std::string EncodeGroupCursor(const storage::GroupFilter& filter, const storage::GroupCursor& cursor);
// "" is the start. FIELD_INVALID if we did not issue the token for this list.
absl::StatusOr<storage::GroupCursor> DecodeGroupCursor(const storage::GroupFilter& filter, const std::string& token);

}  // namespace tranche::server
