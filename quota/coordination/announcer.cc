#include "quota/coordination/announcer.h"

#include <algorithm>
#include <functional>
#include <optional>
#include <utility>

#include "glog/logging.h"
#include "quota/coordination/coordination_paths.h"
#include "quota/coordination/read_announcement.h"
#include "quota/coordination/sku_announcement.h"
#include "storage/mutation.h"

namespace tranche::quota {
namespace {

using internal::v1::SkuAnnouncement;
using internal::v1::SliceAnnouncement;

// How often a write that lost a race is tried again. Each round some writer wins, so only a crowd of writers needs
// many.
constexpr int kRounds = 8;
// Requests in flight at once, so that a large repair does not flood the server.
constexpr size_t kMostWrites = 256;

struct Target {
  std::string sku_id;
  std::string path;
  std::string data;
  std::string parent;
  bool make_parent = false;
  // Is `data` newer than what is there?
  std::function<bool(const std::string& present)> supersedes;
  // What is there, if it is ahead of what `data` was made from.
  std::function<std::optional<AheadOfLedger>(const std::string& present)> ahead;
  // What is there, if it is to stay because it names another shard.
  std::function<std::optional<AnnouncedElsewhere>(const std::string& present)> elsewhere = nullptr;
};

// What a call found besides: see Announcer::Announce. `ahead` may be null.
struct Findings {
  std::vector<AheadOfLedger>* ahead;
  std::vector<AnnouncedElsewhere> elsewhere;
  std::set<std::string> kept;  // the SKUs of `elsewhere`
  int64_t written = 0;
};

enum class Fate { kDone, kAgain, kMakeParent };

Fate FateOf(const absl::Status& status, const Target& target) {
  switch (status.code()) {
    case absl::StatusCode::kOk:
      return Fate::kDone;
    case absl::StatusCode::kInvalidArgument:
      // It can never be written: one bad name must not block the others.
      LOG(ERROR) << target.path << " cannot be announced: " << status.message();
      return Fate::kDone;
    case absl::StatusCode::kNotFound:
      // A SKU's bucket is created; an incarnation whose folder is gone has ended and needs no announcement.
      return target.make_parent ? Fate::kMakeParent : Fate::kDone;
    default:
      // Another writer was faster, or the connection was lost: read again what is there now.
      return Fate::kAgain;
  }
}

// Anything that fails is tried again in the next round.
void MakeParent(Coordination& session, const std::string& path) {
  const absl::Status made = session.Create(path, "", CreateMode::kPersistent);
  // Somebody deleted the fixed level, too.
  if (absl::IsNotFound(made)) session.EnsureFixedPaths().IgnoreError();
}

// Does what is there stay, whatever is newer?
bool IsKept(const Target& target, const absl::StatusOr<Znode>& present, Findings& findings) {
  if (findings.kept.contains(target.sku_id)) return true;  // its slices come behind it
  if (target.elsewhere == nullptr || !present.ok()) return false;
  auto elsewhere = target.elsewhere(present->data);
  if (!elsewhere.has_value()) return false;
  findings.kept.insert(target.sku_id);
  findings.elsewhere.push_back(*std::move(elsewhere));
  return true;
}

// One round: reads what is there, writes what is newer, keeps in `targets` what must be tried again.
absl::Status Round(Coordination& session, std::vector<Target>* targets, Findings& findings) {
  std::vector<std::string> paths;
  for (const Target& target : *targets) paths.push_back(target.path);
  const auto present = session.GetMany(paths, Watch::kNo);
  std::vector<WriteOp> ops;
  std::vector<size_t> positions;
  std::vector<Target> again;
  absl::Status last;
  for (size_t i = 0; i < targets->size(); ++i) {
    const Target& target = (*targets)[i];
    if (IsKept(target, present[i], findings)) continue;
    if (absl::IsNotFound(present[i].status())) {
      ops.push_back({WriteOp::Kind::kCreatePersistent, target.path, target.data, kAnyVersion});
    } else if (!present[i].ok()) {
      last = present[i].status();
      if (FateOf(last, target) == Fate::kAgain) again.push_back(target);
      continue;
    } else if (target.supersedes(present[i]->data)) {
      ops.push_back({WriteOp::Kind::kSet, target.path, target.data, present[i]->version});
    } else {
      if (findings.ahead == nullptr) continue;
      if (auto stays = target.ahead(present[i]->data); stays.has_value()) findings.ahead->push_back(*std::move(stays));
      continue;
    }
    positions.push_back(i);
  }
  const std::vector<absl::Status> written = session.Apply(ops);
  for (size_t i = 0; i < written.size(); ++i) {
    const Target& target = (*targets)[positions[i]];
    if (written[i].ok()) ++findings.written;
    const Fate fate = FateOf(written[i], target);
    if (fate == Fate::kDone) continue;
    if (fate == Fate::kMakeParent) MakeParent(session, target.parent);
    last = written[i];
    again.push_back(target);
  }
  *targets = std::move(again);
  return last;
}

absl::Status AnnounceTargets(SessionSource& sessions, const std::vector<Target>& targets, std::set<std::string>* failed,
                             Findings& findings) {
  absl::Status result;
  for (size_t begin = 0; begin < targets.size(); begin += kMostWrites) {
    const size_t end = std::min(begin + kMostWrites, targets.size());
    std::vector<Target> chunk(targets.begin() + begin, targets.begin() + end);
    absl::Status last;
    for (int round = 0; round < kRounds && !chunk.empty(); ++round) {
      const std::shared_ptr<Coordination> session = sessions.Session();
      last =
          session == nullptr ? absl::UnavailableError("no session with ZooKeeper") : Round(*session, &chunk, findings);
      if (absl::IsUnavailable(last) || absl::IsUnauthenticated(last)) break;
    }
    if (!chunk.empty()) result.Update(absl::UnavailableError(last.message()));
    if (failed == nullptr) continue;
    for (const Target& target : chunk) failed->insert(target.sku_id);
  }
  return result;
}

std::optional<AheadOfLedger> AheadOf(const storage::Sku& read, const std::string& data) {
  const auto present = ReadSkuAnnouncement(data);
  if (!present.has_value() || !IsAhead(present->version(), AtMost(*present), read)) return std::nullopt;
  return AheadOfLedger{read.sku_id, storage::kPool, present->version(), AtMost(*present)};
}

std::optional<AheadOfLedger> AheadOf(const SliceToAnnounce& slice, const std::string& data) {
  const auto present = ReadSliceAnnouncement(data);
  const storage::HeldSlice read{.holder = slice.incarnation, .allotted = slice.allotted, .version = slice.version};
  if (!present.has_value() || !IsAhead(present->version(), present->allotted(), read)) return std::nullopt;
  return AheadOfLedger{slice.sku_id, slice.incarnation, present->version(), present->allotted()};
}

std::optional<AnnouncedElsewhere> ElsewhereThan(const storage::Sku& read, const std::string& data) {
  const auto present = ReadSkuAnnouncement(data);
  if (!present.has_value()) return std::nullopt;
  std::string shard = TermsOf(*present).shard;
  if (shard == read.shard) return std::nullopt;
  return AnnouncedElsewhere{read, std::move(shard)};
}

Target TargetOf(const SkuToAnnounce& sku, OtherShards other_shards) {
  const SkuAnnouncement fresh = ToAnnouncement(sku.sku);
  const bool kept = other_shards == OtherShards::kKept;
  return Target{.sku_id = sku.sku.sku_id,
                .path = SkuPath(sku.sku.sku_id),
                .data = fresh.SerializeAsString(),
                .parent = SkuBucketPath(sku.sku.sku_id),
                .make_parent = true,
                .supersedes =
                    [fresh, always = sku.always](const std::string& data) {
                      const auto present = ReadSkuAnnouncement(data);
                      return !present.has_value() || Supersedes(fresh, *present, always);
                    },
                .ahead = [read = sku.sku](const std::string& data) { return AheadOf(read, data); },
                .elsewhere = kept ? [read = sku.sku](const std::string& data) { return ElsewhereThan(read, data); }
                                  : std::function<std::optional<AnnouncedElsewhere>(const std::string&)>()};
}

Target TargetOf(const SliceToAnnounce& slice) {
  SliceAnnouncement announcement;
  announcement.set_allotted(slice.allotted);
  announcement.set_version(slice.version);
  return Target{.sku_id = slice.sku_id,
                .path = SlicePath(slice.incarnation, slice.sku_id),
                .data = announcement.SerializeAsString(),
                .parent = SlicesPath(slice.incarnation),
                .make_parent = false,
                .supersedes =
                    [version = slice.version](const std::string& data) {
                      const auto present = ReadSliceAnnouncement(data);
                      const bool overwrites = storage::Mutated(storage::Mutation::kAnnouncerOverwritesNewer);
                      return !present.has_value() || version > present->version() || overwrites;
                    },
                .ahead = [slice](const std::string& data) { return AheadOf(slice, data); }};
}

}  // namespace

absl::Status Announcer::Announce(absl::Span<const SkuToAnnounce> skus, absl::Span<const SliceToAnnounce> slices,
                                 std::set<std::string>* failed, std::vector<AheadOfLedger>* ahead,
                                 std::vector<AnnouncedElsewhere>* elsewhere) {
  std::vector<Target> targets;
  targets.reserve(skus.size() + slices.size());
  for (const SkuToAnnounce& sku : skus) targets.push_back(TargetOf(sku, other_shards_));
  for (const SliceToAnnounce& slice : slices) targets.push_back(TargetOf(slice));
  Findings findings{.ahead = ahead, .elsewhere = {}, .kept = {}};
  const absl::Status announced = AnnounceTargets(*sessions_, targets, failed, findings);
  if (failed != nullptr) failed->insert(findings.kept.begin(), findings.kept.end());
  if (elsewhere != nullptr) *elsewhere = std::move(findings.elsewhere);
  if (written_ != nullptr) written_->Add(findings.written);
  return announced;
}

absl::Status Announcer::AnnounceSkus(absl::Span<const storage::Sku> skus, std::vector<AheadOfLedger>* ahead,
                                     std::vector<AnnouncedElsewhere>* elsewhere) {
  std::vector<SkuToAnnounce> targets;
  for (const storage::Sku& sku : skus) targets.push_back({sku, /*always=*/false});
  return Announce(targets, {}, nullptr, ahead, elsewhere);
}

absl::Status Announcer::AnnounceAll(absl::Span<const storage::SkuQuota> quotas, std::set<std::string>* failed) {
  std::vector<SkuToAnnounce> skus;
  std::vector<SliceToAnnounce> slices;
  for (const storage::SkuQuota& quota : quotas) {
    skus.push_back({quota.sku, /*always=*/true});
    for (const storage::HeldSlice& slice : quota.quota.slices) {
      if (slice.holder == storage::kPool) continue;
      slices.push_back({slice.holder, quota.sku.sku_id, slice.allotted, slice.version});
    }
  }
  return Announce(skus, slices, failed);
}

}  // namespace tranche::quota
