"""`where` expressions such as `split == 'train' and width >= 200`, evaluated without running code.

The text is parsed by Python's own parser and walked with an allow-list of node types. (pandas' `query` and
`eval` reach attributes and functions of Python objects, so a scheme file could run code.)
"""

from __future__ import annotations

import ast
import operator
from collections.abc import Callable
from typing import Any, TypeAlias

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from classifiers.errors import ExpressionError
from classifiers.suggestions import suggest

Value: TypeAlias = Any  # a column, a number, a text, or a list of numbers and texts
_LONGEST = 2000
_DEEPEST = 60
_COMPARE: dict[type[ast.cmpop], Callable[[Value, Value], Value]] = {
    ast.Eq: operator.eq,
    ast.NotEq: operator.ne,
    ast.Lt: operator.lt,
    ast.LtE: operator.le,
    ast.Gt: operator.gt,
    ast.GtE: operator.ge,
}
_ARITHMETIC: dict[type[ast.operator], Callable[[Value, Value], Value]] = {
    ast.Add: operator.add,
    ast.Sub: operator.sub,
    ast.Mult: operator.mul,
    ast.Div: operator.truediv,
    ast.Mod: operator.mod,
}


def matches(expression: str, table: pd.DataFrame) -> NDArray[np.bool_]:
    """Which rows of `table` satisfy `expression`: (n,) bool, in the order of the rows.

    Names are columns; `labels.coat` is the column of that name, and a bare `coat` means it too where there is
    no column `coat`. Comparisons (chains too), `in`, `not in`, `and`, `or`, `not`, `+ - * / %`, numbers,
    strings, lists. A missing value satisfies no comparison. Raises ExpressionError.
    """
    if len(expression) > _LONGEST:
        raise ExpressionError(
            f"the expression is {len(expression):,} characters long; {_LONGEST:,} are allowed."
        )
    try:
        tree = ast.parse(expression.strip(), mode="eval")
    except (SyntaxError, ValueError, RecursionError, MemoryError) as error:
        reason = error.msg if isinstance(error, SyntaxError) else str(error)
        raise ExpressionError(
            f"cannot read the expression {expression!r}: {reason}. Write it as \"folder == 'cats' and width >= 200\"."
        ) from error
    result = _Evaluation(expression, table).condition(tree.body, 0)
    return np.array(result, bool)


def find_column(name: str, table: pd.DataFrame) -> str | None:
    """The column that `name` means: itself, or `labels.<name>`; None if there is neither."""
    for candidate in (name, f"labels.{name}"):
        if candidate in table.columns:
            return candidate
    return None


