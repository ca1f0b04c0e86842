// tranchectl reconcile

#include <cstdlib>
#include <fstream>
#include <memory>
#include <optional>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "absl/time/clock.h"
#include "client/ctl/commands.h"
#include "client/ctl/corrections.h"
#include "client/ctl/parse.h"
#include "client/ctl/reconcile_view.h"
#include "client/ctl/remote_books.h"
#include "client/reconcile/posix_files.h"
#include "client/reconcile/reconciler.h"
#include "client/reconcile/report_writer.h"
#include "storage/base/status_macros.h"

namespace tranche::ctl {
namespace {

struct Flags {
  std::string statement;
  std::string format;
  std::string report;
  std::string from;
  std::string to;
  bool fix = false;
  bool yes = false;
  int64_t max_fixes = 10000;
};

// By --format, otherwise by the file's name.
absl::StatusOr<reconcile::StatementFormat> FormatOf(const Flags& flags) {
  const std::string name = flags.format.empty() ? flags.statement : absl::StrCat(".", flags.format);
  if (absl::EndsWithIgnoreCase(name, ".csv")) return reconcile::StatementFormat::kCsv;
  if (absl::EndsWithIgnoreCase(name, ".jsonl") || absl::EndsWithIgnoreCase(name, ".ndjson")) {
    return reconcile::StatementFormat::kJsonl;
  }
  return absl::InvalidArgumentError(absl::StrCat("say with --format whether ", flags.statement, " is csv or jsonl"));
}

absl::StatusOr<std::optional<int64_t>> BoundOf(const char* flag, const std::string& text) {
  if (text.empty()) return std::optional<int64_t>();
  ASSIGN_OR_RETURN(const absl::Time time, OfFlag(flag, ParseTime(text)));
  return std::optional<int64_t>(absl::ToUnixMicros(time));
}

// A line on stderr every few seconds; none for a short statement.
class Progress {
 public:
  explicit Progress(Session* session) : session_(session) {}
  void Tell(absl::string_view doing, uint64_t lines) {
    const absl::Time now = absl::Now();
    if (now < next_) return;
    next_ = now + kInterval;
    session_->err() << doing << " " << lines << " lines, " << FormatAge(now - start_) << "\n";
  }

