-- The role that the servers log in with, instead of what an operator does once per installation.
CREATE ROLE tranche_app NOLOGIN;
CREATE ROLE tranche_node LOGIN IN ROLE tranche_app;
CREATE DATABASE tranche;
