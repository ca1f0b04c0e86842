#include "server/worker/sink.h"

#include "absl/strings/ascii.h"
#include "absl/strings/str_cat.h"

namespace tranche::server {

std::string MessageId(const storage::OutboxKey& key) {
  return absl::StrCat(key.reservation_id.ToString(), "/", key.revision);
}

std::string Printable(absl::string_view text, size_t most) {
  std::string printable(text.substr(0, most));
  for (char& c : printable) {
    if (!absl::ascii_isprint(static_cast<unsigned char>(c))) c = '?';
  }
  return printable;
}

}  // namespace tranche::server
