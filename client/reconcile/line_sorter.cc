#include "client/reconcile/line_sorter.h"

#include <algorithm>
#include <cstring>
#include <limits>
#include <utility>

#include "glog/logging.h"
#include "storage/base/status_macros.h"

namespace tranche::reconcile {
namespace {

// id, time, amount, line number, currency, kind, length of the reference; then the reference.
constexpr size_t kIdAt = 0;
constexpr size_t kTimeAt = 16;
constexpr size_t kAmountAt = 24;
constexpr size_t kLineAt = 32;
constexpr size_t kCurrencyAt = 40;
constexpr size_t kKindAt = 43;
constexpr size_t kLengthAt = 44;
constexpr size_t kFixedBytes = 45;
constexpr size_t kMaxPackedBytes = kFixedBytes + kMaxReferenceBytes;
static_assert(kLeastRunBuffer > kMaxPackedBytes);
static_assert(kMaxReferenceBytes <= std::numeric_limits<uint8_t>::max());

// Written to the file in pieces of this size.
constexpr size_t kWriteBytes = 1 << 20;

template <typename T>
void Put(char* at, T value) {
  std::memcpy(at, &value, sizeof(value));
}
template <typename T>
T Get(const char* at) {
  T value;
  std::memcpy(&value, at, sizeof(value));
  return value;
}

// Orders like the bytes do.
uint64_t BigEndian(const uint8_t* bytes) {
  uint64_t value = 0;
  for (int i = 0; i < 8; ++i) value = value << 8 | bytes[i];
  return value;
}

void Pack(const StatementLine& line, std::string* out) {
  char fixed[kFixedBytes];
  std::memcpy(fixed + kIdAt, line.reservation_id.data(), line.reservation_id.size());
  Put(fixed + kTimeAt, line.time_us);
  Put(fixed + kAmountAt, line.amount_minor);
  Put(fixed + kLineAt, line.line_number);
  std::memcpy(fixed + kCurrencyAt, line.currency.code.data(), line.currency.code.size());
  fixed[kKindAt] = static_cast<char>(line.kind);
  fixed[kLengthAt] = static_cast<char>(line.reference.size());
  out->append(fixed, kFixedBytes);
  out->append(line.reference);
}

size_t ReferenceBytes(const char* packed) { return static_cast<uint8_t>(packed[kLengthAt]); }
size_t PackedBytes(const char* packed) { return kFixedBytes + ReferenceBytes(packed); }

void Unpack(const char* packed, StatementLine* line) {
  std::memcpy(line->reservation_id.data(), packed + kIdAt, line->reservation_id.size());
  line->time_us = Get<int64_t>(packed + kTimeAt);
  line->amount_minor = Get<int64_t>(packed + kAmountAt);
  line->line_number = Get<uint64_t>(packed + kLineAt);
  std::memcpy(line->currency.code.data(), packed + kCurrencyAt, line->currency.code.size());
  line->kind = static_cast<LineKind>(packed[kKindAt]);
  line->reference.assign(packed + kFixedBytes, ReferenceBytes(packed));
}

// Compares everything except the reservation id.
bool RestIsLess(const char* a, const char* b) {
  const size_t a_bytes = ReferenceBytes(a);
  const size_t b_bytes = ReferenceBytes(b);
  const int order = std::memcmp(a + kFixedBytes, b + kFixedBytes, std::min(a_bytes, b_bytes));
  if (order != 0) return order < 0;
  if (a_bytes != b_bytes) return a_bytes < b_bytes;
  const auto a_time = Get<int64_t>(a + kTimeAt);
  const auto b_time = Get<int64_t>(b + kTimeAt);
  if (a_time != b_time) return a_time < b_time;
  return Get<uint64_t>(a + kLineAt) < Get<uint64_t>(b + kLineAt);
}

bool PackedIsLess(const char* a, const char* b) {
  const int order = std::memcmp(a + kIdAt, b + kIdAt, sizeof(ReservationId));
  return order != 0 ? order < 0 : RestIsLess(a, b);
}

}  // namespace

// Reads one run of the file, a buffer at a time.
class LineSorter::RunReader {
 public:
  RunReader(SpillFile* file, Run run, size_t buffer_bytes) : file_(file), rest_(run), buffer_(buffer_bytes) {}

  // Must be called before the first line is looked at.
  absl::Status Load() {
    const size_t kept = end_ - begin_;
    if (kept >= kMaxPackedBytes || rest_.begin == rest_.end) return absl::OkStatus();
    std::memmove(buffer_.data(), buffer_.data() + begin_, kept);
    const size_t size = std::min<uint64_t>(buffer_.size() - kept, rest_.end - rest_.begin);
    absl::Status read = file_->ReadAt(rest_.begin, buffer_.data() + kept, size);
    rest_.begin += size;
    begin_ = 0;
    end_ = kept + size;
    return read;
  }
  bool done() const { return begin_ == end_; }
  const char* line() const { return buffer_.data() + begin_; }
  absl::Status Advance() {
    begin_ += PackedBytes(line());
    return Load();
  }

