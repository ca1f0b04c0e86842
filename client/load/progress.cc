#include "client/load/progress.h"

#include <cstdio>
#include <string>

#include "absl/strings/str_format.h"

namespace tranche::load {

Progress::Progress(const LoadOptions& options, const Generator& generator, const Outcomes& outcomes)
    : options_(options), generator_(generator), outcomes_(outcomes), thread_([this] { Run(); }) {}

Progress::~Progress() {
  stop_.Notify();
  thread_.join();
}

void Progress::Run() {
  constexpr absl::Duration kInterval = absl::Milliseconds(250);
  uint64_t before = 0;
  while (!stop_.WaitForNotificationWithTimeout(kInterval)) {
    const uint64_t done = outcomes_.done();
    Draw(static_cast<double>(done - before) / absl::ToDoubleSeconds(kInterval));
    before = done;
  }
  Draw(static_cast<double>(outcomes_.done()) / absl::ToDoubleSeconds(generator_.elapsed()));
  std::fputc('\n', stderr);
}

void Progress::Draw(double per_second) {
  const uint64_t done = outcomes_.done();
  const uint64_t created = outcomes_.acknowledged();
  const uint64_t sold_out = outcomes_.sold_out();
  const std::string of = options_.requests > 0 ? absl::StrFormat("/%d", options_.requests) : "";
  // \r and "erase to the end of the line": the line is drawn over the last one.
  const std::string line =
      absl::StrFormat("\r%d%s done  %.0f/s  created %d  sold out %d  other %d  %.1f s\x1b[K", done, of, per_second,
                      created, sold_out, done - created - sold_out, absl::ToDoubleSeconds(generator_.elapsed()));
  std::fputs(line.c_str(), stderr);
  std::fflush(stderr);
}

}  // namespace tranche::load
