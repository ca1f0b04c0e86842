-- What is advised for rows that everybody wants: no locks on gaps, and each statement sees what was committed before it.
SET SESSION TRANSACTION ISOLATION LEVEL READ COMMITTED;
