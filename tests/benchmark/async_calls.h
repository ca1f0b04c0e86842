// Calls of one kind at a front node, many at once: how many are answered in a second, how soon, and what an answer
// costs the node.
#pragma once

#include <grpcpp/grpcpp.h>

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <functional>
#include <map>
#include <nlohmann/json.hpp>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "absl/base/thread_annotations.h"
#include "absl/strings/string_view.h"
#include "absl/synchronization/mutex.h"
#include "absl/time/clock.h"
#include "absl/time/time.h"
#include "tests/benchmark/process_cpu.h"

namespace tranche::benchmark {

constexpr absl::Duration kAsyncCallDeadline = absl::Seconds(5);

struct CallFigures {
  uint64_t answers = 0;
  double per_second = 0;
  double cpu_us = 0;  // of the node, for one answer; 0 if its process was not told
  absl::Duration p50;
  absl::Duration p99;
  std::map<std::string, uint64_t> problems;  // of the answers that are not as they should be
};

// The time that so many percent of them do not exceed; zero of none. Puts them into another order.
absl::Duration Percentile(std::vector<absl::Duration>& times, int percent);
// The reason in the error, or the status code's number.
std::string ProblemOf(const grpc::Status& status);
nlohmann::json ToJson(const CallFigures& figures);
void PrintFigures(const std::string& name, const CallFigures& figures);
// Whether there were answers, and all were as they should be. If not, says on stderr that this is no measurement of
// what `name` names.
bool AllAsMeant(absl::string_view program, absl::string_view name, const CallFigures& figures);

// The functions are called on many threads at once.
template <typename Request, typename Response>
struct CallKind {
  std::function<bool(Request&)> next;  // false: there is nothing left to ask
  std::function<void(grpc::ClientContext*, const Request*, Response*, std::function<void(grpc::Status)>)> call;
  std::function<std::string(const Request&, const Response&)> problem;  // of an answer that is OK; "": none
};

// A fixed number of calls at once, each slot one call after the other. Used once.
template <typename Request, typename Response>
class AsyncCalls {
 public:
  AsyncCalls(CallKind<Request, Response> kind, int in_flight)
      : kind_(std::move(kind)), slots_(static_cast<size_t>(in_flight)), busy_(slots_.size()) {}

  // Calls for that long, or until there is nothing left to ask, then waits for outstanding answers; counts only answers
  // within the time. `node_pid`: the node's process, to measure its CPU time; 0: it is not measured.
  CallFigures Run(absl::Duration duration, int node_pid) {
    const absl::Duration cpu_before = CpuOf(node_pid);
    const absl::Time start = absl::Now();
    end_ = start + duration;
    for (Slot& slot : slots_) Next(slot);
    const auto idle = [this]() ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_) { return busy_ == 0; };
    absl::MutexLock lock(&mutex_);
    mutex_.Await(absl::Condition(&idle));
    const absl::Duration used = CpuOf(node_pid) - cpu_before;
    if (figures_.answers == 0) return figures_;
    figures_.per_second = static_cast<double>(figures_.answers) / absl::ToDoubleSeconds(last_answer_ - start);
    figures_.cpu_us = absl::ToDoubleMicroseconds(used) / static_cast<double>(figures_.answers);
    figures_.p50 = Percentile(times_, 50);
    figures_.p99 = Percentile(times_, 99);
    return figures_;
  }

 private:
  struct Slot {
    std::optional<grpc::ClientContext> context;
    Request request;
    Response response;
    absl::Time sent;
  };

  void Next(Slot& slot) {
    if (absl::Now() >= end_ || !kind_.next(slot.request)) {
      absl::MutexLock lock(&mutex_);
      --busy_;
      return;
    }
    slot.context.emplace();
    slot.sent = absl::Now();
    slot.context->set_deadline(absl::ToChronoTime(slot.sent + kAsyncCallDeadline));
    kind_.call(&*slot.context, &slot.request, &slot.response,
               [this, &slot](const grpc::Status& status) { Done(slot, status); });
  }

  void Done(Slot& slot, const grpc::Status& status) {
    const absl::Time now = absl::Now();
    if (now < end_) {
      const std::string problem = status.ok() ? kind_.problem(slot.request, slot.response) : ProblemOf(status);
      absl::MutexLock lock(&mutex_);
      ++figures_.answers;
      times_.push_back(now - slot.sent);
      last_answer_ = std::max(last_answer_, now);
      if (!problem.empty()) ++figures_.problems[problem];
    }
    Next(slot);
  }

  const CallKind<Request, Response> kind_;
  absl::Time end_;
  std::vector<Slot> slots_;
  absl::Mutex mutex_;
  size_t busy_ ABSL_GUARDED_BY(mutex_);
  absl::Time last_answer_ ABSL_GUARDED_BY(mutex_) = absl::InfinitePast();
  std::vector<absl::Duration> times_ ABSL_GUARDED_BY(mutex_);  // from call to answer
  CallFigures figures_ ABSL_GUARDED_BY(mutex_);
};

}  // namespace tranche::benchmark
