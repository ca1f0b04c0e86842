// tranchectl completion bash|zsh|fish. The scripts ask tranchectl itself at each press of the key.

#include <memory>

#include "client/ctl/commands.h"
#include "client/ctl/completer.h"

namespace tranche::ctl {
namespace {

using tranche::v1::AdminService;

// Bash takes : and = for the ends of words, so the line is split anew, and what bash keeps of the last word is cut off.
constexpr char kBash[] =
    R"(# Load with:  source <(tranchectl completion bash)
_tranchectl() {
  local line=${COMP_LINE:0:COMP_POINT} kept IFS=$' \t\n'
  local -a words
  read -ra words <<< "$line"
  [[ $line == *[[:space:]] ]] && words+=('')
  kept=${words[-1]%"${words[-1]##*[:=]}"}
  IFS=$'\n'
  COMPREPLY=($(tranchectl completion candidates -- "${words[@]:1}" 2>/dev/null))
  COMPREPLY=("${COMPREPLY[@]#"$kept"}")
}
complete -o default -F _tranchectl tranchectl
)";

constexpr char kZsh[] =
    R"(#compdef tranchectl
# Load with:  source <(tranchectl completion zsh)
_tranchectl() {
  local -a candidates
  candidates=("${(@f)$(tranchectl completion candidates -- "${(@)words[2,CURRENT]}" 2>/dev/null)}")
  candidates=(${candidates:#})
  if (( $#candidates )); then compadd -- $candidates; else _files; fi
}
compdef _tranchectl tranchectl
)";

constexpr char kFish[] =
    R"(# Load with:  tranchectl completion fish | source
function __tranchectl_candidates
    set -l words (commandline -opc)
    set -e words[1]
    set -l current (commandline -ct)
    tranchectl completion candidates -- $words "$current" 2>/dev/null
end
complete -c tranchectl -f -a '(__tranchectl_candidates)'
complete -c tranchectl -l statement -r -F
complete -c tranchectl -l report -r -F
complete -c tranchectl -l policy -r -F
complete -c tranchectl -l seed-file -r -F
complete -c tranchectl -l dir -r -F
complete -c tranchectl -l out -r -F
complete -c tranchectl -l config -r -F
complete -c tranchectl -l tls-ca -r -F
complete -c tranchectl -l tls-certificate -r -F
complete -c tranchectl -l tls-key -r -F
complete -c tranchectl -l token-file -r -F
)";

// Somebody waits at the keyboard: one page of names, and not for long. Nothing is said about errors.
std::vector<std::string> NamesAt(Session& session, NameKind kind, const std::string& endpoints) {
  if (!endpoints.empty()) session.endpoints = endpoints;
  session.timeout = "1s";
  std::vector<std::string> names;
  switch (kind) {
    case NameKind::kSku: {
      tranche::v1::ListSkusRequest request;
      request.set_page_size(1000);
      const auto skus = session.Admin(&AdminService::Stub::ListSkus, request);
      if (!skus.ok()) return names;
      for (const auto& sku : skus->skus()) names.push_back(sku.sku_id());
      return names;
    }
    case NameKind::kNode:
    case NameKind::kNodeOrPool: {
      const auto nodes = session.Admin(&AdminService::Stub::ListNodes, tranche::v1::ListNodesRequest());
      if (!nodes.ok()) return names;
      for (const auto& node : nodes->nodes()) names.push_back(node.name());
      return names;
    }
    case NameKind::kShard: {
      const auto shards = session.Admin(&AdminService::Stub::ListShards, tranche::v1::ListShardsRequest());
      if (!shards.ok()) return names;
      for (const auto& shard : shards->shards()) names.push_back(shard.name());
      return names;
    }
    case NameKind::kSink: {
      const auto sinks = session.Admin(&AdminService::Stub::ListSinks, tranche::v1::ListSinksRequest());
      if (!sinks.ok()) return names;
      for (const auto& sink : sinks->sinks()) names.push_back(sink.name());
      return names;
    }
    case NameKind::kQueue: {
      const auto queues = session.Admin(&AdminService::Stub::ListClaimQueues, tranche::v1::ListClaimQueuesRequest());
      if (!queues.ok()) return names;
      for (const auto& queue : queues->queues()) names.push_back(queue.queue());
      return names;
    }
  }
  return names;
}

void AddScript(CLI::App* completion, Session& session, const char* shell, const char* script, const char* how) {
  CLI::App* command = completion->add_subcommand(shell, std::string("The script for ") + shell);
  command->footer(
      std::string("Commands, flags, their words, and the cluster's SKUs, nodes, shards, sinks and queues.\n") +
      "Example:\n  " + how);
  command->callback([&session, script] { session.out() << script; });
}

}  // namespace

void AddCompletionCommand(CLI::App& app, Session& session) {
  CLI::App* completion = app.add_subcommand("completion", "Completion for shells");
  completion->require_subcommand(1);
  completion->footer("Example:\n  source <(tranchectl completion bash)");
  AddScript(completion, session, "bash", kBash, "source <(tranchectl completion bash)");
  AddScript(completion, session, "zsh", kZsh, "source <(tranchectl completion zsh)");
  AddScript(completion, session, "fish", kFish, "tranchectl completion fish | source");

  auto typed = std::make_shared<std::vector<std::string>>();
  CLI::App* candidates = completion->add_subcommand("candidates", "For the scripts: what may come next");
  candidates->group("");  // not shown
  // At least the word at the cursor, which may be empty. CLI11 takes what follows "--" only if something is missing.
  candidates->add_option("WORDS", *typed)->required()->expected(1, 1000);
  candidates->footer("Example:\n  tranchectl completion candidates -- quota sh");
  candidates->callback([&app, &session, typed] {
    const Completer completer{
        app, [&session](NameKind kind, const std::string& endpoints) { return NamesAt(session, kind, endpoints); }};
    for (const std::string& word : completer.Complete(*typed)) session.out() << word << "\n";
  });
}

}  // namespace tranche::ctl
