#include "client/reconcile/ledger_entry.h"

#include <utility>

#include "storage/base/status_macros.h"

namespace tranche::reconcile {
namespace {

// There are few shards: the smallest head is found by looking at each.
class MergedEntries : public EntryStream {
 public:
  explicit MergedEntries(std::vector<std::unique_ptr<EntryStream>> streams) {
    for (auto& stream : streams) inputs_.push_back({std::move(stream), {}, false});
  }

  absl::StatusOr<bool> Next(LedgerEntry* entry) override {
    for (Input& input : inputs_) {
      RETURN_IF_ERROR(Fill(&input));
    }
    Input* least = nullptr;
    for (Input& input : inputs_) {
      if (!input.full) continue;
      if (least == nullptr || input.head.reservation_id < least->head.reservation_id) least = &input;
    }
    if (least == nullptr) return false;
    for (Input& input : inputs_) {
      if (&input != least && input.full && input.head.reservation_id == least->head.reservation_id) input.full = false;
    }
    std::swap(*entry, least->head);
    least->full = false;
    return true;
  }

 private:
  struct Input {
    std::unique_ptr<EntryStream> stream;  // nullptr at its end
    LedgerEntry head;
    bool full = false;
  };

  static absl::Status Fill(Input* input) {
    if (input->full || input->stream == nullptr) return absl::OkStatus();
    ASSIGN_OR_RETURN(input->full, input->stream->Next(&input->head));
    if (!input->full) input->stream.reset();
    return absl::OkStatus();
  }

  std::vector<Input> inputs_;
};

}  // namespace

absl::string_view NameOf(EntryState state) {
  switch (state) {
    case EntryState::kGone:
      return "GONE";
    case EntryState::kPending:
      return "PENDING";
    case EntryState::kConfirmed:
      return "CONFIRMED";
    case EntryState::kCancelled:
      return "CANCELLED";
    case EntryState::kExpired:
      return "EXPIRED";
  }
  return "";
}

std::unique_ptr<EntryStream> MergeEntries(std::vector<std::unique_ptr<EntryStream>> streams) {
  return std::make_unique<MergedEntries>(std::move(streams));
}

}  // namespace tranche::reconcile
