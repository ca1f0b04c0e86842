#include "server/worker/sink_health.h"

#include <algorithm>

namespace tranche::server {
namespace {

constexpr int kGrowth = 4;

}  // namespace

SinkHealth::Permit SinkHealth::Ask(absl::Time now) {
  absl::MutexLock lock(&mutex_);
  const bool tried_ones_wait = Left(tried_, now) > absl::ZeroDuration();
  const Which which = tried_ones_wait ? Which::kFresh : Which::kFreshElseOne;
  if (fresh_.failures == 0) return {.messages = batch_, .which = tried_.failures == 0 ? Which::kAny : which};
  if (const absl::Duration left = Left(fresh_, now); left > absl::ZeroDuration()) return {.wait = left};
  if (probing_) return {.wait = options_.least_pause};
  probing_ = true;
  return {.messages = 1, .which = which, .probe = true};
}

absl::Duration SinkHealth::PauseLeft(absl::Time now) const {
  absl::MutexLock lock(&mutex_);
  return Left(tried_, now);
}

bool SinkHealth::down() const {
  absl::MutexLock lock(&mutex_);
  return down_;
}

absl::Duration SinkHealth::Left(const Lane& lane, absl::Time now) const {
  const absl::Duration left = lane.after - now;
  // A longer pause was never set: the clock was set back.
  const absl::Duration longest = std::max(options_.pause.most, options_.least_pause);
  return left > absl::ZeroDuration() && left <= longest ? left : absl::ZeroDuration();
}

SinkHealth::Change SinkHealth::Report(const Permit& permit, const Outcomes& outcomes, absl::Time now, double random) {
  absl::MutexLock lock(&mutex_);
  if (permit.probe) probing_ = false;
  if (outcomes.answered > 0) return NoteAnswer(outcomes);
  if (outcomes.failed + outcomes.failed_again == 0) return Change::kNone;
  // A batch that was in flight when another one failed says nothing new.
  if (fresh_.failures > 0 && !permit.probe) return Change::kNone;
  NoteFailure(now, random, &tried_);
  if (outcomes.failed > 0) {
    NoteFailure(now, random, &fresh_);
    tried_.after = std::max(tried_.after, fresh_.after);
    batch_ = 1;
  }
  if (!permit.probe || down_) return Change::kNone;
  down_ = true;
  return Change::kDown;
}

// The first time another message is tried at once: only two in a row say something about the sink.
void SinkHealth::NoteFailure(absl::Time now, double random, Lane* lane) {
  ++lane->failures;
  if (lane->failures == 1) return;
  lane->after = now + std::max(options_.least_pause, Backoff(options_.pause, lane->failures - 1, random));
}

SinkHealth::Change SinkHealth::NoteAnswer(const Outcomes& outcomes) {
  fresh_ = tried_ = Lane();
  // The batch was more than it can take in time, or it takes only a part of what comes at once: send less.
  const bool struggles = outcomes.not_tried > 0 || outcomes.failed * 4 > outcomes.answered + outcomes.failed;
  batch_ = struggles ? std::max(1, batch_ / 2) : std::min(options_.max_batch, batch_ * kGrowth);
  const bool was_down = down_;
  down_ = false;
  return was_down ? Change::kUp : Change::kNone;
}

}  // namespace tranche::server
