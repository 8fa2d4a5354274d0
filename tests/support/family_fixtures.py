"""Which fixtures of tests/conftest.py are small benchmarks of which registered family."""

# A small benchmark of every registered family. tests/contract runs on all of them.
FAMILY_FIXTURES = {
    "clevrpolicy": ("text_folder", "visual_folder", "words_folder"),
    "gtapolicy": ("rules_folder",),
    "clevr-skills": ("skills_folder",),
    "mmlu-pro": ("mmlu_folder",),
    "mmmu-pro": ("mmmu_folder",),
}
