"""What scripts/lib/web.py decides without npm: which Node will do, when to build anew, and what an audit says."""

import json
import pathlib
import tempfile
import unittest

import lib_path  # noqa: F401
import web


class Node(unittest.TestCase):
    def test_old_ones_will_not_do(self):
        for version, will_do in (("v20.19.0\n", True), ("v22.1.0\n", True), ("v20.18.3\n", False), ("v18.20.4\n", False),
                                 ("", False), ("20.19.0", False)):
            self.assertEqual(web.is_new_enough(version), will_do, version)


class Building(unittest.TestCase):
    def test_it_builds_again_when_a_source_has_changed(self):
        with tempfile.TemporaryDirectory() as folder:
            source, stamp = pathlib.Path(folder) / "a.ts", pathlib.Path(folder) / ".built"
            builds = []
            for text in ("one", "one", "two"):
                source.write_text(text)
                web._once(stamp, web.digest([source]), lambda: builds.append(source.read_text()))
            self.assertEqual(builds, ["one", "two"])

    def test_a_build_that_failed_is_tried_again(self):
        def fail():
            raise web.WebError("no")

        with tempfile.TemporaryDirectory() as folder:
            stamp = pathlib.Path(folder) / ".built"
            stamp.write_text("before")
            with self.assertRaises(web.WebError):
                web._once(stamp, "now", fail)
            self.assertFalse(stamp.exists())

    def test_the_sources_are_those_that_the_build_reads(self):
        names = {str(file.relative_to(web.ROOT)) for file in web.sources()}
        self.assertTrue({"client/web/gateway/http_rules.yaml", "client/web/package-lock.json", "docs/clients.md",
                         "proto/tranche/v1/catalog_service.proto"} <= names)
        self.assertFalse([name for name in names if "node_modules" in name or "/dist/" in name])


def report(**counts):
    return json.dumps({"metadata": {"vulnerabilities": counts}, "vulnerabilities": {"left-pad": {}} if counts else {}})


class Audit(unittest.TestCase):
    def test_a_known_hole_is_one(self):
        hole, words = web.audit_problem(report(high=1, moderate=2))
        self.assertTrue(hole)
        self.assertEqual(words, "known holes: 2 moderate, 1 high; in left-pad")

    def test_small_ones_and_none_are_fine(self):
        self.assertIsNone(web.audit_problem(report(low=3)))
        self.assertIsNone(web.audit_problem(report()))

    def test_a_registry_that_does_not_answer_is_no_hole(self):
        for text in ('{"message": "405 Method Not Allowed", "statusCode": 405}', "", "<html>"):
            hole, _ = web.audit_problem(text)
            self.assertFalse(hole, text)


if __name__ == "__main__":
    unittest.main()
