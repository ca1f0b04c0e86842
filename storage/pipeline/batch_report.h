// Tells of batches that failed or took long, and of a few of the calls that were in them.
#pragma once

#include <algorithm>
#include <cstddef>
#include <string>
#include <utility>
#include <vector>

#include "absl/status/status.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "absl/time/time.h"
#include "absl/types/span.h"
#include "glog/logging.h"
#include "storage/base/log_event.h"
#include "storage/base/log_trace.h"

namespace tranche::storage {

// One for each lane. Used by one thread at a time.
class BatchReport {
 public:
  static constexpr absl::Duration kSlow = absl::Seconds(1);
  static constexpr size_t kMostTraces = 3;

  // After a try of the batch that took so long and ended so. At most one line a second. A failure is only told if one
  // of the batch's calls has a trace: its cause is logged where it is found, and here is only who was concerned.
  // `Work`: see GroupCommit.
  template <typename Work>
  void Note(absl::Span<const typename Work::Item> batch, absl::Duration took, const absl::Status& status,
            absl::Time now) {
    const bool slow = took > kSlow;
    if (status.ok() && !slow) return;
    // A clock that was set back must not silence it.
    if (now < told_at_ + absl::Seconds(1) && now >= told_at_) return;
    const std::vector<std::string> traces = TracesOf<Work>(batch);
    if (!slow && traces.empty()) return;
    told_at_ = now;
    LOG(WARNING) << "a batch of " << batch.size() << " " << Work::kRequests
                 << (status.ok() ? " took " : " was not committed at this try, after ") << absl::FormatDuration(took)
                 << (status.ok() ? "" : absl::StrCat(" (", status.message(), ")"))
                 << (traces.empty() ? "" : absl::StrCat("; calls in it: ", absl::StrJoin(traces, ", ")));
  }

 private:
  // Each of a few calls by "trace=ID", else by "request=ID"; the same one once.
  template <typename Work>
  static std::vector<std::string> TracesOf(absl::Span<const typename Work::Item> batch) {
    std::vector<std::string> traces;
    for (const auto& item : batch) {
      const TraceTag& tag = Work::TraceOf(item);
      if (tag == nullptr) continue;
      std::string text = tag->trace_id.empty() ? absl::StrCat("request=", LogWord(tag->request_id))
                                               : absl::StrCat("trace=", LogWord(tag->trace_id));
      if (std::find(traces.begin(), traces.end(), text) != traces.end()) continue;
      traces.push_back(std::move(text));
      if (traces.size() == kMostTraces) break;
    }
    return traces;
  }

  absl::Time told_at_ = absl::InfinitePast();
};

}  // namespace tranche::storage
