#include "server/metrics/process_metrics.h"

#include <dirent.h>
#include <unistd.h>

#include <fstream>
#include <memory>
#include <optional>
#include <sstream>
#include <string>
#include <vector>

#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_split.h"
#include "absl/strings/strip.h"
#include "server/process/descriptor_limit.h"
#include "server/process/schema_check.h"

#ifndef TRANCHE_VERSION
#error "TRANCHE_VERSION comes from server/CMakeLists.txt"
#endif

namespace tranche::server {
namespace {

std::string ReadProcFile(const char* path) {
  std::ifstream file(path);
  std::stringstream text;
  text << file.rdbuf();
  return text.str();
}

// The numbers of /proc/self/stat from the third field on, as proc(5) counts them: those before may hold spaces.
class ProcStat {
 public:
  ProcStat() : text_(ReadProcFile("/proc/self/stat")) {
    const size_t name_ends = text_.rfind(')');
    if (name_ends != std::string::npos) fields_ = absl::StrSplit(text_.substr(name_ends + 1), ' ', absl::SkipEmpty());
  }

  std::optional<double> Field(size_t number) const {
    constexpr size_t kFirst = 3;
    double value = 0;
    if (number - kFirst >= fields_.size() || !absl::SimpleAtod(fields_[number - kFirst], &value)) return std::nullopt;
    return value;
  }

 private:
  const std::string text_;
  std::vector<std::string> fields_;
};

// In seconds since 1970; nullopt if the kernel does not say.
std::optional<double> BootTime() {
  for (absl::string_view line : absl::StrSplit(ReadProcFile("/proc/stat"), '\n')) {
    double seconds = 0;
    if (absl::ConsumePrefix(&line, "btime ") && absl::SimpleAtod(line, &seconds)) return seconds;
  }
  return std::nullopt;
}

std::optional<double> OpenDescriptors() {
  const std::unique_ptr<DIR, int (*)(DIR*)> folder(opendir("/proc/self/fd"), closedir);
  if (folder == nullptr) return std::nullopt;
  double entries = 0;
  while (readdir(folder.get()) != nullptr) ++entries;
  // Without ".", ".." and the folder itself.
  return entries - 3;
}

}  // namespace

void ProcessMetrics::Collect(MetricSet* metrics) {
  const auto add = [metrics](const char* name, const char* help, std::optional<double> value) {
    if (value.has_value()) metrics->AddGauge(name, help, *value);
  };
  const ProcStat stat;
  const auto ticks_per_s = static_cast<double>(sysconf(_SC_CLK_TCK));
  const auto page_bytes = static_cast<double>(sysconf(_SC_PAGESIZE));
  // proc(5): utime 14, stime 15, starttime 22, vsize 23, rss 24.
  if (stat.Field(15).has_value()) {
    metrics->AddCounter("process_cpu_seconds_total", "CPU time that this process has used, in user and system mode.",
                        (*stat.Field(14) + *stat.Field(15)) / ticks_per_s);
  }
  add("process_virtual_memory_bytes", "Address space of this process.", stat.Field(23));
  if (const auto pages = stat.Field(24)) {
    add("process_resident_memory_bytes", "Memory of this process that is in RAM.", *pages * page_bytes);
  }
  if (const auto booted = BootTime(); booted.has_value() && stat.Field(22).has_value()) {
    add("process_start_time_seconds", "When this process started, in seconds since 1970.",
        *booted + *stat.Field(22) / ticks_per_s);
  }
  add("process_open_fds", "Files and connections that are open.", OpenDescriptors());
  add("process_max_fds", "How many may be open.", static_cast<double>(DescriptorLimit()));
  if (certificates_ != nullptr) {
    metrics->AddGauge("tranche_tls_certificate_expires_timestamp_seconds",
                      "When the first certificate of the chain that this process serves with expires, in seconds since "
                      "1970.",
                      static_cast<double>(absl::ToUnixSeconds(certificates_->Current()->expires_at)));
    metrics->AddGauge("tranche_tls_files_faulty",
                      "1: the files of TLS cannot be used as they are now, so those that were read before are.",
                      certificates_->faulty() ? 1 : 0);
  }
  metrics->AddGauge("tranche_build_info", "1; the labels say which build this is, and for which schema.", 1,
                    {{"version", TRANCHE_VERSION}, {"schema", absl::StrCat(OwnSchema())}});
}

}  // namespace tranche::server
