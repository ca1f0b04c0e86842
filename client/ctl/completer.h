// What may come next on a command line: made from the command tree itself, so that it cannot fall behind.
#pragma once

#include <CLI/CLI.hpp>
#include <functional>
#include <string>
#include <vector>

namespace tranche::ctl {

// What names of the cluster's own an argument or a flag takes. kNodeOrPool: a node's, or "pool".
enum class NameKind { kSku, kNode, kNodeOrPool, kShard, kSink, kQueue };

// To be said where the option is added: its values are names of this kind, which can be completed. The help shows
// the kind as its type.
CLI::Option* TakesNameOf(NameKind kind, CLI::Option* option);

struct Completer {
  // The names that there are; empty when the cluster does not say. `endpoints`: as typed with --endpoint, or empty.
  using NamesOf = std::function<std::vector<std::string>(NameKind kind, const std::string& endpoints)>;

  const CLI::App& app;
  NamesOf names_of;

  // The words that the last one of `typed`, which may be empty, can be continued to. `typed` is without the program's
  // name.
  std::vector<std::string> Complete(const std::vector<std::string>& typed) const;
};

}  // namespace tranche::ctl
