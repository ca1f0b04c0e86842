"""The source checks find what they are for, and only that."""

import unittest

import lib_path  # noqa: F401
import dependency_direction
import function_length
import sql_in_sql_files


def function(lines, head="void F() {"):
    return "\n".join([head] + ["  G();"] * (lines - 2) + ["}"]) + "\n"


class FunctionLength(unittest.TestCase):
    def lengths(self, text):
        return [last - first + 1 for first, last, _ in function_length.functions(text)]

    def test_refuses_71_lines_and_accepts_70(self):
        self.assertEqual(function_length.too_long(function(70)), [])
        self.assertEqual(len(function_length.too_long(function(71))), 1)

    def test_counts_the_signature(self):
        self.assertEqual(self.lengths("int F(int a,\n      int b) {\n  return a;\n}\n"), [4])

    def test_finds_functions_inside_namespaces_and_classes(self):
        text = "namespace a {\ntemplate <typename T>\nclass B : public C {\n" + function(3) + function(4) + "};\n}\n"
        self.assertEqual(self.lengths(text), [3, 4])

    def test_a_lambda_belongs_to_its_function(self):
        self.assertEqual(self.lengths("void F() {\n  auto g = [](int x) {\n    H(x);\n  };\n}\n"), [5])

    def test_a_constructor_with_braced_members_is_one_function(self):
        self.assertEqual(self.lengths("A::A(int x)\n    : a_{x},\n      b_(x),\n      c_{1, 2} {\n  F();\n}\n"), [6])

    def test_braces_in_comments_strings_and_characters_do_not_count(self):
        text = 'void F() {\n  // }\n  G("}", \'}\', R"(}\n})", 1\'000);\n  /* } */\n}\nvoid H() {\n}\n'
        self.assertEqual(self.lengths(text), [6, 2])

    def test_data_is_no_function(self):
        self.assertEqual(self.lengths("const int k[] = {\n  F(1),\n  2,\n};\nstruct A {\n  int x{3};\n};\n"), [])

    def test_a_test_body_is_a_function(self):
        self.assertEqual(self.lengths("TEST_F(A, B) {\n  C();\n}\n"), [3])


class DependencyDirection(unittest.TestCase):
    def violations(self, folder, include):
        return list(dependency_direction.violations(folder, f"\n#include {include}\n"))

    def test_allows_the_one_direction(self):
        for folder, include in [
            ("quota", '"storage/ledger/sku_ledger.h"'),
            ("server", '"quota/sale/seller.h"'),
            ("storage", '"storage/uuid.h"'),
            ("quota", '"tranche/internal/v1/coordination.pb.h"'),
            ("server", "<grpcpp/grpcpp.h>"),
            ("client", '"tranche/v1/admin_service.grpc.pb.h"'),
        ]:
            self.assertEqual(self.violations(folder, include), [], (folder, include))

    def test_refuses_every_other(self):
        for folder, include in [
            ("storage", '"quota/sale/seller.h"'),
            ("quota", '"server/errors.h"'),
            ("client", '"storage/uuid.h"'),
            ("client", '"server/errors.h"'),
            ("server", '"client/internal/stub.h"'),
            ("server", '"tests/support/free_port.h"'),
            ("quota", "<grpcpp/grpcpp.h>"),
            ("storage", '"google/rpc/status.pb.h"'),
            ("quota", '"tranche/v1/admin_service.pb.h"'),
        ]:
            self.assertEqual(self.violations(folder, include), [(2, include.strip('<>"'))], (folder, include))


class SqlInSqlFiles(unittest.TestCase):
    def test_finds_statements(self):
        for sql in ["SELECT a FROM b", "insert INTO x".replace("insert", "INSERT"), "DELETE FROM x", "DROP TABLE x"]:
            self.assertEqual(len(list(sql_in_sql_files.statements(f'F("{sql}");'))), 1, sql)

    def test_leaves_calls_comments_and_prose_alone(self):
        for text in ['F("SELECT * FROM tranche.");', '// "DELETE FROM x"', 'F("please select one from the list");']:
            self.assertEqual(list(sql_in_sql_files.statements(text)), [], text)


if __name__ == "__main__":
    unittest.main()
