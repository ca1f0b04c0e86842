#include "server/queue/queue_depths.h"

#include <algorithm>
#include <utility>

#include "absl/status/statusor.h"
#include "glog/logging.h"

namespace tranche::server {
namespace {

constexpr absl::Duration kSoonestPoll = absl::Milliseconds(200);
constexpr absl::Duration kLatestPoll = absl::Seconds(10);
// Of a queue that nobody has seen shrink.
constexpr double kGuessedRate = 1000;
// Older figures are no news: a queue's leader may be gone for that long.
constexpr absl::Duration kFreshFor = absl::Seconds(5);
// Answers in a row after which an empty queue is believed to be empty.
constexpr int kBelievedAfter = 3;

// Whether an answer is to be doubted that is also what a queue without a leader gives, after one that it is not.
bool Doubt(bool nothing, bool nothing_before, int* doubted) {
  if (!nothing || nothing_before) {
    *doubted = 0;
    return false;
  }
  if (++*doubted < kBelievedAfter) return true;
  *doubted = 0;
  return false;
}

}  // namespace

absl::Duration PollAfter(int64_t ahead, double drained_per_s) {
  const double rate = drained_per_s > 0 ? drained_per_s : kGuessedRate;
  return std::clamp(absl::Seconds(static_cast<double>(ahead) / rate), kSoonestPoll, kLatestPoll);
}

void QueueDepths::Poll(const std::vector<std::string>& queues) {
  absl::flat_hash_map<std::string, int64_t> before;
  {
    absl::MutexLock lock(&mutex_);
    for (const std::string& queue : queues) before[queue] = queues_[queue].published;
    absl::erase_if(queues_, [&](const auto& known) { return !before.contains(known.first); });
  }
  const auto ending = [this] { return ending_.load(std::memory_order_relaxed); };
  if (queues.empty() || ending()) return;
  absl::StatusOr<std::vector<QueueDepth>> depths = admin_->Depths(queues);
  if (absl::IsNotFound(depths.status())) {
    if (ending()) return;
    const absl::Status declared = admin_->Declare(queues);
    if (declared.ok()) return;  // read by the next poll: each call may take seconds
    depths = declared;
  }
  if (!depths.ok()) {
    LOG_EVERY_T(WARNING, 60) << "the broker does not say how full the queues of claims are: " << depths.status()
                             << " (at most one line a minute)";
    return;
  }
  const absl::Time now = clock_->Now();
  absl::MutexLock lock(&mutex_);
  for (const QueueDepth& depth : *depths) {
    const auto figures = queues_.find(depth.queue);
    if (figures != queues_.end()) Apply(depth, before[depth.queue], now, &figures->second);
  }
}

bool QueueDepths::Fresh(const Figures& figures, absl::Time now) const { return now - figures.read_at <= kFreshFor; }

void QueueDepths::Apply(QueueDepth depth, int64_t published_before, absl::Time now, Figures* figures) {
  if (figures->read_at != absl::InfinitePast()) {
    const QueueDepth& last = figures->depth;
    if (Doubt(depth.dead == 0, last.dead == 0, &figures->dead_doubted)) depth.dead = last.dead;
    const bool nothing_before = last.ready == 0 && last.consumers == 0;
    if (Doubt(depth.ready == 0 && depth.consumers == 0, nothing_before, &figures->doubted)) return;
  }
  const absl::Duration passed = now - figures->read_at;
  const bool known = figures->read_at != absl::InfinitePast() && passed > absl::ZeroDuration();
  // An empty queue shows nobody's rate.
  if (known && figures->depth.ready > 0) {
    const int64_t drained = figures->depth.ready + (published_before - figures->published_before) - depth.ready;
    const double rate = std::max<double>(0, static_cast<double>(drained)) / absl::ToDoubleSeconds(passed);
    figures->drained_per_s = figures->drained_per_s > 0 ? (figures->drained_per_s + rate) / 2 : rate;
  }
  figures->depth = depth;
  figures->read_at = now;
  figures->published_before = published_before;
  figures->published_before_answer = figures->published;
}

void QueueDepths::NotePublished(const std::string& queue) {
  absl::MutexLock lock(&mutex_);
  ++queues_[queue].published;
}

int64_t QueueDepths::Ahead(const std::string& queue) const {
  absl::ReaderMutexLock lock(&mutex_);
  const auto found = queues_.find(queue);
  if (found == queues_.end()) return 0;
  return found->second.depth.ready + found->second.published - found->second.published_before;
}

int64_t QueueDepths::Backlog(const std::string& queue) const {
  absl::ReaderMutexLock lock(&mutex_);
  const auto found = queues_.find(queue);
  if (found == queues_.end()) return 0;
  return found->second.depth.ready + found->second.published - found->second.published_before_answer;
}

ClaimOutlook QueueDepths::OutlookOf(const std::string& queue, int64_t ahead, absl::Time queued_at) const {
  double drained_per_s = 0;
  const absl::Time now = clock_->Now();
  {
    absl::ReaderMutexLock lock(&mutex_);
    if (const auto found = queues_.find(queue); found != queues_.end()) {
      const Figures& figures = found->second;
      // What the broker has not told of, or not lately, may be anything.
      const int64_t depth = figures.depth.ready + figures.published - figures.published_before;
      if (Fresh(figures, now)) ahead = figures.read_at > queued_at ? std::min(ahead, depth) : std::max(ahead, depth);
      drained_per_s = figures.drained_per_s;
    }
  }
  return {.ahead = ahead, .poll_after = PollAfter(ahead, drained_per_s)};
}

std::vector<QueueDepths::Known> QueueDepths::All() const {
  std::vector<Known> all;
  const absl::Time now = clock_->Now();
  absl::ReaderMutexLock lock(&mutex_);
  for (const auto& [_, figures] : queues_) {
    if (Fresh(figures, now)) all.push_back({figures.depth, figures.read_at});
  }
  return all;
}

}  // namespace tranche::server
