-- A database of Medusa's own, so that what it makes meets no other peer's tables.
DROP DATABASE IF EXISTS peer_medusa WITH (FORCE);
CREATE DATABASE peer_medusa;
