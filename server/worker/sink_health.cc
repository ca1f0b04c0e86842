#include "server/worker/sink_health.h"

#include <algorithm>

namespace tranche::server {
namespace {

constexpr int kGrowth = 4;

}  // namespace

SinkHealth::Permit SinkHealth::Ask(absl::Time now) {
  absl::MutexLock lock(&mutex_);
  if (failures_ == 0) return {.messages = batch_};
  if (const absl::Duration left = PauseLeftLocked(now); left > absl::ZeroDuration()) return {.wait = left};
  if (probing_) return {.wait = options_.least_pause};
  probing_ = true;
  return {.messages = 1, .probe = true};
}

absl::Duration SinkHealth::PauseLeft(absl::Time now) const {
  absl::MutexLock lock(&mutex_);
  return failures_ == 0 ? absl::ZeroDuration() : PauseLeftLocked(now);
}

absl::Duration SinkHealth::PauseLeftLocked(absl::Time now) const {
  const absl::Duration left = paused_until_ - now;
  // A longer pause was never set: the clock was set back.
  const absl::Duration longest = std::max(options_.pause.most, options_.least_pause);
  return left > absl::ZeroDuration() && left <= longest ? left : absl::ZeroDuration();
}

SinkHealth::Change SinkHealth::Report(const Permit& permit, const Outcomes& outcomes, absl::Time now, double random) {
  absl::MutexLock lock(&mutex_);
  if (permit.probe) probing_ = false;
  if (outcomes.answered > 0) return NoteAnswer(outcomes);
  if (outcomes.failed == 0) return Change::kNone;
  // A batch that was in flight when another one brought the sink down says nothing new.
  if (failures_ > 0 && !permit.probe) return Change::kNone;
  ++failures_;
  batch_ = 1;
  paused_until_ = now + std::max(options_.least_pause, Backoff(options_.pause, failures_, random));
  return failures_ == 1 ? Change::kDown : Change::kNone;
}

SinkHealth::Change SinkHealth::NoteAnswer(const Outcomes& outcomes) {
  const bool was_down = failures_ > 0;
  failures_ = 0;
  // The batch was more than it can take in time, or only a part of it works: send less at once.
  const bool struggles = outcomes.failed + outcomes.not_tried > 0;
  batch_ = struggles ? std::max(1, batch_ / 2) : std::min(options_.max_batch, batch_ * kGrowth);
  return was_down ? Change::kUp : Change::kNone;
}

}  // namespace tranche::server
