#include "server/services/group_service.h"

#include <string>

#include "server/rpc/open_calls.h"
#include "server/services/group_watch.h"

namespace tranche::server {
namespace {

template <typename Request, typename Response>
CallEntry JoinCall(CallPolicy policy, GroupJoinHandler* handler, const VisitorAddresses& visitors,
                   void (GroupJoinHandler::*method)(const Request&, absl::Time, std::string,
                                                    GroupJoinHandler::Done<Response>)) {
  return InlineCall<Request, Response>(
      policy,
      [handler, visitors, method](const CallContext& call, const Request& request, const Reply<Response>& reply) {
        (handler->*method)(request, call.deadline(), visitors.Of(call, request.buyer_address()), reply);
      });
}

// Who the members are is for those who may list everybody's reservations.
CallEntry GetGroupCall(CallPolicy policy, GroupReadHandler* handler) {
  using GroupReply = LargeReply<v1::GetGroupResponse>;
  return UnaryCall<v1::GetGroupRequest, v1::GetGroupResponse, GroupReply>(
      policy, /*blocks=*/false,
      [handler](const CallFrame&, const v1::GetGroupRequest& request, const GroupReply& reply) {
        const CallContext& call = reply.call();
        if (request.with_members()) {
          const absl::Status allowed = call.AuthorizeMore(Permission::kReadAll, "GetGroup with_members");
          if (!allowed.ok()) return reply.Finish(allowed);
        }
        handler->Get(request, call.deadline(), reply);
      });
}

CallEntry WatchGroupCall(CallPolicy policy, GroupWatchHub* hub) {
  return ServerStreamCall<v1::WatchGroupRequest, v1::WatchGroupResponse>(
      policy, [hub](const CallContext& call, const CallFrame& frame, const v1::WatchGroupRequest& request) {
        return GroupWatch::Start(call, frame, hub, request);
      });
}

}  // namespace

std::vector<CallEntry> GroupCalls(const GroupHandlers& to) {
  using enum Permission;
  using enum RunsOn;
  using enum Repeatable;
  using enum CallKind;
  // Groups and reservations have ids that the caller chose, so repeating a call changes nothing.
  return {
      JoinCall({"OpenGroup", kClaim, kInline, kYes, kReservation}, to.join, to.visitors, &GroupJoinHandler::Open),
      JoinCall({"JoinGroup", kClaim, kInline, kYes, kReservation}, to.join, to.visitors, &GroupJoinHandler::Join),
      InlineCall({"LeaveGroup", kGiveBack, kInline, kYes, kCancel}, to.join, &GroupJoinHandler::Leave),

      GetGroupCall({"GetGroup", kRead, kInline, kYes, kGet}, to.read),
      // Not counted: a watch has no deadline.
      WatchGroupCall({"WatchGroup", kBrowse, kInline, kYes}, to.watch),
      LargeInlineCall({"ListGroups", kBrowse, kInline, kYes, kList}, to.read, &GroupReadHandler::List),
      LargeInlineCall({"ListGroupOffers", kBrowse, kInline, kYes, kList}, to.read, &GroupReadHandler::ListOffers),
  };
}

std::unique_ptr<grpc::Service> MakeGroupService(const GroupHandlers& handlers, const CallFrame& frame) {
  const auto* service = v1::OpenGroupRequest::descriptor()->file()->FindServiceByName("GroupService");
  return std::make_unique<CallService>(*service, frame, GroupCalls(handlers));
}

}  // namespace tranche::server
