"""The rules of bookings: pure, and told every time, every booking and every zone they need."""
