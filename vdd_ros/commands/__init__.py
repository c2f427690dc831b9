"""One file per subcommand of `vdd`: an `Args` that tyro reads and a `main(args)`.

`main` prints what a person wants to see and returns the same as plain data (a dict) or None; with
`--json` the command line prints that as its last line. A result with `ok: False` exits with code 1,
a UserError with 2. The files are imported by `vdd_ros/cli.py` alone, when chosen, and import heavy
packages (torch, robosuite, rclpy) inside functions.
"""
