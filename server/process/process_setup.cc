#include "server/process/process_setup.h"

#include <google/protobuf/stubs/logging.h>
#include <malloc.h>

#include <string>

#include "absl/synchronization/mutex.h"
#include "glog/logging.h"
#include "server/process/descriptor_limit.h"

namespace tranche::server {
namespace {

// gRPC allocates and frees a few KiB per call. By default, glibc returns the top of a heap above 128 KiB to the kernel,
// only to fault it in again: 5 of the 26 us of a sold-out answer. So each heap keeps this much.
constexpr int kKeptBytes = 16 * 1024 * 1024;
constexpr int kGrowthBytes = 1024 * 1024;
// Bounds the memory that is kept, however many threads gRPC starts: the default is a heap per thread, up to eight per
// core.
constexpr int kHeaps = 4;

// It logs each string of a message that is not UTF-8, and so whatever callers send.
constexpr int kProtobufLogS = 60;

void LogFromProtobuf(google::protobuf::LogLevel level, const char* file, int line, const std::string& message) {
  if (level == google::protobuf::LOGLEVEL_FATAL) {
    LOG(ERROR) << "protobuf: " << file << ":" << line << ": " << message;
  } else {
    LOG_EVERY_T(WARNING, kProtobufLogS) << "protobuf (at most one line a minute): " << message;
  }
}

}  // namespace

void SetUpProcess(const char* program, LogFormat log_format) {
  google::InitGoogleLogging(program);
  WriteLogToStderr(log_format, program);
  google::protobuf::SetLogHandler(LogFromProtobuf);
  RaiseDescriptorLimit();
  mallopt(M_TRIM_THRESHOLD, kKeptBytes);
  mallopt(M_TOP_PAD, kGrowthBytes);
  mallopt(M_ARENA_MAX, kHeaps);
  absl::SetMutexDeadlockDetectionMode(absl::OnDeadlockCycle::kIgnore);
}

}  // namespace tranche::server
