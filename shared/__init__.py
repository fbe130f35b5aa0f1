"""What every replica is: journal, records, clock, sync, API and board. Knows no other package."""
