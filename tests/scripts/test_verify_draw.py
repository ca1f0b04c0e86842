"""scripts/verify_draw.py accepts a draw as it was made, and finds whatever was changed in it."""

import hashlib
import json
import pathlib
import random
import shutil
import struct
import subprocess
import sys
import tempfile
import unittest
import uuid

SCRIPT = pathlib.Path(__file__).resolve().parents[2] / "scripts" / "verify_draw.py"
SEED = bytes(range(32))


def sha256(data):
    return hashlib.sha256(data).digest()


def hmac_by_its_parts(key, message):
    """RFC 2104, as the ledger computes it."""
    block = (key if len(key) <= 64 else sha256(key)).ljust(64, b"\0")
    inner, outer = (bytes(byte ^ pad for byte in block) for pad in (0x36, 0x5C))
    return sha256(outer + sha256(inner + message))


def merkle_root(leaves):
    """As RFC 6962 defines it: split at the largest power of two below the number of leaves."""
    if not leaves:
        return sha256(b"")
    if len(leaves) == 1:
        return sha256(b"\0" + leaves[0])
    split = 1 << ((len(leaves) - 1).bit_length() - 1)
    return sha256(b"\1" + merkle_root(leaves[:split]) + merkle_root(leaves[split:]))


def ranked(ids, root, seed=SEED, sku="tv", number=3):
    fields = (b"tranche-draw-v1", sku.encode(), struct.pack(">q", number), struct.pack(">q", len(ids)), root)
    key = hmac_by_its_parts(seed, b"".join(struct.pack(">I", len(part)) + part for part in fields))
    return sorted((hmac_by_its_parts(key, entry_id), entry_id) for entry_id in ids)


class Published:
    """What `tranchectl draw export` writes, to be changed by tests before it is written."""

    def __init__(self, entries=100, winners=5, outcomes=("CONFIRMED", "LAPSED", "PENDING", "PASSED_OVER", "PENDING")):
        chance = random.Random(entries)
        self.ids = sorted(chance.randbytes(16) for _ in range(entries))
        self.root = merkle_root(self.ids)
        self.order = ranked(self.ids, self.root)
        self.lines = [str(uuid.UUID(bytes=entry_id)) for entry_id in self.ids]
        self.awards = [[place, self.text_of_place(place), outcome] for place, outcome in enumerate(outcomes, 1)]
        self.draw = {
            "format": "tranche-draw-v1", "sku_id": "tv", "number": 3, "state": "DRAWN", "winners": winners,
            "quantity": 1, "seed_commitment": sha256(SEED).hex(), "public_source": "", "entries": entries,
            "merkle_root": self.root.hex(), "seed": SEED.hex(),
            "cutoff": self.order[len(outcomes) - 1][0].hex() if outcomes else "",
            "pending": outcomes.count("PENDING"), "confirmed": outcomes.count("CONFIRMED"),
            "lapsed": outcomes.count("LAPSED") + outcomes.count("PASSED_OVER")}

    def text_of_place(self, place):
        return str(uuid.UUID(bytes=self.order[place - 1][1]))

    def write(self, folder):
        (folder / "draw.json").write_text(json.dumps(self.draw))
        (folder / "entries.txt").write_text("".join(f"{line}\n" for line in self.lines))
        rows = [["place", "entry_id", "outcome"], *self.awards]
        (folder / "awards.csv").write_text("".join(",".join(map(str, row)) + "\n" for row in rows))


def run(*arguments, script=SCRIPT):
    # Without the folder of the script and without packages: only the standard library is there.
    return subprocess.run([sys.executable, "-I", str(script), *map(str, arguments)], capture_output=True, text=True,
                          timeout=60, check=False)


