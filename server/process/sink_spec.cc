#include "server/process/sink_spec.h"

#include <algorithm>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/strip.h"
#include "server/process/sink_name.h"
#include "storage/base/address.h"

namespace tranche::server {
namespace {

absl::StatusOr<SinkSpec> ParseSink(absl::string_view text) {
  const size_t equals = text.find('=');
  if (equals == absl::string_view::npos) {
    return absl::InvalidArgumentError("must be NAME=webhook:URL or NAME=grpc:HOST:PORT");
  }
  SinkSpec spec;
  spec.name = std::string(text.substr(0, equals));
  if (!IsSinkName(spec.name)) {
    return absl::InvalidArgumentError("needs a name of 1 to 32 characters of a-z, 0-9, '_' and '-'");
  }
  absl::string_view target = text.substr(equals + 1);
  if (absl::ConsumePrefix(&target, "webhook:")) {
    if (!absl::StartsWith(target, "http://") && !absl::StartsWith(target, "https://")) {
      return absl::InvalidArgumentError("must have a URL that begins with https:// or http://");
    }
    spec.kind = SinkSpec::Kind::kWebhook;
  } else if (absl::ConsumePrefix(&target, "grpc:")) {
    if (!IsAddressWithPort(target)) return absl::InvalidArgumentError("must have a HOST:PORT");
    spec.kind = SinkSpec::Kind::kGrpc;
  } else {
    return absl::InvalidArgumentError("must be of the kind webhook: or grpc:");
  }
  spec.target = std::string(target);
  return spec;
}

SinkSpec* Find(std::vector<SinkSpec>& specs, absl::string_view name) {
  const auto found = std::find_if(specs.begin(), specs.end(), [&](const SinkSpec& spec) { return spec.name == name; });
  return found == specs.end() ? nullptr : &*found;
}

}  // namespace

absl::StatusOr<std::vector<SinkSpec>> ParseSinks(const std::vector<std::string>& sinks,
                                                 const std::vector<std::string>& secret_files) {
  std::vector<SinkSpec> specs;
  for (const std::string& text : sinks) {
    absl::StatusOr<SinkSpec> spec = ParseSink(text);
    // A URL may hold a password, so only the name is shown.
    const std::string shown = text.substr(0, std::min(text.find('='), text.size()));
    if (!spec.ok()) return absl::InvalidArgumentError(absl::StrCat("--sink ", shown, " ", spec.status().message()));
    if (Find(specs, spec->name) != nullptr) {
      return absl::InvalidArgumentError(absl::StrCat("--sink ", spec->name, " is given twice"));
    }
    specs.push_back(*std::move(spec));
  }
  for (const std::string& text : secret_files) {
    const size_t equals = text.find('=');
    if (equals == std::string::npos || equals + 1 == text.size()) {
      return absl::InvalidArgumentError("--sink-secret-file must be NAME=FILE");
    }
    SinkSpec* spec = Find(specs, text.substr(0, equals));
    if (spec == nullptr || spec->kind != SinkSpec::Kind::kWebhook) {
      return absl::InvalidArgumentError(
          absl::StrCat("--sink-secret-file ", text.substr(0, equals), " names no webhook given with --sink"));
    }
    spec->secret_file = text.substr(equals + 1);
  }
  for (const SinkSpec& spec : specs) {
    if (spec.kind == SinkSpec::Kind::kWebhook && spec.secret_file.empty()) {
      return absl::InvalidArgumentError(absl::StrCat("--sink ", spec.name, " needs --sink-secret-file ", spec.name,
                                                     "=FILE, with the secret that its messages are signed with"));
    }
  }
  return specs;
}

std::string AdviceAboutOtherSink(const std::string& name, bool only_one) {
  return absl::StrCat(
      "sink ", name,
      " is registered, but not one of this worker's: its messages pile up until a worker is started "
      "with --sink ",
      name, "=...",
      only_one ? ". It is the only sink and cannot be removed"
               : absl::StrCat(", or `tranchectl outbox sink remove ", name, " --yes` ends it and discards them"));
}

}  // namespace tranche::server
