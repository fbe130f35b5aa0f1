"""Pure: one side of a sync session, whatever carries it."""