class VerifyDraw(unittest.TestCase):
    def setUp(self):
        scratch = tempfile.TemporaryDirectory()
        self.addCleanup(scratch.cleanup)
        self.folder = pathlib.Path(scratch.name)

    def verify(self, published, *arguments):
        published.write(self.folder)
        return run(self.folder, *arguments)

    def fits(self, published, *arguments, verdict="OK"):
        done = self.verify(published, *arguments)
        self.assertEqual((done.returncode, done.stderr, done.stdout.splitlines()[-1]), (0, "", verdict), done)
        return done.stdout

    def does_not_fit(self, published, words):
        done = self.verify(published)
        self.assertEqual((done.returncode, done.stderr.count("\n")), (1, 1), done)
        self.assertTrue(done.stderr.startswith("DOES NOT FIT: "), done.stderr)
        self.assertIn(words, done.stderr)
        self.assertNotIn("OK", done.stdout)

    def test_what_was_drawn_fits_whatever_the_number_of_entries(self):
        for entries in (5, 6, 7, 8, 9, 63, 64, 65, 1_000, 1_025):
            shown = self.fits(Published(entries))
            self.assertIn("the 5 lowest ranks", shown)
        self.assertIn("1 confirmed, 2 pending, 2 lapsed or passed over", shown)

    def test_a_draw_of_nobody_and_of_one_fits(self):
        for entries, outcomes in ((0, ()), (1, ()), (1, ("PENDING",))):
            self.fits(Published(entries, outcomes=outcomes))

    def test_another_list_of_entries_is_found(self):
        def alter(published):
            published.lines[40] = published.lines[40][:-1] + ("0" if published.lines[40][-1] != "0" else "1")

        def add(published):
            published.lines.append("f" * 8 + "-ffff-ffff-ffff-" + "f" * 12)

        def count_too(published):
            add(published)
            published.draw["entries"] += 1

        for change, words in ((alter, "not the sealed ones"), (add, "has 101 entries"),
                              (count_too, "not the sealed ones"),
                              (lambda p: p.lines.pop(7), "has 99 entries"),
                              (lambda p: p.lines.insert(7, p.lines[7]), "line 9 is not behind line 8"),
                              (lambda p: p.lines.reverse(), "line 2 is not behind line 1"),
                              (lambda p: p.lines.insert(3, "alice"), "line 4 is not an entry id")):
            published = Published()
            change(published)
            self.does_not_fit(published, words)

    def test_a_list_that_is_cut_off_is_found(self):
        published = Published()
        published.write(self.folder)
        text = (self.folder / "entries.txt").read_text()
        (self.folder / "entries.txt").write_text(text[:-1])
        self.assertIn("cut off", run(self.folder).stderr)

    def test_other_winners_are_found(self):
        def swap(published):
            published.awards[1][1], published.awards[2][1] = published.awards[2][1], published.awards[1][1]

        def favour(published):
            published.awards[4][1] = published.text_of_place(60)

        def skip(published):
            published.awards[4][1] = published.text_of_place(6)
            published.draw["cutoff"] = published.order[5][0].hex()

        for change, words in ((swap, "place 2 was awarded to"), (favour, "place 5 was awarded to"),
                              (skip, "place 5 was awarded to"), (lambda p: p.awards.pop(0), "not that of place 1"),
                              (lambda p: p.awards.pop(), "pending"),
                              (lambda p: p.awards[0].__setitem__(2, "WON"), "no outcome"),
                              (lambda p: p.draw.update(cutoff=p.order[5][0].hex()), "rank of the last award")):
            published = Published()
            change(published)
            self.does_not_fit(published, words)

    def test_more_winners_than_places_are_found(self):
        self.does_not_fit(Published(winners=2), "at most 2 may win")
        self.fits(Published(winners=3))

    def test_another_seed_is_found(self):
        other = bytes(reversed(SEED))
        published = Published()
        published.draw["seed"] = other.hex()
        self.does_not_fit(published, "not the promised one")
        published.draw["seed_commitment"] = sha256(other).hex()
        self.does_not_fit(published, "place 1 was awarded to")

    def test_the_ranks_are_those_of_this_draw_alone(self):
        for change in ({"number": 4}, {"sku_id": "radio"}):
            published = Published()
            published.draw.update(change)
            self.does_not_fit(published, "place 1 was awarded to")

    def test_a_public_seed_is_left_to_the_reader(self):
        published = Published()
        published.draw.update(seed_commitment="", public_source="drand quicknet, round 7")
        self.assertIn("compare it yourself with: drand quicknet, round 7", self.fits(published))
        published.draw["seed_commitment"] = sha256(SEED).hex()
        self.does_not_fit(published, "exactly one of")

    def test_the_seed_of_a_drand_round_is_the_hash_of_its_signature(self):
        signature = bytes(range(48))
        published = Published(outcomes=())
        published.draw.update(seed_commitment="", public_source="drand quicknet, round 7",
                              seed=sha256(signature).hex(), drand_signature=signature.hex())
        self.assertIn("SHA-256 of drand_signature", self.fits(published))
        published.draw["drand_signature"] = signature[::-1].hex()
        self.does_not_fit(published, "not the randomness of drand_signature")

    def test_before_the_seed_is_told_only_the_list_is_checked(self):
        published = Published(outcomes=())
        published.draw.update(seed="", state="CLOSED")
        sealed = "OK so far: the list is the sealed one, and nobody has won yet"
        self.assertIn("not told yet", self.fits(published, verdict=sealed))
        published.draw.update(state="CANCELLED")
        self.fits(published, verdict="OK, but it was called off: nobody wins")
        published.draw["state"] = "OPEN"
        self.does_not_fit(published, "not sealed")

    def test_an_entry_has_its_place_and_its_proof(self):
        published = Published()
        for place, outcome in ((1, "CONFIRMED"), (5, "PENDING"), (6, "above the cutoff"), (100, "above the cutoff")):
            entry = published.text_of_place(place)
            shown = self.fits(published, "--entry", entry)
            self.assertIn(f"place:     {place} of 100", shown)
            self.assertIn(outcome, shown)
            self.assertIn(f"leaf:      {published.lines.index(entry)}, ", shown)
            self.assertIn(published.order[place - 1][0].hex(), shown)
        done = self.verify(published, "--entry", str(uuid.UUID(int=1)))
        self.assertEqual((done.returncode, "is not among the entries" in done.stderr), (1, True))

    def test_every_audit_path_leads_to_the_root(self):
        for entries in range(1, 20):
            published = Published(entries, outcomes=())
            self.fits(published, *(word for line in published.lines for word in ("--entry", line)))

    def test_what_cannot_be_read_is_one_line(self):
        for file, text, words in (("draw.json", "{", "not JSON"), ("draw.json", "[]", "format"),
                                  ("draw.json", '{"format": "tranche-draw-v2"}', "format"),
                                  ("draw.json", "\udcff", "not UTF-8"), ("draw.json", "[" * 100_000, "not JSON"),
                                  ("entries.txt", "\udcff\n", "line 1 is not an entry id"),
                                  ("awards.csv", "\udcff\n", "the first line"), ("awards.csv", "", "the first line")):
            Published().write(self.folder)
            (self.folder / file).write_bytes(text.encode(errors="surrogateescape"))
            done = run(self.folder)
            self.assertEqual((done.returncode, done.stderr.count("\n")), (1, 1), done)
            self.assertIn(words, done.stderr)

    def test_numbers_and_hex_are_checked(self):
        for change in ({"entries": "100"}, {"entries": True}, {"number": 0}, {"winners": None}, {"merkle_root": "00"},
                       {"seed": "0"}, {"seed": "00" * 15}, {"sku_id": ""}):
            published = Published()
            published.draw.update(change)
            self.does_not_fit(published, f"draw.json: {next(iter(change))}")

    def test_what_was_published_cannot_pose_as_an_answer(self):
        # On a terminal, this would take the line back and write another one.
        trick = "\x1b[2K\rOK\n\u202e"
        for change, words in ((lambda p: p.draw.update(sku_id=trick), "draw.json: sku_id"),
                              (lambda p: p.draw.update(sku_id="a" * 65), "draw.json: sku_id"),
                              (lambda p: p.draw.update(seed_commitment="", public_source=trick), "public_source"),
                              (lambda p: p.draw.update(seed_commitment="", public_source="a" * 201), "public_source"),
                              (lambda p: p.draw.update(public_source=7), "public_source"),
                              (lambda p: p.draw.update(state=trick), "draw.json: state"),
                              (lambda p: p.draw.update(seed=trick), "draw.json: seed"),
                              (lambda p: p.draw.update(winners=trick * 1_000), "draw.json: winners"),
                              (lambda p: p.lines.insert(0, trick.replace("\n", "")), "line 1 is not an entry id"),
                              (lambda p: p.awards[0].__setitem__(0, trick.replace("\n", "")), "line 2 is not that of"),
                              (lambda p: p.awards[0].__setitem__(2, "é" * 1_000), "no outcome")):
            published = Published()
            change(published)
            published.write(self.folder)
            done = subprocess.run([sys.executable, "-I", str(SCRIPT), str(self.folder)], capture_output=True,
                                  timeout=60, check=False)
            told = (done.stdout + done.stderr).decode("ascii")
            self.assertEqual((done.returncode, done.stderr.count(b"\n")), (1, 1), told)
            self.assertIn(words, told)
            self.assertTrue(told.replace("\n", "").isprintable(), told)
            self.assertLess(len(done.stderr), 300)

    # Ten million entries have to fit into the memory of a usual computer.
    def test_an_entry_costs_little_memory(self):
        few, many = 10_000, 110_000
        peaks = []
        for entries in (few, many):
            with open(self.folder / "entries.txt", "w", encoding="ascii") as file:
                file.writelines(f"{uuid.UUID(int=number)}\n" for number in range(entries))
            program = (f"import importlib.util, resource\n"
                       f"spec = importlib.util.spec_from_file_location('verify_draw', {str(SCRIPT)!r})\n"
                       f"module = importlib.util.module_from_spec(spec)\n"
                       f"spec.loader.exec_module(module)\n"
                       f"module.merkle_tree(module.read_entries({str(self.folder)!r}))\n"
                       f"print(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss)\n")
            done = subprocess.run([sys.executable, "-I", "-c", program], capture_output=True, text=True, timeout=60,
                                  check=True)
            peaks.append(int(done.stdout) * 1024)
        self.assertLess((peaks[1] - peaks[0]) / (many - few), 150)

    def test_wrong_usage_is_told_apart(self):
        Published().write(self.folder)
        for arguments in ((), (self.folder, "--entry", "alice"), (self.folder, "--entry"), (self.folder / "none",),
                          (self.folder, "--no-such-option")):
            done = run(*arguments)
            self.assertEqual((done.returncode, done.stdout, done.stderr.count("\n")), (2, "", 1), done)

    def test_the_file_alone_is_enough(self):
        Published().write(self.folder)
        with tempfile.TemporaryDirectory() as alone:
            self.assertEqual(run(self.folder, script=shutil.copy(SCRIPT, alone)).returncode, 0)


if __name__ == "__main__":
    unittest.main()