 private:
  SpillFile* const file_;
  Run rest_;  // not read yet
  std::vector<char> buffer_;
  size_t begin_ = 0;
  size_t end_ = 0;
};

LineSorter::LineSorter(SorterOptions options, MakeSpillFile make_spill_file)
    : options_(options), make_spill_file_(std::move(make_spill_file)) {
  CHECK_LT(options_.run_bytes, std::numeric_limits<uint32_t>::max());
}

LineSorter::~LineSorter() = default;

absl::Status LineSorter::Add(const StatementLine& line) {
  if (packed_.size() + kMaxPackedBytes > options_.run_bytes && !keys_.empty()) {
    RETURN_IF_ERROR(Spill());
  }
  if (packed_.capacity() < options_.run_bytes && keys_.size() == 1) {
    // Allocate once, rather than doubling again and again.
    packed_.reserve(options_.run_bytes);
    keys_.reserve(options_.run_bytes / (kFixedBytes + 8));
  }
  const uint8_t* const id = line.reservation_id.data();
  keys_.push_back({BigEndian(id), BigEndian(id + 8), static_cast<uint32_t>(packed_.size())});
  Pack(line, &packed_);
  ++lines_;
  return absl::OkStatus();
}

void LineSorter::SortKeys() {
  std::sort(keys_.begin(), keys_.end(), [this](const Key& a, const Key& b) {
    if (a.high != b.high) return a.high < b.high;
    if (a.low != b.low) return a.low < b.low;
    return RestIsLess(packed_.data() + a.offset, packed_.data() + b.offset);
  });
}

absl::Status LineSorter::Spill() {
  if (file_ == nullptr) {
    ASSIGN_OR_RETURN(file_, make_spill_file_());
  }
  SortKeys();
  std::string piece;
  piece.reserve(kWriteBytes + kMaxPackedBytes);
  for (const Key& key : keys_) {
    const char* const packed = packed_.data() + key.offset;
    piece.append(packed, PackedBytes(packed));
    if (piece.size() < kWriteBytes) continue;
    RETURN_IF_ERROR(file_->Append(piece));
    piece.clear();
  }
  RETURN_IF_ERROR(file_->Append(piece));
  runs_.push_back({file_bytes_, file_bytes_ + packed_.size()});
  file_bytes_ += packed_.size();
  packed_.clear();
  keys_.clear();
  return absl::OkStatus();
}

absl::Status LineSorter::OpenRuns() {
  const size_t buffer_bytes = std::max(kLeastRunBuffer, std::min<size_t>(1 << 20, options_.merge_bytes / runs_.size()));
  for (const Run& run : runs_) {
    readers_.push_back(std::make_unique<RunReader>(file_.get(), run, buffer_bytes));
    RETURN_IF_ERROR(readers_.back()->Load());
  }
  for (size_t i = readers_.size(); i-- > 0;) SiftDown(i);
  return absl::OkStatus();
}

absl::Status LineSorter::Finish() {
  if (runs_.empty()) {
    SortKeys();
    return absl::OkStatus();
  }
  if (!keys_.empty()) {
    RETURN_IF_ERROR(Spill());
  }
  // The merge now needs their memory.
  std::string().swap(packed_);
  std::vector<Key>().swap(keys_);
  return OpenRuns();
}

void LineSorter::SiftDown(size_t at) {
  while (true) {
    size_t least = at;
    for (size_t child = 2 * at + 1; child <= 2 * at + 2 && child < readers_.size(); ++child) {
      if (PackedIsLess(readers_[child]->line(), readers_[least]->line())) least = child;
    }
    if (least == at) return;
    std::swap(readers_[at], readers_[least]);
    at = least;
  }
}

absl::StatusOr<bool> LineSorter::Next(StatementLine* line) {
  if (runs_.empty()) {
    if (next_key_ == keys_.size()) return false;
    Unpack(packed_.data() + keys_[next_key_++].offset, line);
    return true;
  }
  if (readers_.empty()) return false;
  RunReader* const reader = readers_.front().get();
  Unpack(reader->line(), line);
  RETURN_IF_ERROR(reader->Advance());
  if (reader->done()) {
    std::swap(readers_.front(), readers_.back());
    readers_.pop_back();
  }
  if (!readers_.empty()) SiftDown(0);
  return true;
}

}  // namespace tranche::reconcile
