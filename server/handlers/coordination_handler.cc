#include "server/handlers/coordination_handler.h"

#include <algorithm>
#include <memory>
#include <vector>

#include "absl/strings/escaping.h"
#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_split.h"
#include "glog/logging.h"
#include "google/protobuf/util/json_util.h"
#include "quota/coordination/coordination_paths.h"
#include "quota/coordination/ledger_mark.h"
#include "quota/coordination/tree_rebuild.h"
#include "server/errors.h"
#include "server/handlers/audited_action.h"
#include "server/handlers/field_checks.h"
#include "server/handlers/node_directory.h"
#include "storage/base/status_macros.h"
#include "tranche/internal/v1/coordination.pb.h"

namespace tranche::server {
namespace {

constexpr size_t kLargestPageBytes = 1024 * 1024;

using Components = std::vector<std::string>;

Components Split(const std::string& path) { return absl::StrSplit(path, '/', absl::SkipEmpty()); }

bool IsPath(const std::string& path) {
  if (path.empty() || path == "/") return true;
  if (path.front() != '/' || path.back() == '/' || absl::StrContains(path, "//")) return false;
  for (const std::string& component : Split(path)) {
    if (component == "." || component == "..") return false;
  }
  return IsPlainUtf8(path);
}

std::unique_ptr<google::protobuf::Message> PayloadType(const Components& path) {
  if (path.empty()) return nullptr;
  const std::string top = absl::StrCat("/", path[0]);
  if (path.size() < 2 && top == quota::kRoomsPath) return std::make_unique<internal::v1::RoomBoards>();
  if (path.size() < 2) return nullptr;
  if (top == quota::kNodesPath) return std::make_unique<internal::v1::NodeRegistration>();
  if (top == quota::kDemandPath) return std::make_unique<internal::v1::DemandReport>();
  if (top == quota::kDrainPath) return std::make_unique<internal::v1::DrainRequest>();
  if (top == quota::kLedgerPath) return std::make_unique<internal::v1::LedgerMark>();
  if (top == quota::kRoomsPath) return std::make_unique<internal::v1::RoomReport>();
  if (path.size() < 3) return nullptr;
  if (top == quota::kSlicesPath) return std::make_unique<internal::v1::SliceAnnouncement>();
  if (top == quota::kSkusPath) return std::make_unique<internal::v1::SkuAnnouncement>();
  return nullptr;
}

void Fill(const quota::RebuildCount& count, v1::RebuildCoordinationResponse::Count* message) {
  message->set_expected(count.expected);
  message->set_missing(count.missing);
  message->set_outdated(count.outdated);
}

// One walk, resumed after the path in `after`.
class Walk {
 public:
  Walk(quota::Coordination* session, const Components& after, int page_size)
      : session_(session), after_(after), page_size_(page_size) {}

  // Adds the node and its descendants, as far as they come after `after` and the page has room.
  absl::Status Visit(const std::string& path) {
    if (full_) return absl::OkStatus();
    const Components components = Split(path);
    if (!path.empty() && components > after_) {
      if (absl::Status added = Add(path); !added.ok() || full_) return added;
    }
    ASSIGN_OR_RETURN(const Components children, Children(path));
    for (const std::string& child : children) {
      if (IsBefore(components, child)) continue;
      if (absl::Status below = Visit(absl::StrCat(path, "/", child)); !below.ok() || full_) return below;
    }
    return absl::OkStatus();
  }

  v1::DumpCoordinationResponse Finish() && { return std::move(response_); }

 private:
  absl::Status Add(const std::string& path) {
    const absl::StatusOr<quota::Znode> znode = session_->Get(path, quota::Watch::kNo);
    if (absl::IsNotFound(znode.status())) return absl::OkStatus();  // gone since it was listed
    if (!znode.ok()) return znode.status();
    if (response_.znodes_size() == page_size_ || bytes_ > kLargestPageBytes) {
      full_ = true;
      response_.set_next_page_token(EncodePageToken(response_.znodes(response_.znodes_size() - 1).path()));
      return absl::OkStatus();
    }
    v1::DumpCoordinationResponse::Znode* added = response_.add_znodes();
    added->set_path(path);
    added->set_version(znode->version);
    added->set_ephemeral(znode->ephemeral_owner != 0);
    added->set_payload(RenderPayload(path, znode->data));
    bytes_ += added->ByteSizeLong();
    return absl::OkStatus();
  }

  absl::StatusOr<Components> Children(const std::string& path) {
    if (path.empty()) {
      // The root's children are fixed; what else may lie there is not ours.
      Components fixed;
      for (const char* top : quota::kFixedPaths) fixed.emplace_back(top + 1);
      std::sort(fixed.begin(), fixed.end());
      return fixed;
    }
    absl::StatusOr<Components> children = session_->List(path, quota::Watch::kNo);
    if (absl::IsNotFound(children.status())) return Components{};
    return children;
  }

