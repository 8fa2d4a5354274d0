"""Trains the tiny base model, a Qwen2.5-VL of four million weights, from random initialization.

Read `curriculum` (what is taught and when), then `data/` (what an example is), `model/`, `vision_pretraining`
(the first stage), `optimizer`, `evaluation` and `loop` (the training itself). `model.checkpoint.save_random`
writes an untrained model for tests.
"""
