#include "client/load/changer.h"

#include <algorithm>
#include <utility>

#include "absl/random/random.h"
#include "absl/synchronization/blocking_counter.h"
#include "client/load/outcomes.h"
#include "storage/base/status_macros.h"
#include "tranche/error.h"

namespace tranche::load {
namespace {

constexpr size_t kMostWaiting = 10'000;
constexpr absl::Duration kExtendBy = absl::Minutes(1);
constexpr char kAnyNode[] = "-";

// The reservation is as it was, and the same change may succeed later.
bool MayPass(const absl::Status& refused) {
  return absl::IsUnavailable(refused) || absl::IsResourceExhausted(refused) || absl::IsDeadlineExceeded(refused);
}

}  // namespace

absl::StatusOr<std::unique_ptr<Changer>> Changer::Open(const LoadOptions& options) {
  std::vector<Node> nodes;
  for (const std::string& endpoint : options.endpoints) {
    ClientOptions client_options;
    client_options.endpoints = {endpoint};
    client_options.request_timeout = options.change_timeout;
    client_options.attempt_timeout = options.change_timeout;
    client_options.retry.max_attempts = 1;
    client_options.tls = options.tls;
    client_options.token_file = options.token_file;
    ASSIGN_OR_RETURN(std::unique_ptr<Client> client, Client::Open(client_options));
    nodes.push_back({endpoint, std::move(client)});
  }
  return std::make_unique<Changer>(options.changes_per_second, std::move(nodes), options.change_kinds);
}

void Changer::Offer(Reservation reservation) {
  absl::MutexLock lock(&mutex_);
  if (waiting_.size() < kMostWaiting) waiting_.push_back(std::move(reservation));
}

void Changer::OfferAll(std::vector<Reservation> reservations) {
  absl::MutexLock lock(&mutex_);
  for (Reservation& reservation : reservations) {
    if (reservation.state == ReservationState::kPending) waiting_.push_back(std::move(reservation));
  }
}

void Changer::Start() {
  thread_ = std::thread([this] { Run(); });
}

void Changer::Stop() {
  if (!stop_.HasBeenNotified()) stop_.Notify();
  if (thread_.joinable()) thread_.join();
  const auto all_answered = [this]() ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_) { return in_flight_ == 0; };
  absl::MutexLock lock(&mutex_);
  mutex_.Await(absl::Condition(&all_answered));
}

void Changer::Run() {
  absl::BitGen random;
  absl::Time next = absl::Now();
  while (!stop_.WaitForNotificationWithTimeout(std::max(absl::ZeroDuration(), next - absl::Now()))) {
    SendNext(absl::Uniform<size_t>(random, 0, nodes_.size()), next);
    next += absl::Seconds(absl::Exponential<double>(random, per_second_));
  }
}

bool Changer::SendNext(size_t node, absl::Time began) {
  Change change;
  {
    absl::MutexLock lock(&mutex_);
    if (waiting_.empty()) return false;
    change.kind = kinds_[sent_[node] / kInARow % kinds_.size()];
    change.reservation = std::move(waiting_.front());
    waiting_.pop_front();
    ++sent_[node];
    ++in_flight_;
  }
  Send(*nodes_[node].client, change, [this, node, change, began](absl::StatusOr<Changed> answer) {
    Record(change, nodes_[node].endpoint, began, answer);
    absl::MutexLock lock(&mutex_);
    --in_flight_;
  });
  return true;
}

void Changer::Send(Client& client, const Change& change, Done done) {
  const Reservation& before = change.reservation;
  auto changed_to = [](const char* outcome, Done then) {
    return [outcome, then = std::move(then)](absl::StatusOr<Reservation> answer) mutable {
      if (!answer.ok()) return then(answer.status());
      then(Changed{outcome, *std::move(answer)});
    };
  };
  switch (change.kind) {
    case ChangeKind::kConfirm:
      client.ConfirmAsync({.reservation_id = before.reservation_id,
                           .payment_reference = change.Value(),
                           .amount_minor = before.amount_minor,
                           .currency = before.currency,
                           .sku = before.sku_id},
                          [done = std::move(done)](absl::StatusOr<Confirmation> answer) mutable {
                            if (!answer.ok()) return done(answer.status());
                            done(Changed{ConfirmOutcomeName(answer->outcome), std::move(answer->reservation)});
                          });
      return;
    case ChangeKind::kCancel:
      client.CancelAsync({.reservation_id = before.reservation_id, .reason = change.Value(), .sku = before.sku_id},
                         changed_to("CANCELLED", std::move(done)));
      return;
    case ChangeKind::kExtend:
      client.ExtendAsync({.reservation_id = before.reservation_id,
                          .by = kExtendBy,
                          .extension = before.extensions + 1,
                          .sku = before.sku_id},
                         changed_to("EXTENDED", std::move(done)));
      return;
  }
}

void Changer::Record(const Change& change, const std::string& node, absl::Time began,
                     const absl::StatusOr<Changed>& answer) {
  const std::string outcome = answer.ok() ? answer->outcome : Outcomes::NameOf(answer.status());
  answers_.Add(change, node, outcome, began, absl::Now());
  absl::MutexLock lock(&mutex_);
  ++totals_[ChangeKindName(change.kind)][outcome];
  if (!answer.ok() && MayExist(answer.status())) {
    unknown_.push_back(change);
  } else if (answer.ok() && change.kind == ChangeKind::kExtend) {
    waiting_.push_back(answer->reservation);
  } else if (!answer.ok() && MayPass(answer.status())) {
    waiting_.push_back(change.reservation);
  }
}

void Changer::ResolveUnknown(Client& client, int rounds, const StopFlag& stop) {
  const auto any = [this] {
    absl::MutexLock lock(&mutex_);
    return !unknown_.empty();
  };
  for (int round = 0; round < rounds && any(); ++round) {
    // As for the requests: the first obstacle may need a moment to pass.
    if (round > 0) stop.SleepUntil(absl::Now() + absl::Seconds(1));
    if (stop.IsSet()) return;
    std::vector<Change> unknown;
    {
      absl::MutexLock lock(&mutex_);
      unknown = std::exchange(unknown_, {});
    }
    ResolveAll(client, unknown);
  }
}

void Changer::ResolveAll(Client& client, const std::vector<Change>& unknown) {
  absl::BlockingCounter answers(static_cast<int>(unknown.size()));
  for (const Change& change : unknown) {
    const absl::Time began = absl::Now();
    Send(client, change, [&, began](absl::StatusOr<Changed> answer) {
      Record(change, kAnyNode, began, answer);
      answers.DecrementCount();
    });
  }
  answers.Wait();
}

Changer::Totals Changer::totals() const {
  absl::MutexLock lock(&mutex_);
  return totals_;
}

}  // namespace tranche::load
