"""Published benchmarks such as MMLU-Pro, which measure what training on a policy made a model forget.

Read `published` first, then `sources`, `choice` (multiple choice), `mmlu_pro` and `mmmu_pro`.
"""
