// tranchectl token new, access check: what nodes' access files need. Neither asks a node.

#include <sys/stat.h>

#include <fstream>
#include <memory>
#include <nlohmann/json.hpp>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "client/ctl/commands.h"
#include "client/ctl/secret_writer.h"
#include "storage/base/access_file_trust.h"
#include "storage/base/access_policy.h"
#include "storage/base/access_token.h"
#include "storage/base/status_macros.h"

namespace tranche::ctl {
namespace {

using nlohmann::ordered_json;

void NewTokenCommand(Session& session, const std::string& path) {
  const std::string token = NewToken();
  const std::string hash = HexOf(DigestOfToken(token));
  if (!path.empty()) {
    const absl::Status written = WriteNewSecret(path, absl::StrCat(token, "\n"));
    if (!written.ok()) return session.FailLocally(written.message());
  }
  if (session.json()) {
    ordered_json json;
    if (path.empty()) json["token"] = token;
    json["sha256"] = hash;
    session.out() << json.dump(2) << "\n";
    return;
  }
  if (path.empty()) session.out() << "token:  " << token << "\n";
  session.out() << "sha256: " << hash << "\n";
  if (path.empty()) session.err() << "The token is shown only now. ";
  session.err() << "Put the sha256 into tokens_sha256 of a principal of the access file.\n";
}

absl::StatusOr<std::string> ReadAccessFile(const std::string& path) {
  std::ifstream file(path, std::ios::binary);
  std::string text(kMaxAccessFileBytes + 1, '\0');
  file.read(text.data(), static_cast<std::streamsize>(text.size()));
  if (!file.is_open() || file.bad()) return absl::NotFoundError("cannot be read");
  text.resize(static_cast<size_t>(file.gcount()));
  return text;
}

absl::StatusOr<std::shared_ptr<const AccessPolicy>> ReadAccessPolicy(const std::string& path) {
  ASSIGN_OR_RETURN(const std::string text, ReadAccessFile(path));
  return AccessPolicy::Parse(text);
}

void PrintPolicyJson(Session& session, const AccessPolicy& policy) {
  const auto roles = [](Roles all) {
    ordered_json names = ordered_json::array();
    for (const RoleWord& word : kRoleWords) {
      if (all.Has(word.role)) names.push_back(word.name);
    }
    return names;
  };
  ordered_json json = {{"anonymous", roles(policy.anonymous()->roles)}, {"principals", ordered_json::array()}};
  for (const auto& principal : policy.principals()) {
    json["principals"].push_back({{"name", principal->name},
                                  {"roles", roles(principal->roles)},
                                  {"certificates", principal->certificates},
                                  {"tokens", principal->tokens}});
  }
  session.out() << json.dump(2) << "\n";
}

// The node may be another machine's, or another user's, so this is no error.
void WarnOfOthersWhoMayWrite(Session& session, const std::string& path) {
  struct stat info = {};
  if (stat(path.c_str(), &info) != 0) return;
  const std::string fault = WhyOthersMayWrite(info);
  if (!fault.empty()) session.err() << "A node of yours would refuse this file where it is now: " << fault << ".\n";
}

// What a node takes somewhere, or what nobody can have meant.
void WarnOfRoles(Session& session, const AccessPolicy& policy) {
  const Roles of_strangers = policy.DangerousForStrangers();
  if (!of_strangers.empty()) {
    session.err() << "A node that other machines reach would refuse this file: anonymous has " << of_strangers.Join()
                  << ". Give roles like these to principals.\n";
  }
  if (!policy.SomebodyHas({Role::kOperator, Role::kAdmin})) {
    session.err() << "Nobody has the role operator or admin: tranchectl could change nothing.\n";
  }
}

void CheckAccessFile(Session& session, const std::string& path) {
  const auto policy = ReadAccessPolicy(path);
  if (!policy.ok()) return session.FailLocally(absl::StrCat(path, ": ", std::string(policy.status().message())));
  WarnOfOthersWhoMayWrite(session, path);
  WarnOfRoles(session, **policy);
  if (session.json()) return PrintPolicyJson(session, **policy);
  Table table({"PRINCIPAL", "ROLES", "CERTIFICATES", "TOKENS"});
  const auto names_of = [&](const Principal& principal) -> std::string {
    if (principal.certificates.empty()) return "-";
    return session.wide() ? absl::StrJoin(principal.certificates, " ") : absl::StrCat(principal.certificates.size());
  };
  for (const auto& principal : (*policy)->principals()) {
    const std::string roles = principal->roles.Join();
    table.AddRow({principal->name, roles.empty() ? "none" : roles, names_of(*principal),
                  principal->tokens == 0 ? "-" : absl::StrCat(principal->tokens)});
  }
  const std::string anonymous = (*policy)->anonymous()->roles.Join();
  table.AddRow({"(no credentials)", anonymous.empty() ? "none" : anonymous, "-", "-"});
  session.Print(table);
}

std::string RolesForHelp() {
  std::string text = "Roles:\n";
  for (const RoleWord& word : kRoleWords) absl::StrAppend(&text, "  ", word.name, ": ", word.means, "\n");
  return text;
}

}  // namespace

void AddAccessCommands(CLI::App& app, Session& session) {
  CLI::App* token = app.add_subcommand("token", "Tokens that callers show to nodes with an access file");
  token->require_subcommand(1);
  token->footer("Example:\n  tranchectl token new --out till-3.token");
  CLI::App* make = token->add_subcommand("new", "Make a random token, and the hash of it that the access file holds");
  auto out = std::make_shared<std::string>();
  make->add_option("--out", *out, "Write the token into this new file, which only you can read, instead of showing it");
  make->footer(
      "No node is asked: a token counts once its hash is in the access file. It cannot be shown again.\n"
      "Example:\n  tranchectl token new --out till-3.token");
  make->callback([&session, out] { NewTokenCommand(session, *out); });

  CLI::App* access = app.add_subcommand("access", "The file that says who may call what (tranched --access-file)");
  access->require_subcommand(1);
  access->footer("Example:\n  tranchectl access check access.json");
  CLI::App* check = access->add_subcommand("check", "Read an access file as a node would, and show who has which role");
  auto file = std::make_shared<std::string>();
  check->add_option("FILE", *file, "The file")->required();
  check->footer(absl::StrCat(RolesForHelp(), "Example:\n  tranchectl access check access.json"));
  check->callback([&session, file] { CheckAccessFile(session, *file); });
}

}  // namespace tranche::ctl
