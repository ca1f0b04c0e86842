// Showing something again and again, as --watch does.
#pragma once

#include <optional>

#include "absl/functional/function_ref.h"
#include "absl/status/statusor.h"
#include "absl/time/clock.h"
#include "absl/time/time.h"
#include "client/ctl/session.h"

namespace tranche::ctl {

// What stands above each view: the time, and whether the view is of now. On a terminal the screen is drawn anew each
// time. Elsewhere, and in JSON, nothing is printed while the view is stale, but stderr says so once.
class LiveHeader {
 public:
  explicit LiveHeader(Session& session) : session_(session) {}

  void Fresh();
  // Whether the last view is to be printed again.
  bool Stale(const absl::Status& error);

 private:
  Session& session_;
  absl::Time seen_;
  bool stale_ = false;
};

// Whether the cluster may answer again if it is asked again.
bool MayPass(const absl::Status& error);

// Until the output ends, which the caller sees from it, or `look` fails: for good, or before anything was seen.
template <typename View>
void WatchLive(Session& session, absl::Duration interval, absl::FunctionRef<absl::StatusOr<View>()> look,
               absl::FunctionRef<void(const View&)> print) {
  LiveHeader header(session);
  std::optional<View> last;
  while (true) {
    absl::StatusOr<View> view = look();
    if (view.ok()) {
      last = *std::move(view);
      header.Fresh();
      print(*last);
    } else if (!last.has_value() || !MayPass(view.status())) {
      return session.FailRemotely(view.status());
    } else if (header.Stale(view.status())) {
      print(*last);
    }
    if (!session.out().flush()) return;
    absl::SleepFor(interval);
  }
}

}  // namespace tranche::ctl
