// tranchectl door list, and door list add|remove|import

#include <algorithm>
#include <cstdint>
#include <fstream>
#include <iostream>
#include <memory>
#include <nlohmann/json.hpp>
#include <string>
#include <utility>
#include <vector>

#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/strip.h"
#include "absl/time/clock.h"
#include "absl/types/span.h"
#include "client/ctl/access_file.h"
#include "client/ctl/change_view.h"
#include "client/ctl/commands.h"
#include "client/ctl/door_view.h"
#include "storage/base/status_macros.h"
#include "tranche/error.h"

namespace tranche::ctl {
namespace {

using tranche::v1::AccessEntry;
using tranche::v1::AdminService;

constexpr int kMostEntriesOfAPage = 1000;
// How often a long import says how far it is.
constexpr size_t kEntriesPerLine = 10'000;
constexpr char kFromStandardInput[] = "-";

struct EntryListFlags {
  std::string verdict;
  std::string user;
  std::string address;
  int most = 100;
};

void ListEntries(Session& session, const EntryListFlags& flags) {
  if (!flags.user.empty() && !flags.address.empty()) {
    return session.FailLocally("--user and --address go one at a time: an entry is about one of them");
  }
  tranche::v1::ListAccessEntriesRequest request;
  if (flags.verdict == "allow") request.set_verdict(AccessEntry::VERDICT_ALLOW);
  if (flags.verdict == "deny") request.set_verdict(AccessEntry::VERDICT_DENY);
  request.set_user_id(flags.user);
  request.set_address(flags.address);
  tranche::v1::ListAccessEntriesResponse all;
  do {
    request.set_page_size(std::min(flags.most - all.entries_size(), kMostEntriesOfAPage));
    const auto page = session.Admin(&AdminService::Stub::ListAccessEntries, request);
    if (!page.ok()) return session.FailRemotely(page.status());
    all.mutable_entries()->MergeFrom(page->entries());
    request.set_page_token(page->next_page_token());
  } while (!request.page_token().empty() && all.entries_size() < flags.most);
  PrintAccessEntries(session, all);
  if (!request.page_token().empty()) session.err() << "There are more; --max shows more.\n";
}

// What several calls have done, or would do.
struct EntryCounts {
  int64_t added = 0;
  int64_t replaced = 0;
  int64_t unchanged = 0;
  int64_t removed = 0;
  int64_t entries = 0;  // on the whole list then

