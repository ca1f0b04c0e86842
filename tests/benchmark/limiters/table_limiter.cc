#include "tests/benchmark/limiters/table_limiter.h"

#include <unistd.h>

#include <algorithm>
#include <fstream>
#include <string>

#include "absl/time/clock.h"
#include "absl/time/time.h"
#include "server/admission/door_state.h"
#include "server/admission/front_policy.h"
#include "server/admission/homes.h"
#include "server/admission/limit_tries.h"
#include "server/admission/rate_key.h"
#include "server/admission/rate_table.h"
#include "storage/ledger/incarnation_id.h"

namespace tranche::limiters {

// What a front node has for its limits.
struct TableNode {
  TableNode(storage::IncarnationId self, const std::vector<storage::IncarnationId>& nodes, size_t table_bytes)
      : table(table_bytes) {
    view.homes = std::make_shared<const server::Homes>(self, nodes);
    view.table = &table;
    view.hasher = &hasher;
  }

  server::RateTable table;
  server::RateKeyHasher hasher;
  server::DoorView view;
};

namespace {

constexpr char kPolicySku[] = "tv";

// Of this process, as the kernel counts it. 0 if it does not say.
int64_t ResidentBytes() {
  std::ifstream file("/proc/self/statm");
  int64_t all_pages = 0;
  int64_t resident_pages = 0;
  file >> all_pages >> resident_pages;
  return resident_pages * static_cast<int64_t>(sysconf(_SC_PAGESIZE));
}

class TableCaller : public LimiterCaller {
 public:
  TableCaller(const server::DoorView& view, const LimitTerms& terms) : view_(view) {
    policy_.sku_id = kPolicySku;
    policy_.version = 1;
    const server::RateRule rule = {.interval = terms.interval, .tolerance = terms.interval * (terms.burst - 1)};
    policy_.limits.push_back({server::RateKeyKind::kUser, rule});
  }

  absl::StatusOr<int64_t> Try(absl::Span<const int64_t> keys) override {
    const auto no_tokens = [] { return std::vector<std::string>(); };
    int64_t taken = 0;
    for (const int64_t key : keys) {
      const std::string user = KeyName(key);
      const server::LimitSubjects subjects = {.user_id = user, .address = "", .token_ids = no_tokens};
      server::LimitTries tries(view_, absl::Now(), server::WaitBounds{.deadline = absl::InfiniteFuture()});
      if (!tries.Take(policy_, subjects, server::LimitPart::kBuyer).has_value()) ++taken;
    }
    return taken;
  }

 private:
  const server::DoorView& view_;
  server::DoorPolicy policy_;
};

}  // namespace

TableLimiter::TableLimiter(int nodes, int homes, size_t table_bytes) : resident_before_(ResidentBytes()) {
  std::vector<storage::IncarnationId> ids;
  for (storage::IncarnationId id = 1; id <= std::max(nodes, homes); ++id) ids.push_back(id);
  for (int i = 0; i < nodes; ++i) {
    nodes_.push_back(std::make_unique<TableNode>(ids[static_cast<size_t>(i)], ids, table_bytes));
  }
}

TableLimiter::~TableLimiter() = default;

absl::StatusOr<std::unique_ptr<LimiterCaller>> TableLimiter::Connect(int node, const LimitTerms& terms) {
  std::unique_ptr<LimiterCaller> caller =
      std::make_unique<TableCaller>(nodes_[static_cast<size_t>(node) % nodes_.size()]->view, terms);
  return caller;
}

absl::StatusOr<LimiterMemory> TableLimiter::Memory() {
  LimiterMemory memory{.used_bytes = 0, .resident_bytes = ResidentBytes() - resident_before_};
  for (const auto& node : nodes_) memory.used_bytes += static_cast<int64_t>(node->table.bytes());
  return memory;
}

absl::StatusOr<int64_t> TableLimiter::Capacity() { return static_cast<int64_t>(nodes_.front()->table.slots()); }

}  // namespace tranche::limiters
