#!/usr/bin/env bash
# Measure what a checkpoint of the base model can do: the tables of training/tiny/README.md.
#
#     tests/bench/model_card.sh CHECKPOINT OUT [INSTANCES]
#
# Benchmarks have seeds that nothing else uses, pictures of 160 x 112 pixels, and INSTANCES (400) test instances of
# eight policies. OUT/benchmarks is shared by all checkpoints. Run the same command again to resume.
set -euo pipefail

checkpoint=$1 out=$2 instances=${3:-400}
name=$(basename "$(realpath "$checkpoint")")
common="--train 50 --width 160 --height 112 --seed 7000"

score() { # BENCHMARK VARIANTS
    run=$out/runs/$name/$(basename "$1")
    harness eval "$1" --model "hf:$checkpoint" --variants "$2" --no-batch-check --out "$run" >/dev/null
}

policies() { # DEPTH VARIANTS OBJECTS [--visual]
    folder=$out/benchmarks/n$1-$3-objects${4:-}
    clevrpolicy generate "$folder" --depth "$1" --policies 8 --test $((instances / 8)) $common \
        --min-objects 2 --max-objects "$3" ${4:-} >/dev/null
    score "$folder" "$2"
}

for depth in 1 2 3 4 5 6; do policies $depth in_context,override 6; done
for depth in 2 4; do policies $depth in_context 4; done
for depth in 2 3 4 6; do policies $depth in_context,override 6 --visual; done
for objects in 4 6; do
    folder=$out/benchmarks/skills-$objects
    clevrpolicy skills "$folder" --scenes 200 $common --min-objects 2 --max-objects $objects >/dev/null
    score "$folder" internalized
done
harness report "$out/runs/$name"
