#include "server/process/options_parser.h"

#include <algorithm>

#include "absl/strings/ascii.h"
#include "absl/strings/match.h"
#include "storage/base/config_file.h"

#ifndef TRANCHE_VERSION
#error "TRANCHE_VERSION comes from server/CMakeLists.txt"
#endif

namespace tranche::server {

OptionsParser::OptionsParser(const std::string& program, const std::string& description, const std::string& line)
    : program_(program), app_(description, program) {
  app_.set_version_flag("--version", absl::StrCat(program, " " TRANCHE_VERSION));
  app_.get_formatter()->column_width(44);
  app_.footer(
      "Each flag can also be set as the environment variable shown as Env:, or as a key (without dashes) of "
      "the --config file.\nThe command line wins over the environment, and that over the file.");
  ReadConfigFile(app_, absl::StrCat("File with flags, as TOML: ", line));
}

std::optional<int> OptionsParser::Parse(int argc, const char* const* argv, std::ostream& out, std::ostream& err) {
  try {
    app_.parse(argc, argv);
    for (const Rule& rule : rules_) {
      if (const std::string wrong = rule({argv + 1, argv + argc}); !wrong.empty()) return Refuse(wrong, err);
    }
    return std::nullopt;
  } catch (const CLI::Success& request) {
    app_.exit(request, out, out);
    return 0;
  } catch (const CLI::RequiredError& error) {
    // CLI11 looks for flags that are missing first; but one that is mistyped is the reason, or tells more.
    return Refuse(app_.remaining().empty() ? error.what() : UnknownArguments(), err);
  } catch (const CLI::ExtrasError&) {
    return Refuse(UnknownArguments(), err);
  } catch (const CLI::ParseError& error) {
    std::string what = BlamingTheVariable(app_, {argv + 1, argv + argc}, ExplainConfigError(error.what()));
    std::replace(what.begin(), what.end(), '\n', ' ');
    return Refuse(absl::StripAsciiWhitespace(what), err);
  }
}

std::string OptionsParser::UnknownArguments() const {
  std::string named;
  for (const std::string& argument : app_.remaining()) {
    const std::string name = NameIn(argument);
    absl::StrAppend(&named, named.empty() ? "" : ", ", absl::StartsWith(name, "--") ? name : "a value without a flag");
  }
  return absl::StrCat("not expected: ", named);
}

}  // namespace tranche::server
