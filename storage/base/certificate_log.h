// Certificates that change or are faulty, in the log. Apart from certificate_files.h, which the SDK uses without a log.
#pragma once

#include <string>

#include "glog/logging.h"
#include "storage/base/certificate_files.h"

namespace tranche {

// Thread-safe.
inline CertificateWatch LoggedCertificates() {
  return {.tell = [](bool fault, const std::string& line) {
    if (fault) {
      LOG(ERROR) << line;
    } else {
      LOG(INFO) << line;
    }
  }};
}

}  // namespace tranche
