#include "client/load/load_generator.h"

#include <cstdint>
#include <thread>
#include <utility>

#include "absl/strings/str_cat.h"
#include "absl/synchronization/notification.h"
#include "absl/time/clock.h"
#include "client/load/scenario_reader.h"

namespace tranche::load {
namespace {

using internal::v1::RunScenarioRequest;
using internal::v1::RunScenarioResponse;

constexpr int32_t kMostShares = 1024;
constexpr size_t kMostUsersBytes = 64;
// How far the beginning of a plan may be away: more is a clock that is wrong.
constexpr absl::Duration kFarthestStart = absl::Minutes(1);
constexpr absl::Duration kTellEvery = absl::Seconds(1);

grpc::Status ToGrpcStatus(const absl::Status& status) {
  return {static_cast<grpc::StatusCode>(status.code()), std::string(status.message())};
}

absl::Status CheckShare(const RunScenarioRequest& request) {
  if (request.shares() < 1 || request.shares() > kMostShares || request.share() < 0 ||
      request.share() >= request.shares()) {
    return absl::InvalidArgumentError(absl::StrCat("there is no share ", request.share(), " of ", request.shares()));
  }
  if (request.users().empty() || request.users().size() > kMostUsersBytes) {
    return absl::InvalidArgumentError(absl::StrCat("users must have 1 to ", kMostUsersBytes, " bytes"));
  }
  const absl::Duration ahead = absl::FromUnixMicros(request.start_us()) - absl::Now();
  if (ahead < -kFarthestStart || ahead > kFarthestStart) {
    return absl::InvalidArgumentError(
        absl::StrCat("the plan begins in ", absl::FormatDuration(ahead), " by this clock"));
  }
  return absl::OkStatus();
}

}  // namespace

grpc::Status LoadGenerator::GetClock(grpc::ServerContext* /*context*/, const internal::v1::GetClockRequest* /*request*/,
                                     internal::v1::GetClockResponse* response) {
  response->set_version(version_);
  response->set_now_us(absl::ToUnixMicros(absl::Now()));
  return grpc::Status::OK;
}

absl::Status LoadGenerator::Reserve(const std::string& users) {
  absl::MutexLock lock(&mutex_);
  if (!running_.users.empty()) return absl::ResourceExhaustedError("another scenario is being carried out here");
  running_.users = users;
  return absl::OkStatus();
}

void LoadGenerator::Begin(ScenarioRun& run) {
  absl::MutexLock lock(&mutex_);
  running_.run = &run;
  if (running_.stop) run.Stop();
}

void LoadGenerator::End() {
  absl::MutexLock lock(&mutex_);
  running_ = {};
}

void LoadGenerator::StopIf(const std::string* users) {
  absl::MutexLock lock(&mutex_);
  if (running_.users.empty() || (users != nullptr && running_.users != *users)) return;
  running_.stop = true;
  if (running_.run != nullptr) running_.run->Stop();
}

void LoadGenerator::Carry(ScenarioRun& run, grpc::ServerContext& context,
                          grpc::ServerWriter<RunScenarioResponse>& writer) {
  absl::Notification ended;
  std::thread thread([&] {
    run.Run();
    ended.Notify();
  });
  while (!ended.WaitForNotificationWithTimeout(kTellEvery)) {
    RunScenarioResponse response;
    *response.mutable_progress() = run.progress();
    if (context.IsCancelled() || !writer.Write(response)) run.Stop();
  }
  thread.join();
}

grpc::Status LoadGenerator::RunScenario(grpc::ServerContext* context, const RunScenarioRequest* request,
                                        grpc::ServerWriter<RunScenarioResponse>* writer) {
  const absl::StatusOr<Scenario> scenario = ReadScenario(request->scenario());
  if (!scenario.ok()) return ToGrpcStatus(scenario.status());
  if (const absl::Status share = CheckShare(*request); !share.ok()) return ToGrpcStatus(share);
  const absl::StatusOr<std::unique_ptr<Client>> client = open_client_(scenario->call_timeout);
  if (!client.ok()) return ToGrpcStatus(client.status());
  if (const absl::Status reserved = Reserve(request->users()); !reserved.ok()) return ToGrpcStatus(reserved);
  RunScenarioResponse response;
  {
    ScenarioRun run(*scenario, **client, request->users(), {.share = request->share(), .shares = request->shares()},
                    absl::FromUnixMicros(request->start_us()));
    Begin(run);
    Carry(run, *context, *writer);
    End();
    *response.mutable_result() = run.result();
  }
  writer->Write(response);
  return grpc::Status::OK;
}

grpc::Status LoadGenerator::StopScenario(grpc::ServerContext* /*context*/,
                                         const internal::v1::StopScenarioRequest* request,
                                         internal::v1::StopScenarioResponse* /*response*/) {
  StopIf(&request->users());
  return grpc::Status::OK;
}

}  // namespace tranche::load
