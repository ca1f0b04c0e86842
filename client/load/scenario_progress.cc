#include "client/load/scenario_progress.h"

#include <cstdio>
#include <string>
#include <utility>

#include "absl/strings/str_format.h"
#include "absl/time/time.h"

namespace tranche::load {

ScenarioProgress::ScenarioProgress(std::function<internal::v1::LoadProgress()> progress)
    : progress_(std::move(progress)), thread_([this] {
        while (!stop_.WaitForNotificationWithTimeout(absl::Milliseconds(250))) Draw();
        Draw();
        std::fputc('\n', stderr);
      }) {}

ScenarioProgress::~ScenarioProgress() {
  stop_.Notify();
  thread_.join();
}

void ScenarioProgress::Draw() {
  const internal::v1::LoadProgress now = progress_();
  // \r and "erase to the end of the line": the line is drawn over the last one.
  const std::string line =
      absl::StrFormat("\r%d came  %d not begun  %d under way  %d claims sold\x1b[K", now.arrivals(), now.not_begun(),
                      now.arrivals() - now.not_begun() - now.ended(), now.sold());
  std::fputs(line.c_str(), stderr);
  std::fflush(stderr);
}

}  // namespace tranche::load
