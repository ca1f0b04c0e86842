#include "server/rpc/grpc_server.h"

#include <grpcpp/create_channel.h>
#include <grpcpp/grpcpp.h>
#include <gtest/gtest.h>

#include <chrono>
#include <memory>
#include <string>

#include "absl/strings/str_cat.h"
#include "tranche/v1/reservation_service.grpc.pb.h"

namespace tranche::server {
namespace {

// Its streams are never read.
class UnreadStreams : public v1::ReservationService::CallbackService {
 private:
  class Unread final : public grpc::ServerBidiReactor<v1::StreamReservationsRequest, v1::StreamReservationsResponse> {
   public:
    void OnCancel() override { Finish(grpc::Status::CANCELLED); }
    void OnDone() override { delete this; }
  };

  grpc::ServerBidiReactor<v1::StreamReservationsRequest, v1::StreamReservationsResponse>* StreamReservations(
      grpc::CallbackServerContext*) override {
    return new Unread;
  }
};

// What waits in the connection is in nobody's queue, and no deadline counts for it.
TEST(GrpcServerTest, AStreamThatIsNotReadTakesLittle) {
  constexpr size_t kMessageBytes = 1024;
  // What the client's side of gRPC keeps for a stream besides the server's window, and a message that was begun.
  constexpr size_t kOfClient = 64 * 1024 + 2 * kMessageBytes;
  constexpr size_t kWindow = 16 * 1024;
  UnreadStreams service;
  absl::StatusOr<GrpcServer> server = StartGrpcServer(ServerOptions(), {.address = "127.0.0.1:0"}, {&service});
  ASSERT_TRUE(server.ok()) << server.status();
  const auto stub = v1::ReservationService::NewStub(
      grpc::CreateChannel(absl::StrCat("127.0.0.1:", server->port), grpc::InsecureChannelCredentials()));
  grpc::ClientContext context;
  context.set_deadline(std::chrono::system_clock::now() + std::chrono::seconds(1));
  auto stream = stub->StreamReservations(&context);
  v1::StreamReservationsRequest request;
  request.mutable_create()->set_user_id(std::string(kMessageBytes, 'u'));
  size_t written = 0;
  while (written < 16 * (kOfClient + kWindow) && stream->Write(request)) written += request.ByteSizeLong();
  EXPECT_EQ(stream->Finish().error_code(), grpc::StatusCode::DEADLINE_EXCEEDED);
  EXPECT_LE(written, kOfClient + kWindow);
  server->server->Shutdown();
}

}  // namespace
}  // namespace tranche::server
