// Publishes messages to an AMQP broker, with confirms.
#pragma once

#include <cstddef>
#include <cstdint>
#include <deque>
#include <map>
#include <string>
#include <utility>
#include <vector>

#include "absl/base/thread_annotations.h"
#include "absl/functional/any_invocable.h"
#include "absl/status/status.h"
#include "absl/synchronization/mutex.h"
#include "absl/time/time.h"
#include "server/process/broker_options.h"
#include "server/process/periodic_task.h"
#include "server/queue/amqp_message.h"
#include "server/queue/amqp_session.h"

namespace tranche::server {

// What may be under way at once, sent or not. A confirm of a quorum queue takes some milliseconds.
struct AmqpPublisherLimits {
  size_t messages = 20'000;
  size_t bytes = size_t{32} << 20;
};

// One connection, and two threads: one sends and reads, and one keeps to the deadlines whatever the broker does.
// Messages are sent in the order in which they come. Thread-safe.
class AmqpPublisher : private AmqpSession::User {
 public:
  // OK: confirmed. kUnavailable: the broker does not have it: no connection, an alarm, or it was not sent before the
  // deadline. kNotFound: nor does it; no queue takes it. kResourceExhausted: nor does it; a queue is full, or the
  // limits are reached. storage::IsUnknownCommit: it was sent, and no confirm came.
  using Done = absl::AnyInvocable<void(absl::Status)>;

  AmqpPublisher(BrokerOptions options, std::string name, AmqpPublisherLimits limits = {});
  // Answers what is under way.
  ~AmqpPublisher() override;

  // Does not block. `done` is called exactly once, inline or on a thread of the publisher, at the deadline plus 200 ms
  // at the latest; it must not block.
  void Publish(AmqpMessage message, absl::Time deadline, Done done);

  // False: connecting, an alarm, or the broker has not answered for a second. Then Publish refuses at once. An alarm is
  // known a second after its begin at the latest; what was sent before that is confirmed at its end, or unknown at the
  // deadline. A broker that does not answer for three seconds is left for the next one.
  bool Up() const;

 private:
  struct Entry {
    AmqpMessage message = {};
    absl::Time deadline = absl::InfiniteFuture();
    Done done = nullptr;  // null: answered; the broker's confirm is still to come
    absl::Time sent_at = absl::InfiniteFuture();
    bool returned = false;
    bool probe = false;  // a message to nobody, which counts for no limit
  };
  using Answers = std::vector<std::pair<Done, absl::Status>>;

  absl::Status OnOpen(AmqpConnection& connection) override;
  absl::StatusOr<Rest> OnTurn(AmqpConnection& connection) override;
  absl::Status OnEvent(AmqpConnection& connection, AmqpEvent event) override;
  void OnLost(const absl::Status& why) override;

  void KeepDeadlines();
  // The message to be sent next, or null. It stays where it is until it is confirmed or the connection is lost: only
  // the session's thread removes it.
  const AmqpMessage* TakeNext(Answers& answers) ABSL_LOCKS_EXCLUDED(mutex_);
  const AmqpMessage* BeginFlight(Entry entry, absl::Time now) ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);
  const AmqpMessage* BeginProbe(absl::Time now) ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);
  void NoteStuck(bool stuck) ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);
  // For how long the broker has owed an answer and said nothing.
  absl::Duration Silence(absl::Time now) const ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);
  // OK: the connection is of use.
  absl::Status WhyLeave(absl::Time now) const ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);
  void Settle(const AmqpEvent& event, Answers& answers) ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);
  void SettleOne(Entry& entry, const AmqpEvent& event, Answers& answers) ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);
  void MarkReturned(const AmqpMessage& message) ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);
  void RefuseWaiting(const absl::Status& why, Answers& answers) ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);
  void Release(const Entry& entry) ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);
  // OK: it takes messages.
  absl::Status State() const ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);
  static void Answer(Answers answers);

  const AmqpPublisherLimits limits_;

  mutable absl::Mutex mutex_;
  bool closing_ ABSL_GUARDED_BY(mutex_) = false;
  bool ready_ ABSL_GUARDED_BY(mutex_) = false;    // connected, and the first probe is confirmed
  bool blocked_ ABSL_GUARDED_BY(mutex_) = false;  // by an alarm
  bool silent_ ABSL_GUARDED_BY(mutex_) = false;   // the broker owes an answer and says nothing
  absl::Status lost_ ABSL_GUARDED_BY(mutex_) = absl::UnavailableError("connecting to the broker");
  std::deque<Entry> waiting_ ABSL_GUARDED_BY(mutex_);            // to be sent
  std::map<uint64_t, Entry> in_flight_ ABSL_GUARDED_BY(mutex_);  // by tag: sent, or being sent
  uint64_t last_tag_ ABSL_GUARDED_BY(mutex_) = 0;
  uint64_t last_returned_ ABSL_GUARDED_BY(mutex_) = 0;  // returns come in the order of publishes
  size_t messages_ ABSL_GUARDED_BY(mutex_) = 0;
  size_t bytes_ ABSL_GUARDED_BY(mutex_) = 0;
  uint64_t probe_tag_ ABSL_GUARDED_BY(mutex_) = 0;                     // of the probe that is not answered yet; 0: none
  bool stuck_ ABSL_GUARDED_BY(mutex_) = false;                         // the socket takes nothing more
  absl::Time full_at_ ABSL_GUARDED_BY(mutex_) = absl::InfinitePast();  // when the limits refused a message last
  absl::Time probed_at_ ABSL_GUARDED_BY(mutex_) = absl::InfinitePast();
  absl::Time heard_at_ ABSL_GUARDED_BY(mutex_) = absl::InfinitePast();
  absl::Time next_deadline_ ABSL_GUARDED_BY(mutex_) = absl::InfiniteFuture();  // not later than the first one

  AmqpSession session_;
  PeriodicTask deadlines_;  // last: it uses the others
};

}  // namespace tranche::server
