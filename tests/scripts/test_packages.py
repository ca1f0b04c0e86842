"""scripts/install-packages finds what is missing, by section."""

import os
import pathlib
import subprocess
import tempfile
import unittest

ROOT = pathlib.Path(__file__).resolve().parents[2]


def missing(*sections, installed=()):
    """What would be installed on a machine whose only packages and commands are `installed`."""
    with tempfile.TemporaryDirectory() as folder:
        query = pathlib.Path(folder) / "dpkg-query"
        query.write_text('#!/bin/bash\n[[ " %s " == *" ${!#} "* ]] && printf installed\n' % " ".join(installed))
        query.chmod(0o755)
        for command in ("dirname", "bash", "grep", "env"):
            os.symlink(f"/usr/bin/{command}", pathlib.Path(folder) / command)
        run = subprocess.run(["/bin/bash", ROOT / "scripts/install-packages", "--list", *sections],
                             env={"PATH": folder}, capture_output=True, text=True, check=False)
        return run.returncode, run.stdout.split()


class InstallPackages(unittest.TestCase):
    def test_all_sections_are_wanted_unless_some_are_named(self):
        status, packages = missing()
        self.assertEqual(status, 0)
        self.assertTrue({"cmake", "zookeeper", "iproute2", "clang-tidy", "graphviz"} <= set(packages), packages)

    def test_a_sale_needs_no_linters(self):
        status, packages = missing("build", "run")
        self.assertEqual(status, 0)
        self.assertTrue({"cmake", "python3", "postgresql-15", "zookeeper"} <= set(packages), packages)
        self.assertFalse({"clang-tidy", "npm", "graphviz", "iproute2"} & set(packages), packages)

    def test_what_is_there_is_not_missing(self):
        _, packages = missing("run", installed=("zookeeper", "procps"))
        self.assertIn("postgresql-15", packages)
        self.assertNotIn("zookeeper", packages)

    def test_what_is_only_compared_with_is_not_part_of_all(self):
        self.assertFalse({"mariadb-server-core", "redis-server", "nginx", "wrk"} & set(missing()[1]))
        self.assertTrue({"mariadb-server-core", "redis-server", "libhiredis-dev", "nginx", "wrk"} <= set(missing("compare")[1]))

    def test_an_unknown_section_is_refused(self):
        self.assertNotEqual(missing("bild")[0], 0)


if __name__ == "__main__":
    unittest.main()
