// What every command shares: the global flags, the calls to the cluster and the output to the user.
#pragma once

#include <grpcpp/grpcpp.h>

#include <memory>
#include <optional>
#include <ostream>
#include <string>
#include <vector>

#include "absl/functional/function_ref.h"
#include "absl/status/statusor.h"
#include "absl/time/time.h"
#include "client/ctl/failover.h"
#include "client/ctl/hints.h"
#include "client/ctl/screen.h"
#include "client/ctl/table.h"
#include "client/flags/security_flags.h"
#include "storage/base/status_macros.h"
#include "tranche/v1/admin_service.grpc.pb.h"
#include "tranche/v1/front_door_service.grpc.pb.h"
#include "tranche/v1/group_service.grpc.pb.h"
#include "tranche/v1/reservation_service.grpc.pb.h"

namespace tranche::ctl {

inline constexpr int kExitOk = 0;
inline constexpr int kExitLocal = 1;      // wrong usage, or a file or an output that cannot be written
inline constexpr int kExitNotLetIn = 1;   // of `door test`: a check refuses
inline constexpr int kExitRemote = 2;     // the cluster refused, did not answer or is not healthy
inline constexpr int kExitUnhealthy = 3;  // of `status`: something is wrong
inline constexpr int kExitUnknown = 3;    // of `verify`, where 2 says that a rule is broken: it could not be told

inline constexpr char kCsv[] = "csv";  // of --output

// Of a call, unless it is known to take longer.
inline constexpr absl::Duration kUsualTimeout = absl::Seconds(10);

// "LEDGER_UNAVAILABLE: PostgreSQL does not answer".
std::string DescribeError(const absl::Status& error);

// Whether the request of this name reads and nothing else: GetSkuRequest.
bool IsNameOfARead(absl::string_view request_name);

// A preview changes nothing, whatever it is of.
template <typename Request>
bool ChangesNothing(const Request& request) {
  if constexpr (requires { request.preview(); }) {
    return request.preview();
  } else {
    return IsNameOfARead(Request::descriptor()->name());
  }
}

class Session {
 public:
  Session(std::ostream& out, std::ostream& err, const Screen& screen = {}) : screen_(screen), out_(out), err_(err) {}

  // Set by the flags, before the first call.
  std::string endpoints = "127.0.0.1:7401";
  SecurityFlags security;
  std::string timeout;
  std::string output = "table";
  // Why the change is made, for the audit log; "" if they do not say.
  std::string reason;
  // Set by the command that ran.
  int exit_code = kExitOk;

  // For commands with a --reason of their own, which stands behind the command and means more: it is also why, if it
  // fits and no other one was given.
  void GiveReason(const std::string& text);

  bool json() const { return output == "json"; }
  // Lines that a command takes as a file again. Only for commands that print such ones: see run.cc.
  bool csv() const { return output == kCsv; }
  // Every column, however wide the table gets. Otherwise it fits a terminal of 80 characters, or of 110 if it lists
  // reservation ids, unless names are long.
  bool wide() const { return output == "wide"; }
  // Whether a table may take the place of the one before.
  bool redraws() const { return screen_.redraw && !json(); }
  std::ostream& out() { return out_; }
  std::ostream& err() { return err_; }
  void Print(const Table& table) { table.Print(out_, screen_.color); }
  void PrintJson(const google::protobuf::Message& message);
  // Without line breaks inside.
  void PrintJsonLine(const google::protobuf::Message& message);

  // A mistake of the user that the flags' own checks cannot detect.
  void FailLocally(absl::string_view message);
  // Prints reason, message and next step of the last call. What the cluster calls an invalid argument is a mistake of
  // the user's too.
  void FailRemotely(const absl::Status& status);

  // What the cluster says about itself, or about a SKU, for a hint; nullopt if it does not say it within a moment.
  std::optional<tranche::v1::GetStatusResponse> AskForStatus();
  std::optional<tranche::v1::Sku> AskForSku(const std::string& sku_id);
  // False, after it was said, if there is no such SKU: a mistyped one has nothing that could be listed either.
  bool SkuExists(const std::string& sku_id);

