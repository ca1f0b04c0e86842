-- How many groups form, or are over with members who still hold units.
SELECT count(*) FROM tranche.group_buy g WHERE g.state = 'FORMING' OR g.unsettled
