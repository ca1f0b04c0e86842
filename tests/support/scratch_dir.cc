#include "tests/support/scratch_dir.h"

#include <glog/logging.h>
#include <pwd.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cstdlib>
#include <fstream>
#include <sstream>
#include <system_error>

namespace tranche::testing {

ScratchDir::ScratchDir(const std::string& name) {
  const char* const parent = std::getenv("TMPDIR");
  std::string path =
      (std::filesystem::path(parent != nullptr ? parent : "/tmp") / ("tranche-" + name + "-XXXXXX")).string();
  PCHECK(mkdtemp(path.data()) != nullptr) << path;
  PCHECK(chmod(path.c_str(), 0755) == 0) << path;
  path_ = path;
}

ScratchDir::~ScratchDir() {
  std::error_code error;
  std::filesystem::remove_all(path_, error);
  LOG_IF(WARNING, error) << "cannot remove " << path_ << ": " << error.message();
}

std::filesystem::path ScratchDir::MakeSubdir(const std::string& name, const std::string& owner) const {
  const std::filesystem::path path = path_ / name;
  std::filesystem::create_directories(path);
  if (!owner.empty() && geteuid() == 0) {
    const passwd* const user = getpwnam(owner.c_str());
    CHECK(user != nullptr) << "no user " << owner;
    PCHECK(chown(path.c_str(), user->pw_uid, user->pw_gid) == 0) << path;
  }
  return path;
}

std::string FileContents(const std::filesystem::path& file) {
  std::ostringstream text;
  text << std::ifstream(file).rdbuf();
  return text.str();
}

}  // namespace tranche::testing
