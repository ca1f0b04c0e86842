// Numbers on the command line are decimal: CLI11 would read 010 as 8, 0x10 as 16, 1e3 as 1000 and true as 1.
#pragma once

#include <CLI/CLI.hpp>
#include <cstdint>
#include <string>

#include "absl/strings/match.h"
#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/string_view.h"
#include "absl/strings/strip.h"

namespace tranche {

// Makes "010" and "+10" a plain "10", so that CLI11 sees no octal number in it. Returns what is wrong with the text.
inline std::string MakePlainNumber(std::string& text) {
  int64_t number = 0;
  const absl::string_view digits = absl::StripPrefix(absl::StripPrefix(text, "-"), "+");
  if (digits.empty() || digits.find_first_not_of("0123456789") != absl::string_view::npos) {
    return absl::StrCat("\"", text, "\" is not a whole number in decimal digits");
  }
  if (!absl::SimpleAtoi(text, &number)) return absl::StrCat(text, " is too large");
  text = absl::StrCat(number);
  return "";
}

// "2.5"; neither an exponent nor hexadecimal digits. Returns what is wrong with the text.
inline std::string CheckPlainFraction(const std::string& text) {
  const absl::string_view digits = absl::StripPrefix(text, "-");
  const size_t point = digits.find('.');
  const absl::string_view whole = digits.substr(0, point);
  const absl::string_view rest = point == absl::string_view::npos ? "0" : digits.substr(point + 1);
  const auto bad = [](absl::string_view part) {
    return part.empty() || part.find_first_not_of("0123456789") != absl::string_view::npos;
  };
  return bad(whole) || bad(rest) ? absl::StrCat("\"", text, "\" is not a decimal number such as 2.5") : "";
}

// To be applied with transform(), before what checks the number's range.
inline CLI::Validator PlainNumber() { return {MakePlainNumber, ""}; }

// Of every number among the options of the command and of the commands below it. Those that are added later, or have a
// type_name() of their own, are left out.
inline void ReadNumbersAsDecimal(CLI::App& command) {
  for (CLI::Option* option : command.get_options()) {
    const std::string type = option->get_type_name();
    if (absl::StartsWith(type, "INT") || absl::StartsWith(type, "UINT")) option->transform(PlainNumber());
    if (absl::StartsWith(type, "FLOAT")) option->check(CheckPlainFraction);
  }
  for (CLI::App* below : command.get_subcommands({})) ReadNumbersAsDecimal(*below);
}

}  // namespace tranche
