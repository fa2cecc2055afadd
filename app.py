"""NAR Studio: `python app.py`, then open the address it prints. `python app.py --help` for more."""

from app.command import main

if __name__ == "__main__":
    main()
