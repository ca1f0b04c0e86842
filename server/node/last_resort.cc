#include "server/node/last_resort.h"

#include <unistd.h>

#include "glog/logging.h"
#include "server/process/stop_request.h"

namespace tranche::server {
namespace {

constexpr absl::Duration kEndAfter = absl::Seconds(6);
constexpr int kCannotEnd = 3;

}  // namespace

std::unique_ptr<DelayedTask> EndProcessAfter(absl::Duration timeout) {
  return std::make_unique<DelayedTask>(timeout + kEndAfter, [] {
    EndSoonWhateverHappens();
    LOG(ERROR) << "exiting at once: something does not end by itself";
    _exit(kCannotEnd);
  });
}

}  // namespace tranche::server
