"""The families of ClevrPolicy: they grade answers to scenes, and recited conditions."""

import random
import re
from collections.abc import Mapping, Sequence
from functools import cache, lru_cache
from typing import Any

import msgspec

from clevrpolicy.dataset.instances import SCENES
from clevrpolicy.grading.check import BRANCHES, check_citations, rules_of
from clevrpolicy.grading.cloze import ClevrCloze
from clevrpolicy.grading.cloze import questions as cloze_questions
from clevrpolicy.grading.error_analysis import FirstError, first_error
from clevrpolicy.grading.parse import parse_citations
from clevrpolicy.grading.paths import claimed_path, gold_path, path_to, places_in_text, to_draw
from clevrpolicy.policy import questions, reasoning, wording
from clevrpolicy.policy.table import CaseTable
from clevrpolicy.policy.tree import from_json, mask
from clevrpolicy.policy.wording import GIVE, GO
from clevrpolicy.scene import clevr_json
from clevrpolicy.scene.ontology import Kind, Scene
from harness import variants
from harness.errors import UserError
from harness.family import Family
from harness.files.manifest import BenchmarkFiles
from harness.parsing import boxed, plain, without_markup
from harness.records import CitedRule, Grade, Instance, Part
from harness.tree import Node, Path
from harness.variants import Variant

SCORER = "exact-match/3"
# The fields of a recited condition.
RECALL_FIELDS = ("attribute", "value", BRANCHES[True], BRANCHES[False])
# The words with which a policy's text introduces a target, such as "go to" in "go to Condition 1.2".
TARGET_PREFIX = re.compile("|".join(f"^{form.format('')}" for form in (*GO, *GIVE)))


class ClevrRecall(Family):
    """Grades questions that ask for the four fields of a condition."""

    scorer = SCORER

    def grade(self, instance: Instance, target: str, text: str) -> Grade:
        """1 if all fields are correct; `parts` contains the grade of each field."""
        answer = boxed(text)
        if answer is None:
            return Grade(0.0, "unparsed", dict.fromkeys(RECALL_FIELDS, 0.0))
        given, correct = ([*map(_field, text.split(";"))] for text in (without_markup(answer), target))
        given += [""] * (len(correct) - len(given))
        # Not strict: additional fields make the answer wrong, but they are not part of the condition.
        parts = {name: float(a == b) for name, a, b in zip(RECALL_FIELDS, given, correct, strict=False)}
        return Grade(float(len(given) == len(correct) and all(parts.values())), parts=parts)

    def groups(self, instance: Instance, variant: Variant) -> Mapping[str, str]:
        return {"condition depth": str(instance.facts["condition"].count(".") + 1)}

    def gold_path(self, instance: Instance, variant: Variant) -> Path:
        """The path to the condition that the question asks for."""
        return path_to(instance.facts["condition"])


