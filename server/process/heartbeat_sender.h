// Tells one shard, again and again, that this process runs and what it does there.
#pragma once

#include <functional>
#include <optional>
#include <string>

#include "absl/status/status.h"
#include "absl/time/time.h"
#include "server/process/periodic_task.h"
#include "storage/ledger/health_ledger.h"
#include "storage/uuid.h"

namespace tranche::server {

// A random id for this run of the process.
storage::Uuid RandomInstance();

// On a thread of its own, so that it delays nothing and nothing delays it, but a ledger that hangs. The first beat is
// sent at once, the next ones every kInterval, and one soon after the process begins or ends to lead. That it fails is
// logged, once a minute at most: it harms nothing.
class HeartbeatSender {
 public:
  static constexpr absl::Duration kInterval = absl::Seconds(5);

  struct Process {
    std::string name;  // cut to 128 bytes
    storage::Uuid instance;
  };

  // `describe` says what the process does there; the sender adds who it is. Both outlive this.
  HeartbeatSender(storage::HealthLedger* ledger, Process process, std::function<storage::Heartbeat()> describe);
  // Says that it has ended, if the ledger answered the last beat, and lately. Waits for a beat that is under way.
  ~HeartbeatSender();
  HeartbeatSender(const HeartbeatSender&) = delete;
  HeartbeatSender& operator=(const HeartbeatSender&) = delete;

 private:
  void Tick();

  storage::HealthLedger* const ledger_;
  const Process process_;
  const std::function<storage::Heartbeat()> describe_;
  // Only on the task's thread, and after its end.
  storage::Heartbeat::Kind kind_ = storage::Heartbeat::Kind::kWorker;
  absl::Time arrived_at_ = absl::InfinitePast();  // the last beat, by SteadyNow; past: it failed
  absl::Time next_beat_ = absl::InfinitePast();
  bool led_ = false;  // as the last beat said
  absl::Time tell_again_at_ = absl::InfinitePast();
  // Last: it uses the others. Wakes often, so that a change is told soon and an end does not wait for long.
  std::optional<PeriodicTask> task_;
};

}  // namespace tranche::server