 private:
  static constexpr absl::Duration kInterval = absl::Seconds(3);
  Session* const session_;
  const absl::Time start_ = absl::Now();
  absl::Time next_ = start_ + kInterval;
};

// What one run needs, opened in the order that gives the best error messages.
struct Job {
  std::unique_ptr<reconcile::ByteSource> source;
  std::unique_ptr<reconcile::StatementReader> statement;
  reconcile::ReconcileOptions options;
  std::ofstream report_file;
  std::optional<reconcile::ReportWriter> report;
};

absl::Status Open(const Flags& flags, Job* job) {
  ASSIGN_OR_RETURN(job->options.from_us, BoundOf("--from", flags.from));
  ASSIGN_OR_RETURN(job->options.to_us, BoundOf("--to", flags.to));
  ASSIGN_OR_RETURN(job->source, reconcile::OpenSource(flags.statement));
  ASSIGN_OR_RETURN(const reconcile::StatementFormat format, FormatOf(flags));
  ASSIGN_OR_RETURN(job->statement, reconcile::OpenStatement(job->source.get(), format));
  if (flags.report.empty()) return absl::OkStatus();
  const bool csv = absl::EndsWithIgnoreCase(flags.report, ".csv");
  if (!csv && !absl::EndsWithIgnoreCase(flags.report, ".jsonl")) {
    return absl::InvalidArgumentError("--report: the file's name must end in .csv or .jsonl");
  }
  job->report_file.open(flags.report, std::ios::binary | std::ios::trunc);
  if (!job->report_file) return absl::InvalidArgumentError(absl::StrCat("cannot write ", flags.report));
  job->report.emplace(&job->report_file, csv ? reconcile::ReportFormat::kCsv : reconcile::ReportFormat::kJsonl);
  return absl::OkStatus();
}

std::string TemporaryFolder() {
  const char* folder = std::getenv("TMPDIR");
  return folder != nullptr && *folder != '\0' ? folder : "/tmp";
}

absl::StatusOr<reconcile::Totals> RunJob(Session& session, Job* job, reconcile::PaymentBooks* books,
                                         Corrections* corrections) {
  Progress progress(&session);
  const reconcile::ReconcileSinks sinks = {
      .difference =
          [&](const reconcile::Difference& difference) {
            corrections->Propose(difference);
            return job->report.has_value() ? job->report->Write(difference) : absl::OkStatus();
          },
      .malformed =
          [&](const reconcile::MalformedLine& line) {
            return job->report.has_value() ? job->report->Write(line) : absl::OkStatus();
          },
      .progress = [&](absl::string_view doing, uint64_t lines) { progress.Tell(doing, lines); },
  };
  return reconcile::Reconcile(
      job->statement.get(), books, [] { return reconcile::MakeTemporaryFile(TemporaryFolder()); }, job->options, sinks);
}

void ApplyCorrections(Session& session, const Flags& flags, Corrections* corrections) {
  corrections->PrintProposals(session);
  if (corrections->proposed() == 0) return;
  if (corrections->too_many()) {
    const std::string warning =
        absl::StrCat("more corrections than --max-fixes ", flags.max_fixes,
                     " allows: is it the right statement, and the right cluster? Nothing has changed.");
    if (flags.yes) return session.FailLocally(warning);
    session.err() << "warning: " << warning << "\n";
    return;
  }
  if (!flags.yes) {
    session.err() << "Nothing has changed. Run again with --fix --yes to apply.\n";
    return;
  }
  if (const absl::Status applied = corrections->Apply(session); !applied.ok()) return session.FailRemotely(applied);
  for (const auto& [outcome, count] : corrections->outcomes()) session.err() << count << " x " << outcome << "\n";
}

void Run(Session& session, const Flags& flags) {
  if (flags.yes && !flags.fix) return session.FailLocally("--yes goes with --fix");
  Job job;
  if (const absl::Status opened = Open(flags, &job); !opened.ok()) {
    return session.FailLocally(std::string(opened.message()));
  }
  RemoteBooks books(&session);
  Corrections corrections(flags.max_fixes);
  const auto totals = RunJob(session, &job, &books, &corrections);
  if (!totals.ok()) {
    if (books.failed()) return session.FailRemotely(totals.status());
    return session.FailLocally(std::string(totals.status().message()));
  }
  if (job.report.has_value()) {
    job.report_file.close();
    if (!job.report_file) return session.FailLocally(absl::StrCat("cannot write ", flags.report));
  }
  if (!session.json()) PrintReconcileTotals(session, *totals);
  if (!totals->clean()) session.exit_code = kExitRemote;
  if (flags.fix && totals->difference_count > 0) ApplyCorrections(session, flags, &corrections);
  if (!session.json()) return;
  nlohmann::ordered_json json = ReconcileTotalsJson(*totals);
  for (const auto& [outcome, count] : corrections.outcomes()) json["corrections"][outcome] = absl::StrCat(count);
  session.out() << json.dump(1) << "\n";
}

}  // namespace

void AddReconcileCommand(CLI::App& app, Session& session) {
  auto flags = std::make_shared<Flags>();
  CLI::App* reconcile = app.add_subcommand(
      "reconcile", "Compare a payment provider's statement with the ledger; exit status 2 when they differ");
  reconcile->add_option("--statement", flags->statement, "The statement's file; - for the standard input")->required();
  TakesOneOf(reconcile->add_option("--format", flags->format, "csv or jsonl; default: by the file's name"),
             {"csv", "jsonl"});
  reconcile->add_option("--report", flags->report, "Write every difference to this file, .csv or .jsonl");
  reconcile->add_option("--from", flags->from, "Compare from this time on; default: the earliest line's");
  reconcile->add_option("--to", flags->to, "Compare up to this time, inclusive; default: the latest line's");
  reconcile->add_flag("--fix", flags->fix, "Propose the corrections that are safe");
  reconcile->add_option("--max-fixes", flags->max_fixes, "Apply nothing when there would be more corrections")
      ->capture_default_str()
      ->check(CLI::Range(1, 1000000));
  AddYesFlag(reconcile, flags->yes);
  reconcile->footer(
      "Columns or fields: reference, reservation_id, amount (decimal) or amount_minor, currency, time (RFC 3339), "
      "kind\n"
      "(charge, refund, chargeback). Lines that cannot be used are counted, and reported with their number.\n"
      "A statement that reaches beyond --from and --to on both sides finds payments that the ledger learned of later.\n"
      "Examples:\n"
      "  tranchectl reconcile --statement psp-2026-11-27.csv --report differences.csv\n"
      "  zcat psp.jsonl.gz | tranchectl reconcile --statement - --format jsonl -o json\n"
      "  tranchectl reconcile --statement psp.csv --fix         proposes corrections\n"
      "  tranchectl reconcile --statement psp.csv --fix --yes   makes them; each is in the audit log");
  reconcile->callback([&session, flags] { Run(session, *flags); });
}

}  // namespace tranche::ctl
