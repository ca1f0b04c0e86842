#include "tests/benchmark/descendants.h"

#include <unistd.h>

#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <map>
#include <system_error>

#include "absl/strings/numbers.h"
#include "tests/benchmark/process_cpu.h"

namespace tranche::benchmark {
namespace {

struct Process {
  int parent = 0;
  std::string name;
};

// Its parent is 0 if it has just ended.
Process ReadProcess(const std::filesystem::path& folder) {
  std::ifstream file(folder / "stat");
  std::string line;
  std::getline(file, line);
  // "pid (name) state parent ..."; the name may have spaces and parentheses.
  const size_t open = line.find('('), close = line.rfind(')');
  if (open == std::string::npos || close == std::string::npos || close + 4 > line.size()) return {};
  return {.parent = std::atoi(line.c_str() + close + 4), .name = line.substr(open + 1, close - open - 1)};
}

std::map<int, Process> AllProcesses() {
  std::map<int, Process> processes;
  std::error_code error;
  for (const auto& entry : std::filesystem::directory_iterator("/proc", error)) {
    int pid = 0;
    if (absl::SimpleAtoi(entry.path().filename().string(), &pid)) processes[pid] = ReadProcess(entry.path());
  }
  return processes;
}

bool IsBelow(const std::map<int, Process>& processes, int pid, int ancestor) {
  for (auto it = processes.find(pid); it != processes.end(); it = processes.find(it->second.parent)) {
    if (it->second.parent == ancestor) return true;
    if (it->second.parent <= 1) return false;
  }
  return false;
}

int64_t ResidentKib(int pid) {
  std::ifstream file("/proc/" + std::to_string(pid) + "/statm");
  int64_t all = 0, resident = 0;
  file >> all >> resident;
  return resident * sysconf(_SC_PAGESIZE) / 1024;
}

}  // namespace

ServerUse UseOfDescendants(const std::string& name) {
  ServerUse use;
  const std::map<int, Process> processes = AllProcesses();
  for (const auto& [pid, process] : processes) {
    if (process.name != name || !IsBelow(processes, pid, getpid())) continue;
    use.cpu += CpuOf(pid);
    use.resident_kib += ResidentKib(pid);
    ++use.processes;
  }
  return use;
}

}  // namespace tranche::benchmark
