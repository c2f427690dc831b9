"""Learning: teachers, students and the ways from one to the other. The only folder with torch."""
