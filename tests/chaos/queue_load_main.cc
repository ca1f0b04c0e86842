// tranche-queue-load: buyers whose claims may be queued, for scripts/chaos and scripts/benchmark.

#include <grpcpp/grpcpp.h>

#include <CLI/CLI.hpp>
#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <map>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "absl/base/thread_annotations.h"
#include "absl/random/random.h"
#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/string_view.h"
#include "absl/strings/strip.h"
#include "absl/synchronization/mutex.h"
#include "absl/time/clock.h"
#include "absl/time/time.h"
#include "client/internal/channel_security.h"
#include "client/internal/status_translation.h"
#include "client/load/line_file.h"
#include "client/load/stop_flag.h"
#include "client/load/stop_on_signal.h"
#include "storage/base/status_macros.h"
#include "tests/chaos/crowd_flags.h"
#include "tests/chaos/crowd_main.h"
#include "tranche/error.h"
#include "tranche/uuid.h"
#include "tranche/v1/reservation_service.grpc.pb.h"

namespace tranche::load {
namespace {

// When nobody knows, and when a call has failed.
constexpr absl::Duration kAfterFailure = absl::Seconds(1);
// Between a decision and the question whether it still holds.
constexpr absl::Duration kAskAgainAfter = absl::Seconds(5);
// What a node may ask for.
constexpr absl::Duration kShortestPoll = absl::Milliseconds(100);
constexpr absl::Duration kLongestPoll = absl::Seconds(10);
constexpr absl::Duration kBetweenLooks = absl::Milliseconds(10);
// Those who wait for something. A queue that stands still must not let them pile up.
constexpr size_t kMostWaiting = 500'000;

struct QueueLoadOptions {
  CrowdFlags crowd = {};
  double rate_per_second = 0;
  int64_t claims = 0;
  int64_t in_flight = 1000;
  int64_t twice_one_in = 0;
  bool direct = false;
  bool no_ask = false;
  int64_t finish_s = 120;
  std::string answers_file = {};
};

// Without a reason it does not come from a node that has decided: the claim may be on its way, or be there.
bool MayBeThere(const absl::Status& error) { return IsOutcomeUnknown(error) || ReasonNameOf(error).empty(); }

std::string NameOf(const absl::Status& error) { return MayBeThere(error) ? "UNKNOWN" : ReasonNameOf(error); }

// Of a claim that was decided before, perhaps to be refused.
std::string NameOf(const v1::CreateReservationResponse& response) {
  constexpr char kRefused[] = "REFUSED ";
  const v1::Reservation& reservation = response.reservation();
  absl::string_view reason = reservation.cancel_reason();
  if (absl::ConsumePrefix(&reason, kRefused)) return absl::StrCat("refused:", reason);
  return response.replayed() ? "replayed" : "created";
}

struct QueueNode {
  std::string endpoint;
  std::unique_ptr<v1::ReservationService::Stub> stub;
};

struct Claim {
  std::string id = {};
  std::string user = {};
  std::string ticket = {};  // "": it is not queued
  bool may_exist = false;
  bool decided = false;
  bool once_more = false;  // the buyer claims a second time
};

// Claims until it is told to stop, or has made as many as it should; then asks for what is not decided yet. Each call
// goes to a random node, and to that one only. Each answer is a line of --answers, columns separated by tabs:
//
//   reservation_id  user  node  call  outcome  began_us  ended_us
//
// `call` is "claim" or "ask". The outcome of a claim is "queued", "created" or "replayed", or as of a refused claim
// (see AnswerLog); UNKNOWN is followed by another try. That of a question is "queued" or "created", "refused:" and the
// reason, or what the call itself failed with. A decision is asked for once more. "skip" is a claim that was not sent,
// because too many calls were under way. A claim begins when it was to be sent, so that a generator that is late hides
// nothing.
class QueueLoad {
 public:
  QueueLoad(const QueueLoadOptions& options, std::vector<QueueNode> nodes, internal::ChannelSecurity& security,
            LineFile& answers)
      : options_(options), nodes_(std::move(nodes)), security_(security), answers_(answers) {}

  // Returns when everything is decided, or the time for that is over.
  void Run();
  // From a signal handler.
  void Stop() { stop_.Set(); }

