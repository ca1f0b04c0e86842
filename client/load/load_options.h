// The options of tranche-load.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "absl/time/time.h"
#include "client/load/answer_log.h"
#include "tranche/options.h"

namespace tranche::load {

// What is not sent when it is late (LoadOptions::skip_late, reads) is sent so long after its arrival at most.
inline constexpr absl::Duration kMostLag = absl::Milliseconds(10);

struct LoadOptions {
  std::vector<std::string> endpoints;
  std::optional<TlsOptions> tls;
  std::string token_file;
  std::vector<std::string> skus;
  int64_t requests = 0;  // 0: until `duration` is over
  absl::Duration duration = absl::InfiniteDuration();
  int in_flight = 512;
  double rate_per_second = 0;  // 0: closed loop
  bool skip_late = false;      // in an open loop, what cannot be sent in time is not sent
  int quantity = 1;
  absl::Duration timeout = absl::Seconds(2);
  int channels_per_endpoint = 1;
  bool accept_queued = false;
  std::optional<absl::Duration> decide_within = std::nullopt;  // of what is queued; nullopt: until its decide_time
  bool throttle = false;    // the SDK's: it would hide from a measurement what the nodes refuse
  int streams = 0;          // 0: one call per request
  std::string user_prefix;  // distinct per run
  std::string summary_file;
  std::string acknowledged_file;
  std::string unknown_file;
  std::string answers_file;
  // Of an earlier run, as its `acknowledged_file`. Then nothing is claimed, and these are changed and read. "": none.
  std::string reservations_file;
  // Changes of acknowledged reservations, in addition to the requests; 0: none.
  double changes_per_second = 0;
  std::vector<ChangeKind> change_kinds = {ChangeKind::kConfirm, ChangeKind::kCancel, ChangeKind::kExtend};
  absl::Duration change_timeout = absl::Seconds(1);
  std::string change_answers_file;
  double reads_per_second = 0;  // of `reservations_file`; 0: none
  bool progress = false;
};

}  // namespace tranche::load
