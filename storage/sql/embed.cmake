# Writes a C++ source with the text of SQL files: cmake -DOUT=... -DFILES="a.sql;b.sql" -P embed.cmake
# A file's folder ("migrations", "procedures" or "sql" itself) decides in which list it goes. Lists are in file-name order.
set(sql "")
set(migrations "")
set(procedures "")
list(SORT FILES COMPARE FILE_BASENAME)
foreach(file IN LISTS FILES)
  get_filename_component(name ${file} NAME_WE)
  get_filename_component(folder ${file} DIRECTORY)
  get_filename_component(folder ${folder} NAME)
  file(READ ${file} text)
  string(APPEND ${folder} "      SqlFile{\"${name}\", R\"sql(${text})sql\"},\n")
endforeach()
file(WRITE ${OUT}.new
"// Generated from storage/sql by embed.cmake.
#include \"storage/postgres/embedded_sql.h\"

namespace tranche::storage {

const SqlFile& EmbeddedBookkeeping() {
  static const SqlFile files[] = {
${sql}  };
  return files[0];
}

const std::vector<SqlFile>& EmbeddedMigrations() {
  static const auto* files = new std::vector<SqlFile>{
${migrations}  };
  return *files;
}

const std::vector<SqlFile>& EmbeddedProcedures() {
  static const auto* files = new std::vector<SqlFile>{
${procedures}  };
  return *files;
}

}  // namespace tranche::storage
")
file(RENAME ${OUT}.new ${OUT})
