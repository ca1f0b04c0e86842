#include "quota/coordination/tree_rebuild.h"

#include <iterator>
#include <memory>
#include <set>
#include <string>
#include <utility>
#include <vector>

#include "quota/coordination/coordination_paths.h"
#include "quota/coordination/overruling.h"
#include "quota/coordination/read_announcement.h"
#include "quota/coordination/sku_announcement.h"
#include "storage/base/status_macros.h"
#include "tranche/internal/v1/coordination.pb.h"

namespace tranche::quota {
namespace {

using storage::IncarnationId;

enum class Found { kMissing, kOutdated, kCurrent };

// What is ahead of the ledger counts as outdated, too: a few announcements may have been made between the two reads.
Found FoundSku(const absl::StatusOr<Znode>& znode, const storage::Sku& sku) {
  if (!znode.ok()) return Found::kMissing;
  const auto present = ReadSkuAnnouncement(znode->data);
  const bool current = present.has_value() && !Supersedes(ToAnnouncement(sku), *present, /*always=*/false) &&
                       !IsAhead(present->version(), AtMost(*present), sku);
  return current ? Found::kCurrent : Found::kOutdated;
}

Found FoundSlice(const absl::StatusOr<Znode>& znode, const storage::HeldSlice& slice) {
  if (!znode.ok()) return Found::kMissing;
  const auto present = ReadSliceAnnouncement(znode->data);
  const bool current =
      present.has_value() && present->version() == slice.version && present->allotted() == slice.allotted;
  return current ? Found::kCurrent : Found::kOutdated;
}

void Add(Found found, RebuildCount* count) {
  ++count->expected;
  if (found == Found::kMissing) ++count->missing;
  if (found == Found::kOutdated) ++count->outdated;
}

// Requests in flight at once: 1,000 nodes' slices of a page must not flood the server.
constexpr size_t kMostReads = 512;

constexpr char kRebuildActor[] = "rebuild";

class Rebuild {
 public:
  Rebuild(SessionSource& sessions, storage::StockLedger& ledger, storage::Clock& clock, RebuildMode mode)
      : sessions_(sessions),
        ledger_(ledger),
        announcer_(&sessions),
        now_us_(absl::ToUnixMicros(clock.Now())),
        write_(mode == RebuildMode::kWrite) {}

  absl::StatusOr<RebuildReport> Run() {
    absl::Status status = FixedFolders();
    if (status.ok()) status = Incarnations();
    std::string after;
    bool more = true;
    while (status.ok() && more) status = Page(&after, &more);
    if (!status.ok()) return status;
    return report_;
  }

 private:
  struct PersistentNode {
    std::string path;
    std::string data;
    RebuildCount* count;
  };

  // Reads each path; kNotFound is the only error within the result.
  absl::StatusOr<std::vector<absl::StatusOr<Znode>>> Read(const std::vector<std::string>& paths) {
    std::vector<absl::StatusOr<Znode>> znodes;
    while (znodes.size() < paths.size()) {
      const std::shared_ptr<Coordination> session = sessions_.Session();
      if (session == nullptr) return absl::UnavailableError("no session with ZooKeeper");
      for (auto& znode : session->GetMany(absl::MakeSpan(paths).subspan(znodes.size(), kMostReads), Watch::kNo)) {
        if (!znode.ok() && !absl::IsNotFound(znode.status())) return znode.status();
        znodes.push_back(std::move(znode));
      }
    }
    return znodes;
  }

  absl::Status FixedFolders() {
    const std::vector<std::string> paths(std::begin(kFixedPaths), std::end(kFixedPaths));
    ASSIGN_OR_RETURN(const auto present, Read(paths));
    for (const auto& folder : present) Add(folder.ok() ? Found::kCurrent : Found::kMissing, &report_.fixed_folders);
    const std::shared_ptr<Coordination> session = sessions_.Session();
    if (session == nullptr) return absl::UnavailableError("no session with ZooKeeper");
    return write_ ? session->EnsureFixedPaths() : absl::OkStatus();
  }

  // Before the SKUs: a slice can be written only where its incarnation's folder is.
  absl::Status Incarnations() {
    ASSIGN_OR_RETURN(const auto live, ledger_.ListLiveIncarnations());
    std::vector<PersistentNode> nodes;
    for (const storage::Incarnation& incarnation : live) {
      live_.insert(incarnation.id);
      nodes.push_back({SlicesPath(incarnation.id), "", &report_.slice_folders});
      if (!incarnation.draining) continue;
      // The ledger does not record whether the process was to end after that; the operator can ask for it again.
      internal::v1::DrainRequest drain;
      drain.set_requested_at_us(now_us_);
      nodes.push_back({DrainPath(incarnation.id), drain.SerializeAsString(), &report_.drain_requests});
    }
    return EnsurePersistent(nodes);
  }

