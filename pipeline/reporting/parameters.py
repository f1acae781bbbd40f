"""The parameters of a model as rows: key, value, and the line that says what it does."""

from typing import Any

from pydantic import BaseModel


def parameter_rows(values: dict[str, Any], declared: type[BaseModel], before: str = "") -> list[tuple[str, str, str]]:
    """A row for each parameter, the parts of a section one after another.

    Args:
        values: of a section of params.yaml.
        declared: its class, whose fields have descriptions.
        before: the keys above, with a dot at the end.
    """
    rows = []
    for name, value in values.items():
        field = declared.model_fields[name]
        part = field.annotation
        if isinstance(value, dict) and isinstance(part, type) and issubclass(part, BaseModel):
            rows += parameter_rows(value, part, f"{before}{name}.")
        else:
            rows.append((f"{before}{name}", _text(value), field.description or ""))
    return rows


def _text(value: Any) -> str:
    """A value as params.yaml has it: what ``auto`` became in one of several models is ``auto`` again."""
    if isinstance(value, dict):
        return "auto"
    return "null" if value is None else str(value)
