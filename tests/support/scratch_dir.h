// A folder that goes with its object.
#pragma once

#include <filesystem>
#include <string>

namespace tranche::testing {

// A new folder under $TMPDIR (or /tmp), removed with all it holds by the destructor. Other users may enter and read it,
// since servers in tests may run as another user; give them their own folder with MakeSubdir.
class ScratchDir {
 public:
  // `name` appears in the folder's name, for people who look.
  explicit ScratchDir(const std::string& name);
  ~ScratchDir();
  ScratchDir(const ScratchDir&) = delete;
  ScratchDir& operator=(const ScratchDir&) = delete;

  const std::filesystem::path& path() const { return path_; }

  // Makes the folder `name` in it. `owner`, if not empty and this process is root, names the user it shall belong to.
  std::filesystem::path MakeSubdir(const std::string& name, const std::string& owner = "") const;

 private:
  std::filesystem::path path_;
};

}  // namespace tranche::testing
