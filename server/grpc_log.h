// gRPC's own lines, in the log of the process.
#pragma once

#include <grpc/support/log.h>

#include "glog/logging.h"

namespace tranche::server {

// For gpr_set_log_function. Thread-safe.
inline void LogGrpcLine(gpr_log_func_args* args) {
  const google::LogSeverity severity =
      args->severity == GPR_LOG_SEVERITY_ERROR ? google::GLOG_ERROR : google::GLOG_INFO;
  google::LogMessage(args->file, args->line, severity).stream() << "grpc: " << args->message;
}

}  // namespace tranche::server
