"""Published benchmarks such as MMLU-Pro, which measure what training on a policy made a model forget.

Read `published` (opening and converting) first, then `sources` (local files or the Hugging Face hub),
`choice` (multiple choice as a family) and the two benchmarks `mmlu_pro` and `mmmu_pro`.
"""
