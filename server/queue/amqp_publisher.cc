#include "server/queue/amqp_publisher.h"

#include <algorithm>
#include <utility>

#include "absl/strings/str_cat.h"
#include "absl/time/clock.h"
#include "storage/base/status_macros.h"
#include "storage/ledger/ledger_error.h"

namespace tranche::server {
namespace {

constexpr uint16_t kPublishChannel = 1;
// Then what has come is read.
constexpr int kMostPublishesAtOnce = 64;
constexpr absl::Duration kDeadlineTick = absl::Milliseconds(20);
// Between two messages to nobody. Each is answered at once by a broker that takes messages, whatever the queues do; and
// a broker in an alarm says so only when a message comes.
constexpr absl::Duration kAmqpProbeEvery = absl::Milliseconds(500);
// Of a broker that does not answer them: then nobody waits for it, and then it is left.
constexpr absl::Duration kLongestSilence = absl::Seconds(1);
constexpr absl::Duration kLeaveSilentBroker = absl::Seconds(3);

}  // namespace

AmqpPublisher::AmqpPublisher(BrokerOptions options, std::string name, AmqpPublisherLimits limits)
    : limits_(limits),
      session_(std::move(options), std::move(name), this),
      deadlines_(kDeadlineTick, [this] { KeepDeadlines(); }) {
  session_.Start();
}

AmqpPublisher::~AmqpPublisher() {
  Answers answers;
  {
    absl::MutexLock lock(&mutex_);
    closing_ = true;
    RefuseWaiting(State(), answers);
  }
  Answer(std::move(answers));
  session_.Stop();  // OnLost answers what was sent
}

absl::Status AmqpPublisher::State() const {
  if (closing_) return absl::UnavailableError("the publisher is ending");
  if (blocked_) return absl::UnavailableError("the broker is in an alarm and takes no messages");
  if (!ready_) return lost_;
  if (silent_) return absl::UnavailableError("the broker does not answer");
  return absl::OkStatus();
}

bool AmqpPublisher::Up() const {
  absl::MutexLock lock(&mutex_);
  return State().ok();
}

void AmqpPublisher::Publish(AmqpMessage message, absl::Time deadline, Done done) {
  absl::Status refused;
  {
    absl::MutexLock lock(&mutex_);
    refused = State();
    if (refused.ok() && absl::Now() >= deadline) refused = absl::UnavailableError("the deadline has passed");
    if (refused.ok() && (messages_ >= limits_.messages || bytes_ + message.bytes() > limits_.bytes)) {
      refused = absl::ResourceExhaustedError("too many messages are on their way to the broker");
      full_at_ = absl::Now();
    }
    if (refused.ok()) {
      ++messages_;
      bytes_ += message.bytes();
      next_deadline_ = std::min(next_deadline_, deadline);
      waiting_.push_back({.message = std::move(message), .deadline = deadline, .done = std::move(done)});
    }
  }
  if (!refused.ok()) {
    done(std::move(refused));
    return;
  }
  session_.Wake();
}

absl::Status AmqpPublisher::OnOpen(AmqpConnection& connection) {
  RETURN_IF_ERROR(connection.OpenChannel(kPublishChannel));
  RETURN_IF_ERROR(connection.ConfirmPublishes(kPublishChannel));
  // It is up when the broker confirms this one.
  const AmqpMessage* probe = nullptr;
  {
    absl::MutexLock lock(&mutex_);
    probe = BeginProbe(absl::Now());
  }
  return connection.Publish(kPublishChannel, *probe);
}

const AmqpMessage* AmqpPublisher::BeginProbe(absl::Time now) {
  probed_at_ = now;
  heard_at_ = std::max(heard_at_, now);
  probe_tag_ = last_tag_ + 1;
  return BeginFlight({.message = {.routing_key = "tranche.nobody", .mandatory = false}, .probe = true}, now);
}

const AmqpMessage* AmqpPublisher::BeginFlight(Entry entry, absl::Time now) {
  entry.sent_at = now;
  return &in_flight_.emplace(++last_tag_, std::move(entry)).first->second.message;
}

void AmqpPublisher::NoteStuck(bool stuck) {
  if (stuck && !stuck_) heard_at_ = std::max(heard_at_, absl::Now());
  stuck_ = stuck;
}

absl::Duration AmqpPublisher::Silence(absl::Time now) const {
  // In an alarm it reads nothing, and that it is there is seen from its heartbeats.
  if (blocked_ || (probe_tag_ == 0 && !stuck_)) return absl::ZeroDuration();
  return now - heard_at_;
}

absl::Status AmqpPublisher::WhyLeave(absl::Time now) const {
  if (Silence(now) > kLeaveSilentBroker) return absl::UnavailableError("the broker does not answer");
  // A queue without a majority confirms nothing. What waits for it must not keep out the other queues' messages.
  const bool full = now - full_at_ < kLongestSilence;
  if (full && !blocked_ && !in_flight_.empty() && now - in_flight_.begin()->second.sent_at > kLeaveSilentBroker) {
    return absl::UnavailableError("too many messages are not confirmed");
  }
  return absl::OkStatus();
}

absl::StatusOr<AmqpSession::User::Rest> AmqpPublisher::OnTurn(AmqpConnection& connection) {
  {
    absl::MutexLock lock(&mutex_);
    RETURN_IF_ERROR(WhyLeave(absl::Now()));
  }
  for (int sent = 0; sent < kMostPublishesAtOnce; ++sent) {
    // A broker that reads nothing must not keep this thread from reading what it says.
    if (!connection.Writable()) {
      absl::MutexLock lock(&mutex_);
      NoteStuck(true);
      return Rest{.wants_room = !waiting_.empty()};
    }
    Answers answers;
    const AmqpMessage* const message = TakeNext(answers);
    Answer(std::move(answers));
    if (message == nullptr) return Rest{};
    RETURN_IF_ERROR(connection.Publish(kPublishChannel, *message));
  }
  return Rest{.more = true};
}

const AmqpMessage* AmqpPublisher::TakeNext(Answers& answers) {
  const absl::Time now = absl::Now();
  absl::MutexLock lock(&mutex_);
  NoteStuck(false);
  if (ready_ && !blocked_ && probe_tag_ == 0 && now - probed_at_ >= kAmqpProbeEvery) return BeginProbe(now);
  while (!waiting_.empty() && !blocked_ && ready_) {
    Entry entry = std::move(waiting_.front());
    waiting_.pop_front();
    if (now < entry.deadline) return BeginFlight(std::move(entry), now);
    Release(entry);
    answers.emplace_back(std::move(entry.done), absl::UnavailableError("it was not sent before its deadline"));
  }
  return nullptr;
}

absl::Status AmqpPublisher::OnEvent(AmqpConnection& connection, AmqpEvent event) {
  Answers answers;
  {
    absl::MutexLock lock(&mutex_);
    heard_at_ = absl::Now();
    silent_ = false;
    switch (event.kind) {
      case AmqpEvent::Kind::kConfirmed:
      case AmqpEvent::Kind::kRejected:
        ready_ = true;
        Settle(event, answers);
        break;
      case AmqpEvent::Kind::kReturned:
        MarkReturned(event.message);
        break;
      case AmqpEvent::Kind::kBlocked:
        blocked_ = true;
        RefuseWaiting(State(), answers);
        break;
      case AmqpEvent::Kind::kUnblocked:
        blocked_ = false;
        break;
      case AmqpEvent::Kind::kDelivery:
        break;
    }
  }
  Answer(std::move(answers));
  return absl::OkStatus();
}

void AmqpPublisher::Settle(const AmqpEvent& event, Answers& answers) {
  if (event.tag == probe_tag_ || (event.multiple && event.tag > probe_tag_)) probe_tag_ = 0;
  auto entry = event.multiple ? in_flight_.begin() : in_flight_.find(event.tag);
  while (entry != in_flight_.end() && entry->first <= event.tag) {
    SettleOne(entry->second, event, answers);
    entry = in_flight_.erase(entry);
  }
}

void AmqpPublisher::SettleOne(Entry& entry, const AmqpEvent& event, Answers& answers) {
  Release(entry);
  if (entry.done == nullptr) return;
  absl::Status status;
  if (event.kind == AmqpEvent::Kind::kRejected) {
    status = absl::ResourceExhaustedError(
        absl::StrCat("the broker does not take it: ", entry.message.routing_key, " is full, or has no leader"));
  } else if (entry.returned) {
    status = absl::NotFoundError(absl::StrCat("no queue takes messages for ", entry.message.routing_key));
  }
  answers.emplace_back(std::move(entry.done), std::move(status));
}

void AmqpPublisher::MarkReturned(const AmqpMessage& message) {
  for (auto entry = in_flight_.upper_bound(last_returned_); entry != in_flight_.end(); ++entry) {
    const AmqpMessage& sent = entry->second.message;
    if (!sent.mandatory || sent.message_id != message.message_id || sent.routing_key != message.routing_key ||
        sent.exchange != message.exchange) {
      continue;
    }
    entry->second.returned = true;
    last_returned_ = entry->first;
    return;
  }
}

void AmqpPublisher::OnLost(const absl::Status& why) {
  Answers answers;
  {
    absl::MutexLock lock(&mutex_);
    ready_ = false;
    blocked_ = false;
    silent_ = false;
    lost_ = absl::UnavailableError(why.message());
    RefuseWaiting(lost_, answers);
    for (auto& [tag, entry] : in_flight_) {
      Release(entry);
      if (entry.done == nullptr) continue;
      answers.emplace_back(std::move(entry.done),
                           storage::UnknownCommitError(absl::StrCat("no confirm came: ", why.message())));
    }
    in_flight_.clear();
    last_tag_ = 0;
    last_returned_ = 0;
    probe_tag_ = 0;
    stuck_ = false;
  }
  Answer(std::move(answers));
}

void AmqpPublisher::RefuseWaiting(const absl::Status& why, Answers& answers) {
  for (Entry& entry : waiting_) {
    Release(entry);
    answers.emplace_back(std::move(entry.done), why);
  }
  waiting_.clear();
}

void AmqpPublisher::Release(const Entry& entry) {
  if (entry.probe) return;
  --messages_;
  bytes_ -= entry.message.bytes();
}

void AmqpPublisher::KeepDeadlines() {
  const absl::Time now = absl::Now();
  Answers answers;
  {
    absl::MutexLock lock(&mutex_);
    silent_ = Silence(now) > kLongestSilence;
    if (now < next_deadline_) return;
    next_deadline_ = absl::InfiniteFuture();
    for (auto& [tag, entry] : in_flight_) {
      if (entry.done == nullptr) continue;
      if (now < entry.deadline) {
        next_deadline_ = std::min(next_deadline_, entry.deadline);
        continue;
      }
      answers.emplace_back(std::move(entry.done), storage::UnknownCommitError("no confirm came before the deadline"));
      entry.done = nullptr;
    }
    std::deque<Entry> left;
    for (Entry& entry : waiting_) {
      if (now < entry.deadline) {
        next_deadline_ = std::min(next_deadline_, entry.deadline);
        left.push_back(std::move(entry));
        continue;
      }
      Release(entry);
      answers.emplace_back(std::move(entry.done), absl::UnavailableError("it was not sent before its deadline"));
    }
    waiting_ = std::move(left);
  }
  Answer(std::move(answers));
}

void AmqpPublisher::Answer(Answers answers) {
  for (auto& [done, status] : answers) done(std::move(status));
}

}  // namespace tranche::server
