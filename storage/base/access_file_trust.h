// Whether the file that says who may do what is safe from others on its machine.
#pragma once

#include <sys/stat.h>
#include <unistd.h>

#include <string>

#include "absl/strings/str_cat.h"

namespace tranche {

// "" if only root and the user of this process may write the file that `info` is of. Otherwise what is wrong, and what
// to do: whoever may write it gives themselves any role.
inline std::string WhyOthersMayWrite(const struct stat& info) {
  if (info.st_uid != 0 && info.st_uid != geteuid()) {
    return absl::StrCat("belongs to user ", info.st_uid,
                        ", who could give themselves any role; chown it to root, or to ",
                        "the user of the process that reads it");
  }
  if ((info.st_mode & (S_IWGRP | S_IWOTH)) != 0) {
    return "others than its owner may write it, and so give themselves any role; take that away with chmod go-w";
  }
  return "";
}

}  // namespace tranche
