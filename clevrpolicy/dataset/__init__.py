"""Generates benchmarks: plans scenes for policies, renders them in worker processes, writes instances.

Read in this order: config, blocks, generate (all steps), quotas, workers, instances, importer (CLEVR's own
scenes).
"""
