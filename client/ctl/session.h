// What every command has: the global flags, the way to the cluster and the way to the user.
#pragma once

#include <grpcpp/grpcpp.h>

#include <memory>
#include <ostream>
#include <string>
#include <vector>

#include "absl/functional/function_ref.h"
#include "absl/status/statusor.h"
#include "absl/time/time.h"
#include "base/status_macros.h"
#include "client/ctl/table.h"
#include "client/internal/status_translation.h"
#include "tranche/v1/admin_service.grpc.pb.h"
#include "tranche/v1/reservation_service.grpc.pb.h"

namespace tranche::ctl {

inline constexpr int kExitOk = 0;
inline constexpr int kExitLocal = 1;   // usage, or nothing to do with the cluster
inline constexpr int kExitRemote = 2;  // the cluster refused, did not answer or is not well

class Session {
 public:
  Session(std::ostream& out, std::ostream& err) : out_(out), err_(err) {}

  // Set by the flags.
  std::string endpoints = "127.0.0.1:7400";
  std::string timeout;
  std::string output = "table";
  bool color = false;
  // Set by the command that ran.
  int exit_code = kExitOk;

  bool json() const { return output == "json"; }
  std::ostream& out() { return out_; }
  std::ostream& err() { return err_; }
  void Print(const Table& table) { table.Print(out_, color); }
  void PrintJson(const google::protobuf::Message& message);
  // Without line breaks inside.
  void PrintJsonLine(const google::protobuf::Message& message);

  // A mistake of the user's that the flags' own checks cannot see.
  void FailLocally(absl::string_view message);
  // Prints reason, message and next step.
  void FailRemotely(const absl::Status& status);

  // Calls `method` at the first endpoint that answers. Another endpoint is tried only when this one cannot have done
  // anything: not reached, or draining. `default_timeout` holds unless --timeout is given.
  template <typename Request, typename Response>
  absl::StatusOr<Response> Admin(grpc::Status (tranche::v1::AdminService::Stub::*method)(grpc::ClientContext*,
                                                                                         const Request&, Response*),
                                 const Request& request, absl::Duration default_timeout = absl::Seconds(10)) {
    Response response;
    RETURN_IF_ERROR(
        AtFirstThatAnswers(default_timeout, [&](const std::shared_ptr<grpc::Channel>& channel, grpc::ClientContext* c) {
          return (tranche::v1::AdminService::Stub(channel).*method)(c, request, &response);
        }));
    return response;
  }
  // The same for the reservation service.
  template <typename Request, typename Response>
  absl::StatusOr<Response> Reservations(
      grpc::Status (tranche::v1::ReservationService::Stub::*method)(grpc::ClientContext*, const Request&, Response*),
      const Request& request) {
    Response response;
    RETURN_IF_ERROR(AtFirstThatAnswers(
        absl::Seconds(10), [&](const std::shared_ptr<grpc::Channel>& channel, grpc::ClientContext* c) {
          return (tranche::v1::ReservationService::Stub(channel).*method)(c, request, &response);
        }));
    return response;
  }
  // Hands over each message until the stream ends; without --timeout that may take for ever.
  absl::Status Watch(const tranche::v1::WatchReservationRequest& request,
                     absl::FunctionRef<void(const tranche::v1::WatchReservationResponse&)> show);
  // For what outlives one call: a channel to each endpoint, which connects when it is used, and a context of a caller.
  absl::StatusOr<std::vector<std::shared_ptr<grpc::Channel>>> Channels();
  static std::unique_ptr<grpc::ClientContext> NewContext();
  // Hands over each message of the move. Without --timeout it may take as long as it takes.
  absl::Status Move(const tranche::v1::MoveSkuRequest& request,
                    absl::FunctionRef<void(const tranche::v1::MoveSkuResponse&)> show);

 private:
  using Attempt = absl::FunctionRef<grpc::Status(const std::shared_ptr<grpc::Channel>&, grpc::ClientContext*)>;
  void PrintJson(const google::protobuf::Message& message, bool whitespace);
  absl::Status AtFirstThatAnswers(absl::Duration default_timeout, Attempt attempt);

  std::ostream& out_;
  std::ostream& err_;
};

}  // namespace tranche::ctl
