"""Where a network is cut in two: the lower part runs once, the upper part is trained."""

from __future__ import annotations

import difflib
from collections import Counter
from dataclasses import dataclass
from typing import Any

from embedder.errors import FinetuneError
from embedder.keras_models import output_of

Node = tuple[int, int]  # an operation by its id, and which of its calls


@dataclass(frozen=True)
class Cut:
    """layer: whose output alone the rest of the network depends on. shape: of that output, for one picture.

    first: number of the first layer that is trained, in `model.layers`. frozen_above: how many layers lie between the
    cut and `first`; they stay as they are, and run with the upper part.
    """

    layer: str
    shape: tuple[int, ...]
    first: int
    frozen_above: int


def first_trained(model: Any, from_layer: int | str, backbone: str) -> int:  # noqa: ANN401
    """The number in `model.layers` of the first layer that is trained. Raises FinetuneError.

    from_layer: that number, as in `for layer in model.layers[:N]: layer.trainable = False`; or a layer's name.
    """
    names = [layer.name for layer in model.layers]
    if isinstance(from_layer, int):
        first = from_layer
        if not 0 <= first < len(names):
            raise FinetuneError(
                f"--from-layer {first}: {backbone} has {len(names)} layers, so expected 0 to {len(names) - 1}, or a "
                "layer's name."
            )
    elif from_layer in names:
        first = names.index(from_layer)
    else:
        near = difflib.get_close_matches(from_layer, names, n=3, cutoff=0.3)
        raise FinetuneError(
            f"--from-layer {from_layer}: {backbone} has no such layer. Nearest: {', '.join(near) or 'none'}."
        )
    if not any(layer.weights for layer in model.layers[first:]):
        raise FinetuneError(
            f"--from-layer {from_layer}: no layer from number {first} on has weights, so there is nothing to tune. "
            "Name an earlier layer, or train a head alone with `embank train`."
        )
    return first


def find_cut(model: Any, first: int) -> Cut | None:  # noqa: ANN401
    """The latest layer before number `first` that everything above passes through; None if there is only the input.

    In a residual network several tensors lie side by side at most layers; only where they meet can it be cut.
    """
    numbers = {id(layer): number for number, layer in enumerate(model.layers)}
    order, last_use = _topological(model.outputs[0])
    calls = Counter(operation for operation, _ in order)
    best, reach = 0, -1
    for position, node in enumerate(order):
        passed_by, reach = reach > position, max(reach, last_use[node])
        number = numbers.get(node[0], first)
        if number < first and not passed_by and calls[node[0]] == 1:
            best = number
    lower = model.layers[best]
    if type(lower).__name__ == "InputLayer":
        return None
    return Cut(lower.name, tuple(output_of(lower).shape[1:]), first, first - best - 1)


def _topological(output: Any) -> tuple[list[Node], dict[Node, int]]:  # noqa: ANN401
    """All calls that lead to a tensor, each after those that it takes from; and the last position that takes from
    each call.
    """
    order: list[Node] = []
    sources: dict[Node, list[Node]] = {}
    waiting: list[tuple[Any, bool]] = [(output, False)]
    while waiting:
        tensor, ready = waiting.pop()
        history = tensor._keras_history
        node = (id(history.operation), history.node_index)
        if ready and node not in sources:
            taken = history.operation._inbound_nodes[history.node_index].input_tensors
            sources[node] = [(id(t._keras_history.operation), t._keras_history.node_index) for t in taken]
            order.append(node)
        elif not ready and node not in sources:
            waiting.append((tensor, True))
            taken = history.operation._inbound_nodes[history.node_index].input_tensors
            waiting += [(t, False) for t in taken]
    position = {node: number for number, node in enumerate(order)}
    last_use = {node: position[node] for node in order}
    for node in order:
        for source in sources[node]:
            last_use[source] = max(last_use[source], position[node])
    return order, last_use