  void Add(const tranche::v1::AddAccessEntriesResponse& answer, bool preview) {
    added += answer.added();
    replaced += answer.replaced();
    unchanged += answer.unchanged();
    // Each preview counts from the list as it is now.
    entries = preview ? answer.entries() - answer.added() + added : answer.entries();
  }
  void Add(const tranche::v1::RemoveAccessEntriesResponse& answer, bool preview) {
    removed += answer.removed();
    entries = preview ? answer.entries() + answer.removed() - removed : answer.entries();
  }
  bool changes_anything() const { return added + replaced + removed > 0; }
};

// What is done with entries.
struct EntryJob {
  bool remove = false;
  bool yes = false;
};

void PrintEntryCounts(Session& session, const EntryJob& job, const EntryCounts& counts) {
  if (session.json()) {
    nlohmann::ordered_json json = nlohmann::ordered_json::object();
    json["preview"] = !job.yes;
    if (job.remove) {
      json["removed"] = counts.removed;
    } else {
      json["added"] = counts.added;
      json["replaced"] = counts.replaced;
      json["unchanged"] = counts.unchanged;
    }
    json["entries"] = counts.entries;
    session.out() << json.dump(1) << "\n";
  } else if (job.remove) {
    Table table({job.yes ? "REMOVED" : "WOULD BE REMOVED", "ENTRIES THEN"});
    table.AddRow({absl::StrCat(counts.removed), absl::StrCat(counts.entries)});
    session.Print(table);
  } else {
    Table table({job.yes ? "ADDED" : "WOULD BE ADDED", "REPLACED", "UNCHANGED", "ENTRIES THEN"});
    table.AddRow({absl::StrCat(counts.added), absl::StrCat(counts.replaced), absl::StrCat(counts.unchanged),
                  absl::StrCat(counts.entries)});
    session.Print(table);
  }
  if (job.yes) return;
  const bool too_many = counts.entries > static_cast<int64_t>(kMostAccessLines);
  if (too_many) session.err() << "warning: the list takes at most " << kMostAccessLines << " entries\n";
  counts.changes_anything() ? SayHowToApply(session) : SayNothingWouldChange(session);
}

template <typename Request, typename Response>
absl::Status SendEntries(Session& session, absl::Span<const AccessLine> part, bool preview,
                         grpc::Status (AdminService::Stub::*method)(grpc::ClientContext*, const Request&, Response*),
                         EntryCounts& counts) {
  Request request;
  for (const AccessLine& line : part) *request.add_entries() = line.entry;
  request.set_preview(preview);
  ASSIGN_OR_RETURN(const Response answer, session.Admin(method, request));
  counts.Add(answer, preview);
  return absl::OkStatus();
}

absl::Status SendPart(Session& session, bool remove, absl::Span<const AccessLine> part, bool preview,
                      EntryCounts& counts) {
  return remove ? SendEntries(session, part, preview, &AdminService::Stub::RemoveAccessEntries, counts)
                : SendEntries(session, part, preview, &AdminService::Stub::AddAccessEntries, counts);
}

// The line of the file that the cluster complains about: its error names "entries[12].address". 0: it does not.
int64_t LineAtFault(const absl::Status& error, const std::vector<AccessLine>& lines, size_t begin) {
  const std::string field = ErrorMetadata(error, "field").value_or("");
  absl::string_view rest = field;
  size_t index = 0;
  if (!absl::ConsumePrefix(&rest, "entries[") || !absl::SimpleAtoi(rest.substr(0, rest.find(']')), &index)) return 0;
  return begin + index < lines.size() ? lines[begin + index].line : 0;
}

// Says how far it came. To repeat it is harmless.
void FailParts(Session& session, const std::vector<AccessLine>& lines, size_t begin, bool preview,
               const absl::Status& error) {
  const int64_t line = LineAtFault(error, lines, begin);
  if (line > 0) session.err() << "line " << line << ":\n";
  session.FailRemotely(error);
  if (preview) {
    session.err() << "Nothing has changed.\n";
    return;
  }
  const int64_t last_line = begin == 0 ? 0 : lines[begin - 1].line;
  session.err() << "The first " << begin << " of " << lines.size() << " entries are done"
                << (last_line == 0 ? "" : absl::StrCat(", up to line ", last_line))
                << ". Run it again: what is done already is left as it is.\n";
}

// False: some part was refused, and the user knows.
bool SendParts(Session& session, bool remove, const std::vector<AccessLine>& lines, bool preview, EntryCounts& counts) {
  for (size_t begin = 0; begin < lines.size();) {
    const size_t end = EndOfPart(lines, begin);
    const auto part = absl::MakeConstSpan(lines).subspan(begin, end - begin);
    const absl::Status sent = SendPart(session, remove, part, preview, counts);
    if (!sent.ok()) {
      FailParts(session, lines, begin, preview, sent);
      return false;
    }
    const bool tell = end / kEntriesPerLine > begin / kEntriesPerLine && end < lines.size();
    if (tell) {
      session.err() << end << " of " << lines.size() << " entries are " << (preview ? "checked" : "done") << "\n"
                    << std::flush;
    }
    begin = end;
  }
  return true;
}

// A part is done wholly or not at all. Where there are several, all are previewed first, so that a fault in the last
// one does not leave the others done.
void SendAll(Session& session, const EntryJob& job, const std::vector<AccessLine>& lines) {
  EntryCounts counts;
  const bool one_part = EndOfPart(lines, 0) == lines.size();
  if (!job.yes || !one_part) {
    if (!SendParts(session, job.remove, lines, /*preview=*/true, counts)) return;
  }
  if (job.yes) {
    if (!job.remove && counts.entries > static_cast<int64_t>(kMostAccessLines)) {
      return session.FailLocally(absl::StrCat("the list would have ", counts.entries, " entries, of at most ",
                                              kMostAccessLines, "; nothing has changed"));
    }
    counts = {};
    if (!SendParts(session, job.remove, lines, /*preview=*/false, counts)) return;
  }
  PrintEntryCounts(session, job, counts);
}

void ImportFile(Session& session, const EntryJob& job, const std::string& path) {
  std::ifstream file;
  const bool from_input = path == kFromStandardInput;
  if (!from_input) file.open(path, std::ios::binary);
  if (!from_input && !file.is_open()) return session.FailLocally(absl::StrCat(path, " cannot be read"));
  const auto lines = ReadAccessLines(from_input ? std::cin : file, absl::Now());
  if (!lines.ok()) return session.FailLocally(absl::StrCat(path, ": ", std::string(lines.status().message())));
  if (lines->empty()) return session.FailLocally(absl::StrCat(path, " has no entries"));
  SendAll(session, job, *lines);
}

// Typed on the command line.
struct EntryFlags {
  std::string verdict = "deny";
  std::vector<std::string> users;
  std::vector<std::string> addresses;
  std::string expires;
  std::string reason;
  EntryJob job;
};

absl::StatusOr<std::vector<AccessLine>> EntriesOf(const EntryFlags& flags) {
  const absl::Time now = absl::Now();
  std::vector<AccessLine> lines;
  const auto add = [&](const char* kind, const std::vector<std::string>& values) -> absl::Status {
    for (const std::string& value : values) {
      ASSIGN_OR_RETURN(AccessEntry entry,
                       MakeAccessEntry(flags.verdict, kind, value, flags.expires, flags.reason, now));
      lines.push_back({0, std::move(entry)});
    }
    return absl::OkStatus();
  };
  RETURN_IF_ERROR(add("user", flags.users));
  RETURN_IF_ERROR(add("address", flags.addresses));
  if (lines.empty()) return absl::InvalidArgumentError("say who is meant: --user, --address");
  if (lines.size() > kMostLinesOfAPart) {
    return absl::InvalidArgumentError("so many come from a file: `tranchectl door list import`");
  }
  return lines;
}

void ChangeEntries(Session& session, const EntryFlags& flags) {
  const auto lines = EntriesOf(flags);
  if (!lines.ok()) return session.FailLocally(lines.status().message());
  session.GiveReason(flags.reason);
  SendAll(session, flags.job, *lines);
}

void AddSubjectFlags(CLI::App* command, EntryFlags& flags) {
  const auto repeated = [command](const char* name, std::vector<std::string>& values, const char* text) {
    command->add_option(name, values, text)
        ->expected(1)
        ->multi_option_policy(CLI::MultiOptionPolicy::TakeAll)
        ->allow_extra_args(false);
  };
  repeated("--user", flags.users, "A buyer; may be given more than once");
  repeated("--address", flags.addresses, "An address, or a prefix such as 203.0.113.0/24; may be given more than once");
  AddYesFlag(command, flags.job.yes);
}

void AddEntryAdd(CLI::App* list, Session& session) {
  auto flags = std::make_shared<EntryFlags>();
  CLI::App* add = list->add_subcommand("add", "Let buyers or networks always in, or never");
  TakesOneOf(add->add_option("VERDICT", flags->verdict,
                             "allow: they pass limits, lottery and challenges; deny: they are refused"),
             {"allow", "deny"})
      ->required();
  AddSubjectFlags(add, *flags);
  add->add_option("--expires", flags->expires, "RFC 3339, or how long from now, such as 24h; without it, never");
  add->add_option("--reason", flags->reason, "Why, for operators, at most 200 characters; buyers are not told");
  add->footer(
      "An entry about the same buyer or the same prefix is replaced. A buyer's own entry decides before one of their\n"
      "address; of addresses, the longest prefix does. Tokens and the sale's terms count for everybody.\n"
      "Examples:\n"
      "  tranchectl door list add deny --user bob --reason 'stolen cards' --yes\n"
      "  tranchectl door list add allow --address 203.0.113.0/24 --expires 24h --yes");
  add->callback([&session, flags] { ChangeEntries(session, *flags); });
}

void AddEntryRemove(CLI::App* list, Session& session) {
  auto flags = std::make_shared<EntryFlags>();
  flags->job.remove = true;
  CLI::App* remove = list->add_subcommand("remove", "Remove entries: they are treated like all others again");
  AddSubjectFlags(remove, *flags);
  remove->footer(
      "Who has no entry is passed over.\n"
      "Example:\n  tranchectl door list remove --user bob --address 203.0.113.0/24 --yes");
  remove->callback([&session, flags] { ChangeEntries(session, *flags); });
}

void AddEntryImport(CLI::App* list, Session& session) {
  auto job = std::make_shared<EntryJob>();
  auto path = std::make_shared<std::string>();
  CLI::App* command = list->add_subcommand("import", "Add the entries of a file, up to 200,000");
  command->add_option("FILE", *path, "CSV: verdict,kind,value,expires,reason; -: standard input")->required();
  command->add_flag("--remove", job->remove, "Remove the entries about those who are in the file");
  AddYesFlag(command, job->yes);
  command->footer(
      "verdict is allow or deny, kind is user or address. expires (RFC 3339, or how long from now) and reason may be\n"
      "empty or missing. The whole file is checked first, by the cluster, too; then it is sent in parts of up to\n"
      "1,000 entries. Repeating it is harmless, but ends such as 24h count from each run.\n"
      "Examples:\n"
      "  printf 'deny,user,bob,,stolen cards\\nallow,address,203.0.113.0/24,24h\\n' | tranchectl door list import -\n"
      "  tranchectl door list import bots.csv --yes\n"
      "  tranchectl door list import bots.csv --remove --yes");
  command->callback([&session, job, path] { ImportFile(session, *job, *path); });
}

}  // namespace

void AddDoorListCommands(CLI::App* door, Session& session) {
  auto flags = std::make_shared<EntryListFlags>();
  CLI::App* list = door->add_subcommand("list", "Who is always let in, or never");
  TakesOneOf(list->add_option("--verdict", flags->verdict, "Only these"), {"allow", "deny"});
  list->add_option("--user", flags->user, "Only the entry about this buyer");
  list->add_option("--address", flags->address, "Only the entry about exactly this address or prefix");
  CLI::Option* most = list->add_option("--max", flags->most, "How many; with -o csv all, unless it is given");
  most->capture_default_str()->check(CLI::Range(1, static_cast<int>(kMostAccessLines)));
  list->footer(
      "-o csv prints lines that `door list import` takes. Keep them in a file outside of the cluster: a backup of the\n"
      "ledger has an older list.\n"
      "Examples:\n"
      "  tranchectl door list --verdict deny --max 1000\n"
      "  tranchectl door list -o csv > list.csv\n"
      "  tranchectl door list add deny --user bob --yes\n"
      "  tranchectl door list import bots.csv --yes");
  // It runs after that of a command below it, too.
  list->callback([&session, flags, list, most] {
    if (!list->get_subcommands().empty()) return;
    if (session.csv() && most->empty()) flags->most = static_cast<int>(kMostAccessLines);
    ListEntries(session, *flags);
  });
  AddEntryAdd(list, session);
  AddEntryRemove(list, session);
  AddEntryImport(list, session);
}

}  // namespace tranche::ctl