class ClevrPolicy(Family):
    """Grades questions that apply a decision tree to a scene."""

    scorer = SCORER
    recall = ClevrRecall
    cloze = ClevrCloze

    def __init__(self, benchmark: BenchmarkFiles) -> None:
        super().__init__(benchmark)
        # All take the id of a policy; _rules returns its conditions by number, _cases its answers.
        self._tree = cache(lambda policy: from_json(benchmark.policies[policy].rules))
        self._rules = cache(lambda policy: rules_of(self._tree(policy)))
        self._drawn = cache(lambda policy: to_draw(self._tree(policy)))
        self._cases = cache(lambda policy: [f"Case {n}" for n in sorted(CaseTable(self._tree(policy)).paths)])
        # By the folder of a block, since instances are graded block by block.
        self._scenes = lru_cache(maxsize=2)(self._read_scenes)

    def grade(self, instance: Instance, target: str, text: str) -> Grade:
        """Exact match of the last boxed answer, ignoring case, spaces and markup (the paper's metric)."""
        answer = boxed(text)
        return Grade(0.0, "unparsed") if answer is None else Grade(float(plain(answer) == plain(target)))

    def answers(self, instance: Instance, variant: Variant) -> Sequence[str]:
        policy = variants.policy_id(instance, variant)
        if policy is None:
            return ()
        return self._cases(policy)

    def gold(self, instance: Instance, variant: Variant) -> str:
        policy = variants.policy_id(instance, variant)
        if policy is None:
            return super().gold(instance, variant)
        return reasoning.gold(self._tree(policy), self._kinds(instance))

    def reworded(self, policy: str, rng: random.Random) -> tuple[Part, ...]:
        record = self.benchmark.policies[policy]
        replaces = record.replaces is not None
        return wording.content(self._tree(policy), record.name, rng, shuffle=True, replaces=replaces)

    def rule_question(self, policy: str, rng: random.Random) -> tuple[str, tuple[Part, ...]]:
        return questions.sample_question(self._tree(policy), self.benchmark.policies[policy].name, rng)

    def cloze_questions(self) -> Sequence[Instance]:
        test = self.benchmark.instances("test")
        return list(cloze_questions(test, self._tree, self._kinds))

    def groups(self, instance: Instance, variant: Variant) -> Mapping[str, str]:
        """The leaf depth (the number of conditions on the path to the answer) and the number of objects."""
        path = instance.facts["override_path" if variant.replaced else "path"]
        return {"leaf depth": str(len(path)), "objects": str(instance.facts["objects"])}

    def cited_rules(self, instance: Instance, variant: Variant, text: str) -> Sequence[CitedRule]:
        policy = variants.policy_id(instance, variant)
        return () if policy is None else check_citations(parse_citations(text), self._rules(policy))

    def gold_rules(self, instance: Instance, variant: Variant) -> Sequence[str]:
        """The conditions on the path to the answer."""
        visited = instance.facts.get("override_path" if variant.replaced else "path", ())
        return [f"Condition {condition}" for condition in visited]

    def first_error(self, instance: Instance, variant: Variant, text: str) -> str | None:
        """A label from error_analysis.py."""
        policy = variants.policy_id(instance, variant)
        return None if policy is None else self._first_error(instance, policy, text).label

    def _first_error(self, instance: Instance, policy: str, text: str) -> FirstError:
        kinds = self._kinds(instance)
        path, _ = self._tree(policy).walk(mask(kinds))
        return first_error(text, path, self._rules(policy), kinds, lambda: self._scene(instance))

    def tree(self, policy: str) -> Node:
        return self._drawn(policy)

    def gold_path(self, instance: Instance, variant: Variant) -> Path:
        policy = variants.policy_id(instance, variant)
        if policy is None:
            return super().gold_path(instance, variant)
        kinds, line = self._scenes(instance.block)[instance.facts["scene"]]
        shown = instance.query[0]
        if shown.kind == "text":
            places = places_in_text(shown.value, kinds)
        else:
            places = clevr_json.boxes(msgspec.json.decode(line, type=dict[str, Any]))
        return gold_path(self._tree(policy), kinds, places)

    def claimed_path(self, instance: Instance, variant: Variant, text: str) -> Path:
        policy, correct = variants.policy_id(instance, variant), variants.target(instance, variant)
        if policy is None or correct is None:
            return super().claimed_path(instance, variant, text)
        is_right = self.grade(instance, correct, text).value == 1
        error = None if is_right else self._first_error(instance, policy, text)
        return claimed_path(text, self._drawn(policy), error)

    def _kinds(self, instance: Instance) -> tuple[Kind, ...]:
        """The kinds of objects in the scene of an instance."""
        return self._scenes(instance.block)[instance.facts["scene"]][0]

    def _scene(self, instance: Instance) -> Scene | None:
        """The scene with its camera; None if it is in words, of the original CLEVR or of an older version."""
        if self.benchmark.manifest.config.get("scenes") == "words":
            return None
        _, line = self._scenes(instance.block)[instance.facts["scene"]]
        try:
            return clevr_json.decode(msgspec.json.decode(line, type=dict[str, Any]))
        except UserError:
            return None

    def _read_scenes(self, block: str) -> dict[str, tuple[tuple[Kind, ...], msgspec.Raw]]:
        """By scene: the kinds of its objects, and its JSON.

        The JSON is not decoded: decoded scenes need many times the memory, and few are ever needed.
        """
        lines = self.benchmark.records_of(block + SCENES, msgspec.Raw)
        return {scene: (kinds, line) for line in lines for scene, kinds in [_scene_kinds(line)]}


def _scene_kinds(line: msgspec.Raw) -> tuple[str, tuple[Kind, ...]]:
    return clevr_json.kinds(msgspec.json.decode(line, type=dict[str, Any]))


def _field(text: str) -> str:
    """A normalized field of a recited condition: "go to Condition 1.2" becomes "condition 1.2"."""
    return TARGET_PREFIX.sub("", plain(text))