 private:
  using ClaimPtr = std::shared_ptr<Claim>;
  template <typename Request, typename Response>
  struct Call {
    grpc::ClientContext context = {};
    Request request = {};
    Response response = {};
  };

  void MakeClaims();
  void Finish();
  void StartNew(absl::Time planned);
  // Sends what is due.
  void GoOn();
  void Send(ClaimPtr claim);
  void SendClaim(ClaimPtr claim, const QueueNode& node, absl::Time began);
  void SendQuestion(ClaimPtr claim, const QueueNode& node);
  void OnClaimed(ClaimPtr claim, const QueueNode& node, absl::Time began, const grpc::Status& status,
                 const v1::CreateReservationResponse& response);
  void OnAsked(ClaimPtr claim, const QueueNode& node, absl::Time began, const grpc::Status& status,
               const v1::GetClaimResponse& response);
  void Note(const Claim& claim, const std::string& node, absl::string_view call, absl::string_view outcome,
            absl::Time began);
  // Each call ends by one of these two.
  void Again(ClaimPtr claim, absl::Duration after);
  void Leave(const Claim& claim);

  const QueueNode& RandomNode() { return nodes_[absl::Uniform<size_t>(random_, 0, nodes_.size())]; }

  const QueueLoadOptions& options_;
  const std::vector<QueueNode> nodes_;
  internal::ChannelSecurity& security_;
  LineFile& answers_;
  StopFlag stop_;
  // Buyers of other runs are others: a SKU may have several.
  const int64_t run_ = absl::ToUnixMillis(absl::Now());
  absl::BitGen random_;  // of Run's thread
  int64_t buyers_ = 0;   // of Run's thread

  absl::Mutex mutex_;
  std::multimap<absl::Time, ClaimPtr> due_ ABSL_GUARDED_BY(mutex_);  // by when they are sent next
  int64_t in_flight_ ABSL_GUARDED_BY(mutex_) = 0;
};

void QueueLoad::Run() {
  MakeClaims();
  Finish();
}

void QueueLoad::MakeClaims() {
  absl::Time next = absl::Now();
  while (!stop_.IsSet() && (options_.claims == 0 || buyers_ < options_.claims)) {
    GoOn();
    const absl::Time now = absl::Now();
    if (options_.rate_per_second > 0) {
      if (now < next) {
        stop_.SleepUntil(std::min(next, now + kBetweenLooks));
        continue;
      }
      StartNew(next);
      next += absl::Seconds(absl::Exponential<double>(random_, options_.rate_per_second));
      continue;
    }
    const auto has_room = [this]() ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_) { return in_flight_ < options_.in_flight; };
    bool room = false;
    {
      absl::MutexLock lock(&mutex_);
      room = mutex_.AwaitWithTimeout(absl::Condition(&has_room), kBetweenLooks);
    }
    if (room) StartNew(absl::Now());
  }
}

void QueueLoad::Finish() {
  const absl::Time deadline = absl::Now() + absl::Seconds(options_.finish_s);
  while (absl::Now() < deadline) {
    GoOn();
    {
      absl::MutexLock lock(&mutex_);
      if (due_.empty() && in_flight_ == 0) return;
    }
    absl::SleepFor(kBetweenLooks);
  }
  // Calls have deadlines, so they end.
  const auto all_answered = [this]() ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_) { return in_flight_ == 0; };
  absl::MutexLock lock(&mutex_);
  mutex_.Await(absl::Condition(&all_answered));
}

void QueueLoad::StartNew(absl::Time planned) {
  auto claim = std::make_shared<Claim>();
  claim->user = absl::StrCat("queued-", run_, "-", buyers_);
  claim->id = MakeUuidV7();
  claim->once_more = options_.twice_one_in > 0 && buyers_ % options_.twice_one_in == 0;
  ++buyers_;
  bool room = false;
  {
    absl::MutexLock lock(&mutex_);
    room = in_flight_ < options_.in_flight && due_.size() < kMostWaiting;
    if (room) ++in_flight_;
  }
  if (!room) return Note(*claim, "-", "skip", "NOT_SENT", planned);
  SendClaim(std::move(claim), RandomNode(), planned);
}

void QueueLoad::GoOn() {
  while (true) {
    ClaimPtr claim;
    {
      absl::MutexLock lock(&mutex_);
      if (due_.empty() || due_.begin()->first > absl::Now()) return;
      claim = std::move(due_.begin()->second);
      due_.erase(due_.begin());
      ++in_flight_;
    }
    Send(std::move(claim));
  }
}