  // Whether the child of `parent` and all its descendants were on an earlier page.
  bool IsBefore(const Components& parent, const std::string& child) const {
    if (after_.size() <= parent.size()) return false;
    for (size_t i = 0; i < parent.size(); ++i) {
      if (parent[i] != after_[i]) return false;
    }
    return child < after_[parent.size()];
  }

  quota::Coordination* const session_;
  const Components after_;
  const int page_size_;
  v1::DumpCoordinationResponse response_;
  size_t bytes_ = 0;
  bool full_ = false;
};

}  // namespace

std::string RenderPayload(const std::string& path, const std::string& data) {
  if (data.empty()) return "";
  const bool of_leader = path == quota::LeaderPath() || absl::StartsWith(path, quota::LeaderPath(""));
  if ((of_leader || path == quota::kFrontDoorPath) && IsPlainUtf8(data)) return data;
  const std::unique_ptr<google::protobuf::Message> message = PayloadType(Split(path));
  std::string json;
  google::protobuf::util::JsonPrintOptions options;
  options.preserve_proto_field_names = true;
  if (message != nullptr && message->ParseFromString(data) &&
      google::protobuf::util::MessageToJsonString(*message, &json, options).ok()) {
    return json;
  }
  return absl::Base64Escape(data);
}

absl::StatusOr<v1::DumpCoordinationResponse> CoordinationHandler::Dump(const v1::DumpCoordinationRequest& request) {
  ASSIGN_OR_RETURN(const int page_size, CheckPageSize(request.page_size(), kLargestPageSize));
  ASSIGN_OR_RETURN(const std::string after, DecodePageToken(request.page_token()));
  if (!IsPath(request.path())) {
    return InvalidField("path", "must be empty or a path such as /slices/17");
  }
  ASSIGN_OR_RETURN(const auto session, RequireSession(*sessions_));
  Walk walk(session.get(), Split(after), page_size);
  const absl::Status walked = walk.Visit(request.path() == "/" ? "" : request.path());
  if (!walked.ok()) return CoordinationError(walked);
  return std::move(walk).Finish();
}

absl::StatusOr<v1::RebuildCoordinationResponse> CoordinationHandler::Rebuild(
    const v1::RebuildCoordinationRequest& request, const storage::Actor& actor) {
  ASSIGN_OR_RETURN(const auto session, RequireSession(*sessions_));
  if (request.preview()) return RebuildNow(request, session.get(), actor);
  AuditedAction::What what{.actor = actor, .action = "rebuild_coordination", .sku_id = "", .before = {}, .asked = {}};
  what.asked.Add("new_history", request.new_history());
  ASSIGN_OR_RETURN(AuditedAction audited, AuditedAction::Begin(ledger_, what));
  auto rebuilt = RebuildNow(request, session.get(), actor);
  // After an error the outcome stays UNKNOWN: a part may have been restored, or the new history begun.
  if (rebuilt.ok()) {
    Members result;
    result.Add("skus_missing", rebuilt->skus().missing()).Add("slices_missing", rebuilt->slices().missing());
    audited.EndDone(std::move(result));
  }
  return rebuilt;
}

absl::StatusOr<v1::RebuildCoordinationResponse> CoordinationHandler::RebuildNow(
    const v1::RebuildCoordinationRequest& request, quota::Coordination* session, const storage::Actor& actor) {
  const bool new_history = request.new_history() && !request.preview();
  if (new_history) {
    const absl::Status asked = quota::RequestNewHistoryOfAnyLedger(*session);
    if (!asked.ok()) return CoordinationError(asked);
    LOG(WARNING) << actor << " asks for a new history: all nodes begin anew from what the ledger says";
  }
  const auto mode = request.preview() ? quota::RebuildMode::kCount : quota::RebuildMode::kWrite;
  const auto report = quota::RebuildTree(*sessions_, *ledger_, *clock_, mode);
  if (!report.ok()) {
    // The error does not show whose it is. If it is the ledger's, the ledger will return it again.
    if (const auto live = ledger_->ListLiveIncarnations(); !live.ok()) {
      return LedgerError(live.status(), "", Repeatable::kYes);
    }
    return MakeError(v1::ERROR_REASON_COORDINATION_UNAVAILABLE,
                     absl::StrCat("The tree was restored only in part; repeat the call, which continues from there: ",
                                  std::string(report.status().message())));
  }
  LOG_IF(INFO, !request.preview()) << actor << " rebuilt the coordination tree: " << report->skus.missing
                                   << " SKUs and " << report->slices.missing << " slices were missing";
  v1::RebuildCoordinationResponse response;
  response.set_new_history_requested(new_history);
  Fill(report->fixed_folders, response.mutable_fixed_folders());
  Fill(report->skus, response.mutable_skus());
  Fill(report->slice_folders, response.mutable_slice_folders());
  Fill(report->slices, response.mutable_slices());
  Fill(report->drain_requests, response.mutable_drain_requests());
  return response;
}

}  // namespace tranche::server
