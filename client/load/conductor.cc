#include "client/load/conductor.h"

#include <grpcpp/grpcpp.h>

#include <algorithm>
#include <chrono>
#include <cstdint>
#include <thread>
#include <utility>

#include "absl/strings/str_cat.h"
#include "absl/time/clock.h"
#include "storage/base/loopback.h"
#include "storage/base/status_macros.h"

namespace tranche::load {
namespace {

using internal::v1::RunScenarioRequest;
using internal::v1::RunScenarioResponse;

// The shortest of so many round trips tells the time best.
constexpr int kClockQuestions = 8;
constexpr absl::Duration kQuestionTimeout = absl::Seconds(2);
// From the call until the plan begins: time for all generators to have it.
constexpr absl::Duration kStartIn = absl::Seconds(2);
constexpr absl::Duration kLookEvery = absl::Milliseconds(50);
// More than the result of the largest scenario.
constexpr int kMostResultBytes = 64 * 1024 * 1024;

void SetDeadline(grpc::ClientContext& context) {
  context.set_deadline(absl::ToChronoTime(absl::Now() + kQuestionTimeout));
}

std::shared_ptr<grpc::Channel> ChannelTo(const std::string& address) {
  grpc::ChannelArguments arguments;
  arguments.SetMaxReceiveMessageSize(kMostResultBytes);
  if (IsLoopbackEndpoint(address)) arguments.SetInt(GRPC_ARG_ENABLE_HTTP_PROXY, 0);
  return grpc::CreateCustomChannel(address, grpc::InsecureChannelCredentials(), arguments);
}

}  // namespace

Conductor::Conductor(const std::vector<std::string>& addresses, std::string scenario, std::string users,
                     std::string version)
    : scenario_(std::move(scenario)), users_(std::move(users)), version_(std::move(version)) {
  for (const std::string& address : addresses) {
    auto generator = std::make_unique<Generator>();
    generator->stub = internal::v1::LoadGeneratorService::NewStub(ChannelTo(address));
    generator->report.name = address;
    generators_.push_back(std::move(generator));
  }
}

Conductor::~Conductor() = default;

absl::Status Conductor::Meet() {
  for (const std::unique_ptr<Generator>& generator : generators_) RETURN_IF_ERROR(MeetOne(*generator));
  return absl::OkStatus();
}

absl::Status Conductor::MeetOne(Generator& generator) {
  const std::string& name = generator.report.name;
  generator.report.clock_error = absl::InfiniteDuration();
  for (int question = 0; question < kClockQuestions; ++question) {
    grpc::ClientContext context;
    SetDeadline(context);
    internal::v1::GetClockResponse answer;
    const absl::Time asked = absl::Now();
    const grpc::Status status = generator.stub->GetClock(&context, {}, &answer);
    const absl::Duration took = absl::Now() - asked;
    if (!status.ok()) {
      return absl::UnavailableError(absl::StrCat("generator ", name, " does not answer: ", status.error_message()));
    }
    if (answer.version() != version_) {
      return absl::FailedPreconditionError(
          absl::StrCat("generator ", name, " is of version ", answer.version(), ", this is ", version_));
    }
    if (took / 2 >= generator.report.clock_error) continue;
    generator.report.clock_error = took / 2;
    generator.report.clock_ahead = absl::FromUnixMicros(answer.now_us()) - (asked + took / 2);
  }
  return absl::OkStatus();
}

void Conductor::Run() {
  began_ = absl::Now() + kStartIn;
  {
    absl::MutexLock lock(&mutex_);
    for (const std::unique_ptr<Generator>& generator : generators_) generator->heard = began_;
  }
  std::vector<std::thread> listeners;
  for (size_t share = 0; share < generators_.size(); ++share) {
    listeners.emplace_back([this, share] { Listen(share); });
  }
  Await();
  for (std::thread& listener : listeners) listener.join();
}

void Conductor::Listen(size_t share) {
  Generator& generator = *generators_[share];
  RunScenarioRequest request;
  request.set_scenario(scenario_);
  request.set_share(static_cast<int32_t>(share));
  request.set_shares(static_cast<int32_t>(generators_.size()));
  request.set_start_us(absl::ToUnixMicros(began_ + generator.report.clock_ahead));
  request.set_users(users_);
  const auto reader = generator.stub->RunScenario(&generator.context, request);
  RunScenarioResponse response;
  while (reader->Read(&response)) Hear(generator, response);
  const grpc::Status status = reader->Finish();
  absl::MutexLock lock(&mutex_);
  generator.ended = true;
  if (!generator.failure.empty() || generator.result.has_value()) return;
  generator.failure = absl::StrCat("it ended without a result", status.ok() ? "" : ": ", status.error_message());
}

void Conductor::Hear(Generator& generator, const RunScenarioResponse& response) {
  absl::MutexLock lock(&mutex_);
  generator.heard = absl::Now();
  if (response.has_progress()) generator.progress = response.progress();
  if (!response.has_result() || !generator.failure.empty()) return;
  if (const absl::Status checked = CheckResult(response.result()); !checked.ok()) {
    generator.failure = std::string(checked.message());
    return;
  }
  generator.result = response.result();
}

void Conductor::TellAllToStop() {
  for (const std::unique_ptr<Generator>& generator : generators_) {
    grpc::ClientContext context;
    SetDeadline(context);
    internal::v1::StopScenarioRequest request;
    request.set_users(users_);
    internal::v1::StopScenarioResponse response;
    // Who does not hear it falls silent, or ends by itself.
    (void)generator->stub->StopScenario(&context, request, &response);
  }
}

void Conductor::Await() {
  const auto all_ended = [this]() ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_) {
    return std::all_of(generators_.begin(), generators_.end(), [](const auto& generator) { return generator->ended; });
  };
  bool told = false;
  while (true) {
    {
      absl::MutexLock lock(&mutex_);
      if (mutex_.AwaitWithTimeout(absl::Condition(&all_ended), kLookEvery)) return;
      for (const std::unique_ptr<Generator>& generator : generators_) {
        if (generator->ended || !generator->failure.empty() || absl::Now() < generator->heard + kSilence) continue;
        generator->failure = absl::StrCat("it said nothing for ", absl::FormatDuration(kSilence));
        generator->context.TryCancel();
      }
    }
    if (stop_.IsSet() && !std::exchange(told, true)) TellAllToStop();
  }
}

internal::v1::LoadProgress Conductor::progress() const {
  internal::v1::LoadProgress sum;
  absl::MutexLock lock(&mutex_);
  for (const std::unique_ptr<Generator>& generator : generators_) {
    sum.set_arrivals(sum.arrivals() + generator->progress.arrivals());
    sum.set_not_begun(sum.not_begun() + generator->progress.not_begun());
    sum.set_ended(sum.ended() + generator->progress.ended());
    sum.set_sold(sum.sold() + generator->progress.sold());
  }
  return sum;
}

internal::v1::LoadResult Conductor::result() const {
  internal::v1::LoadResult sum;
  absl::MutexLock lock(&mutex_);
  for (const std::unique_ptr<Generator>& generator : generators_) {
    if (generator->result.has_value()) Merge(*generator->result, &sum);
  }
  return sum;
}

std::vector<GeneratorReport> Conductor::generators() const {
  std::vector<GeneratorReport> reports;
  absl::MutexLock lock(&mutex_);
  for (const std::unique_ptr<Generator>& generator : generators_) {
    reports.push_back(generator->report);
    reports.back().failure = generator->failure;
  }
  return reports;
}

}  // namespace tranche::load
