#include "client/ctl/draw_export.h"

#include <cerrno>
#include <cstddef>
#include <cstdio>
#include <cstring>
#include <filesystem>
#include <fstream>
#include <nlohmann/json.hpp>
#include <system_error>

#include "absl/algorithm/container.h"
#include "absl/strings/escaping.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/string_view.h"
#include "client/ctl/draw_view.h"
#include "client/ctl/parse.h"
#include "storage/base/status_macros.h"

namespace tranche::ctl {
namespace {

using tranche::v1::Draw;
using tranche::v1::DrawAward;
using tranche::v1::GetDrawEntryResponse;

constexpr char kDrawFile[] = "draw.json";
constexpr char kEntriesFile[] = "entries.txt";
constexpr char kAwardsFile[] = "awards.csv";
// What the files are made by. A change of what is hashed, or of the files, takes another one.
constexpr char kFormat[] = "tranche-draw-v1";
constexpr size_t kEntryIdBytes = 16;
constexpr size_t kEntryIdChars = 36;

absl::Status UnfitAnswer(absl::string_view what) {
  return absl::InternalError(absl::StrCat("the node's answer does not fit the draw: ", what));
}

// A file that is written beside its place, and takes it when all of them are complete.
class PartFile {
 public:
  PartFile(const std::string& folder, const char* name)
      : path_(std::filesystem::path(folder) / name), part_(absl::StrCat(path_.string(), ".part")) {
    stream_.open(part_, std::ios::binary | std::ios::trunc);
  }
  ~PartFile() {
    std::error_code ignored;
    if (!published_) std::filesystem::remove(part_, ignored);
  }
  PartFile(const PartFile&) = delete;
  PartFile& operator=(const PartFile&) = delete;

  std::ostream& stream() { return stream_; }

  absl::Status Complete() {
    stream_.close();
    if (stream_.fail()) return absl::UnavailableError(absl::StrCat("cannot write ", part_));
    return absl::OkStatus();
  }
  absl::Status Publish() {
    if (std::rename(part_.c_str(), path_.c_str()) != 0) {
      return absl::UnavailableError(absl::StrCat("cannot write ", path_.string(), ": ", std::strerror(errno)));
    }
    published_ = true;
    return absl::OkStatus();
  }

 private:
  const std::filesystem::path path_;
  const std::string part_;
  std::ofstream stream_;
  bool published_ = false;
};

// "6f1c2f0e-9a4b-4c57-8d3e-0123456789ab": as buyers know theirs.
std::string EntryIdText(absl::string_view bytes) {
  std::string text = absl::BytesToHexString(bytes);
  for (const size_t dash : {8U, 13U, 18U, 23U}) text.insert(dash, 1, '-');
  return text;
}

// The ids of a page, behind `last`, which is then the last one of them.
absl::Status WriteEntries(absl::string_view ids, std::string& last, std::ostream& out) {
  if (ids.size() % kEntryIdBytes != 0) return UnfitAnswer("an entry id is cut off");
  for (; !ids.empty(); ids.remove_prefix(kEntryIdBytes)) {
    const absl::string_view id = ids.substr(0, kEntryIdBytes);
    if (id <= last) return UnfitAnswer("entry ids are not in their order");
    last = std::string(id);
    out << EntryIdText(id) << "\n";
  }
  return absl::OkStatus();
}

absl::Status ExportEntries(const Draw& draw, const DrawPages& pages, std::ostream& out, DrawExported& exported,
                           absl::FunctionRef<void(const DrawExported&)> show) {
  tranche::v1::ListDrawEntriesRequest request;
  request.set_sku_id(draw.sku_id());
  request.set_draw_number(draw.number());
  std::string last;
  do {
    ASSIGN_OR_RETURN(const auto page, pages.entries(request));
    RETURN_IF_ERROR(WriteEntries(page.entry_ids(), last, out));
    if (page.entry_ids().empty() && !page.next_page_token().empty()) return UnfitAnswer("a page has no entries");
    exported.entries += static_cast<int64_t>(page.entry_ids().size() / kEntryIdBytes);
    request.set_page_token(page.next_page_token());
    show(exported);
    // The last page may be empty, when the one before was full.
  } while (!request.page_token().empty() && exported.entries <= draw.entries());
  if (exported.entries == draw.entries()) return absl::OkStatus();
  return UnfitAnswer(absl::StrCat("it has other entries than the ", draw.entries(), " that were sealed"));
}

// Places by what became of them, of the awards that were written.
struct OutcomeCounts {
  int64_t pending = 0;
  int64_t confirmed = 0;
  int64_t lapsed = 0;

