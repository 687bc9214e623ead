"""Which Deployments a change concerns: those that looked for such an object."""

from collections import defaultdict
from collections.abc import Iterable

from webhook.cluster.snapshot import Word
from webhook.reconciler.queue import Key

_NOTHING: frozenset[Word] = frozenset()


class Interests:
    """The words by which each Deployment's last decision looked for objects.

    Without them each change in a namespace would make every release in it look again.
    """

    def __init__(self) -> None:
        self._words: dict[Key, frozenset[Word]] = {}
        self._keys: defaultdict[Word, set[Key]] = defaultdict(set)

    def note(self, key: Key, asked: Iterable[Word]) -> None:
        """Remember what a decision looked for, in place of what the one before did."""
        before, words = self._words.get(key, _NOTHING), frozenset(asked)
        if words == before:
            return
        for word in before - words:
            self._keys[word].discard(key)
            if not self._keys[word]:
                del self._keys[word]
        for word in words - before:
            self._keys[word].add(key)
        if words:
            self._words[key] = words
        else:
            del self._words[key]

    def drop(self, key: Key) -> None:
        """Forget a Deployment."""
        self.note(key, _NOTHING)

    def of(self, words: Iterable[Word]) -> set[Key]:
        """The Deployments that looked for any of these."""
        return {key for word in words for key in self._keys.get(word, ())}