class _Evaluation:
    """One walk over one expression."""

    def __init__(self, expression: str, table: pd.DataFrame) -> None:
        self._expression = expression
        self._table = table

    def condition(self, node: ast.expr, depth: int) -> NDArray[np.bool_]:
        """The value of a node that must be true or false for each row."""
        self._check_depth(depth)
        if isinstance(node, ast.BoolOp):
            join = np.logical_and if isinstance(node.op, ast.And) else np.logical_or
            parts = [self.condition(value, depth + 1) for value in node.values]
            result: NDArray[np.bool_] = join.reduce(parts)
            return result
        if isinstance(node, ast.UnaryOp) and isinstance(node.op, ast.Not):
            return ~self.condition(node.operand, depth + 1)
        if isinstance(node, ast.Compare):
            return self._comparison(node, depth)
        value = self._value(node, depth)
        if isinstance(value, bool):
            return np.full(len(self._table), value)
        if isinstance(value, pd.Series) and _is_boolean(value):
            return value.fillna(False).to_numpy(bool)
        raise self._error(f"{ast.unparse(node)!r} is neither true nor false; compare it with something")

    def _comparison(self, node: ast.Compare, depth: int) -> NDArray[np.bool_]:
        result = np.ones(len(self._table), bool)
        left = node.left
        for op, right in zip(node.ops, node.comparators, strict=True):
            result &= self._one_comparison(left, op, right, depth + 1)
            left = right
        return result

    def _one_comparison(
        self, left: ast.expr, op: ast.cmpop, right: ast.expr, depth: int
    ) -> NDArray[np.bool_]:
        a, b = self._value(left, depth), self._value(right, depth)
        present = _present(a, len(self._table)) & _present(b, len(self._table))
        if isinstance(op, ast.In | ast.NotIn):
            inside = self._inside(a, b, ast.unparse(right))
            return present & (inside if isinstance(op, ast.In) else ~inside)
        if type(op) not in _COMPARE:
            raise self._error("'is' compares nothing here; write ==")
        try:
            result = _COMPARE[type(op)](_plain(a), _plain(b))
        except TypeError as error:
            raise self._error(
                f"{ast.unparse(left)!r} and {ast.unparse(right)!r} cannot be ordered: {error}"
            ) from error
        if not isinstance(result, np.ndarray):
            result = np.full(len(present), bool(result))
        holds: NDArray[np.bool_] = np.array([bool(one) for one in np.where(present, result, False)], bool)
        return holds & present

    def _inside(self, value: Value, container: Value, text: str) -> NDArray[np.bool_]:
        """`value in container`: a list of constants, or a string that holds the value."""
        values = _plain(value)
        column = values if isinstance(values, np.ndarray) else np.full(len(self._table), values, object)
        if isinstance(container, list):
            return np.array([item in container for item in column], bool)
        if isinstance(container, str | pd.Series):
            holders = _plain(container)
            texts = holders if isinstance(holders, np.ndarray) else np.full(len(column), holders, object)
            pairs = zip(column, texts, strict=True)
            return np.array([isinstance(a, str) and isinstance(b, str) and a in b for a, b in pairs], bool)
        raise self._error(f"{text!r} holds nothing; write a list such as ['a', 'b'] after 'in'")

    def _value(self, node: ast.expr, depth: int) -> Value:
        """A column, a constant, a list of constants, or a result of arithmetic."""
        self._check_depth(depth)
        if isinstance(node, ast.Constant) and isinstance(node.value, bool | int | float | str):
            return node.value
        if isinstance(node, ast.List | ast.Tuple | ast.Set):
            items = [self._value(item, depth + 1) for item in node.elts]
            if any(isinstance(item, pd.Series | list) for item in items):
                raise self._error(f"the list {ast.unparse(node)} may hold numbers and strings only")
            return items
        if isinstance(node, ast.Name | ast.Attribute):
            return self._column(_dotted(node) or ast.unparse(node))
        if isinstance(node, ast.UnaryOp) and isinstance(node.op, ast.USub | ast.UAdd):
            return self._arithmetic(
                ast.Sub() if isinstance(node.op, ast.USub) else ast.Add(), 0, node.operand, node, depth
            )
        if isinstance(node, ast.BinOp) and type(node.op) in _ARITHMETIC:
            return self._arithmetic(node.op, self._value(node.left, depth + 1), node.right, node, depth)
        if isinstance(node, ast.Compare | ast.BoolOp) or (
            isinstance(node, ast.UnaryOp) and isinstance(node.op, ast.Not)
        ):
            return pd.Series(self.condition(node, depth + 1), index=self._table.index)
        raise self._error(
            f"{ast.unparse(node)!r} is not allowed; use columns, constants, comparisons, in, and, or, not"
        )

    def _arithmetic(
        self, op: ast.operator, left: Value, right: ast.expr, node: ast.expr, depth: int
    ) -> Value:
        operands = (left, self._value(right, depth + 1))
        for operand in operands:
            if not isinstance(operand, int | float) and not _is_number(operand):
                raise self._error(f"{ast.unparse(node)!r} calculates with something that is not a number")
        try:
            return _ARITHMETIC[type(op)](*operands)
        except (ArithmeticError, TypeError) as error:
            raise self._error(f"{ast.unparse(node)!r} cannot be calculated: {error}") from error

    def _column(self, name: str) -> pd.Series[Any]:
        column = find_column(name, self._table)
        if column is None:
            raise self._error(
                f"there is no column {name!r}. {suggest(name, map(str, self._table.columns))}", end=""
            )
        return self._table[column]

    def _check_depth(self, depth: int) -> None:
        if depth > _DEEPEST:
            raise self._error("it is nested too deeply")

    def _error(self, what: str, end: str = ".") -> ExpressionError:
        return ExpressionError(f"in the expression {self._expression!r}: {what}{end}")


def _dotted(node: ast.expr) -> str | None:
    """`labels.coat` from its nodes; None if anything but names stands between the dots."""
    if isinstance(node, ast.Name):
        return node.id
    if isinstance(node, ast.Attribute):
        base = _dotted(node.value)
        return f"{base}.{node.attr}" if base else None
    return None


def _present(value: Value, rows: int) -> NDArray[np.bool_]:
    return value.notna().to_numpy(bool) if isinstance(value, pd.Series) else np.ones(rows, bool)


def _plain(value: Value) -> Value:
    """A column as a NumPy array whose missing values compare quietly; anything else as it is."""
    if not isinstance(value, pd.Series):
        return value
    if _is_boolean(value) or not _is_number(value):
        return (
            value.astype(object).where(value.notna(), None).to_numpy(object)
            if not _is_text(value)
            else _texts(value)
        )
    return value.to_numpy(np.float64, na_value=np.nan)


def _texts(value: pd.Series[Any]) -> NDArray[Any]:
    return value.fillna("").to_numpy(object)


def _is_text(value: pd.Series[Any]) -> bool:
    return pd.api.types.infer_dtype(value, skipna=True) == "string"


def _is_boolean(value: pd.Series[Any]) -> bool:
    return pd.api.types.infer_dtype(value, skipna=True) == "boolean"


def _is_number(value: Value) -> bool:
    return isinstance(value, pd.Series) and pd.api.types.is_numeric_dtype(value)
