"""Names a workflow function."""

from __future__ import annotations

import inspect
from collections.abc import Awaitable, Callable, Coroutine
from typing import Any, Generic, TypeVar, overload

from . import _limits as limits
from .errors import InvalidArgumentError
from .step_context import WorkflowContext

Input = TypeVar("Input")
Output = TypeVar("Output")


class Workflow(Generic[Input, Output]):
    """A named workflow: what a worker runs and a client starts. Calling it calls the function, for tests."""

    def __init__(self, name: str, function: Callable[..., Awaitable[Output]], takes_input: bool) -> None:
        self.name = name
        self._function = function
        self._takes_input = takes_input
        self.__doc__ = function.__doc__

    def __call__(self, ctx: WorkflowContext, input: Input | None = None) -> Awaitable[Output]:
        return self._function(ctx, input) if self._takes_input else self._function(ctx)

    def __repr__(self) -> str:
        return f"<workflow {self.name!r}>"


class _Decorator:
    def __init__(self, name: str | None) -> None:
        self._name = name

    @overload
    def __call__(
        self, function: Callable[[WorkflowContext, Input], Coroutine[Any, Any, Output]]
    ) -> Workflow[Input, Output]: ...

    @overload
    def __call__(
        self, function: Callable[[WorkflowContext], Coroutine[Any, Any, Output]]
    ) -> Workflow[None, Output]: ...

    def __call__(self, function: Callable[..., Coroutine[Any, Any, Any]]) -> Workflow[Any, Any]:
        name = getattr(function, "__name__", "") if self._name is None else self._name
        if not isinstance(name, str) or not 1 <= len(name.encode("utf-8", "replace")) <= limits.WORKFLOW_NAME_BYTES_MAX:
            raise InvalidArgumentError(
                f"a workflow's name is a text of 1 to {limits.WORKFLOW_NAME_BYTES_MAX} bytes, not {name!r}"
            )
        if not inspect.iscoroutinefunction(function):
            raise InvalidArgumentError(f"workflow {name!r} is an `async def` function, not {function!r}")
        return Workflow(name, function, _takes_input(name, function))


def workflow(*, name: str | None = None) -> _Decorator:
    """Decorates ``async def order(ctx, input)``; ``name`` defaults to the function's.

    The function may be run many times for one run, so everything that has an effect, takes time or depends on chance
    belongs into ``ctx.step``; what stands between the steps must be the same every time. A second parameter is the
    run's input; a function with one parameter takes none.
    """
    return _Decorator(name)


def _takes_input(name: str, function: Callable[..., Any]) -> bool:
    parameters = [
        parameter
        for parameter in inspect.signature(function).parameters.values()
        if parameter.kind in (parameter.POSITIONAL_ONLY, parameter.POSITIONAL_OR_KEYWORD, parameter.VAR_POSITIONAL)
    ]
    needed = [parameter for parameter in parameters if parameter.default is parameter.empty]
    if not parameters or len([p for p in needed if p.kind is not p.VAR_POSITIONAL]) > 2:
        raise InvalidArgumentError(f"workflow {name!r} takes a context and, if it has one, an input")
    return len(parameters) > 1 or parameters[0].kind is parameters[0].VAR_POSITIONAL