  absl::Status EnsurePersistent(const std::vector<PersistentNode>& nodes) {
    std::vector<std::string> paths;
    for (const PersistentNode& node : nodes) paths.push_back(node.path);
    ASSIGN_OR_RETURN(const auto present, Read(paths));
    std::vector<WriteOp> creates;
    for (size_t i = 0; i < nodes.size(); ++i) {
      const bool there = present[i].ok();
      Add(there ? Found::kCurrent : Found::kMissing, nodes[i].count);
      if (there) continue;
      creates.push_back({WriteOp::Kind::kCreatePersistent, nodes[i].path, nodes[i].data, kAnyVersion});
    }
    if (!write_ || creates.empty()) return absl::OkStatus();
    const std::shared_ptr<Coordination> session = sessions_.Session();
    if (session == nullptr) return absl::UnavailableError("no session with ZooKeeper");
    for (const absl::Status& created : session->Apply(creates)) {
      if (!created.ok() && !absl::IsAlreadyExists(created)) return created;
    }
    return absl::OkStatus();
  }

  // One page of SKUs with all their slices, read from the ledger in one snapshot.
  absl::Status Page(std::string* after, bool* more) {
    ASSIGN_OR_RETURN(const auto skus, ledger_.ListSkus(*after, storage::kMaxQuotaBatch));
    *more = skus.size() == static_cast<size_t>(storage::kMaxQuotaBatch);
    if (skus.empty()) return absl::OkStatus();
    *after = skus.back().sku_id;
    std::vector<std::string> ids;
    for (const storage::Sku& sku : skus) ids.push_back(sku.sku_id);
    ASSIGN_OR_RETURN(const auto quotas, ledger_.ReadQuotas(ids));
    // The terms first: a node cannot sell a slice whose terms it does not find.
    RETURN_IF_ERROR(Skus(quotas));
    return Slices(quotas);
  }

  absl::Status Skus(const std::vector<storage::SkuQuota>& quotas) {
    std::vector<std::string> paths;
    for (const storage::SkuQuota& quota : quotas) paths.push_back(SkuPath(quota.sku.sku_id));
    ASSIGN_OR_RETURN(const auto present, Read(paths));
    std::vector<storage::Sku> stale;
    for (size_t i = 0; i < quotas.size(); ++i) {
      const Found found = FoundSku(present[i], quotas[i].sku);
      Add(found, &report_.skus);
      if (found != Found::kCurrent) stale.push_back(quotas[i].sku);
    }
    if (!write_) return absl::OkStatus();
    std::vector<AheadOfLedger> ahead;
    std::vector<AnnouncedElsewhere> elsewhere;
    RETURN_IF_ERROR(announcer_.AnnounceSkus(stale, &ahead, &elsewhere));
    for (const AnnouncedElsewhere& one : elsewhere) elsewhere_.insert(one.sku.sku_id);
    return Overrule(ledger_, announcer_, ahead, kRebuildActor);
  }

  absl::Status Slices(const std::vector<storage::SkuQuota>& quotas) {
    std::vector<SliceToAnnounce> slices;
    std::vector<storage::HeldSlice> held;
    std::vector<std::string> paths;
    for (const storage::SkuQuota& quota : quotas) {
      if (elsewhere_.contains(quota.sku.sku_id)) continue;  // a balancer decides whose copy counts
      for (const storage::HeldSlice& slice : quota.quota.slices) {
        // Slices of incarnations that began since then are announced by the mover that made them.
        if (!live_.contains(slice.holder)) continue;
        slices.push_back({slice.holder, quota.sku.sku_id, slice.allotted, slice.version});
        held.push_back(slice);
        paths.push_back(SlicePath(slice.holder, quota.sku.sku_id));
      }
    }
    ASSIGN_OR_RETURN(const auto present, Read(paths));
    std::vector<SliceToAnnounce> stale;
    for (size_t i = 0; i < slices.size(); ++i) {
      const Found found = FoundSlice(present[i], held[i]);
      Add(found, &report_.slices);
      if (found != Found::kCurrent) stale.push_back(slices[i]);
    }
    if (!write_) return absl::OkStatus();
    std::vector<AheadOfLedger> ahead;
    RETURN_IF_ERROR(announcer_.AnnounceSlices(stale, &ahead));
    return Overrule(ledger_, announcer_, ahead, kRebuildActor);
  }

  SessionSource& sessions_;
  storage::StockLedger& ledger_;
  Announcer announcer_;
  const int64_t now_us_;
  const bool write_;
  std::set<IncarnationId> live_;
  std::set<std::string> elsewhere_;  // SKUs that are announced at another shard than has them
  RebuildReport report_;
};

}  // namespace

absl::StatusOr<RebuildReport> RebuildTree(SessionSource& sessions, storage::StockLedger& ledger, storage::Clock& clock,
                                          RebuildMode mode) {
  return Rebuild(sessions, ledger, clock, mode).Run();
}

}  // namespace tranche::quota
