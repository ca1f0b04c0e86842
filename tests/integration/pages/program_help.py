"""What the programs' --help knows: their nouns, verbs and flags."""

import functools
import re
import subprocess

from page_commands import ROOT

FLAG = re.compile(r"(?<![\w-])--?[a-zA-Z][\w-]*")
SUBCOMMAND = re.compile(r"^  ([a-z][a-z-]*) {2,}\S", re.MULTILINE)
SERVERS = ("tranched", "tranche-balancer", "tranche-worker", "tranche-consumer", "tranche-migrate",
           "tranche-load")
CTL = "tranchectl"
# The gateway's --help needs Node, and this does not: its flags are names of this table.
GATEWAY_FLAGS = re.compile(r"^  '?([a-z][a-z-]*)'?: \{", re.MULTILINE)
GATEWAY_OPTIONS = ROOT / "client" / "web" / "gateway" / "src" / "options.ts"
SEPARATORS = ("|", "&&", "||", ";")
# What the pages write in place of something of the reader's: ID, NOUN, REVISION, N.
PLACEHOLDER = re.compile(r"[A-Z<$\[]")


def gateway_flags():
    _, _, table = GATEWAY_OPTIONS.read_text().partition("const FLAGS")
    return {f"--{name}" for name in GATEWAY_FLAGS.findall(table.partition("\n};\n")[0])}


class Programs:
    def __init__(self, bin_dir):
        self._bin_dir = bin_dir

    @functools.cache
    def help(self, *words):
        """`words`: a program of ours and, for tranchectl, its noun and verb; or a command of scripts/."""
        script = words[0].startswith("scripts/")
        command = [ROOT / words[0] if script else self._bin_dir / words[0], *words[1:], "--help"]
        return subprocess.run(command, capture_output=True, text=True, timeout=30, check=True).stdout

    @functools.cache
    def flags(self, *words):
        """Those that --help lists, and --help, which not every one lists."""
        return {*FLAG.findall(self.help(*words)), "--help"}

    @functools.cache
    def subcommands(self, *words):
        _, _, listed = self.help(*words).partition("\nSubcommands:\n")
        return SUBCOMMAND.findall(listed.split("\n\n")[0])

    def commands_from(self, words):
        """`words`, and every command below: nouns, verbs, and verbs of verbs."""
        below = [self.commands_from((*words, word)) for word in self.subcommands(*words)]
        return [words] + [command for commands in below for command in commands]

    def knows_program(self, word):
        return word in (CTL, *SERVERS) or (word.startswith("scripts/") and "/" not in word[8:] and len(word) > 8)

    def all_flags(self):
        """Of every program and every command of scripts/."""
        ours = [(program,) for program in SERVERS] + self.commands_from((CTL,))
        ours += [(f"scripts/{file.name}",) for file in (ROOT / "scripts").iterdir()
                 if file.is_file() and not file.suffix and file.name != "README.md"]
        return set().union(gateway_flags(), *(self.flags(*words) for words in ours))

    def problem(self, words):
        """What a command names that does not exist, or None. `words`: its program and what follows."""
        if not (ROOT / words[0]).exists() and words[0].startswith("scripts/"):
            return f"no such command: {words[0]}"
        path, rest = [words[0]], words[1:]
        while words[0] == CTL and rest and (known := self.subcommands(*path)):
            if rest[0] in known:
                path.append(rest.pop(0))
            elif PLACEHOLDER.match(rest[0]):
                return None
            elif rest[0].startswith("-"):
                break
            else:
                return f"{' '.join(path)} has no {rest[0]}"
        known = self.flags(*path)
        unknown = [word for word in rest if FLAG.fullmatch(flag := word.partition("=")[0]) and flag not in known]
        return f"{' '.join(path)} has no {', '.join(unknown)}" if unknown else None


def simple_commands(words):
    """The commands of a pipeline or list, each as its words."""
    found = [[]]
    for word in words:
        if word in SEPARATORS:
            found.append([])
        else:
            found[-1].append(word)
    return [one for one in found if one]
