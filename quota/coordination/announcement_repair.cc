#include "quota/coordination/announcement_repair.h"

#include <algorithm>
#include <set>
#include <vector>

#include "quota/coordination/coordination_paths.h"
#include "quota/coordination/incarnation_znodes.h"
#include "quota/coordination/overruling.h"
#include "storage/base/status_macros.h"

namespace tranche::quota {
namespace {

using storage::IncarnationId;

// About how many announcements one step looks at.
constexpr int kPiece = 500;
// How many SKUs one step asks other shards about.
constexpr size_t kMostJudged = 64;
constexpr char kRepairActor[] = "balancer";

}  // namespace

void AnnouncementRepair::Begin() {
  phase_ = Phase::kSkus;
  after_sku_.clear();
  after_incarnation_ = storage::kPool;
  if (copies_ != nullptr) copies_->BeginPass();
  if (observer_ != nullptr) observer_->OnPassBegins();
}

absl::Status AnnouncementRepair::Step(Coordination& session) {
  // Small systems are done in one step.
  absl::Status status;
  if (phase_ == Phase::kSkus) status.Update(StepSkus());
  if (phase_ == Phase::kSlices) status.Update(StepSlices());
  if (phase_ == Phase::kIncarnations) {
    if (of_home_) status.Update(RepairIncarnations(session));
    phase_ = Phase::kIdle;
  }
  return status;
}

absl::Status AnnouncementRepair::StepSkus() {
  ASSIGN_OR_RETURN(const auto page, ledger_->ListSkus(after_sku_, kPiece));
  const bool last = page.size() < static_cast<size_t>(kPiece);
  std::string done = last ? std::string() : page.back().sku_id;
  std::vector<AheadOfLedger> ahead;
  std::vector<AnnouncedElsewhere> elsewhere;
  absl::Status status = announcer_->AnnounceSkus(page, &ahead, &elsewhere);
  std::sort(elsewhere.begin(), elsewhere.end(),
            [](const auto& a, const auto& b) { return a.sku.sku_id < b.sku.sku_id; });
  Tell(page, elsewhere);
  if (elsewhere.size() > kMostJudged) {
    // The next step looks at the rest of the page.
    elsewhere.erase(elsewhere.begin() + kMostJudged, elsewhere.end());
    done = elsewhere.back().sku.sku_id;
  }
  // What was open in an earlier pass is judged anew, if it could be read where it is announced.
  if (status.ok()) open_.erase(open_.upper_bound(after_sku_), done.empty() ? open_.end() : open_.upper_bound(done));
  after_sku_ = done;
  if (done.empty()) {
    phase_ = Phase::kSlices;
    if (observer_ != nullptr) observer_->OnPassEnds();
  }
  status = Overruled(*announcer_, status, ahead);
  status.Update(JudgeCopies(elsewhere));
  return status;
}

void AnnouncementRepair::Tell(const std::vector<storage::Sku>& page, const std::vector<AnnouncedElsewhere>& elsewhere) {
  if (observer_ == nullptr) return;
  for (const storage::Sku& sku : page) {
    const bool ours = std::none_of(elsewhere.begin(), elsewhere.end(),
                                   [&](const AnnouncedElsewhere& other) { return other.sku.sku_id == sku.sku_id; });
    if (ours) observer_->OnSku(sku);
  }
}

absl::Status AnnouncementRepair::JudgeCopies(const std::vector<AnnouncedElsewhere>& elsewhere) {
  using Verdict = storage::CopyCheck::Verdict;
  absl::Status status;
  std::vector<storage::Sku> ours;
  for (const AnnouncedElsewhere& one : elsewhere) {
    absl::StatusOr<Verdict> verdict = Verdict::kCounts;
    if (copies_ != nullptr) verdict = copies_->Judge(one.sku.sku_id, one.shard);
    status.Update(verdict.status());
    if (verdict.ok() && *verdict == Verdict::kCounts) {
      ours.push_back(one.sku);
    } else if (!verdict.ok() || *verdict == Verdict::kOpen) {
      open_.insert(one.sku.sku_id);
    }
  }
  if (ours.empty()) return status;
  Announcer announcer = announcer_->Replacing();
  std::vector<AheadOfLedger> ahead;
  const absl::Status announced = announcer.AnnounceSkus(ours, &ahead);
  status.Update(Overruled(announcer, announced, ahead));
  return status;
}

absl::Status AnnouncementRepair::Overruled(Announcer& announcer, const absl::Status& announced,
                                           const std::vector<AheadOfLedger>& ahead) {
  absl::Status status = announced;
  if (!ahead.empty()) status.Update(Overrule(*ledger_, announcer, ahead, storage::Actor::Process(kRepairActor)));
  return status;
}

absl::Status AnnouncementRepair::StepSlices() {
  ASSIGN_OR_RETURN(const auto incarnations, ledger_->ListLiveIncarnations());
  absl::Status status;
  size_t looked_at = 0;
  for (const storage::Incarnation& incarnation : incarnations) {
    if (incarnation.id <= after_incarnation_) continue;
    if (looked_at >= static_cast<size_t>(kPiece)) return status;
    size_t announced = 0;
    status.Update(AnnounceSlicesOf(incarnation.id, &announced));
    looked_at += announced + 1;
    after_incarnation_ = incarnation.id;
  }
  phase_ = Phase::kIncarnations;
  return status;
}

absl::Status AnnouncementRepair::AnnounceSlicesOf(IncarnationId incarnation, size_t* announced) {
  ASSIGN_OR_RETURN(const auto slices, ledger_->ListSlices(incarnation));
  std::vector<SliceToAnnounce> announcements;
  announcements.reserve(slices.size());
  for (const auto& [sku_id, slice] : slices) {
    if (open_.contains(sku_id)) continue;
    announcements.push_back({incarnation, sku_id, slice.allotted, slice.version});
  }
  if (announced != nullptr) *announced = announcements.size();
  std::vector<AheadOfLedger> ahead;
  const absl::Status status = announcer_->AnnounceSlices(announcements, &ahead);
  return Overruled(*announcer_, status, ahead);
}

// Removes what is in the tree of incarnations that ended while ZooKeeper or the balancer was away, or that never were,
// and repairs requests to drain or to serve again that an operator's call did not complete. Reads the tree first: an
// incarnation in it was registered in the ledger before, and is marked as draining there first.
absl::Status AnnouncementRepair::RepairIncarnations(Coordination& session) {
  std::set<IncarnationId> mentioned, asked_to_drain;
  for (const char* folder : {kNodesPath, kSlicesPath, kDemandPath, kDrainPath, kRoomsPath}) {
    ASSIGN_OR_RETURN(const auto names, session.List(folder, Watch::kNo));
    for (const std::string& name : names) {
      mentioned.insert(ParseIncarnation(name));
      if (folder == kDrainPath) asked_to_drain.insert(ParseIncarnation(name));
    }
  }
  mentioned.erase(storage::kPool);
  ASSIGN_OR_RETURN(const auto incarnations, ledger_->ListLiveIncarnations());
  absl::Status status;
  for (const storage::Incarnation& incarnation : incarnations) {
    mentioned.erase(incarnation.id);
    if (incarnation.draining == asked_to_drain.contains(incarnation.id)) continue;
    const std::string path = DrainPath(incarnation.id);
    const absl::Status told =
        incarnation.draining ? session.Create(path, "", CreateMode::kPersistent) : DeleteWithChildren(session, path);
    if (!absl::IsAlreadyExists(told) && !absl::IsNotFound(told)) status.Update(told);
  }
  for (const IncarnationId ended : mentioned) RemoveIncarnationZnodes(session, ended);
  return status;
}

}  // namespace tranche::quota
