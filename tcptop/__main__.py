"""`python -m tcptop`: the same program, whatever else is called tcptop on this machine."""

from tcptop.cli import main

if __name__ == "__main__":
    main()