  // Calls `method` at the first endpoint that answers; failover.h says when another one is asked. `default_timeout`
  // holds unless --timeout is given; a read that has more than the usual one is left its time.
  template <typename Request, typename Response>
  absl::StatusOr<Response> Admin(grpc::Status (tranche::v1::AdminService::Stub::*method)(grpc::ClientContext*,
                                                                                         const Request&, Response*),
                                 const Request& request, absl::Duration default_timeout = kUsualTimeout) {
    return Unary<tranche::v1::AdminService>(method, request, default_timeout);
  }
  // The same for the reservation service.
  template <typename Request, typename Response>
  absl::StatusOr<Response> Reservations(
      grpc::Status (tranche::v1::ReservationService::Stub::*method)(grpc::ClientContext*, const Request&, Response*),
      const Request& request) {
    return Unary<tranche::v1::ReservationService>(method, request, kUsualTimeout);
  }
  // The same for what buyers ask the front door.
  template <typename Request, typename Response>
  absl::StatusOr<Response> FrontDoor(grpc::Status (tranche::v1::FrontDoorService::Stub::*method)(grpc::ClientContext*,
                                                                                                 const Request&,
                                                                                                 Response*),
                                     const Request& request) {
    return Unary<tranche::v1::FrontDoorService>(method, request, kUsualTimeout);
  }
  // The same for groups.
  template <typename Request, typename Response>
  absl::StatusOr<Response> Groups(grpc::Status (tranche::v1::GroupService::Stub::*method)(grpc::ClientContext*,
                                                                                          const Request&, Response*),
                                  const Request& request) {
    return Unary<tranche::v1::GroupService>(method, request, kUsualTimeout);
  }
  // Calls back with each state until the stream ends, or `show` says that nobody reads on; without --timeout there is
  // no limit. Once it has seen one, it also waits for the cluster to answer again.
  absl::Status Watch(const tranche::v1::WatchReservationRequest& request,
                     absl::FunctionRef<bool(const tranche::v1::WatchReservationResponse&)> show);
  // For objects that outlive one call: a channel to each endpoint, which connects when it is first used.
  absl::StatusOr<std::vector<std::shared_ptr<grpc::Channel>>> Channels();
  // For a call on one of Channels(), which came first.
  std::unique_ptr<grpc::ClientContext> NewContext() const;
  // Calls back with each message of the move. Without --timeout there is no limit.
  absl::Status Move(const tranche::v1::MoveSkuRequest& request,
                    absl::FunctionRef<void(const tranche::v1::MoveSkuResponse&)> show);

 private:
  void PrintJson(const google::protobuf::Message& message, bool whitespace);
  std::optional<Cause> AskForCause(const absl::Status& status);
  // The same one for all calls of a command.
  absl::StatusOr<Failover*> Nodes();
  // --timeout, if it is given.
  absl::StatusOr<absl::Duration> LimitOf(absl::Duration default_timeout) const;
  absl::Status Call(CallKind kind, absl::Duration default_timeout, Failover::Attempt attempt);
  absl::Status CallFor(CallKind kind, absl::Duration limit, Failover::Attempt attempt);

  template <typename Service, typename Request, typename Response>
  absl::StatusOr<Response> Unary(grpc::Status (Service::Stub::*method)(grpc::ClientContext*, const Request&, Response*),
                                 const Request& request, absl::Duration default_timeout) {
    const CallKind kind = !ChangesNothing(request)          ? CallKind::kChange
                          : default_timeout > kUsualTimeout ? CallKind::kLongRead
                                                            : CallKind::kQuickRead;
    Response response;
    RETURN_IF_ERROR(Call(kind, default_timeout, [&](const auto& channel, grpc::ClientContext* context) {
      return (typename Service::Stub(channel).*method)(context, request, &response);
    }));
    return response;
  }

  const Screen screen_;
  std::ostream& out_;
  std::ostream& err_;
  std::unique_ptr<Failover> nodes_;
  CallKind last_call_ = CallKind::kChange;
};

}  // namespace tranche::ctl
