"""Label selectors, as ``metav1.LabelSelector`` defines them."""

from collections.abc import Mapping
from typing import Literal

import msgspec


class Requirement(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """One ``matchExpressions`` entry."""

    key: str
    operator: Literal["In", "NotIn", "Exists", "DoesNotExist"]
    values: tuple[str, ...] = ()

    def admits(self, labels: Mapping[str, str]) -> bool:
        """Whether the labels meet this requirement."""
        match self.operator:
            case "In":
                return labels.get(self.key) in self.values
            case "NotIn":
                return labels.get(self.key) not in self.values
            case "Exists":
                return self.key in labels
            case "DoesNotExist":
                return self.key not in labels


class LabelSelector(msgspec.Struct, frozen=True, forbid_unknown_fields=True, rename="camel"):
    """``matchLabels`` and ``matchExpressions``, all of which must hold; empty matches all."""

    match_labels: dict[str, str] = {}
    match_expressions: tuple[Requirement, ...] = ()

    @property
    def empty(self) -> bool:
        """Whether it matches everything because it asks for nothing."""
        return not self.match_labels and not self.match_expressions

    def admits(self, labels: Mapping[str, str]) -> bool:
        """Whether an object with these labels is selected."""
        return selects(self.match_labels, labels) and all(
            r.admits(labels) for r in self.match_expressions
        )


def selects(selector: Mapping[str, str], labels: Mapping[str, str]) -> bool:
    """Whether every key of an equality selector has its value in ``labels``."""
    return all(labels.get(key) == value for key, value in selector.items())
