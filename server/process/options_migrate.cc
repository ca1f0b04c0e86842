#include "server/process/options.h"
#include "server/process/options_parser.h"
#include "server/process/options_shared.h"

namespace tranche::server {

std::optional<int> ParseMigrateOptions(int argc, const char* const* argv, MigrateOptions* options, std::ostream& out,
                                       std::ostream& err) {
  OptionsParser parser(
      "tranche-migrate",
      "Brings a PostgreSQL database to this version's schema. Run it before starting or upgrading nodes; "
      "repeating it is harmless.",
      "postgres = \"host=db dbname=tranche user=tranche_owner\"");
  parser.Group("Servers behind");
  AddPostgres(parser, &options->postgres, &options->postgres_password_file);
  parser.Group("Schema");
  parser.AddSwitch("replace-procedures", &options->replace_procedures,
                   "Replace procedures that another build of the same schema version has made");
  return parser.Parse(argc, argv, out, err);
}

}  // namespace tranche::server
