// How fast, and in how much memory, a statement is reconciled: a generated file against a generated ledger, without a
// cluster. One line in a thousand differs. Prints one JSON object.
#include <sys/resource.h>

#include <CLI/CLI.hpp>
#include <cstdio>
#include <fstream>
#include <iostream>
#include <nlohmann/json.hpp>
#include <string>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "absl/time/clock.h"
#include "client/reconcile/posix_files.h"
#include "client/reconcile/reconciler.h"

namespace tranche::reconcile {
namespace {

constexpr int64_t kStartUs = 1764234000000000;  // 2025-11-27T09:00:00Z
constexpr uint64_t kDifferEvery = 1000;

// Ascending, and spread over the whole range.
ReservationId IdOf(uint64_t n, uint64_t count) {
  ReservationId id{};
  const uint64_t high = ~uint64_t{0} / count * n;
  for (int i = 0; i < 8; ++i) {
    id[static_cast<size_t>(i)] = static_cast<uint8_t>(high >> (56 - 8 * i));
    id[static_cast<size_t>(8 + i)] = static_cast<uint8_t>((n * 0x9E3779B97F4A7C15) >> (8 * i));
  }
  return id;
}

void WriteStatement(const std::string& path, uint64_t lines, bool csv) {
  std::ofstream out(path, std::ios::binary);
  if (csv) out << "reference,reservation_id,amount,currency,time,kind\n";
  for (uint64_t i = 0; i < lines; ++i) {
    // In an order that has nothing to do with the ids': every n once, as the step has no factor in common with `lines`.
    const uint64_t n = (i * 7'368'787 + 13) % lines;
    const std::string id = FormatReservationId(IdOf(n, lines));
    const std::string time = absl::FormatTime(
        "%Y-%m-%dT%H:%M:%SZ", absl::FromUnixMicros(kStartUs) + absl::Seconds(n % 86400), absl::UTCTimeZone());
    const std::string amount = absl::StrFormat("%d.%02d", 499 + (n % kDifferEvery == 0), n % 100);
    if (csv) {
      out << "ch_" << absl::StrFormat("%020d", n) << "," << id << "," << amount << ",EUR," << time << ",charge\n";
    } else {
      out << "{\"reference\":\"ch_" << absl::StrFormat("%020d", n) << "\",\"reservation_id\":\"" << id
          << "\",\"amount\":" << amount << ",\"currency\":\"EUR\",\"time\":\"" << time << "\",\"kind\":\"charge\"}\n";
    }
  }
}

class GeneratedEntries : public EntryStream {
 public:
  explicit GeneratedEntries(uint64_t count) : count_(count) {}
  absl::StatusOr<bool> Next(LedgerEntry* entry) override {
    if (n_ == count_) return false;
    entry->reservation_id = IdOf(n_, count_);
    entry->state = EntryState::kConfirmed;
    entry->sku_id = "tv";
    entry->quantity = 1;
    entry->amount_minor = 49900 + static_cast<int64_t>(n_ % 100);
    entry->currency = *Currency::Parse("EUR");
    entry->reference.clear();
    absl::StrAppendFormat(&entry->reference, "ch_%020d", n_);
    entry->finished_us = kStartUs + static_cast<int64_t>(n_ % 86400) * 1000000;
    ++n_;
    return true;
  }

 private:
  const uint64_t count_;
  uint64_t n_ = 0;
};

class GeneratedBooks : public PaymentBooks {
 public:
  explicit GeneratedBooks(uint64_t count) : count_(count) {}
  absl::StatusOr<std::vector<std::unique_ptr<EntryStream>>> Export(const Window&) override {
    std::vector<std::unique_ptr<EntryStream>> streams;
    streams.push_back(std::make_unique<GeneratedEntries>(count_));
    return streams;
  }
  absl::StatusOr<std::vector<LedgerEntry>> LookUp(absl::Span<const ReservationId>) override {
    return std::vector<LedgerEntry>();
  }

 private:
  const uint64_t count_;
};

double PeakMegabytes() {
  struct rusage usage {};
  getrusage(RUSAGE_SELF, &usage);
  return static_cast<double>(usage.ru_maxrss) / 1024;
}

int Measure(const std::string& path, const std::string& folder, uint64_t lines, bool csv) {
  const double before_mb = PeakMegabytes();
  const absl::Time start = absl::Now();
  const auto source = OpenSource(path);
  if (!source.ok()) return std::cerr << source.status() << "\n", 1;
  auto statement = OpenStatement(source->get(), csv ? StatementFormat::kCsv : StatementFormat::kJsonl);
  if (!statement.ok()) return std::cerr << statement.status() << "\n", 1;
  GeneratedBooks books(lines);
  absl::Time sorted = start;
  const ReconcileSinks sinks = {
      .difference = [](const Difference&) { return absl::OkStatus(); },
      .malformed = [](const MalformedLine&) { return absl::OkStatus(); },
      .progress =
          [&](absl::string_view doing, uint64_t) {
            if (doing == "read") sorted = absl::Now();
          },
  };
  const auto totals = Reconcile(
      statement->get(), &books, [&folder] { return MakeTemporaryFile(folder); }, {}, sinks);
  if (!totals.ok()) return std::cerr << totals.status() << "\n", 1;
  const double seconds = absl::ToDoubleSeconds(absl::Now() - start);
  const nlohmann::ordered_json result = {
      {"format", csv ? "csv" : "jsonl"},
      {"lines", totals->charges.count},
      {"differences", totals->difference_count},
      {"seconds", seconds},
      {"seconds_reading", absl::ToDoubleSeconds(sorted - start)},
      {"lines_per_s", static_cast<double>(lines) / seconds},
      {"peak_rss_mb", PeakMegabytes()},
      {"rss_mb_before", before_mb},
  };
  std::cout << result.dump(1) << "\n";
  return totals->difference_count == static_cast<int64_t>((lines + kDifferEvery - 1) / kDifferEvery) ? 0 : 1;
}

}  // namespace
}  // namespace tranche::reconcile

int main(int argc, char** argv) {
  CLI::App app("Reconciles a generated statement with a generated ledger.");
  uint64_t lines = 5'000'000;
  std::string folder = "/tmp";
  bool jsonl = false;
  app.add_option("--lines", lines)->capture_default_str();
  app.add_option("--folder", folder, "For the statement and the sorted runs")->capture_default_str();
  app.add_flag("--jsonl", jsonl);
  CLI11_PARSE(app, argc, argv);
  const std::string path = folder + "/reconcile-benchmark-statement";
  tranche::reconcile::WriteStatement(path, lines, !jsonl);
  const int status = tranche::reconcile::Measure(path, folder, lines, !jsonl);
  std::remove(path.c_str());
  return status;
}
