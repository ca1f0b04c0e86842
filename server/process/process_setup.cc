#include "server/process/process_setup.h"

#include <malloc.h>

#include "absl/synchronization/mutex.h"
#include "glog/logging.h"

namespace tranche::server {
namespace {

// gRPC allocates and frees a few KiB per call, and glibc by default hands the top of a heap back to the kernel at
// 128 KiB, only to fault it in again: 5 of 26 us of a sold-out answer. This much per heap stays instead.
constexpr int kKeptBytes = 16 * 1024 * 1024;
constexpr int kGrowthBytes = 1024 * 1024;
// So that what is kept stays within bounds however many threads gRPC starts: by default a heap for each of up to eight
// threads per core.
constexpr int kHeaps = 4;

}  // namespace

void SetUpProcess(const char* program) {
  FLAGS_logtostderr = true;
  google::InitGoogleLogging(program);
  mallopt(M_TRIM_THRESHOLD, kKeptBytes);
  mallopt(M_TOP_PAD, kGrowthBytes);
  mallopt(M_ARENA_MAX, kHeaps);
  absl::SetMutexDeadlockDetectionMode(absl::OnDeadlockCycle::kIgnore);
}

}  // namespace tranche::server
