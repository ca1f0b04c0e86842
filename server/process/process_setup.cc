#include "server/process/process_setup.h"

#include <malloc.h>

#include "absl/synchronization/mutex.h"
#include "glog/logging.h"

namespace tranche::server {
namespace {

// gRPC allocates and frees a few KiB per call. By default, glibc returns the top of a heap above 128 KiB to the kernel,
// only to fault it in again: 5 of the 26 us of a sold-out answer. So each heap keeps this much.
constexpr int kKeptBytes = 16 * 1024 * 1024;
constexpr int kGrowthBytes = 1024 * 1024;
// Bounds the memory that is kept, however many threads gRPC starts: the default is a heap per thread, up to eight per
// core.
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
