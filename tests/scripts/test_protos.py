"""What users do with proto/: copy it, and compile it with protoc and nothing else."""

import pathlib
import shutil
import subprocess
import tempfile
import unittest

import lib_path  # noqa: F401
import protos

ROOT = pathlib.Path(__file__).resolve().parents[2]


class BufComplains(unittest.TestCase):
    def test_about_a_deleted_field_and_about_a_missing_comment(self):
        with tempfile.TemporaryDirectory() as folder:
            copy = pathlib.Path(folder) / "proto"
            shutil.copytree(ROOT / "proto", copy)
            file = copy / "tranche/v1/reservation_service.proto"
            text = file.read_text()
            for part in ("  // How often the hold was extended.\n  int32 extensions = 14;\n",
                         "  // Grows with every change, from 1.\n"):
                self.assertEqual(text.count(part), 1)
                text = text.replace(part, "")
            file.write_text(text)
            said = "\n".join(protos.complaints(copy))
        self.assertIn('Previously present field "14" with name "extensions" on message "Reservation" was deleted', said)
        self.assertIn('Field "revision" should have a non-empty comment', said)


class Protos(unittest.TestCase):
    def test_the_folder_compiles_by_itself(self):
        with tempfile.TemporaryDirectory() as folder:
            copy = pathlib.Path(folder) / "proto"
            shutil.copytree(ROOT / "proto", copy)
            protos = sorted(str(path.relative_to(copy)) for path in (copy / "tranche").rglob("*.proto"))
            self.assertIn("tranche/v1/reservation_service.proto", protos)
            result = subprocess.run(
                ["protoc", "-I", ".", "--include_imports", "--descriptor_set_out=all.bin", *protos],
                cwd=copy, capture_output=True, text=True, check=False)
            self.assertEqual(result.returncode, 0, result.stderr)
            # google/protobuf/ comes with every protoc; anything else must be in the folder.
            self.assertEqual(result.stderr, "")

    def test_numbers_of_removed_fields_stay_reserved(self):
        text = (ROOT / "proto/tranche/v1/reconciliation.proto").read_text()
        for message, number in (("ExportPaymentsRequest", 4), ("LookUpPaymentsRequest", 2),
                                ("ApplyCorrectionsRequest", 2)):
            self.assertIn(f'message {message} {{\n  reserved {number};\n  reserved "shard";\n', text)


if __name__ == "__main__":
    unittest.main()
