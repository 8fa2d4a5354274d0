"""Trees and paths of GTAPolicy for drawings (harness/tree.py): the next tool, and its version."""

from gtapolicy.dataset.dialogs import Step
from gtapolicy.grading.calls import parse_call
from gtapolicy.policy.conditions import Profile, condition
from gtapolicy.policy.rules import RuleTable, Tool, base_name, versioned
from harness import tree as drawn
from harness.tree import Node, Path

ROOT = Node("next call", "next call", "Which tool?")


def to_draw(table: RuleTable) -> Node:
    """The tools, each with its versions and their conditions."""
    return Node(ROOT.id, ROOT.name, ROOT.text, branches=tuple(("", _tool(tool)) for tool in table.tools))


def _tool(tool: Tool) -> Node:
    versions = [Node(name, name, f"if {condition(rule)}") for name, rule in tool.named_rules.items()]
    text = "Which version?" if versions else ""
    return Node(tool.name, tool.name, text, branches=tuple(("", version) for version in versions))


def gold_path(table: RuleTable, profile: Profile, step: Step) -> Path:
    """The path to the correct tool and version, with the reason for each."""
    steps = [drawn.Step(ROOT.id), drawn.Step(step.tool, table.reason(step.tool, step.tip))]
    if rule := table.tool(step.tool).rule(profile):
        steps.append(drawn.Step(versioned(step.tool, rule.use), f"the user has {rule.facts(profile)}"))
    return Path(tuple(steps))


def path_to(name: str) -> Path:
    """The path to a version of a tool."""
    return Path(tuple(map(drawn.Step, (ROOT.id, base_name(name), name))))


def claimed_path(text: str, gold: Path, error: str | None) -> Path:
    """The path to the tool that a response calls. Its first error is where it leaves the correct path."""
    call = parse_call(text)
    nodes = [] if call is None else list(dict.fromkeys((ROOT.id, base_name(call.name), call.name)))
    if error is None:
        return Path(tuple(map(drawn.Step, nodes)))
    correct = {step.node for step in gold.steps}
    at = next((node for node in nodes if node not in correct), nodes[-1] if nodes else "")
    return Path(tuple(map(drawn.Step, nodes)), error=error, error_at=at)
