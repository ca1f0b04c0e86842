-- A database of Vendure's own, so that what it makes meets no other peer's tables.
DROP DATABASE IF EXISTS peer_vendure WITH (FORCE);
CREATE DATABASE peer_vendure;
