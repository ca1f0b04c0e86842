"""Reads the ledger without Tranche's own code and without the network: libpq on PostgreSQL's socket file."""

import contextlib
import ctypes
import ctypes.util
import functools
import pathlib

HERE = pathlib.Path(__file__).resolve().parent
CONNECTION_OK, COMMAND_OK, TUPLES_OK = 0, 1, 2


class LedgerError(Exception):
    """PostgreSQL does not answer, or refuses."""


@functools.cache
def _libpq():
    library = ctypes.CDLL(ctypes.util.find_library("pq") or "libpq.so.5")
    pointer, text, number = ctypes.c_void_p, ctypes.c_char_p, ctypes.c_int
    for name, result, *arguments in (
        ("PQconnectdb", pointer, text), ("PQfinish", None, pointer), ("PQstatus", number, pointer),
        ("PQerrorMessage", text, pointer), ("PQexec", pointer, pointer, text), ("PQclear", None, pointer),
        ("PQresultStatus", number, pointer), ("PQntuples", number, pointer), ("PQnfields", number, pointer),
        ("PQgetvalue", text, pointer, number, number), ("PQencryptPasswordConn", pointer, pointer, text, text, text),
        ("PQfreemem", None, pointer),
    ):
        function = getattr(library, name)
        function.restype, function.argtypes = result, arguments
    return library


class Connection:
    """One connection of the superuser; one thread at a time."""

    def __init__(self, folder, database):
        self._pq = _libpq()
        dsn = f"host={folder / 'sockets'} user=postgres dbname={database} connect_timeout=5"
        self._connection = self._pq.PQconnectdb(dsn.encode())
        if self._pq.PQstatus(self._connection) != CONNECTION_OK:
            message = self._pq.PQerrorMessage(self._connection).decode(errors="replace").strip()
            self.close()
            raise LedgerError(message)

    def close(self):
        self._pq.PQfinish(self._connection)
        self._connection = None

    def query(self, sql):
        """Rows as lists of strings."""
        result = self._pq.PQexec(self._connection, sql.encode())
        try:
            if self._pq.PQresultStatus(result) not in (COMMAND_OK, TUPLES_OK):
                raise LedgerError(self._pq.PQerrorMessage(self._connection).decode(errors="replace").strip())
            columns = range(self._pq.PQnfields(result))
            return [[self._pq.PQgetvalue(result, row, column).decode() for column in columns]
                    for row in range(self._pq.PQntuples(result))]
        finally:
            self._pq.PQclear(result)

    def set_password(self, role, password):
        """As psql's \\password does: the server, and so its log, gets what SCRAM needs, not the password."""
        verifier = self._pq.PQencryptPasswordConn(self._connection, password.encode(), role.encode(), b"scram-sha-256")
        if not verifier:
            raise LedgerError(self._pq.PQerrorMessage(self._connection).decode(errors="replace").strip())
        try:
            self.query(f"ALTER ROLE {role} PASSWORD '{ctypes.string_at(verifier).decode()}'")
        finally:
            self._pq.PQfreemem(verifier)


class Ledger:
    """Opens a connection for each query: for rare queries, from any thread."""

    def __init__(self, folder):
        self._folder = folder

    def connect(self, database="tranche"):
        return Connection(self._folder, database)

    def execute(self, sql, database="tranche"):
        connection = self.connect(database)
        try:
            return connection.query(sql)
        finally:
            connection.close()

    def set_password(self, role, password):
        with contextlib.closing(self.connect("postgres")) as connection:
            connection.set_password(role, password)

    def execute_file(self, name, database="tranche"):
        """Executes each statement of the file by itself, like psql: some cannot share a transaction with others."""
        rows = []
        for statement in read_sql(name).split(";"):
            if statement.strip():
                rows = self.execute(statement, database)
        return rows

    @contextlib.contextmanager
    def lock(self):
        """Nobody can change a reservation meanwhile; reading goes on."""
        with contextlib.closing(self.connect()) as connection:
            connection.query(read_sql("chaos_lock.sql"))
            yield

    def incarnations_of(self, name):
        """The live incarnations of a node."""
        return {int(incarnation) for incarnation, node in self.execute_file("chaos_incarnations.sql") if node == name}


def read_sql(name):
    return (HERE / name).read_text()
