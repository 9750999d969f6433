"""A conversation as a tree: from any message there is one path to the root, and siblings beside it."""

from collections import defaultdict
from collections.abc import Iterable
from dataclasses import dataclass
from uuid import UUID

from apps.chat.models import Message


@dataclass(frozen=True, slots=True)
class ThreadItem:
    """A message on the current path and its place among its siblings."""

    message: Message
    index: int  # from 1
    count: int
    previous_id: UUID | None
    next_id: UUID | None


class Tree:
    def __init__(self, messages: Iterable[Message]) -> None:
        """`messages` are all of one conversation, oldest first."""
        self.by_id = {message.pk: message for message in messages}
        self.children: dict[UUID | None, list[Message]] = defaultdict(list)
        for message in self.by_id.values():
            self.children[message.parent_id].append(message)

    def path(self, leaf_id: UUID | None) -> list[Message]:
        """Root to leaf."""
        path = []
        while leaf_id is not None and (message := self.by_id.get(leaf_id)):
            path.append(message)
            leaf_id = message.parent_id
        return path[::-1]

    def newest_leaf(self, message_id: UUID) -> UUID:
        """Follow the newest child down from a message."""
        while below := self.children.get(message_id):
            message_id = below[-1].pk
        return message_id

    def thread(self, leaf_id: UUID | None) -> list[ThreadItem]:
        return [self._item(message) for message in self.path(leaf_id)]

    def _item(self, message: Message) -> ThreadItem:
        siblings = [sibling.pk for sibling in self.children[message.parent_id]]
        place = siblings.index(message.pk)
        return ThreadItem(
            message=message,
            index=place + 1,
            count=len(siblings),
            previous_id=siblings[place - 1] if place else None,
            next_id=siblings[place + 1] if place + 1 < len(siblings) else None,
        )


def tree_of(conversation_id: UUID) -> Tree:
    """One query."""
    return Tree(Message.objects.filter(conversation_id=conversation_id).defer("logprobs"))
