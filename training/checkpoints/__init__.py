"""Loads the checkpoint that a stage starts from (`parent`), and writes the one that it ends with (`trained`).

`lora` and `pixels` are settings of a recipe that change how a checkpoint is loaded.
"""
