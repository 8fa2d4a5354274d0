"""A decision tree as a flat table, to find the case of a scene in a fraction of the time of `Tree.walk`.

    row  met           no   yes
    0    red           2    1        row 0 is the root
    1    red metal     ~2   ~0       a negative entry ~k is the leaf with Case k
    2    cube          ~1   ~3

Planning finds the cases of millions of scenes, and needs no answers to the single conditions.
"""

from clevrpolicy.policy.tree import EVERYTHING, Leaf, Node, Tree, child, met_by


class CaseTable:
    """The cases of a tree, and the path to each."""

    def __init__(self, tree: Tree) -> None:
        self._accumulate = tree.accumulate
        # Met, and where to continue if the condition does not hold and if it holds.
        self._rows: list[tuple[int, int, int]] = []
        # By case: the numbers of the conditions on its path.
        self.paths: dict[int, tuple[str, ...]] = {}
        self._add(tree.root, "1", EVERYTHING, ())

    def case(self, kinds: int) -> int:
        """The case of a scene that contains exactly these kinds (a set as in tree.py)."""
        rows = self._rows
        row = 0
        while row >= 0:
            met, no, yes = rows[row]
            row = yes if met & kinds else no
        return ~row

    def _add(self, branch: Node | Leaf, condition: str, focus: int, path: tuple[str, ...]) -> int:
        """Adds the rows of a branch. Returns the entry that leads to it."""
        if isinstance(branch, Leaf):
            self.paths[branch.case] = path
            return ~branch.case
        row, met, path = len(self._rows), met_by(branch, focus), (*path, condition)
        self._rows.append((met, 0, 0))  # reserves the number; the branches are not known yet
        yes = self._add(branch.yes, child(condition, True), met if self._accumulate else focus, path)
        no = self._add(branch.no, child(condition, False), focus, path)
        self._rows[row] = met, no, yes
        return row
