// tranchectl draw close|seed|finish|cancel|remove

#include <cstdint>
#include <limits>
#include <memory>
#include <string>

#include "absl/strings/str_cat.h"
#include "client/ctl/commands.h"
#include "client/ctl/draw_calls.h"
#include "client/ctl/draw_seed.h"
#include "client/ctl/draw_view.h"
#include "client/ctl/parse.h"
#include "storage/base/status_macros.h"

namespace tranche::ctl {
namespace {

using tranche::v1::ChangeDrawRequest;
using tranche::v1::Draw;

struct DrawStepFlags {
  std::string sku_id;
  int64_t number = 0;  // 0: the newest
  std::string seed_file;
  std::string seed_hex;
  bool wait = false;
  bool no_wait = false;
  bool yes = false;
};

struct DrawStep {
  ChangeDrawRequest::Step step;
  const char* name;
  const char* description;
  const char* warning;  // of its preview
  const char* footer;
};

constexpr DrawStep kCloseStep = {
    ChangeDrawRequest::STEP_CLOSE, "close", "Take no more entries, and seal their list",
    "Entries end for good: a closed draw is not opened again.",
    "A worker seals the list; the command returns when that is done. Then publish the list (`draw export`).\n"
    "Example:\n  tranchectl draw close sneaker --yes"};
constexpr DrawStep kSeedStep = {
    ChangeDrawRequest::STEP_SEED, "seed", "Tell the seed: it decides who wins",
    "The seed is told to everybody, and cannot be changed.",
    "A worker then computes all ranks, and gives reservations to the lowest. A seed that is still a secret comes from\n"
    "a file: what is typed can be seen by other users of this machine. --seed-hex is for public values. Without "
    "--yes,\n"
    "before the list of entries is sealed, and if the draw is committed to another one, the seed is not sent.\n"
    "Examples:\n"
    "  tranchectl draw seed sneaker --seed-file sneaker.seed --yes --wait\n"
    "  tranchectl draw seed sneaker --yes "
    "--seed-hex 000102030405060708090a0b0c0d0e0f101112131415161718191a1b1c1d1e1f"};
constexpr DrawStep kOtherSteps[] = {
    {ChangeDrawRequest::STEP_FINISH, "finish", "Nobody else wins; winners keep their reservations",
     "Places that lapse from now on are given to nobody.",
     "A draw finishes by itself when all places are paid, or nobody is left to win.\n"
     "Example:\n  tranchectl draw finish sneaker --yes"},
    {ChangeDrawRequest::STEP_CANCEL, "cancel", "Call a draw off before its ranks are computed: nobody wins",
     "Nobody wins, and all entries are in vain.",
     "The SKU may have another draw then, which buyers must enter anew.\nExample:\n  tranchectl draw cancel sneaker "
     "--yes"},
    {ChangeDrawRequest::STEP_REMOVE, "remove", "Forget a draw that is finished or cancelled, with all entries",
     "All entries and awards are forgotten; reservations stay. Export it before: `tranchectl draw export`.",
     "Until then, the SKU stays on its shard.\nExample:\n  tranchectl draw remove sneaker --yes"}};

absl::StatusOr<std::string> SeedMeant(const DrawStepFlags& flags) {
  if (flags.seed_file.empty() == flags.seed_hex.empty()) {
    return absl::InvalidArgumentError("say which seed: --seed-file, or --seed-hex for a public value");
  }
  return flags.seed_hex.empty() ? OfFlag("--seed-file", ReadSeedFile(flags.seed_file))
                                : OfFlag("--seed-hex", ParseSeed(flags.seed_hex));
}

// Whether a worker has still to do what the step has asked for. Nodes may tell the state of a moment before.
bool IsUnderWay(const Draw& draw, ChangeDrawRequest::Step step) {
  switch (draw.state()) {
    case Draw::STATE_OPEN:
    case Draw::STATE_CLOSING:
      return true;
    case Draw::STATE_CLOSED:
    case Draw::STATE_SEEDED:
      return step == ChangeDrawRequest::STEP_SEED;
    default:
      return false;
  }
}

// `change.after` is then as a worker has left it.
void AwaitStep(Session& session, ChangeDrawRequest::Step step, DrawChange& change) {
  const auto done = AwaitDraw(session, change.after, [step](const Draw& draw) { return IsUnderWay(draw, step); });
  if (!done.ok()) {
    session.FailRemotely(done.status());
    session.err() << "The step was taken; how far it is, is not known: `tranchectl draw show " << change.after.sku_id()
                  << "`\n";
    return;
  }
  change.after = *done;
  if (done->state() != Draw::STATE_CANCELLED) return;
  session.err() << "tranchectl: the draw was cancelled meanwhile\n";
  session.exit_code = kExitRemote;
}

// `before` as it is now. It is named by its number, so that a repetition is about no other one.
void TakeStep(Session& session, const DrawStep& step, const DrawStepFlags& flags, const Draw& before,
              const std::string& seed, bool wait) {
  ChangeDrawRequest request;
  request.set_sku_id(before.sku_id());
  request.set_draw_number(before.number());
  request.set_step(step.step);
  request.set_seed(seed);
  request.set_preview(!flags.yes);
  const auto changed = session.Admin(&tranche::v1::AdminService::Stub::ChangeDraw, request);
  if (!changed.ok()) return session.FailRemotely(changed.status());
  DrawChange change = {.before = before,
                       .after = changed->draw(),
                       .removes = step.step == ChangeDrawRequest::STEP_REMOVE,
                       .preview = !flags.yes,
                       .warning = step.warning};
  if (wait && flags.yes && IsUnderWay(change.after, step.step)) AwaitStep(session, step.step, change);
  // Until the list is sealed, only a list of draws counts them.
  if (change.after.merkle_root().empty()) change.after.set_entries(before.entries());
  PrintDrawChange(session, change);
}

void FindAndTakeStep(Session& session, const DrawStep& step, const DrawStepFlags& flags, bool wait) {
  const auto before = FindDraw(session, flags.sku_id, flags.number);
  if (!before.ok()) return session.FailRemotely(before.status());
  TakeStep(session, step, flags, *before, /*seed=*/"", wait);
}

// Why the seed must not leave this machine; OK: it may. A node would refuse it, too, but would have learned it.
absl::Status CheckMayTellSeed(const Draw& draw, const std::string& seed) {
  const std::string name = absl::StrCat("draw ", draw.number(), " of ", draw.sku_id());
  if (draw.state() == Draw::STATE_OPEN || draw.state() == Draw::STATE_CLOSING) {
    return absl::FailedPreconditionError(absl::StrCat(
        name, " is ", DrawStateName(draw.state()),
        ": who learns the seed before the list of entries is sealed could choose who wins. It was not sent"));
  }
  if (draw.state() == Draw::STATE_CANCELLED) {
    return absl::FailedPreconditionError(absl::StrCat(name, " is CANCELLED: it needs no seed. It was not sent"));
  }
  if (!draw.seed_commitment().empty() && draw.seed_commitment() != CommitmentOf(seed)) {
    return absl::InvalidArgumentError(
        absl::StrCat(name, " is committed to another seed: the SHA-256 of this one is another. It was not sent"));
  }
  if (!draw.seed().empty() && draw.seed() != seed) {
    return absl::FailedPreconditionError(absl::StrCat(name, " has another seed already. This one was not sent"));
  }
  return absl::OkStatus();
}

// Made here, so that a preview tells a secret to nobody. A public value is shown, to be compared.
DrawChange PreviewOfSeed(const Draw& before, const std::string& seed) {
  DrawChange change = {.before = before, .after = before, .preview = true, .warning = kSeedStep.warning};
  if (before.state() != Draw::STATE_CLOSED) return change;
  change.after.set_state(Draw::STATE_SEEDED);
  if (!before.public_source().empty()) change.after.set_seed(seed);
  return change;
}

void SeedDraw(Session& session, const DrawStepFlags& flags) {
  if (flags.wait && !flags.yes) return session.FailLocally("--wait goes with --yes");
  const auto seed = SeedMeant(flags);
  if (!seed.ok()) return session.FailLocally(seed.status().message());
  const auto before = FindDraw(session, flags.sku_id, flags.number);
  if (!before.ok()) return session.FailRemotely(before.status());
  const absl::Status may_tell = CheckMayTellSeed(*before, *seed);
  if (!may_tell.ok()) return session.FailLocally(may_tell.message());
  if (!flags.yes) return PrintDrawChange(session, PreviewOfSeed(*before, *seed));
  TakeStep(session, kSeedStep, flags, *before, *seed, flags.wait);
}

CLI::App* AddDrawStep(CLI::App* draw, const DrawStep& step, DrawStepFlags& flags) {
  CLI::App* command = draw->add_subcommand(step.name, step.description);
  AddSkuArgument(command, flags.sku_id);
  command
      ->add_option("--number", flags.number,
                   "Which of the SKU's draws, as printed by the preview; without it, the newest")
      ->check(CLI::Range(int64_t{1}, std::numeric_limits<int64_t>::max()));
  AddYesFlag(command, flags.yes);
  command->footer(step.footer);
  return command;
}

}  // namespace

void AddDrawStepCommands(CLI::App* draw, Session& session) {
  auto closing = std::make_shared<DrawStepFlags>();
  CLI::App* close = AddDrawStep(draw, kCloseStep, *closing);
  CLI::Option* wait = close->add_flag("--wait", closing->wait, "Return when a worker has sealed the list: the default");
  close->add_flag("--no-wait", closing->no_wait, "Return at once")->excludes(wait);
  close->callback([&session, closing] { FindAndTakeStep(session, kCloseStep, *closing, !closing->no_wait); });

  auto seeding = std::make_shared<DrawStepFlags>();
  CLI::App* seed = AddDrawStep(draw, kSeedStep, *seeding);
  CLI::Option* file = seed->add_option("--seed-file", seeding->seed_file, "The file that has it, alone and in hex");
  seed->add_option("--seed-hex", seeding->seed_hex, "A public value, in hex")->excludes(file);
  seed->add_flag("--wait", seeding->wait, "Return when a worker has computed all ranks");
  seed->callback([&session, seeding] { SeedDraw(session, *seeding); });

  for (const DrawStep& step : kOtherSteps) {
    auto flags = std::make_shared<DrawStepFlags>();
    CLI::App* command = AddDrawStep(draw, step, *flags);
    command->callback([&session, flags, &step] { FindAndTakeStep(session, step, *flags, /*wait=*/false); });
  }
}

}  // namespace tranche::ctl
