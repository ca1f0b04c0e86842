#include "client/internal/connection.h"

#include <utility>

#include "client/internal/create_call.h"
#include "client/internal/get_call.h"
#include "client/internal/grpc_stub.h"
#include "client/internal/timer_thread.h"
#include "tranche/uuid.h"

namespace tranche::internal {

Connection::Connection(const ClientOptions& options, std::vector<std::shared_ptr<Stub>> stubs,
                       std::shared_ptr<Scheduler> scheduler)
    : environment_(options, std::move(stubs), std::move(scheduler)) {}

Connection::~Connection() {
  environment_.closing = true;
  environment_.scheduler->Shutdown();
  environment_.AwaitCalls();
}

void Connection::Create(CreateReservation request, Callback callback) {
  CreateBefore(environment_.scheduler->Now() + environment_.options.request_timeout, std::move(request),
               std::move(callback));
}

void Connection::CreateBefore(absl::Time deadline, CreateReservation request, Callback callback) {
  if (request.reservation_id.empty()) request.reservation_id = MakeUuidV7();
  (new CreateCall(environment_, deadline, std::move(request), std::move(callback)))->Start();
}

void Connection::Get(std::string reservation_id, Callback callback) {
  const absl::Time deadline = environment_.scheduler->Now() + environment_.options.request_timeout;
  (new GetCall(environment_, deadline, std::move(reservation_id), std::move(callback)))->Start();
}

std::shared_ptr<Connection> MakeGrpcConnection(const ClientOptions& options) {
  std::vector<std::shared_ptr<Stub>> stubs;
  for (const std::string& endpoint : options.endpoints) {
    stubs.push_back(std::make_shared<GrpcStub>(endpoint, options.channels_per_endpoint));
  }
  return std::make_shared<Connection>(options, std::move(stubs), std::make_shared<TimerThread>());
}

}  // namespace tranche::internal
