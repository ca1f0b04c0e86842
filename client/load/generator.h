// Sends the requests: keeps a window full (closed loop) or sends at random times (open loop).
#pragma once

#include <atomic>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <vector>

#include "absl/base/thread_annotations.h"
#include "absl/synchronization/mutex.h"
#include "absl/time/time.h"
#include "client/load/changer.h"
#include "client/load/load_options.h"
#include "client/load/outcomes.h"
#include "client/load/stop_flag.h"
#include "tranche/client.h"

namespace tranche::load {

// One run. Stop() may be called from any thread and from a signal handler.
class Generator {
 public:
  // `changer`, unless null, gets every reservation.
  Generator(const LoadOptions& options, Client& client, Outcomes& outcomes, Changer* changer = nullptr);

  // Returns when every request is answered or, after Stop() or the duration, when those in flight are. What is queued
  // is waited for, too.
  void Run();
  void Stop() { stop_.Set(); }

  bool interrupted() const { return stop_.IsSet(); }
  const StopFlag& stop_flag() const { return stop_; }
  absl::Duration elapsed() const;

  // Of an open loop, for as long as it sent: how long that was, how many requests were acknowledged by its end, within
  // their deadline as counted from the intended arrival; and how many were not sent because it was too late for them.
  struct OpenLoop {
    absl::Duration sending = absl::ZeroDuration();
    uint64_t acknowledged_in_time = 0;
    uint64_t not_sent = 0;
  };
  const OpenLoop& open_loop() const { return open_loop_; }

 private:
  void RunClosedLoop();
  void RunOpenLoop();
  void SendAtRandomTimes();
  // An open loop does not wait with this arrival for room or for its own processor.
  bool IsTooLate(absl::Time arrival);
  // Takes the number of the next request; false when there is none.
  bool TakeNext(int64_t* number);
  // Spreads requests over the streams.
  size_t FirstStreamOf(int64_t number) const {
    return streams_.empty() ? 0 : static_cast<size_t>(number) % streams_.size();
  }
  // `stream`: the index of the one to send on, if there are any.
  void Send(int64_t number, size_t stream, absl::Time intended_start);
  // A request that is queued may send the next one, as one that is answered.
  void AcceptQueued(int sku, size_t stream, absl::Time intended_start, CreateReservation* request,
                    Client::Callback* record);
  void OnAnswer(size_t stream);
  // Waits until fewer than `limit` requests are in flight.
  void AwaitFewerThan(int64_t limit);
  // Waits until what is queued is decided.
  void AwaitDecisions();

  const LoadOptions& options_;
  Client& client_;
  Outcomes& outcomes_;
  Changer* const changer_;
  absl::Time started_;
  absl::Time ended_ = absl::InfiniteFuture();
  OpenLoop open_loop_;
  StopFlag stop_;
  std::atomic<int64_t> next_{0};
  // Empty when every request is a call of its own.
  std::vector<std::unique_ptr<ReservationStream>> streams_;

  absl::Mutex mutex_;
  int64_t in_flight_ ABSL_GUARDED_BY(mutex_) = 0;
  int64_t undecided_ ABSL_GUARDED_BY(mutex_) = 0;  // queued, and not in flight any more
};

// Sends requests of unknown outcome again, with their ids, until each has an answer, `rounds` are over or `stop` is
// set. What stays unknown stays in `outcomes`.
void ResolveUnknown(Client& client, Outcomes& outcomes, int rounds, const StopFlag& stop);

}  // namespace tranche::load
