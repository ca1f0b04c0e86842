#include "storage/postgres/answer.h"

#include "absl/strings/str_cat.h"
#include "glog/logging.h"

namespace tranche::storage {

absl::Status UnreadableAnswerError(Repeat repeat, const std::exception& error) {
  const std::string text = absl::StrCat("the ledger's answer cannot be read: ", error.what());
  LOG_EVERY_T(ERROR, 60)
      << text
      << "; its schema is of another version (upgrade the servers, or run tranche-migrate), or a row "
         "of its own is missing (after a restore of single tables?)";
  return repeat == Repeat::kRead ? absl::InternalError(text) : UnknownCommitError(text);
}

}  // namespace tranche::storage
