"""How well do the words of a query alone predict the next call? Figures of docs/gtapolicy.md.

A naive Bayes classifier is trained on the training split and tested on the test split, once to predict the
tool and once to predict the tool with its version. It sees the words of the query, and optionally the number
of earlier calls.

    python tests/bench/gta_query_words.py BENCH
"""

import re
import sys
from collections import Counter
from pathlib import Path

import numpy as np

from gtapolicy.grading.calls import Call
from gtapolicy.policy.rules import base_name
from harness.files.benchmark import Benchmark
from harness.records import Instance


def words(instance: Instance, with_number: bool) -> list[str]:
    query = re.search(r"^Query: (.+)$", instance.query[-1].value, re.MULTILINE)
    found = re.findall(r"[a-z]+", query[1].lower()) if query else []
    return found + ([f"{len(instance.facts['history'])} calls"] * 3 if with_number else [])


def accuracy(train: list[tuple[list[str], str]], test: list[tuple[list[str], str]]) -> float:
    labels = sorted({label for _, label in train})
    vocabulary = {word: i for i, word in enumerate(sorted({w for found, _ in train for w in found}))}
    counts = np.full((len(labels), len(vocabulary)), 0.3)
    for found, label in train:
        for word in found:
            counts[labels.index(label), vocabulary[word]] += 1
    log_likelihoods = np.log(counts / counts.sum(axis=1, keepdims=True))
    frequency = Counter(label for _, label in train)
    prior = np.log([frequency[label] for label in labels])
    hits = 0
    for found, label in test:
        known = [vocabulary[word] for word in found if word in vocabulary]
        hits += labels[int((prior + log_likelihoods[:, known].sum(axis=1)).argmax())] == label
    return hits / len(test)


def main(folder: Path) -> None:
    benchmark = Benchmark(folder)
    for target in ("tool", "tool with version"):
        for with_number in (False, True):
            splits = []
            for split in ("train", "test"):
                named = [(i, Call.from_json(i.target).name) for i in benchmark.instances(split)]
                rows = [(words(i, with_number), n if "version" in target else base_name(n)) for i, n in named]
                splits.append(rows)
            most = Counter(label for _, label in splits[0]).most_common(1)[0][0]
            frequent = sum(label == most for _, label in splits[1]) / len(splits[1])
            seen = "words and number of calls" if with_number else "words"
            print(f"{target}, {seen}: {accuracy(*splits):.3f} (most frequent: {frequent:.3f})")


if __name__ == "__main__":
    main(Path(sys.argv[1]))
