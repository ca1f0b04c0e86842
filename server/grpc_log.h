// gRPC's own lines, in the log of the process.
#pragma once

#include <grpc/support/log.h>

#include <cstdint>
#include <optional>

#include "absl/strings/str_cat.h"
#include "absl/time/time.h"
#include "glog/logging.h"
#include "server/once_per.h"
#include "storage/clock.h"

namespace tranche::server {

// For gpr_set_log_function. Thread-safe. Whoever can connect causes faults as often as they like: with plain text
// instead of TLS, a bad certificate, or a damaged record. So of each place in gRPC's source, at most one fault a minute
// is logged, with the number of those that were left out before it. Other lines come only if somebody asks for them
// (GRPC_VERBOSITY), and are all logged.
inline void LogGrpcLine(gpr_log_func_args* args) {
  constexpr size_t kMostPlaces = 256;
  static OncePer* const faults = new OncePer(absl::Minutes(1), kMostPlaces, storage::Clock::Real());
  const bool is_fault = args->severity == GPR_LOG_SEVERITY_ERROR;
  std::optional<int64_t> left_out = 0;
  if (is_fault) left_out = faults->Take(absl::StrCat(args->file, ":", args->line));
  if (!left_out.has_value()) return;
  google::LogMessage line(args->file, args->line, is_fault ? google::GLOG_ERROR : google::GLOG_INFO);
  line.stream() << "grpc: " << args->message;
  if (*left_out > 0) line.stream() << " (and " << *left_out << " such faults before, at most one a minute is logged)";
}

}  // namespace tranche::server
