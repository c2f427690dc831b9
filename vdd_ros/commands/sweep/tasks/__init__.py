"""A sweep over simulated tasks, whose policies are rolled out as well."""
