#include "server/process/sink_spec.h"

#include <algorithm>

#include "absl/strings/ascii.h"
#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_split.h"
#include "absl/strings/strip.h"
#include "server/process/sink_name.h"
#include "storage/base/address.h"
#include "storage/base/loopback.h"
#include "storage/base/status_macros.h"

namespace tranche::server {
namespace {

constexpr char kAmqpTarget[] = "must have HOST:PORT/EXCHANGE or HOST:PORT/EXCHANGE?vhost=VHOST";
// AMQP's own bound on names.
constexpr size_t kMaxAmqpName = 255;

std::vector<std::string> AddressesOf(absl::string_view target) { return absl::StrSplit(target, ','); }

// The characters that AMQP allows in the name of an exchange.
bool IsExchangeName(absl::string_view text) {
  return !text.empty() && text.size() <= kMaxAmqpName && std::all_of(text.begin(), text.end(), [](char c) {
    return absl::ascii_isalnum(static_cast<unsigned char>(c)) || c == '-' || c == '_' || c == '.' || c == ':';
  });
}

// `text` is what follows "amqp:" or "amqps:".
absl::Status ParseAmqpTarget(absl::string_view text, SinkSpec* spec) {
  const size_t slash = text.find('/');
  if (slash == absl::string_view::npos) return absl::InvalidArgumentError(kAmqpTarget);
  for (const std::string& address : AddressesOf(text.substr(0, slash))) {
    if (!IsAddressWithPort(address)) return absl::InvalidArgumentError(kAmqpTarget);
  }
  spec->target = std::string(text.substr(0, slash));
  absl::string_view exchange = text.substr(slash + 1);
  const size_t question = exchange.find('?');
  if (question != absl::string_view::npos) {
    absl::string_view vhost = exchange.substr(question + 1);
    exchange = exchange.substr(0, question);
    if (!absl::ConsumePrefix(&vhost, "vhost=") || vhost.empty() || vhost.size() > kMaxAmqpName) {
      return absl::InvalidArgumentError(kAmqpTarget);
    }
    spec->vhost = std::string(vhost);
  }
  if (!IsExchangeName(exchange)) {
    return absl::InvalidArgumentError(
        "must have the name of an exchange after HOST:PORT/, of letters, digits and -_.:");
  }
  spec->exchange = std::string(exchange);
  return absl::OkStatus();
}

absl::StatusOr<SinkSpec> ParseSink(absl::string_view text) {
  const size_t equals = text.find('=');
  if (equals == absl::string_view::npos) {
    return absl::InvalidArgumentError(
        "must be NAME=webhook:URL, NAME=grpc:HOST:PORT, NAME=grpcs:HOST:PORT, NAME=amqp:HOST:PORT/EXCHANGE or "
        "NAME=amqps:HOST:PORT/EXCHANGE");
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
    spec.target = std::string(target);
  } else if (absl::StartsWith(target, "grpc:") || absl::StartsWith(target, "grpcs:")) {
    spec.tls = absl::StartsWith(target, "grpcs:");
    target.remove_prefix(target.find(':') + 1);
    if (!IsAddressWithPort(target)) return absl::InvalidArgumentError("must have a HOST:PORT");
    spec.kind = SinkSpec::Kind::kGrpc;
    spec.target = std::string(target);
  } else if (absl::StartsWith(target, "amqp:") || absl::StartsWith(target, "amqps:")) {
    spec.tls = absl::StartsWith(target, "amqps:");
    target.remove_prefix(target.find(':') + 1);
    RETURN_IF_ERROR(ParseAmqpTarget(target, &spec));
    spec.kind = SinkSpec::Kind::kAmqp;
  } else {
    return absl::InvalidArgumentError("must be of the kind webhook:, grpc:, grpcs:, amqp: or amqps:");
  }
  return spec;
}

SinkSpec* Find(std::vector<SinkSpec>& specs, absl::string_view name) {
  const auto found = std::find_if(specs.begin(), specs.end(), [&](const SinkSpec& spec) { return spec.name == name; });
  return found == specs.end() ? nullptr : &*found;
}

bool UsesTls(const SinkSpec& spec) { return spec.tls || absl::StartsWith(spec.target, "https://"); }

// Which sinks a flag is for.
using IsFor = bool (*)(const SinkSpec&);
bool IsWebhook(const SinkSpec& spec) { return spec.kind == SinkSpec::Kind::kWebhook; }
bool IsGrpc(const SinkSpec& spec) { return spec.kind == SinkSpec::Kind::kGrpc; }
bool IsAmqp(const SinkSpec& spec) { return spec.kind == SinkSpec::Kind::kAmqp; }

// Puts each NAME=FILE of `flag` where `place_in` says.
template <typename PlaceIn>
absl::Status AddFiles(const std::string& flag, const std::vector<std::string>& texts, const char* kind, IsFor is_for,
                      std::vector<SinkSpec>& specs, PlaceIn place_in) {
  for (const std::string& text : texts) {
    const size_t equals = text.find('=');
    if (equals == std::string::npos || equals + 1 == text.size()) {
      return absl::InvalidArgumentError(absl::StrCat(flag, " must be NAME=FILE"));
    }
    SinkSpec* spec = Find(specs, text.substr(0, equals));
    if (spec == nullptr || !is_for(*spec)) {
      return absl::InvalidArgumentError(
          absl::StrCat(flag, " ", text.substr(0, equals), " names no ", kind, " given with --sink"));
    }
    place_in(*spec) = text.substr(equals + 1);
  }
  return absl::OkStatus();
}

// Files that do not go together, or not with their sink.
absl::Status CheckFiles(const SinkSpec& spec) {
  if (spec.kind == SinkSpec::Kind::kWebhook && spec.secret_file.empty()) {
    return absl::InvalidArgumentError(absl::StrCat("--sink ", spec.name, " needs --sink-secret-file ", spec.name,
                                                   "=FILE, with the secret that its messages are signed with"));
  }
  if (spec.certificates.certificate.empty() != spec.certificates.key.empty()) {
    return absl::InvalidArgumentError(absl::StrCat("--sink ", spec.name, " needs both --sink-certificate ", spec.name,
                                                   "=FILE and --sink-key ", spec.name, "=FILE, or neither"));
  }
  if (!spec.token_file.empty() && !spec.tls && FirstBeyondLoopback({spec.target}).has_value()) {
    return absl::InvalidArgumentError(absl::StrCat("--sink-token-file ", spec.name,
                                                   ": in plaintext, everybody between "
                                                   "here and ",
                                                   spec.target, " could read the token; use grpcs:"));
  }
  if (!spec.user_file.empty() && !spec.tls && FirstBeyondLoopback(AddressesOf(spec.target)).has_value()) {
    return absl::InvalidArgumentError(absl::StrCat("--sink-user ", spec.name,
                                                   ": in plaintext, everybody between here and ", spec.target,
                                                   " could read the password; use amqps:"));
  }
  return absl::OkStatus();
}

absl::StatusOr<std::vector<SinkSpec>> ParseEach(const std::vector<std::string>& sinks) {
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
  return specs;
}

}  // namespace

absl::StatusOr<std::vector<SinkSpec>> ParseSinks(const SinkFlags& flags) {
  ASSIGN_OR_RETURN(std::vector<SinkSpec> specs, ParseEach(flags.sinks));
  RETURN_IF_ERROR(AddFiles("--sink-secret-file", flags.secret_files, "webhook", &IsWebhook, specs,
                           [](SinkSpec& spec) -> std::string& { return spec.secret_file; }));
  constexpr char kWithTls[] = "sink with TLS (grpcs:, amqps: or https://)";
  RETURN_IF_ERROR(AddFiles("--sink-ca", flags.authorities, kWithTls, &UsesTls, specs,
                           [](SinkSpec& spec) -> std::string& { return spec.certificates.authorities; }));
  RETURN_IF_ERROR(AddFiles("--sink-certificate", flags.certificates, kWithTls, &UsesTls, specs,
                           [](SinkSpec& spec) -> std::string& { return spec.certificates.certificate; }));
  RETURN_IF_ERROR(AddFiles("--sink-key", flags.keys, kWithTls, &UsesTls, specs,
                           [](SinkSpec& spec) -> std::string& { return spec.certificates.key; }));
  RETURN_IF_ERROR(AddFiles("--sink-token-file", flags.token_files, "gRPC sink", &IsGrpc, specs,
                           [](SinkSpec& spec) -> std::string& { return spec.token_file; }));
  RETURN_IF_ERROR(AddFiles("--sink-user", flags.user_files, "AMQP sink", &IsAmqp, specs,
                           [](SinkSpec& spec) -> std::string& { return spec.user_file; }));
  for (const SinkSpec& spec : specs) RETURN_IF_ERROR(CheckFiles(spec));
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
