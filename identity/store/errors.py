"""The errors of the database that a program expects: packages above the store import them from here."""

from sqlalchemy.exc import OperationalError, ProgrammingError, SQLAlchemyError

__all__ = ["OperationalError", "ProgrammingError", "SQLAlchemyError"]
