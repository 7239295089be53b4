"""The one error type that a person sees."""

from schemas.redaction import redact


class VisageError(Exception):
    """Something a person can cause and mend: shown as one message, without a traceback.

    Args:
        message: what went wrong and where, in one or a few sentences.
        hint: what to do about it; empty where there is nothing to advise.
        usage: True for a wrong command or setting (exit code 2), False for a run that failed (exit code 1).
    """

    def __init__(self, message: str, hint: str = "", *, usage: bool = False) -> None:
        self.message, self.hint = redact(message), redact(hint)
        super().__init__(self.message)
        self.usage = usage

    @property
    def exit_code(self) -> int:
        return 2 if self.usage else 1

    def __str__(self) -> str:
        return f"{self.message}\n{self.hint}" if self.hint else self.message

    def __reduce__(self) -> tuple:
        # Exceptions with keyword-only arguments do not survive the pickling between worker and runner by themselves.
        return _rebuild, (self.message, self.hint, self.usage)


def _rebuild(message: str, hint: str, usage: bool) -> VisageError:
    return VisageError(message, hint, usage=usage)
