#include "server/worker/sink_relay.h"

#include <algorithm>
#include <utility>

#include "absl/strings/str_cat.h"
#include "glog/logging.h"
#include "storage/base/log_trace.h"

namespace tranche::server {
namespace {

// The actor in the audit log.
constexpr char kActor[] = "tranche-worker";
// The length of an error that the ledger keeps.
constexpr size_t kMaxErrorBytes = 1000;

}  // namespace

SinkRelay::SinkRelay(storage::OutboxLedger* ledger, Sink* sink, storage::Clock* clock, RandomSource random,
                     const RelayOptions& options)
    : ledger_(ledger),
      sink_(sink),
      clock_(clock),
      random_(random),
      options_(options),
      trouble_(absl::StrCat("carrying messages to sink ", sink->name()), clock, std::move(random)),
      health_(options.health) {}

absl::Duration SinkRelay::Step() {
  if (!registered_) {
    if (const absl::Status added = ledger_->AddSink(sink_->name(), storage::Actor::Process(kActor)); !added.ok())
      return trouble_.Failed(added);
    registered_ = true;
  }
  if (const absl::Status settled = SettleKept(); !settled.ok()) return trouble_.Failed(settled);
  const SinkHealth::Permit permit = health_.Ask(clock_->Now());
  if (permit.messages == 0) return permit.wait;
  return Carry(permit);
}

absl::Duration SinkRelay::Carry(const SinkHealth::Permit& permit) {
  // Taken before the claim, so that by the ledger's clock the lease ends no earlier than we assume.
  const absl::Time claimed_at = clock_->Now();
  const auto messages = Claim(permit);
  if (!messages.ok() || messages->empty()) {
    NoteHealth(permit, {}, {});
    if (!messages.ok()) return trouble_.Failed(messages.status());
    trouble_.Answered();
    return options_.poll;
  }
  const std::vector<Delivery> deliveries = Deliver(*messages, claimed_at);
  NoteHealth(permit, *messages, deliveries);
  if (const absl::Status settled = Settle(Judge(*messages, deliveries, claimed_at)); !settled.ok()) {
    return trouble_.Failed(settled);
  }
  trouble_.Answered();
  return absl::ZeroDuration();
}

absl::StatusOr<std::vector<storage::OutboxMessage>> SinkRelay::Claim(const SinkHealth::Permit& permit) {
  using Which = SinkHealth::Which;
  const bool fresh = permit.which != Which::kAny;
  auto messages = ledger_->ClaimMessages(sink_->name(), permit.messages, options_.lease, fresh);
  if (!messages.ok() || !messages->empty() || permit.which != Which::kFreshElseOne) return messages;
  return ledger_->ClaimMessages(sink_->name(), 1, options_.lease, /*fresh=*/false);
}

std::vector<Delivery> SinkRelay::Deliver(absl::Span<const storage::OutboxMessage> messages, absl::Time claimed_at) {
  const absl::Time last_begin = claimed_at + options_.lease / 2;
  const absl::Time began_at = clock_->Now();
  std::vector<Delivery> deliveries = sink_->Deliver(messages, [&] { return !stopping_ && clock_->Now() < last_begin; });
  counts_.batch_time.Observe(std::max(clock_->Now() - began_at, absl::ZeroDuration()));
  CHECK_EQ(deliveries.size(), messages.size());
  return deliveries;
}

SinkRelay::Settlement SinkRelay::Judge(absl::Span<const storage::OutboxMessage> messages,
                                       absl::Span<const Delivery> deliveries, absl::Time claimed_at) {
  Settlement settlement;
  settlement.useless_at = claimed_at + options_.lease;
  // The error for messages that were not tried: none if there was simply no time left.
  const auto sink_failed = std::find_if(deliveries.begin(), deliveries.end(), [](const Delivery& delivery) {
    return delivery.outcome == DeliveryOutcome::kSinkFailed;
  });
  for (size_t i = 0; i < messages.size(); ++i) {
    const storage::OutboxMessage& message = messages[i];
    const Delivery& delivery = deliveries[i];
    if (delivery.outcome == DeliveryOutcome::kNotTried) {
      Count(RelayOutcome::kReturned);
      if (sink_failed == deliveries.end()) continue;
      // Otherwise it would wait until its lease ends, long after the sink is back.
      settlement.failed.push_back({.key = message.key,
                                   .error = Printable(absl::StrCat("not tried: ", sink_failed->error), kMaxErrorBytes),
                                   .retry_after = health_.PauseLeft(clock_->Now())});
      continue;
    }
    if (delivery.outcome == DeliveryOutcome::kDelivered) {
      CountDelivered(message);
      settlement.delivered.push_back(message.key);
      continue;
    }
    storage::OutboxFailure failure;
    failure.key = message.key;
    failure.error = Printable(delivery.error, kMaxErrorBytes);
    failure.dead = delivery.outcome == DeliveryOutcome::kRefusedForGood ||
                   ShouldGiveUp(options_.give_up, message.attempts, clock_->Now() - message.created_at);
    failure.retry_after = std::max(Backoff(options_.retry, message.attempts, random_()),
                                   std::min(delivery.retry_after, options_.retry.most));
    Count(failure.dead ? RelayOutcome::kDead : RelayOutcome::kRetried);
    const ScopedTrace trace(message.trace);
    LOG_IF(WARNING, failure.dead) << "sink " << sink_->name() << ": giving up message " << MessageId(message.key)
                                  << " after " << message.attempts << " attempts: " << failure.error;
    settlement.failed.push_back(std::move(failure));
  }
  return settlement;
}

void SinkRelay::CountDelivered(const storage::OutboxMessage& message) {
  // The ledger's clock and this machine's may differ a little.
  counts_.delay.Observe(std::max(clock_->Now() - message.created_at, absl::ZeroDuration()));
  Count(RelayOutcome::kDelivered);
}

void SinkRelay::NoteHealth(const SinkHealth::Permit& permit, absl::Span<const storage::OutboxMessage> messages,
                           absl::Span<const Delivery> deliveries) {
  SinkHealth::Outcomes outcomes;
  size_t failed = 0;
  for (size_t i = 0; i < deliveries.size(); ++i) {
    if (deliveries[i].outcome == DeliveryOutcome::kSinkFailed) {
      ++(messages[i].attempts > 1 ? outcomes.failed_again : outcomes.failed);
      failed = i;
    } else {
      ++(deliveries[i].outcome == DeliveryOutcome::kNotTried ? outcomes.not_tried : outcomes.answered);
    }
  }
  switch (health_.Report(permit, outcomes, clock_->Now(), random_())) {
    case SinkHealth::Change::kDown: {
      const ScopedTrace trace(messages[failed].trace);
      LOG(WARNING) << "sink " << sink_->name() << " fails, trying one message at a time: " << deliveries[failed].error;
      break;
    }
    case SinkHealth::Change::kUp:
      LOG(INFO) << "sink " << sink_->name() << " takes messages again";
      break;
    case SinkHealth::Change::kNone:
      break;
  }
}

absl::Status SinkRelay::Settle(Settlement settlement) {
  absl::Status status;
  if (!settlement.delivered.empty()) {
    status = ledger_->MarkDelivered(settlement.delivered);
    if (status.ok()) settlement.delivered.clear();
  }
  if (status.ok() && !settlement.failed.empty()) {
    status = ledger_->MarkFailed(settlement.failed);
  }
  if (!status.ok()) {
    absl::MutexLock lock(&mutex_);
    kept_.push_back(std::move(settlement));
  }
  return status;
}

absl::Status SinkRelay::SettleKept() {
  std::vector<Settlement> kept;
  {
    absl::MutexLock lock(&mutex_);
    kept.swap(kept_);
  }
  absl::Status status;
  for (Settlement& settlement : kept) {
    if (clock_->Now() < settlement.useless_at) {
      status.Update(Settle(std::move(settlement)));
    } else {
      counts_.results_lost.Add(static_cast<int64_t>(settlement.delivered.size() + settlement.failed.size()));
    }
  }
  return status;
}

}  // namespace tranche::server