void QueueLoad::Send(ClaimPtr claim) {
  const QueueNode& node = RandomNode();
  claim->ticket.empty() ? SendClaim(std::move(claim), node, absl::Now()) : SendQuestion(std::move(claim), node);
}

void QueueLoad::SendClaim(ClaimPtr claim, const QueueNode& node, absl::Time began) {
  auto call = std::make_shared<Call<v1::CreateReservationRequest, v1::CreateReservationResponse>>();
  security_.Authorize(call->context);
  call->context.set_deadline(absl::ToChronoTime(absl::Now() + absl::Milliseconds(options_.crowd.timeout_ms)));
  call->request.set_reservation_id(claim->id);
  call->request.set_sku_id(options_.crowd.sku);
  call->request.set_user_id(claim->user);
  call->request.set_quantity(1);
  call->request.set_may_exist(claim->may_exist);
  call->request.set_accept_queued(!options_.direct);
  call->request.set_refusal_in_response(true);
  node.stub->async()->CreateReservation(&call->context, &call->request, &call->response,
                                        [this, call, claim = std::move(claim), &node, began](grpc::Status status) {
                                          OnClaimed(claim, node, began, status, call->response);
                                        });
}

void QueueLoad::OnClaimed(ClaimPtr claim, const QueueNode& node, absl::Time began, const grpc::Status& status,
                          const v1::CreateReservationResponse& response) {
  if (status.ok() && response.has_queued()) {
    Note(*claim, node.endpoint, "claim", "queued", began);
    claim->ticket = response.queued().ticket();
    if (options_.no_ask) return Leave(*claim);
    const auto& wait = response.queued().poll_after();
    return Again(std::move(claim), absl::Seconds(wait.seconds()) + absl::Nanoseconds(wait.nanos()));
  }
  if (status.ok() && response.has_reservation()) {
    Note(*claim, node.endpoint, "claim", NameOf(response), began);
    return Leave(*claim);
  }
  const absl::Status error = status.ok() ? internal::ToAbslStatus(response.refusal()) : internal::ToAbslStatus(status);
  Note(*claim, node.endpoint, "claim", NameOf(error), began);
  if (!MayBeThere(error)) return Leave(*claim);
  claim->may_exist = true;
  Again(std::move(claim), kAfterFailure);
}

void QueueLoad::SendQuestion(ClaimPtr claim, const QueueNode& node) {
  auto call = std::make_shared<Call<v1::GetClaimRequest, v1::GetClaimResponse>>();
  security_.Authorize(call->context);
  call->context.set_deadline(absl::ToChronoTime(absl::Now() + absl::Milliseconds(options_.crowd.timeout_ms)));
  call->request.set_ticket(claim->ticket);
  node.stub->async()->GetClaim(&call->context, &call->request, &call->response,
                               [this, call, claim = std::move(claim), &node, began = absl::Now()](grpc::Status status) {
                                 OnAsked(claim, node, began, status, call->response);
                               });
}

void QueueLoad::OnAsked(ClaimPtr claim, const QueueNode& node, absl::Time began, const grpc::Status& status,
                        const v1::GetClaimResponse& response) {
  if (!status.ok()) {
    const std::string outcome = NameOf(internal::ToAbslStatus(status));
    Note(*claim, node.endpoint, "ask", outcome, began);
    if (outcome == "CLAIM_TICKET_INVALID") {
      // Its key was replaced. The claim itself says what became of it, or gives another ticket.
      claim->ticket.clear();
      claim->may_exist = true;
    }
    return Again(std::move(claim), kAfterFailure);
  }
  if (response.has_queued()) {
    Note(*claim, node.endpoint, "ask", "queued", began);
    const auto& wait = response.queued().poll_after();
    return Again(std::move(claim), absl::Seconds(wait.seconds()) + absl::Nanoseconds(wait.nanos()));
  }
  const std::string outcome =
      response.has_created() ? "created" : absl::StrCat("refused:", NameOf(internal::ToAbslStatus(response.refused())));
  Note(*claim, node.endpoint, "ask", outcome, began);
  if (claim->decided) return Leave(*claim);
  claim->decided = true;
  Again(std::move(claim), kAskAgainAfter);
}