  bool Add(GetDrawEntryResponse::Outcome outcome) {
    switch (outcome) {
      case GetDrawEntryResponse::OUTCOME_PENDING:
        ++pending;
        return true;
      case GetDrawEntryResponse::OUTCOME_CONFIRMED:
        ++confirmed;
        return true;
      case GetDrawEntryResponse::OUTCOME_LAPSED:
      case GetDrawEntryResponse::OUTCOME_PASSED_OVER:
        ++lapsed;
        return true;
      default:
        return false;
    }
  }
};

absl::Status WriteAward(const DrawAward& award, int64_t place, std::ostream& out, OutcomeCounts& counts) {
  if (award.place() != place) return UnfitAnswer(absl::StrCat("place ", place, " is missing"));
  const bool is_id = award.entry_id().size() == kEntryIdChars && absl::c_all_of(award.entry_id(), [](char c) {
                       return c == '-' || (c >= '0' && c <= '9') || (c >= 'a' && c <= 'f');
                     });
  if (!is_id) return UnfitAnswer(absl::StrCat("the entry of place ", place, " has no id"));
  if (!counts.Add(award.outcome())) {
    return UnfitAnswer(absl::StrCat("what became of place ", place, " is not known to this version"));
  }
  out << place << "," << award.entry_id() << "," << DrawOutcomeName(award.outcome()) << "\n";
  return absl::OkStatus();
}

// As many as there were when the draw was read: awards are only added, so these are the first ones.
absl::StatusOr<OutcomeCounts> ExportAwards(const Draw& draw, const DrawPages& pages, std::ostream& out,
                                           DrawExported& exported, absl::FunctionRef<void(const DrawExported&)> show) {
  const int64_t most = int64_t{draw.pending()} + draw.confirmed() + draw.lapsed();
  tranche::v1::ListDrawAwardsRequest request;
  request.set_sku_id(draw.sku_id());
  request.set_draw_number(draw.number());
  OutcomeCounts counts;
  out << "place,entry_id,outcome\n";
  while (exported.awards < most) {
    ASSIGN_OR_RETURN(const auto page, pages.awards(request));
    for (const DrawAward& award : page.awards()) {
      if (exported.awards == most) break;
      RETURN_IF_ERROR(WriteAward(award, ++exported.awards, out, counts));
    }
    request.set_page_token(page.next_page_token());
    show(exported);
    const bool ended = page.awards().empty() || request.page_token().empty();
    if (ended && exported.awards < most) return UnfitAnswer(absl::StrCat("it has fewer awards than ", most));
  }
  return counts;
}

// Counts are those of awards.csv: some of the awards may have been paid or have lapsed since the draw was read.
void WriteDrawJson(const Draw& draw, const OutcomeCounts& counts, std::ostream& out) {
  nlohmann::ordered_json json = {{"format", kFormat},
                                 {"sku_id", draw.sku_id()},
                                 {"number", draw.number()},
                                 {"state", DrawStateName(draw.state())},
                                 {"winners", draw.winners()},
                                 {"quantity", draw.quantity()},
                                 {"seed_commitment", absl::BytesToHexString(draw.seed_commitment())},
                                 {"public_source", draw.public_source()},
                                 {"entries", draw.entries()},
                                 {"merkle_root", absl::BytesToHexString(draw.merkle_root())},
                                 {"seed", absl::BytesToHexString(draw.seed())},
                                 {"cutoff", absl::BytesToHexString(draw.cutoff())},
                                 {"pending", counts.pending},
                                 {"confirmed", counts.confirmed},
                                 {"lapsed", counts.lapsed}};
  if (draw.has_create_time()) json["create_time"] = FormatTime(draw.create_time());
  if (draw.has_close_time()) json["close_time"] = FormatTime(draw.close_time());
  if (draw.has_seed_time()) json["seed_time"] = FormatTime(draw.seed_time());
  if (draw.has_finish_time()) json["finish_time"] = FormatTime(draw.finish_time());
  out << json.dump(2) << "\n";
}

}  // namespace

absl::Status PrepareDrawExport(const Draw& draw, const std::string& folder, bool force) {
  if (draw.merkle_root().empty()) {
    return absl::FailedPreconditionError(absl::StrCat("draw ", draw.number(), " of ", draw.sku_id(), " is ",
                                                      DrawStateName(draw.state()),
                                                      ": its list of entries is not sealed yet"));
  }
  std::error_code error;
  std::filesystem::create_directories(folder, error);
  if (error) return absl::UnavailableError(absl::StrCat("--dir: cannot make ", folder, ": ", error.message()));
  if (force) return absl::OkStatus();
  for (const char* name : {kDrawFile, kEntriesFile, kAwardsFile}) {
    const std::filesystem::path path = std::filesystem::path(folder) / name;
    if (std::filesystem::exists(path, error)) {
      return absl::AlreadyExistsError(absl::StrCat(path.string(), " is there already: --force writes over it"));
    }
  }
  return absl::OkStatus();
}

absl::Status ExportDraw(const Draw& draw, const std::string& folder, const DrawPages& pages,
                        absl::FunctionRef<void(const DrawExported&)> show) {
  PartFile entries(folder, kEntriesFile);
  PartFile awards(folder, kAwardsFile);
  PartFile itself(folder, kDrawFile);
  // Before anything is asked for.
  for (PartFile* const file : {&entries, &awards, &itself}) {
    if (!file->stream().good()) return file->Complete();
  }
  DrawExported exported;
  RETURN_IF_ERROR(ExportEntries(draw, pages, entries.stream(), exported, show));
  ASSIGN_OR_RETURN(const OutcomeCounts counts, ExportAwards(draw, pages, awards.stream(), exported, show));
  WriteDrawJson(draw, counts, itself.stream());
  for (PartFile* const file : {&entries, &awards, &itself}) RETURN_IF_ERROR(file->Complete());
  for (PartFile* const file : {&entries, &awards, &itself}) RETURN_IF_ERROR(file->Publish());
  return absl::OkStatus();
}

}  // namespace tranche::ctl
