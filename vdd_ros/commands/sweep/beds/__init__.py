"""A sweep over methods on test beds, where the teacher is exact and the right answer is known."""
