#include "client/load/visit.h"

#include <algorithm>
#include <cmath>
#include <memory>
#include <utility>
#include <variant>

#include "absl/strings/str_cat.h"
#include "absl/time/clock.h"
#include "client/load/challenge_solver.h"
#include "client/load/outcomes.h"
#include "tranche/error.h"

namespace tranche::load {
namespace {

// A node asks once. More is a policy that changes meanwhile, or a node that believes nobody.
constexpr int64_t kMostChallenges = 3;
// How soon a watch notices that the run is stopped.
constexpr absl::Duration kWatchNotice = absl::Milliseconds(500);
constexpr size_t kInventedTokenBytes = 160;

// Of the accounts of its kind, or an own one.
std::string UserOf(const VisitEnvironment& environment, const Arrival& arrival) {
  const VisitorKind& kind = environment.scenario.visitors[arrival.kind];
  const int64_t account = kind.accounts > 0 ? arrival.number % kind.accounts : arrival.number;
  return absl::StrCat(environment.users, "-", arrival.kind, "-", account);
}

// In 10.0.0.0/8; "" if the kind has none.
std::string AddressOf(const VisitorKind& kind, const Arrival& arrival) {
  if (kind.addresses == 0) return "";
  const int64_t host = arrival.number % kind.addresses;
  return absl::StrCat("10.", (host >> 16) & 255, ".", (host >> 8) & 255, ".", host & 255);
}

bool IsPaid(const Confirmation& answer) {
  return answer.outcome == ConfirmOutcome::kConfirmed || answer.outcome == ConfirmOutcome::kRebooked ||
         answer.outcome == ConfirmOutcome::kGroupWaiting;
}

}  // namespace

// Dispatches by the type of the step.
struct Visit::StepStarter {
  Visit* visit;
  void operator()(const EnterStep&) const { visit->Enter(); }
  void operator()(const LookStep&) const { visit->Look(); }
  void operator()(const ThinkStep&) const { visit->Think(); }
  void operator()(const AbandonStep&) const { visit->Abandon(); }
  void operator()(const ClaimStep&) const { visit->Claim(); }
  void operator()(const PayStep&) const { visit->Pay(); }
  void operator()(const CancelStep&) const { visit->Cancel(); }
  void operator()(const WatchStep&) const { visit->Watch(); }
};

void Visit::Begin(VisitEnvironment& environment, Arrival arrival, absl::Time planned) {
  (new Visit(environment, std::move(arrival), planned))->BeginStep();
}

Visit::Visit(VisitEnvironment& environment, Arrival arrival, absl::Time planned)
    : environment_(environment),
      arrival_(std::move(arrival)),
      arrived_(planned),
      user_(UserOf(environment_, arrival_)),
      address_(AddressOf(kind(), arrival_)),
      began_(planned) {
  entry_.sku = arrival_.sku;
  entry_.user = user_;
  entry_.buyer_address = address_;
}

void Visit::BeginStep() {
  if (step_ == kind().steps.size()) return End("DONE", true);
  if (environment_.stop.IsSet()) return End("STOPPED", false);
  std::visit(StepStarter{this}, kind().steps[step_]);
}

void Visit::Record(VisitRecorder::Part part, absl::Duration latency, absl::string_view outcome, bool accepted) {
  environment_.recorder.RecordStep(arrival_.kind, step_, part, latency, outcome, accepted);
}

void Visit::RecordNow(absl::string_view outcome, bool accepted) {
  Record(VisitRecorder::Part::kWhole, absl::Now() - began_, outcome, accepted);
}

void Visit::FinishStep(absl::string_view outcome, bool accepted) {
  RecordNow(outcome, accepted);
  if (accepted) return GoOn();
  EndHere();
}

void Visit::GoOn() {
  ++step_;
  tries_ = 0;
  began_ = absl::Now();
  BeginStep();
}

void Visit::EndHere() { End(absl::StrCat("left at ", StepNames(kind())[step_]), false); }

void Visit::End(absl::string_view outcome, bool accepted) {
  const std::unique_ptr<Visit> self(this);
  environment_.recorder.EndVisit(arrival_.kind, arrived_, outcome, accepted);
  environment_.on_end();
}

// By the timers: a call may be answered before it returns, and a thousand tries must not be a thousand frames deep.
void Visit::TryAgainAfter(absl::Duration pause, void (Visit::*step)()) {
  began_ = absl::Now() + pause;
  environment_.timers.RunAt(began_, [this, step] {
    if (environment_.stop.IsSet()) return End("STOPPED", false);
    (this->*step)();
  });
}

void Visit::Enter() {
  leave_time_ = began_ + step<EnterStep>().within;
  SendEntry(entry_);
}

void Visit::SendEntry(EnterSale request) {
  auto answered = [this](absl::StatusOr<SaleEntry> answer) { OnEntry(std::move(answer)); };
  if (step<EnterStep>().within <= absl::ZeroDuration()) {
    return environment_.client.EnterSaleAsync(std::move(request), std::move(answered));
  }
  environment_.client.AwaitEntryAsync(
      std::move(request), leave_time_, [this](const SaleEntry&) { return !environment_.stop.IsSet(); },
      std::move(answered));
}

void Visit::OnEntry(absl::StatusOr<SaleEntry> answer) {
  if (!answer.ok()) return FinishStep(Outcomes::NameOf(answer.status()), false);
  if (answer->place.has_value() && !answer->place->ticket.empty()) entry_.waiting_ticket = answer->place->ticket;
  if (!answer->captcha_site_key.empty()) return FinishStep("CAPTCHA", false);
  if (!answer->challenge.empty()) {
    if (!step<EnterStep>().solve || ++tries_ > kMostChallenges) return FinishStep("CHALLENGE", false);
    return Solve(*answer);
  }
  if (!answer->admitted || answer->delay.has_value()) return FinishStep("NOT_ADMITTED", false);
  token_ = answer->purchase_token;
  FinishStep("ADMITTED", true);
}

void Visit::Solve(const SaleEntry& entry) {
  const absl::Time asked = absl::Now();
  const bool taken =
      environment_.solvers.TryRun([this, asked, challenge = entry.challenge, expires = entry.challenge_expire_time] {
        const absl::StatusOr<std::string> solution = SolveChallenge(challenge, expires, environment_.stop);
        Record(VisitRecorder::Part::kSolve, absl::Now() - asked,
               solution.ok() ? "SOLVED" : absl::StatusCodeToString(solution.status().code()), solution.ok());
        if (!solution.ok()) return FinishStep("NOT_SOLVED", false);
        EnterSale request = entry_;
        request.challenge_solution = *solution;
        SendEntry(std::move(request));
      });
  // The generator's own limit: too many challenges wait for its processors.
  if (!taken) FinishStep("GENERATOR_BUSY", false);
}

void Visit::Look() {
  environment_.client.GetSkuAsync(arrival_.sku, [this](absl::StatusOr<Sku> answer) {
    RecordNow(answer.ok() ? "OK" : Outcomes::NameOf(answer.status()), answer.ok());
    if (++tries_ < step<LookStep>().times) return TryAgainAfter(step<LookStep>().every, &Visit::Look);
    GoOn();
  });
}

absl::Duration Visit::Draw(const Pause& pause) {
  double factor = 1;
  if (pause.law == Pause::Law::kExponential) factor = arrival_.random.Exponential();
  if (pause.law == Pause::Law::kLognormal) factor = std::exp(pause.sigma * arrival_.random.Normal());
  return std::clamp(pause.middle * factor, pause.at_least, pause.at_most);
}

void Visit::Think() {
  // The next step is meant to begin then, however late the timer is.
  began_ += Draw(step<ThinkStep>().pause);
  environment_.timers.RunAt(began_, [this] {
    ++step_;
    BeginStep();
  });
}

void Visit::Abandon() {
  if (arrival_.random.Uniform() < step<AbandonStep>().probability) return End("ABANDONED", false);
  // The next step was meant to begin when this one was.
  ++step_;
  BeginStep();
}

std::string Visit::InventedToken() {
  static constexpr char kLetters[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";
  std::string token = "v4.local.";
  while (token.size() < kInventedTokenBytes) token.push_back(kLetters[arrival_.random.Next() % 64]);
  return token;
}

void Visit::Claim() {
  const ClaimStep& claim = step<ClaimStep>();
  queued_ = false;
  CreateReservation request;
  request.sku = arrival_.sku;
  request.user = user_;
  request.quantity = static_cast<int32_t>(claim.units);
  request.reservation_id = MakeUuidV7();
  request.buyer_address = address_;
  if (claim.token == TokenUse::kEntered) request.purchase_token = token_;
  if (claim.token == TokenUse::kInvented) request.purchase_token = InventedToken();
  if (claim.queued) {
    request.accept_queued = true;
    request.decide_within = claim.within;
    request.on_queued = [this](const QueuedClaim&) {
      if (!std::exchange(queued_, true)) Record(VisitRecorder::Part::kQueued, absl::Now() - began_, "QUEUED", true);
    };
  }
  environment_.client.CreateAsync(std::move(request),
                                  [this](absl::StatusOr<Reservation> answer) { OnClaimed(std::move(answer)); });
}

void Visit::OnClaimed(absl::StatusOr<Reservation> answer) {
  environment_.recorder.CountClaim(answer.ok());
  if (answer.ok()) {
    reservation_ = *std::move(answer);
    return FinishStep("SOLD", true);
  }
  if (++tries_ >= step<ClaimStep>().tries) return FinishStep(Outcomes::NameOf(answer.status()), false);
  RecordNow(Outcomes::NameOf(answer.status()), false);
  TryAgainAfter(step<ClaimStep>().every, &Visit::Claim);
}

void Visit::Pay() {
  environment_.client.ConfirmAsync({.reservation_id = reservation_->reservation_id,
                                    .payment_reference = absl::StrCat("load-", reservation_->reservation_id),
                                    .amount_minor = reservation_->amount_minor,
                                    .currency = reservation_->currency,
                                    .sku = reservation_->sku_id},
                                   [this](absl::StatusOr<Confirmation> answer) {
                                     if (!answer.ok()) return FinishStep(Outcomes::NameOf(answer.status()), false);
                                     FinishStep(ConfirmOutcomeName(answer->outcome), IsPaid(*answer));
                                   });
}

void Visit::Cancel() {
  environment_.client.CancelAsync(
      {.reservation_id = reservation_->reservation_id, .reason = "changed their mind", .sku = reservation_->sku_id},
      [this](absl::StatusOr<Reservation> answer) {
        FinishStep(answer.ok() ? "CANCELLED" : Outcomes::NameOf(answer.status()), answer.ok());
      });
}

void Visit::Watch() {
  if (environment_.watchers.TryRun([this] { FollowReservation(); })) return;
  RecordNow("GENERATOR_BUSY", false);
  GoOn();
}

Visit::Followed Visit::Follow() {
  const absl::Time end = absl::Now() + step<WatchStep>().at_most;
  const std::unique_ptr<ReservationWatch> watch = environment_.client.Watch(reservation_->reservation_id);
  Followed followed = {.last = "NOT_TOLD"};
  while (!environment_.stop.IsSet() && absl::Now() < end) {
    const auto next = watch->Next(std::min(kWatchNotice, end - absl::Now()));
    if (!next.ok() && absl::IsDeadlineExceeded(next.status())) continue;
    if (!next.ok() && !followed.told) followed.last = Outcomes::NameOf(next.status());
    if (!next.ok() || !next->has_value()) break;  // it failed, or the last state was final
    if (!std::exchange(followed.told, true)) followed.first_after = absl::Now() - began_;
    followed.last = ReservationStateName((*next)->state);
  }
  return followed;
}

void Visit::FollowReservation() {
  const Followed followed = Follow();
  const absl::Duration latency = followed.told ? followed.first_after : absl::Now() - began_;
  Record(VisitRecorder::Part::kWhole, latency, followed.last, followed.told);
  GoOn();
}

}  // namespace tranche::load
