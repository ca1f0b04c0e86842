#include "server/process/ledger_advice.h"

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "storage/postgres/sql_state.h"

namespace tranche::server {
namespace {

// By the SQLSTATE in whatever language; by the text where libpq itself refuses, or the caller learns no SQLSTATE.
bool LacksPassword(absl::string_view refusal) {
  return absl::StrContains(refusal, "SQLSTATE 28P01") || absl::StrContains(refusal, "no password supplied") ||
         absl::StrContains(refusal, "password authentication failed");
}

// An error with a remedy begins with its SQLSTATE; a standby's is the remedy alone. That of a password's file names it.
bool SaysWhatToDo(absl::string_view refusal) {
  return absl::StrContains(refusal, "SQLSTATE ") || absl::StrContains(refusal, "--postgres-password-file: ") ||
         absl::StrContains(refusal, storage::ClassifySqlState("25006").remedy);
}

}  // namespace

std::string PasswordAdvice(absl::string_view refusal) {
  return LacksPassword(refusal) ? "put the right password into the file of --postgres-password-file or into ~/.pgpass"
                                : "";
}

std::string StartAdvice(absl::string_view refusal) {
  if (const std::string password = PasswordAdvice(refusal); !password.empty()) return absl::StrCat(": ", password);
  if (SaysWhatToDo(refusal)) return "";
  // A server that refuses runs.
  if (absl::StrContains(refusal, "FATAL: ")) return ": correct that, or --postgres";
  return ": start it, or correct --postgres";
}

}  // namespace tranche::server
