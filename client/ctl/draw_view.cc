#include "client/ctl/draw_view.h"

#include <cstddef>
#include <nlohmann/json.hpp>

#include "absl/strings/escaping.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/strip.h"
#include "client/ctl/change_view.h"
#include "client/ctl/parse.h"

namespace tranche::ctl {
namespace {

using tranche::v1::Draw;

constexpr char kNotThere[] = "none";

std::string HexOrNone(const std::string& bytes) { return bytes.empty() ? kNotThere : absl::BytesToHexString(bytes); }

std::string TimeOrNone(bool known, const google::protobuf::Timestamp& time) {
  return known ? FormatTime(time) : kNotThere;
}

// Where the seed comes from.
std::string SeedSourceOf(const Draw& draw) {
  if (!draw.public_source().empty()) return absl::StrCat("public: ", draw.public_source());
  return absl::StrCat("committed: ", HexOrNone(draw.seed_commitment()));
}

}  // namespace

std::string DrawStateName(Draw::State state) {
  if (!Draw::State_IsValid(state) || state == Draw::STATE_UNSPECIFIED) return "?";
  return std::string(absl::StripPrefix(Draw::State_Name(state), "STATE_"));
}

std::string DrawOutcomeName(tranche::v1::GetDrawEntryResponse::Outcome outcome) {
  using tranche::v1::GetDrawEntryResponse;
  if (!GetDrawEntryResponse::Outcome_IsValid(outcome) || outcome == GetDrawEntryResponse::OUTCOME_UNSPECIFIED) {
    return "?";
  }
  return std::string(absl::StripPrefix(GetDrawEntryResponse::Outcome_Name(outcome), "OUTCOME_"));
}

std::vector<std::pair<std::string, std::string>> DrawTerms(const Draw& draw) {
  return {{"state", DrawStateName(draw.state())},
          {"winners", absl::StrCat(draw.winners())},
          {"quantity", absl::StrCat(draw.quantity())},
          {"seed source", SeedSourceOf(draw)},
          {"entries", absl::StrCat(draw.entries())},
          {"merkle root", HexOrNone(draw.merkle_root())},
          {"seed", HexOrNone(draw.seed())},
          {"cutoff", HexOrNone(draw.cutoff())},
          {"pending", absl::StrCat(draw.pending())},
          {"confirmed", absl::StrCat(draw.confirmed())},
          {"lapsed", absl::StrCat(draw.lapsed())},
          {"created", TimeOrNone(draw.has_create_time(), draw.create_time())},
          {"closed", TimeOrNone(draw.has_close_time(), draw.close_time())},
          {"seeded", TimeOrNone(draw.has_seed_time(), draw.seed_time())},
          {"finished", TimeOrNone(draw.has_finish_time(), draw.finish_time())}};
}

void PrintDraw(Session& session, const Draw& draw) {
  if (session.json()) return session.PrintJson(draw);
  Table table({"FIELD", "VALUE"});
  table.AddRow({"sku", draw.sku_id()});
  table.AddRow({"draw", absl::StrCat(draw.number())});
  for (const auto& [name, text] : DrawTerms(draw)) table.AddRow({name, text});
  session.Print(table);
}

void PrintDraws(Session& session, const tranche::v1::ListDrawsResponse& draws) {
  if (session.json()) return session.PrintJson(draws);
  std::vector<std::string> headers = {"SKU", "DRAW", "STATE", "ENTRIES", "WINNERS", "PENDING", "CONFIRMED", "LAPSED"};
  if (session.wide())
    headers.insert(headers.end(), {"QUANTITY", "SEED SOURCE", "CREATED", "CLOSED", "SEEDED", "FINISHED"});
  Table table(headers);
  for (const Draw& draw : draws.draws()) {
    std::vector<std::string> row = {draw.sku_id(),
                                    absl::StrCat(draw.number()),
                                    DrawStateName(draw.state()),
                                    absl::StrCat(draw.entries()),
                                    absl::StrCat(draw.winners()),
                                    absl::StrCat(draw.pending()),
                                    absl::StrCat(draw.confirmed()),
                                    absl::StrCat(draw.lapsed())};
    if (session.wide()) {
      row.insert(
          row.end(),
          {absl::StrCat(draw.quantity()), SeedSourceOf(draw), TimeOrNone(draw.has_create_time(), draw.create_time()),
           TimeOrNone(draw.has_close_time(), draw.close_time()), TimeOrNone(draw.has_seed_time(), draw.seed_time()),
           TimeOrNone(draw.has_finish_time(), draw.finish_time())});
    }
    table.AddRow(row);
  }
  session.Print(table);
}

void RemindToRemoveDraws(Session& session, const tranche::v1::ListDrawsResponse& draws, absl::Time now) {
  const Draw* oldest = nullptr;
  int over = 0;
  for (const Draw& draw : draws.draws()) {
    if (!draw.has_finish_time()) continue;
    if (absl::FromUnixSeconds(draw.finish_time().seconds()) > now - kRemindToRemoveAfter) continue;
    ++over;
    const bool is_older = oldest == nullptr || draw.finish_time().seconds() < oldest->finish_time().seconds();
    if (is_older) oldest = &draw;
  }
  if (oldest == nullptr) return;
  session.err() << over << (over == 1 ? " draw has" : " draws have") << " been over for more than "
                << absl::ToInt64Hours(kRemindToRemoveAfter) / 24
                << " days, and the user ids of all who entered are still stored. When objections are over:\n"
                << "  tranchectl draw remove " << oldest->sku_id() << " --number " << oldest->number() << "\n";
}

void PrintNewDraw(Session& session, const tranche::v1::CreateDrawResponse& created, bool preview) {
  PrintWarnings(session, created);
  if (session.json()) {
    nlohmann::ordered_json more = nlohmann::ordered_json::object();
    more["warnings"] = WarningsJson(created);
    PrintChangeJson(session, nlohmann::ordered_json(nullptr), ToJson(created.draw()), preview, more);
  } else {
    PrintDraw(session, created.draw());
  }
  if (preview) SayHowToApply(session, absl::StrCat("--expect-number ", created.draw().number()));
}

void PrintDrawChange(Session& session, const DrawChange& change) {
  const auto before = DrawTerms(change.before);
  const auto after = DrawTerms(change.after);
  if (session.json()) {
    PrintChangeJson(session, ToJson(change.before),
                    change.removes ? nlohmann::ordered_json(nullptr) : ToJson(change.after), change.preview);
  } else {
    Table table({"FIELD", "VALUE"});
    table.AddRow({"sku", change.before.sku_id()});
    table.AddRow({"draw", change.removes ? Arrow(absl::StrCat(change.before.number()), "gone")
                                         : absl::StrCat(change.before.number())});
    for (size_t i = 0; i < before.size(); ++i) {
      if (before[i].second != after[i].second) {
        table.AddRow({after[i].first, Arrow(before[i].second, after[i].second)});
      }
    }
    session.Print(table);
  }
  if (!change.preview) return;
  if (!change.removes && change.before.state() == change.after.state()) return SayNothingWouldChange(session);
  if (!change.warning.empty()) session.err() << change.warning << "\n";
  SayHowToApply(session, absl::StrCat("--number ", change.before.number()));
}

void PrintDrawEntry(Session& session, const tranche::v1::GetDrawEntryResponse& entry) {
  if (session.json()) return session.PrintJson(entry);
  const bool sealed = !entry.draw().merkle_root().empty();
  Table table({"FIELD", "VALUE"});
  table.AddRow({"sku", entry.draw().sku_id()});
  table.AddRow({"draw", absl::StrCat(entry.draw().number())});
  table.AddRow({"state", DrawStateName(entry.draw().state())});
  table.AddRow({"entry", entry.entry_id()});
  table.AddRow({"outcome", DrawOutcomeName(entry.outcome())});
  table.AddRow({"reservation", entry.reservation_id().empty() ? kNotThere : entry.reservation_id()});
  table.AddRow({"rank", HexOrNone(entry.rank())});
  table.AddRow({"cutoff", HexOrNone(entry.draw().cutoff())});
  table.AddRow({"leaf", sealed ? absl::StrCat(entry.leaf_index()) : kNotThere});
  table.AddRow({"merkle root", HexOrNone(entry.draw().merkle_root())});
  for (const std::string& hash : entry.audit_path()) table.AddRow({"audit path", absl::BytesToHexString(hash)});
  session.Print(table);
}

}  // namespace tranche::ctl
