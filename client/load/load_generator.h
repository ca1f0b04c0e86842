// Carries out shares of scenarios for a conductor (tranche-load --serve).
#pragma once

#include <functional>
#include <memory>
#include <string>
#include <utility>

#include "absl/base/thread_annotations.h"
#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/synchronization/mutex.h"
#include "absl/time/time.h"
#include "client/load/scenario.h"
#include "client/load/scenario_run.h"
#include "tranche/client.h"
#include "tranche/internal/v1/load.grpc.pb.h"

namespace tranche::load {

// One run at a time. Calls of RunScenario block a thread of the server each. Thread-safe.
class LoadGenerator final : public internal::v1::LoadGeneratorService::Service {
 public:
  // A client of the front nodes whose calls have this deadline.
  using OpenClient = std::function<absl::StatusOr<std::unique_ptr<Client>>(absl::Duration call_timeout)>;

  LoadGenerator(std::string version, OpenClient open_client)
      : version_(std::move(version)), open_client_(std::move(open_client)) {}

  grpc::Status GetClock(grpc::ServerContext* context, const internal::v1::GetClockRequest* request,
                        internal::v1::GetClockResponse* response) override;
  grpc::Status RunScenario(grpc::ServerContext* context, const internal::v1::RunScenarioRequest* request,
                           grpc::ServerWriter<internal::v1::RunScenarioResponse>* writer) override;
  grpc::Status StopScenario(grpc::ServerContext* context, const internal::v1::StopScenarioRequest* request,
                            internal::v1::StopScenarioResponse* response) override;

  // Stops the run that is under way, if there is one.
  void Stop() { StopIf(nullptr); }

 private:
  struct Running {
    std::string users;           // "": nothing runs
    ScenarioRun* run = nullptr;  // null: it is being prepared
    bool stop = false;           // asked to stop meanwhile
  };

  // RESOURCE_EXHAUSTED: another one runs. Before the run is made, because that takes threads.
  absl::Status Reserve(const std::string& users);
  void Begin(ScenarioRun& run);
  void End();
  // Only a run with these users; null: any.
  void StopIf(const std::string* users);
  // To its end, or until nobody listens any more.
  static void Carry(ScenarioRun& run, grpc::ServerContext& context,
                    grpc::ServerWriter<internal::v1::RunScenarioResponse>& writer);

  const std::string version_;
  const OpenClient open_client_;
  absl::Mutex mutex_;
  Running running_ ABSL_GUARDED_BY(mutex_);
};

}  // namespace tranche::load
