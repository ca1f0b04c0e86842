// What every command shares: the global flags, the calls to the cluster and the output to the user.
#pragma once

#include <grpcpp/grpcpp.h>

#include <memory>
#include <ostream>
#include <string>
#include <vector>

#include "absl/functional/function_ref.h"
#include "absl/status/statusor.h"
#include "absl/time/time.h"
#include "client/ctl/table.h"
#include "client/internal/status_translation.h"
#include "tranche/v1/admin_service.grpc.pb.h"
#include "tranche/v1/reservation_service.grpc.pb.h"

namespace tranche::ctl {

inline constexpr int kExitOk = 0;
inline constexpr int kExitLocal = 1;   // usage errors, or errors outside the cluster
inline constexpr int kExitRemote = 2;  // the cluster refused, did not answer or is not healthy

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

  // A mistake of the user that the flags' own checks cannot detect.
  void FailLocally(absl::string_view message);
  // Prints reason, message and next step.
  void FailRemotely(const absl::Status& status);

  // Calls `method` at the first endpoint that answers. Another endpoint is tried only if the last one cannot have done
  // anything: it was not reached, or it is draining. `default_timeout` applies unless --timeout is given.
  template <typename Request, typename Response>
  absl::StatusOr<Response> Admin(grpc::Status (tranche::v1::AdminService::Stub::*method)(grpc::ClientContext*,
                                                                                         const Request&, Response*),
                                 const Request& request, absl::Duration default_timeout = absl::Seconds(10)) {
    Response response;
    const absl::Status status =
        AtFirstThatAnswers(default_timeout, [&](const std::shared_ptr<grpc::Channel>& channel, grpc::ClientContext* c) {
          return (tranche::v1::AdminService::Stub(channel).*method)(c, request, &response);
        });
    if (!status.ok()) return status;
    return response;
  }
  // The same for the reservation service.
  template <typename Request, typename Response>
  absl::StatusOr<Response> Reservations(
      grpc::Status (tranche::v1::ReservationService::Stub::*method)(grpc::ClientContext*, const Request&, Response*),
      const Request& request) {
    Response response;
    const absl::Status status = AtFirstThatAnswers(
        absl::Seconds(10), [&](const std::shared_ptr<grpc::Channel>& channel, grpc::ClientContext* c) {
          return (tranche::v1::ReservationService::Stub(channel).*method)(c, request, &response);
        });
    if (!status.ok()) return status;
    return response;
  }
  // Calls back with each message until the stream ends; without --timeout there is no limit.
  absl::Status Watch(const tranche::v1::WatchReservationRequest& request,
                     absl::FunctionRef<void(const tranche::v1::WatchReservationResponse&)> show);
  // For objects that outlive one call: a channel to each endpoint, which connects when it is first used, and a context
  // with the caller's name.
  absl::StatusOr<std::vector<std::shared_ptr<grpc::Channel>>> Channels();
  static std::unique_ptr<grpc::ClientContext> NewContext();
  // Calls back with each message of the move. Without --timeout there is no limit.
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
