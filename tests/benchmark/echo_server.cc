#include "tests/benchmark/echo_server.h"

#include <grpcpp/grpcpp.h>
#include <stdlib.h>

#include <cstdio>
#include <filesystem>
#include <fstream>

#include "absl/strings/str_cat.h"
#include "absl/time/clock.h"
#include "tranche/v1/reservation_service.grpc.pb.h"

namespace tranche::benchmark {
namespace {

class Echo final : public tranche::v1::ReservationService::CallbackService {
  grpc::ServerUnaryReactor* CreateReservation(grpc::CallbackServerContext* context,
                                              const tranche::v1::CreateReservationRequest* request,
                                              tranche::v1::CreateReservationResponse* response) override {
    tranche::v1::Reservation* reservation = response->mutable_reservation();
    reservation->set_reservation_id(request->reservation_id());
    reservation->set_sku_id(request->sku_id());
    reservation->set_user_id(request->user_id());
    reservation->set_quantity(request->quantity());
    grpc::ServerUnaryReactor* reactor = context->DefaultReactor();
    reactor->Finish(grpc::Status::OK);
    return reactor;
  }
};

}  // namespace

int ServeEcho(const std::string& port_file) {
  Echo echo;
  grpc::ServerBuilder builder;
  int port = 0;
  builder.AddListeningPort("127.0.0.1:0", grpc::InsecureServerCredentials(), &port);
  builder.RegisterService(&echo);
  const std::unique_ptr<grpc::Server> server = builder.BuildAndStart();
  if (server == nullptr) return 1;
  // Renamed into place, so that a reader sees the whole port or none.
  {
    std::ofstream file(port_file + ".new");
    file << port << "\n";
  }
  if (std::rename((port_file + ".new").c_str(), port_file.c_str()) != 0) return 1;
  server->Wait();
  return 0;
}

absl::StatusOr<std::unique_ptr<EchoServer>> EchoServer::Start(const std::string& program) {
  std::string directory = (std::filesystem::temp_directory_path() / "tranche-echo-XXXXXX").string();
  if (mkdtemp(directory.data()) == nullptr) return absl::InternalError("cannot make a temporary folder");
  std::unique_ptr<EchoServer> server(new EchoServer);
  server->directory_ = directory;
  const std::string port_file = directory + "/port";
  testing::ChildProcessOptions options;
  options.args = {program, "--serve-echo", port_file};
  auto process = testing::ChildProcess::Start(options);
  if (!process.ok()) return process.status();
  server->process_ = *std::move(process);
  const absl::Time deadline = absl::Now() + absl::Seconds(10);
  int port = 0;
  while (!(std::ifstream(port_file) >> port)) {
    if (absl::Now() > deadline || !server->process_->Running()) {
      return absl::UnavailableError("the echo server does not start");
    }
    absl::SleepFor(absl::Milliseconds(5));
  }
  server->address_ = absl::StrCat("127.0.0.1:", port);
  return server;
}

EchoServer::~EchoServer() {
  process_.reset();
  std::error_code ignored;
  std::filesystem::remove_all(directory_, ignored);
}

}  // namespace tranche::benchmark
