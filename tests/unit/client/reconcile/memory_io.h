// Statements and spilled runs in memory, and ways to make and read lines.
#pragma once

#include <algorithm>
#include <cstring>
#include <functional>
#include <map>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "client/reconcile/io.h"
#include "client/reconcile/ledger_entry.h"
#include "client/reconcile/statement_line.h"
#include "client/reconcile/statement_reader.h"

namespace tranche::reconcile {

// Gives `piece` bytes at a time, so that piece boundaries fall everywhere.
class MemorySource : public ByteSource {
 public:
  explicit MemorySource(std::string text, size_t piece = 1 << 20) : text_(std::move(text)), piece_(piece) {}
  absl::StatusOr<size_t> Read(char* buffer, size_t size) override {
    const size_t got = std::min({size, piece_, text_.size() - at_});
    std::memcpy(buffer, text_.data() + at_, got);
    at_ += got;
    return got;
  }

 private:
  const std::string text_;
  const size_t piece_;
  size_t at_ = 0;
};

class MemorySpill : public SpillFile {
 public:
  absl::Status Append(absl::string_view bytes) override {
    text_.append(bytes.data(), bytes.size());
    return absl::OkStatus();
  }
  absl::Status ReadAt(uint64_t offset, char* buffer, size_t size) override {
    if (offset + size > text_.size()) return absl::DataLossError("beyond the end");
    std::memcpy(buffer, text_.data() + offset, size);
    return absl::OkStatus();
  }

 private:
  std::string text_;
};

inline MakeSpillFile InMemory() {
  return []() -> absl::StatusOr<std::unique_ptr<SpillFile>> { return std::make_unique<MemorySpill>(); };
}

// The n-th id.
inline ReservationId Id(uint32_t n) {
  ReservationId id{};
  for (int i = 0; i < 4; ++i) id[15 - i] = static_cast<uint8_t>(n >> (8 * i));
  return id;
}

inline Currency Cur(const char* code) { return *Currency::Parse(code); }

inline StatementLine Line(uint32_t id, const std::string& reference, LineKind kind, int64_t amount = 500,
                          int64_t time_us = 1000, const char* currency = "EUR") {
  StatementLine line;
  line.reservation_id = Id(id);
  line.reference = reference;
  line.kind = kind;
  line.amount_minor = amount;
  line.currency = Cur(currency);
  line.time_us = time_us;
  return line;
}

// Lines from a list.
class ListedStatement : public StatementReader {
 public:
  explicit ListedStatement(std::vector<StatementLine> lines) : lines_(std::move(lines)) {}
  absl::StatusOr<bool> Next(StatementLine* line, MalformedLine* malformed) override {
    if (at_ == lines_.size()) return false;
    malformed->reason = Malformed::kNone;
    *line = lines_[at_++];
    line->line_number = at_;
    return true;
  }

 private:
  const std::vector<StatementLine> lines_;
  size_t at_ = 0;
};

class ListedEntries : public EntryStream {
 public:
  explicit ListedEntries(std::vector<LedgerEntry> entries) : entries_(std::move(entries)) {}
  absl::StatusOr<bool> Next(LedgerEntry* entry) override {
    if (at_ == entries_.size()) return false;
    *entry = entries_[at_++];
    return true;
  }

 private:
  const std::vector<LedgerEntry> entries_;
  size_t at_ = 0;
};

// The ledger's side by the rules of export_payments, spread over several shards.
class ListedBooks : public PaymentBooks {
 public:
  explicit ListedBooks(std::map<ReservationId, LedgerEntry> entries, size_t shards = 1)
      : entries_(std::move(entries)), shards_(shards) {}

  absl::StatusOr<std::vector<std::unique_ptr<EntryStream>>> Export(const Window& window) override {
    std::vector<std::vector<LedgerEntry>> shards(shards_);
    for (const auto& [id, entry] : entries_) {
      bool wanted = entry.state == EntryState::kConfirmed && !entry.is_rebooking && window.Contains(entry.finished_us);
      for (const RecordedLatePayment& late : entry.late_payments) {
        wanted = wanted || window.Contains(late.received_us) ||
                 (!late.rebooked && late.refunded_us == 0 && late.received_us <= window.to_us);
      }
      if (wanted) shards[id[15] % shards_].push_back(entry);
    }
    std::vector<std::unique_ptr<EntryStream>> streams;
    for (auto& shard : shards) streams.push_back(std::make_unique<ListedEntries>(std::move(shard)));
    return streams;
  }
  absl::StatusOr<std::vector<LedgerEntry>> LookUp(absl::Span<const ReservationId> ids) override {
    looked_up += ids.size();
    std::vector<LedgerEntry> found;
    for (const ReservationId& id : ids) {
      const auto entry = entries_.find(id);
      if (entry != entries_.end()) found.push_back(entry->second);
    }
    std::reverse(found.begin(), found.end());  // the order must not matter
    return found;
  }

  size_t looked_up = 0;

 private:
  const std::map<ReservationId, LedgerEntry> entries_;
  const size_t shards_;
};

}  // namespace tranche::reconcile
