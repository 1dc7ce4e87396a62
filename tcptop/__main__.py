"""`python -m tcptop` runs this package, even if PATH has another program of the same name."""

from tcptop.cli import main

if __name__ == "__main__":
    main()
