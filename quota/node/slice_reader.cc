#include "quota/node/slice_reader.h"

#include <memory>
#include <utility>

#include "glog/logging.h"
#include "quota/coordination/coordination_paths.h"
#include "quota/coordination/read_announcement.h"
#include "quota/coordination/sku_announcement.h"
#include "storage/base/status_macros.h"

namespace tranche::quota {
namespace {

using storage::IncarnationId;

// How many slices are read again at a time, although nothing was heard of them.
constexpr int kRereadInTurn = 32;

}  // namespace

absl::Status SliceReader::ReadFollowed(Coordination& session, IncarnationId incarnation,
                                       const std::vector<std::string>& held, Which which) {
  const std::set<std::string> has_slice(held.begin(), held.end());
  const std::vector<std::string> to_read = Choose(has_slice, which);
  std::vector<std::string> slices;
  for (const std::string& sku : to_read) {
    if (has_slice.contains(sku)) slices.push_back(sku);
  }
  RETURN_IF_ERROR(Read(session, incarnation, to_read, slices));
  for (const std::string& sku : slices) {
    const std::shared_ptr<Slice> slice = slices_->Find(sku);
    const bool found = slice != nullptr && slice->terms() != nullptr && slice->counter().version() > 0;
    if (found) followed_.insert(sku);
  }
  return absl::OkStatus();
}

absl::Status SliceReader::ReadChanged(Coordination& session, IncarnationId incarnation,
                                      const std::vector<std::string>& skus, const std::vector<std::string>& slices) {
  // A watch reports one change only. If this read fails, nothing else would make the node look at them again.
  by_terms_.insert(skus.begin(), skus.end());
  return Read(session, incarnation, skus, slices);
}

// Chooses what is not followed yet. In case an event was lost, also some of the others in turn, and all dry ones.
// Reading all slices again and again, a thousand of them at a thousand nodes, would overload ZooKeeper.
std::vector<std::string> SliceReader::Choose(const std::set<std::string>& has_slice, Which which) {
  // The node forgets SKUs with an incarnation.
  std::erase_if(by_terms_, [this](const std::string& sku) { return slices_->Find(sku) == nullptr; });
  std::set<std::string> all = has_slice;
  all.insert(by_terms_.begin(), by_terms_.end());
  if (which == Which::kAll) {
    followed_.clear();
    return {all.begin(), all.end()};
  }
  std::vector<std::string> chosen;
  int in_turn = which == Which::kNewAndInTurn ? kRereadInTurn : 0;
  std::string last;
  for (const std::string& sku : all) {
    const bool its_turn = in_turn > 0 && sku > reread_after_;
    if (its_turn) {
      --in_turn;
      last = sku;
    }
    const std::shared_ptr<Slice> slice = which == Which::kNewAndInTurn ? slices_->Find(sku) : nullptr;
    const bool dry = slice != nullptr && slice->wanted() > 0;
    const bool unread = has_slice.contains(sku) && !followed_.contains(sku);
    if (its_turn || dry || unread) chosen.push_back(sku);
  }
  // After the last one, start from the first again.
  if (which == Which::kNewAndInTurn) reread_after_ = in_turn > 0 ? "" : last;
  return chosen;
}

// The terms first: units without terms cannot be sold.
absl::Status SliceReader::Read(Coordination& session, IncarnationId incarnation, const std::vector<std::string>& skus,
                               const std::vector<std::string>& slices) {
  std::vector<std::string> paths;
  for (const std::string& sku : skus) paths.push_back(SkuPath(sku));
  for (const std::string& sku : slices) paths.push_back(SlicePath(incarnation, sku));
  const auto read = session.GetMany(paths, Watch::kYes);
  absl::Status status;
  std::set<std::string> touched(skus.begin(), skus.end());
  for (size_t i = 0; i < skus.size(); ++i) status.Update(ApplySku(skus[i], read[i]));
  for (size_t i = 0; i < slices.size(); ++i) {
    status.Update(ApplySlice(paths[skus.size() + i], slices[i], read[skus.size() + i]));
    touched.insert(slices[i]);
  }
  for (const std::string& sku : touched) slices_->NoteChanged(sku);
  return status;
}

absl::Status SliceReader::ApplySku(const std::string& sku_id, const absl::StatusOr<Znode>& read) {
  if (absl::IsNotFound(read.status())) return absl::OkStatus();  // not announced yet; the next resync finds it
  if (!read.ok()) return read.status();
  const auto announcement = ReadSkuAnnouncement(read->data);
  if (!announcement.has_value()) {
    LOG_EVERY_T(ERROR, 1) << SkuPath(sku_id) << " is not a SKU announcement; the balancer writes over it";
    return absl::OkStatus();
  }
  const auto slice = slices_->FindOrAdd(sku_id);
  if (slice == nullptr) return absl::OkStatus();
  SkuTerms terms = TermsOf(*announcement);
  terms.read_at = clock_->Now();
  const std::shared_ptr<const SkuTerms> known = slice->terms();
  const bool news = known == nullptr || !known->announced || known->version != terms.version;
  slice->SetTerms(std::move(terms));
  if (news) slice->pool_pacing().Reset();
  return absl::OkStatus();
}

absl::Status SliceReader::ApplySlice(const std::string& path, const std::string& sku_id,
                                     const absl::StatusOr<Znode>& read) {
  // It is gone. Either the incarnation has ended, which we hear in another way, or the tree was deleted, and the units
  // are still ours.
  if (absl::IsNotFound(read.status())) {
    followed_.erase(sku_id);
    return absl::OkStatus();
  }
  if (!read.ok()) return read.status();
  const auto announcement = ReadSliceAnnouncement(read->data);
  if (!announcement.has_value()) {
    LOG_EVERY_T(ERROR, 1) << path << " is not a slice announcement; the balancer writes over it";
    return absl::OkStatus();
  }
  const std::shared_ptr<Slice> slice = slices_->FindOrAdd(sku_id);
  if (slice == nullptr) return absl::OkStatus();
  if (slice->counter().Apply(announcement->allotted(), announcement->version())) slice->pool_pacing().Reset();
  slice->ClearWantedIfMet();
  return absl::OkStatus();
}

}  // namespace tranche::quota