void QueueLoad::Note(const Claim& claim, const std::string& node, absl::string_view call, absl::string_view outcome,
                     absl::Time began) {
  answers_.Add(absl::StrCat(claim.id, "\t", claim.user, "\t", node, "\t", call, "\t", outcome, "\t",
                            absl::ToUnixMicros(began), "\t", absl::ToUnixMicros(absl::Now()), "\n"));
}

void QueueLoad::Again(ClaimPtr claim, absl::Duration after) {
  const absl::Time when = absl::Now() + std::clamp(after, kShortestPoll, kLongestPoll);
  absl::MutexLock lock(&mutex_);
  due_.emplace(when, std::move(claim));
  --in_flight_;
}

void QueueLoad::Leave(const Claim& claim) {
  ClaimPtr second;
  if (claim.once_more) {
    second = std::make_shared<Claim>();
    second->user = claim.user;
    second->id = MakeUuidV7();
  }
  absl::MutexLock lock(&mutex_);
  if (second != nullptr) due_.emplace(absl::Now(), std::move(second));
  --in_flight_;
}

void AddFlags(CLI::App& app, QueueLoadOptions& options) {
  AddCrowdFlags(app, options.crowd);
  app.add_option("--rate", options.rate_per_second, "Claims per second; 0: as many as --in-flight allows")
      ->check(CLI::Range(0.0, 1'000'000.0));
  app.add_option("--claims", options.claims, "Ends after so many; 0: when it is told to (SIGTERM)")
      ->check(CLI::Range(int64_t{0}, int64_t{1'000'000'000}));
  app.add_option("--in-flight", options.in_flight, "So many calls at a time, at most")->check(CLI::Range(1, 1'000'000));
  app.add_option("--twice-one-in", options.twice_one_in, "One of so many buyers claims once more, later; 0: nobody")
      ->check(CLI::Range(0, 1'000'000));
  app.add_flag("--direct", options.direct, "Claims are not to be queued");
  app.add_flag("--no-ask", options.no_ask, "Does not ask what became of those that are queued");
  app.add_option("--finish-s", options.finish_s, "Asks for decisions for so long at the end")
      ->check(CLI::Range(0, 86'400));
  app.add_option("--answers", options.answers_file, "Where each answer is noted")->required();
}

absl::StatusOr<std::vector<QueueNode>> OpenNodes(const CrowdFlags& flags, internal::ChannelSecurity& security) {
  std::vector<QueueNode> nodes;
  for (const std::string& endpoint : EndpointsOf(flags)) {
    grpc::ChannelArguments arguments;
    arguments.SetInt(GRPC_ARG_USE_LOCAL_SUBCHANNEL_POOL, 1);
    arguments.SetInt(GRPC_ARG_ENABLE_RETRIES, 0);
    // A node that was away is found again soon.
    arguments.SetInt(GRPC_ARG_MAX_RECONNECT_BACKOFF_MS, 1000);
    security.AddTo(arguments, endpoint);
    nodes.push_back({endpoint, v1::ReservationService::NewStub(
                                   grpc::CreateCustomChannel(endpoint, security.Credentials(), arguments))});
  }
  if (nodes.empty()) return absl::InvalidArgumentError("--endpoints names no node");
  return nodes;
}

absl::Status Run(const QueueLoadOptions& options) {
  RETURN_IF_ERROR(CheckCrowdFlags(options.crowd));
  ASSIGN_OR_RETURN(std::unique_ptr<internal::ChannelSecurity> security,
                   internal::ChannelSecurity::Open(TlsOf(options.crowd.security), options.crowd.security.token_file));
  ASSIGN_OR_RETURN(std::vector<QueueNode> nodes, OpenNodes(options.crowd, *security));
  LineFile answers;
  RETURN_IF_ERROR(answers.Open(options.answers_file));

  QueueLoad load(options, std::move(nodes), *security, answers);
  const StopOnSignal stop_on_signal(load);
  load.Run();
  if (!answers.Close()) return absl::UnknownError(absl::StrCat("cannot write ", options.answers_file));
  return absl::OkStatus();
}

}  // namespace
}  // namespace tranche::load

int main(int argc, char** argv) {
  return tranche::load::CrowdMain(argc, argv, "Buyers whose claims may be queued, until SIGTERM.", "tranche-queue-load",
                                  tranche::load::AddFlags, tranche::load::Run);
}
